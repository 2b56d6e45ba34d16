"""scripts/build-lambda.sh: what each method builds and packages, with stubs for the tools."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from harness.process import Completed
from tests.unit.scripts.build_stubs import build, buildx, engine, zipped
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell
from tests.unit.scripts.test_package import ARM, X86


@pytest.mark.parametrize("method", ["docker", "prod", ""])
def test_docker_goes_through_the_optimised_build(project: Shell, method: str) -> None:
    engine(project)
    buildx(project, "hello")
    done = build(project, *method.split())
    assert done.status == 0, done.err
    (call,) = project.calls("buildx")
    identity = project.call("project_id").out.strip()
    context = call.pop(-3)
    assert call == [
        *("build", "--progress=plain", "--file", f"{SCRIPTS}/../Dockerfile.optimized"),
        *("--target", "package", "--build-arg", "BUILD_IMAGE=layerproof/rust:local"),
        *("--build-arg", "RUNTIME_IMAGE=layerproof/runtime:local"),
        *("--build-arg", f"CACHE_ID=layerproof-{identity}"),
        *("--output", call[-1]),
    ]
    assert re.fullmatch(r"type=local,dest=target/.layerproof/out\.\d+", call[-1])
    assert Path(context).resolve() == project.project.resolve()
    assert (project.project / "target/release/hello").read_bytes() == X86
    assert (project.project / "lambda-package/bootstrap").read_bytes() == X86
    assert zipped(project) == X86


@pytest.mark.parametrize(("manifest", "name"), [(None, "hello"), ("[workspace]\n", "bootstrap")])
def test_a_package_stage_may_export_the_bootstrap_alone(
    project: Shell, manifest: str | None, name: str
) -> None:
    engine(project)
    buildx(project)
    elf, stub = project.root / "elf", project.root / "stubs" / "buildx"
    stub.write_text(
        stub.read_text().replace('mkdir -p "$out/bin";', f'cp "{elf}" "$out/bootstrap";')
    )
    if manifest is not None:
        (project.project / "Cargo.toml").write_text(manifest)
    done = build(project, "docker")
    assert done.status == 0, done.err
    assert (project.project / "target/release" / name).read_bytes() == X86
    assert zipped(project) == X86


def test_without_a_method_it_says_that_it_defaults(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    assert "[INFO] No build method specified, defaulting to docker" in build(project).err


def test_docker_honours_image_target_and_flags(project: Shell) -> None:
    engine(project)
    buildx(project, "hello", content=ARM)
    done = build(
        project,
        "docker",
        DOCKER_IMAGE="my/rust:1",
        TARGET_ARCH="aarch64-unknown-linux-gnu",
        CARGO_FLAGS="--features aws",
    )
    assert done.status == 0, done.err
    (call,) = project.calls("buildx")
    for word in (
        "BUILD_IMAGE=my/rust:1",
        "TARGET=aarch64-unknown-linux-gnu",
        "CARGO_FLAGS=--features aws",
    ):
        assert word in call


def test_docker_needs_no_cargo_on_the_host(project: Shell) -> None:
    """Old bug 5: --validate, and with it every docker build, demanded a host cargo."""
    engine(project)
    buildx(project, "hello")
    assert build(project, "--validate").status == 0
    assert build(project, "docker").status == 0


def test_a_changed_manifest_reaches_the_build(project: Shell) -> None:
    """Old bug 1: the dependency image was only looked up by name once it existed."""
    engine(project)
    buildx(project, "hello")
    build(project, "docker")
    project.write("Cargo.toml", '[package]\nname = "hello"\nversion = "0.2.0"\n')
    build(project, "docker")
    _, second = project.calls("buildx")
    assert Path(second[-3]).resolve() == project.project.resolve()
    assert not [c for c in project.calls("docker") if c[0] not in ("image", "network")]


def test_no_directory_of_the_host_hides_what_the_image_compiled(project: Shell) -> None:
    """Old bug 2: the repository was mounted over the image's compiled dependencies."""
    engine(project)
    buildx(project, "hello")
    build(project, "docker")
    words = [w for call in project.calls("docker") + project.calls("buildx") for w in call]
    assert not [w for w in words if w in ("run", "-v", "--volume", "--mount")]


