"""scripts/lib/project.sh: what is known of a cargo project without cargo."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from harness import process
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell

ODD_NAMES = [
    "with space",
    "quo'te",
    'dou"ble',
    "new\nline",
    "ends in newline\n",
    "ünïcode",
    "-x",
    "$HOME",
    "*",
    "a,b",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_project_may_lie_anywhere(shell: Shell, name: str) -> None:
    shell.project = shell.root / name
    shell.project.mkdir()
    shell.cargo_project()
    done = shell.call("need_cargo_project", after="project_id")
    digest = hashlib.sha256(os.fsencode(shell.project.resolve())).hexdigest()
    assert (done.status, done.out, done.err) == (0, f"{digest[:16]}\n", "")


def test_two_ways_into_a_checkout_are_the_same_project(shell: Shell) -> None:
    shell.cargo_project()
    here = shell.call("need_cargo_project", after="project_id").out
    link = shell.root / "link"
    link.symlink_to(shell.project)
    shell.project = link
    assert shell.call("need_cargo_project", after="project_id").out == here


def test_two_checkouts_are_two_projects(shell: Shell) -> None:
    ids = set()
    for name in ("one", "two"):
        shell.project = shell.root / name
        shell.project.mkdir()
        shell.cargo_project()
        ids.add(shell.call("need_cargo_project", after="project_id").out)
    assert len(ids) == 2


def test_a_directory_without_manifest_is_refused(shell: Shell) -> None:
    done = shell.call("need_cargo_project")
    assert done.status == 1
    assert f"not a cargo project: there is no Cargo.toml in {shell.project}" in done.err


@pytest.mark.parametrize("text", ["", "hello\n", "[dependencies]\n", "[packages]\nname = 'x'\n"])
def test_a_manifest_that_can_be_none_is_refused(shell: Shell, text: str) -> None:
    shell.write("Cargo.toml", text)
    done = shell.call("need_cargo_project")
    assert done.status == 1
    assert "neither a [package] nor a [workspace]" in done.err


@pytest.mark.parametrize(
    "text",
    [
        "[package]\nname='x'\n",
        "  [ workspace ]\n",
        "[workspace.package]\n",
        'package.name = "x"\n',
        "package = {}\n",
    ],
)
def test_every_way_to_write_a_manifest_is_accepted(shell: Shell, text: str) -> None:
    shell.write("Cargo.toml", text)
    assert shell.call("need_cargo_project").status == 0


def test_a_manifest_that_is_a_directory_is_refused(shell: Shell) -> None:
    (shell.project / "Cargo.toml").mkdir()
    assert "Cargo.toml cannot be read" in shell.call("need_cargo_project").err


def test_a_source_directory_that_is_gone_is_refused(shell: Shell) -> None:
    sources = f". {SCRIPTS}/lib/log.sh; . {SCRIPTS}/lib/project.sh"
    code = f"mkdir gone; cd gone; rmdir ../gone; {sources}; need_cargo_project"
    done = process.run(["bash", "-c", code], limit=10, cwd=shell.project, env=shell.environment())
    assert done.status == 1
    assert "[ERROR]" in done.err


@pytest.mark.parametrize(
    ("manifest", "value"),
    [
        ('[package]\nname = "one"\n', "one"),
        ("[package]\nname='one'\n", "one"),
        ('[ package ]\n  "name"  =  "one" # "two"\n', "one"),
        ('[dependencies]\nname = "no"\n[package]\nname = "one"\n', "one"),
        ('[package]\nname = "one"\n[lib]\nname = "two"\n', "one"),
        ("[package]\nname.workspace = true\n", ""),
        ('[package] # the package\nname = "one"\n', "one"),
    ],
)
def test_a_string_of_the_manifest_is_read(shell: Shell, manifest: str, value: str) -> None:
    file = shell.write("Cargo.toml", manifest)
    assert shell.call("manifest_value", str(file), "package", "name").out.strip() == value


def binaries(shell: Shell) -> list[str]:
    return shell.call("manifest_binaries", ".").out.split()


def test_a_package_has_the_binaries_that_cargo_finds(shell: Shell) -> None:
    shell.cargo_project("main-one")
    shell.write("src/bin/second.rs")
    shell.write("src/bin/third/main.rs")
    shell.write("src/bin/third/helper.rs")
    assert binaries(shell) == ["main-one", "second", "third"]


def test_a_bin_table_names_its_file(shell: Shell) -> None:
    shell.cargo_project()
    manifest = shell.project / "Cargo.toml"
    manifest.write_text(
        manifest.read_text()
        + '[[bin]]\nname = "bootstrap"\npath = "./src/main.rs"\n'
        + '[[bin]]\npath = "src/bin/b.rs"\nname = "other"\n'
    )
    shell.write("src/bin/b.rs")
    assert binaries(shell) == ["bootstrap", "other"]


def test_a_library_has_no_binaries(shell: Shell) -> None:
    shell.write("Cargo.toml", '[package]\nname = "lib"\n')
    shell.write("src/lib.rs")
    assert binaries(shell) == []


def test_the_ca_bundle_is_the_one_that_is_named(shell: Shell) -> None:
    file = shell.write("ca.pem")
    assert shell.call("find_ca_bundle", LAYERPROOF_CA_BUNDLE=str(file)).out == f"{file}\n"


def test_an_empty_ca_bundle_means_none(shell: Shell) -> None:
    file = shell.write("ca.pem")
    done = shell.call("find_ca_bundle", LAYERPROOF_CA_BUNDLE="", SSL_CERT_FILE=str(file))
    assert (done.status, done.out) == (0, "")


def test_without_a_named_ca_bundle_the_machines_is_taken(shell: Shell) -> None:
    file = shell.write("ca.pem")
    done = shell.call("find_ca_bundle", LAYERPROOF_CA_BUNDLE=None, SSL_CERT_FILE=str(file))
    assert done.out == f"{file}\n"


def test_a_named_ca_bundle_that_is_missing_is_an_error(shell: Shell) -> None:
    done = shell.call("find_ca_bundle", LAYERPROOF_CA_BUNDLE="/nonexistent")
    assert done.status == 1
    assert "LAYERPROOF_CA_BUNDLE cannot be read: /nonexistent" in done.err


def credentials(shell: Shell, **changes: str) -> str:
    """Return what is found where the cargo home is a folder of the test's."""
    return shell.call("find_cargo_credentials", CARGO_HOME=str(shell.project), **changes).out