def test_what_was_built_last_is_packaged(project: Shell) -> None:
    """Old bug 4: a stale binary of `local` beat a fresh one of `docker`."""
    stale = project.write("target/x86_64-unknown-linux-gnu/release/hello")
    stale.write_bytes(X86 + b"stale")
    engine(project)
    buildx(project, "hello")
    assert build(project, "docker").status == 0
    assert zipped(project) == X86
    assert build(project, "--package-only").status == 0
    assert zipped(project) == X86


@pytest.mark.parametrize("newer", ["release", "x86_64-unknown-linux-gnu/release"])
def test_without_a_record_the_newest_binary_is_packaged(project: Shell, newer: str) -> None:
    for place in ("release", "x86_64-unknown-linux-gnu/release"):
        file = project.write(f"target/{place}/hello")
        file.write_bytes(X86 + place.encode())
        os.utime(file, (1000, 2000 if place == newer else 1000))
    assert build(project, "--package-only").status == 0
    assert zipped(project) == X86 + newer.encode()


def test_a_binary_made_by_hand_since_is_packaged(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    build(project, "docker")
    file = project.write("target/release/hello")
    file.write_bytes(X86 + b"by hand")
    os.utime(file, (time.time() + 5, time.time() + 5))
    assert build(project, "--package-only").status == 0
    assert zipped(project) == X86 + b"by hand"


def test_package_only_compiles_nothing(project: Shell) -> None:
    for name in ("docker", "buildx", "cargo"):
        project.stub(name, Answer(times=0))
    project.write("target/release/hello").write_bytes(X86)
    assert build(project, "--package-only").status == 0
    assert zipped(project) == X86


def test_package_only_with_nothing_built_says_so(project: Shell) -> None:
    done = build(project, "--package-only")
    assert done.status == 1
    assert "[ERROR] nothing is built yet" in done.err
    assert not (project.project / "lambda-package").exists()


def good_then_failed(project: Shell, *arguments: str) -> tuple[Completed, bytes]:
    engine(project)
    buildx(project, "hello")
    assert build(project, "docker").status == 0
    before = (project.project / "lambda-deployment.zip").read_bytes()
    buildx(project, fail=True)
    return build(project, *(arguments or ("docker",))), before


def test_a_failed_build_exits_1_and_leaves_the_previous_package(project: Shell) -> None:
    done, before = good_then_failed(project)
    assert done.status == 1
    assert "[ERROR] build failed" in done.err
    assert "previous package is as it was" in done.err
    assert (project.project / "lambda-deployment.zip").read_bytes() == before
    assert not list((project.project / "target/.layerproof").glob("out.*"))
    assert list((project.root / "tmp").iterdir()) == []


def test_packaging_after_a_failed_build_says_that_it_is_the_one_before(project: Shell) -> None:
    good_then_failed(project)
    done = build(project, "--package-only")
    assert done.status == 0
    assert "[WARNING] the last build failed or was interrupted" in done.err


def test_a_quiet_failure_still_shows_why(project: Shell) -> None:
    done, _ = good_then_failed(project, "-q", "docker")
    assert "error[E0425]" in done.err
    assert "[INFO]" not in done.err


def test_quiet_says_nothing_when_all_is_well(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    done = build(project, "--quiet", "prod")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_clean_removes_the_outputs_first(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    project.write("target/old")
    project.write("lambda-package/old")
    assert build(project, "-c", "prod").status == 0
    assert not (project.project / "target/old").exists()
    assert sorted(p.name for p in (project.project / "lambda-package").iterdir()) == ["bootstrap"]


def test_several_binaries_make_one_package_each(project: Shell) -> None:
    engine(project)
    buildx(project, "one", "two")
    done = build(project, "prod")
    assert done.status == 0
    assert "--bin NAME" in done.err
    assert zipped(project, "lambda-deployment-one.zip") == X86
    assert zipped(project, "lambda-deployment-two.zip") == X86


@pytest.mark.parametrize("how", ["--bin", "default-run"])
def test_one_of_several_binaries_can_be_chosen(project: Shell, how: str) -> None:
    engine(project)
    buildx(project, "one")
    if how == "default-run":
        manifest = project.project / "Cargo.toml"
        manifest.write_text(manifest.read_text() + 'default-run = "one"\n')
    assert build(project, "prod", *(["--bin", "one"] if how == "--bin" else [])).status == 0
    assert "BIN=one" in project.calls("buildx")[0]
    assert zipped(project) == X86


def test_an_image_is_loaded_under_its_tag(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    assert build(project, "prod", "--image", "app:1").status == 0
    _, image = project.calls("buildx")
    assert image[-3:] == ["--load", "--tag", "app:1"]
    assert image[image.index("--target") + 1] == "runtime"


def test_no_binary_at_all_is_an_error(project: Shell) -> None:
    engine(project)
    buildx(project)
    done = build(project, "prod")
    assert done.status == 1
    assert "the build made no binary" in done.err


def test_a_build_without_docker_exits_3(project: Shell) -> None:
    done = project.run("build-lambda.sh", "prod")
    assert done.status == 3
    assert "docker is not installed" in done.err
    assert not (project.project / "target").exists()


def test_codebuild_writes_its_files_and_builds_nothing(project: Shell) -> None:
    for name in ("docker", "buildx", "cargo"):
        project.stub(name, Answer(times=0))
    assert build(project, "codebuild").status == 0
    made = {p.name for p in project.project.iterdir()} - {"Cargo.toml", "src"}
    assert made == {"buildspec.yml", "codebuild-project-template.json"}


def test_a_binary_of_another_architecture_is_not_packaged(project: Shell) -> None:
    project.write("target/release/hello").write_bytes(ARM)
    done = build(project, "--package-only", "--arch", "x86_64")
    assert done.status == 1
    assert "is built for arm64, not for x86_64" in done.err
    assert not (project.project / "lambda-deployment.zip").exists()


@pytest.mark.parametrize("name", ["with space", "quo'te", "new\nline", "ünïcode", "-x", "a,b\n"])
def test_a_project_may_lie_anywhere(shell: Shell, name: str) -> None:
    shell.project = shell.root / name
    shell.project.mkdir()
    shell.cargo_project()
    engine(shell)
    buildx(shell, "hello")
    done = build(shell, "prod")
    assert done.status == 0, done.err
    assert zipped(shell) == X86
    (call,) = shell.calls("buildx")
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9]+", Path(call[-3]).name)


def test_verbose_shows_the_commands(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    done = build(project, "-v", "prod")
    assert done.status == 0
    assert f"+ {project.root}/stubs/buildx build --progress=plain" in done.err


DEV = """#!/bin/sh
printf '%s\\n' "$*" >>dev-calls
{does}
exit {status}
"""


def dev_container(shell: Shell, status: int, does: str = ":") -> Path:
    """Copy the scripts beside a dev-container.sh that ends as told; return their directory."""
    copy = shell.root / "copy" / "scripts"
    copy.mkdir(parents=True)
    for name in ("build-lambda.sh", "lib"):
        (copy / name).symlink_to(SCRIPTS / name)
    (copy.parent / "Dockerfile.optimized").touch()
    (copy / "dev-container.sh").write_text(DEV.format(status=status, does=does))
    (copy / "dev-container.sh").chmod(0o755)
    return copy


def run_dev(shell: Shell, copy: Path, *arguments: str) -> Completed:
    code = f'SCRIPTS={copy}; main dev "$@"'
    words = " ".join(arguments)
    return shell.source(
        "build-lambda.sh",
        f"set -- {words}; {code}",
        LAYERPROOF_BUILDX=str(shell.root / "stubs" / "buildx"),
    )


def test_dev_packages_what_the_dev_container_built(project: Shell) -> None:
    (project.root / "elf").write_bytes(X86 + b"dev")
    copy = dev_container(
        project,
        0,
        f"mkdir -p target/debug; cp {project.root}/elf target/debug/hello; "
        "printf 'profile=debug\\nbin=hello\\npath=target/debug/hello\\n'"
        " >target/.layerproof/last-build",
    )
    done = run_dev(project, copy, "--bin", "hello")
    assert done.status == 0, done.err
    assert (project.project / "dev-calls").read_text() == "build --bin hello\n"
    assert zipped(project) == X86 + b"dev"
    assert build(project, "--package-only").status == 0
    assert zipped(project) == X86 + b"dev"


def test_a_dev_container_that_cannot_start_falls_back_to_production(project: Shell) -> None:
    engine(project)
    buildx(project, "hello")
    done = run_dev(project, dev_container(project, 3))
    assert done.status == 0, done.err
    assert "[WARNING] the dev container cannot be started" in done.err
    assert len(project.calls("buildx")) == 1
    assert zipped(project) == X86


def test_a_dev_build_that_fails_does_not_fall_back(project: Shell) -> None:
    done = run_dev(project, dev_container(project, 1))
    assert done.status == 1
    assert "build failed" in done.err
    assert not (project.project / "lambda-deployment.zip").exists()