@pytest.mark.parametrize("name", ["credentials.toml", "credentials"])
def test_credentials_come_from_the_cargo_home(shell: Shell, name: str) -> None:
    assert credentials(shell) == ""
    file = shell.write(name)
    assert credentials(shell) == f"{file}\n"
    assert credentials(shell, LAYERPROOF_CARGO_CREDENTIALS="") == ""


def test_named_credentials_are_taken_or_are_an_error(shell: Shell) -> None:
    shell.write("credentials.toml")
    file = shell.write("mine.toml")
    assert credentials(shell, LAYERPROOF_CARGO_CREDENTIALS=str(file)) == f"{file}\n"
    done = shell.call("find_cargo_credentials", LAYERPROOF_CARGO_CREDENTIALS="/nonexistent")
    assert done.status == 1
    assert "LAYERPROOF_CARGO_CREDENTIALS cannot be read: /nonexistent" in done.err


def dockerfile(shell: Shell, **changes: str) -> str:
    return shell.call("find_dockerfile", str(SCRIPTS), **changes).out


def test_the_projects_own_dockerfile_goes_before_ours(shell: Shell) -> None:
    ours = dockerfile(shell)
    assert Path(ours.strip()).resolve() == SCRIPTS.parent / "Dockerfile.optimized"
    shell.write("Dockerfile.optimized")
    assert dockerfile(shell) == "Dockerfile.optimized\n"


def test_a_named_dockerfile_goes_before_all(shell: Shell) -> None:
    shell.write("Dockerfile.optimized")
    shell.write("other")
    assert dockerfile(shell, LAYERPROOF_DOCKERFILE="other") == "other\n"


def test_a_named_dockerfile_that_is_missing_is_an_error(shell: Shell) -> None:
    done = shell.call("find_dockerfile", str(SCRIPTS), LAYERPROOF_DOCKERFILE="none")
    assert (done.status, done.err) == (1, "[ERROR] no such Dockerfile: none\n")


@pytest.mark.parametrize("program", ["sha256sum", "shasum", "openssl"])
def test_the_hash_is_made_with_what_is_there(shell: Shell, program: str) -> None:
    digest = hashlib.sha256(b"text").hexdigest()
    shell.stub(program, Answer(out=f"{digest} *stdin\n", times=1, does="cat >/dev/null"))
    hide = {"sha256sum": "", "shasum": "sha256sum", "openssl": "sha256sum|shasum"}[program]
    before = f'has_command() {{ case "$1" in {hide or "none"}) return 1 ;; esac; }}'
    assert shell.call("hash_text", "text", before=before).out == digest[:16] + "\n"


@pytest.mark.parametrize(
    "script", ["build-lambda", "dev-container", "invoke", "private-engine", "setup", "verify"]
)
def test_a_script_finds_its_files_whatever_cdpath_says(script: str) -> None:
    """With CDPATH, `cd` prints where it went, or goes elsewhere."""
    root = SCRIPTS.parent
    env = process.environment({"CDPATH": str(root)})
    done = process.run(["bash", f"scripts/{script}.sh", "--help"], cwd=root, env=env, limit=30)
    assert done.status == 0, done.err
    assert done.err == ""
