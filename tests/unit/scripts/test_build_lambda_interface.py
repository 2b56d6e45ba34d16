"""scripts/build-lambda.sh: its help, its words, what it would do; with stubs for the tools."""

from __future__ import annotations

import re

import pytest

from tests.unit.scripts.build_stubs import build, buildx, engine
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell
from tests.unit.scripts.test_engine import STAND_INS, probe

METHODS = ["docker", "local", "native", "codebuild", "dev", "prod"]
SECTIONS = ["USAGE", "BUILD METHODS", "OPTIONS", "EXAMPLES", "ENVIRONMENT VARIABLES"]


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_has_all_its_sections_and_exits_0(shell: Shell, option: str) -> None:
    done = shell.run("build-lambda.sh", option)
    assert done.status == 0
    assert [line for line in done.out.splitlines() if line in SECTIONS] == SECTIONS


def test_help_names_every_method_option_and_variable(shell: Shell) -> None:
    text = shell.run("build-lambda.sh", "--help").out
    options = "-h --help -v --verbose -q --quiet -c --clean --validate --package-only --dry-run"
    variables = "DOCKER_IMAGE RUNTIME_IMAGE TARGET_ARCH CARGO_FLAGS NO_COLOR"
    for word in [*METHODS, *options.split(), *variables.split(), "--bin", "--arch", "--image"]:
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nope"], "Unknown option: --nope"),
        (["nope"], "Unknown build method: nope"),
        (["nope", "docker"], "Unknown build method: nope"),
        (["docker", "-x"], "Unknown option: -x"),
        ([""], "Unknown build method: "),
        (["--bin"], "--bin needs a value"),
        (["--bin="], "--bin needs a value"),
        (["--arch", "sparc"], "Unknown architecture: sparc"),
    ],
)
def test_what_it_does_not_know_gets_an_error_the_help_and_exit_1(
    project: Shell, arguments: list[str], words: str
) -> None:
    done = project.run("build-lambda.sh", *arguments)
    assert done.status == 1
    assert f"[ERROR] {words}" in done.err
    assert "USAGE" in done.out
    assert not (project.project / "target").exists()


def parsed(shell: Shell, *arguments: str, **changes: str) -> str:
    words = " ".join(f"'{word}'" for word in arguments)
    code = (
        f'parse_arguments {words}; echo "$METHOD|$ACTION|$CLEAN|$DRY_RUN|$BIN|$TRIPLE|$IMAGE_TAG"'
    )
    return shell.source("build-lambda.sh", code, **changes).out.strip()


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ([], "|build|0|0|||"),
        (["docker", "prod"], "prod|build|0|0|||"),
        (["-c", "native"], "native|build|1|0|||"),
        (["native", "--clean"], "native|build|1|0|||"),
        (["--package-only"], "|package|0|0|||"),
        (["--validate", "--package-only"], "|validate|0|0|||"),
        (["--package-only", "--validate", "local"], "local|validate|0|0|||"),
        (["--dry-run", "--bin", "a", "--bin=b"], "|build|0|1|b||"),
        (["--arch", "arm64"], "|build|0|0||aarch64-unknown-linux-gnu|"),
        (["--arch=x86_64", "--image", "t:1"], "|build|0|0||x86_64-unknown-linux-gnu|t:1"),
    ],
)
def test_options_and_method_stand_in_any_order(
    shell: Shell, arguments: list[str], result: str
) -> None:
    assert parsed(shell, *arguments) == result


def test_the_architecture_option_goes_before_the_environment(shell: Shell) -> None:
    assert "|aarch64-" in parsed(shell, "--arch", "arm64", TARGET_ARCH="x86_64-unknown-linux-gnu")
    assert "|powerpc|" in parsed(shell, TARGET_ARCH="powerpc")


def test_sourcing_does_nothing(shell: Shell) -> None:
    done = shell.source("build-lambda.sh", "echo sourced")
    assert (done.out, done.err) == ("sourced\n", "")
    assert list(shell.project.iterdir()) == []


@pytest.mark.parametrize("method", [*METHODS, ""])
def test_a_directory_that_is_no_cargo_project_is_refused_before_anything_runs(
    shell: Shell, method: str
) -> None:
    for name in ("docker", "buildx", "cargo"):
        shell.stub(name, Answer(times=0))
    done = build(shell, *method.split())
    assert done.status == 1
    assert "not a cargo project" in done.err
    assert list(shell.project.iterdir()) == []


@pytest.mark.parametrize("method", ["docker", "prod", "dev"])
def test_validate_exits_1_without_docker(project: Shell, method: str) -> None:
    done = project.run("build-lambda.sh", "--validate", method)
    assert done.status == 1
    assert "the environment is not fit to build" in done.err


def test_validate_changes_nothing(project: Shell) -> None:
    project.stub("docker", probe(STAND_INS))
    buildx(project)
    project.stubs.pop("buildx")
    before = sorted(project.project.rglob("*"))
    assert build(project, "--validate", "--clean").status == 0
    assert sorted(project.project.rglob("*")) == before


def test_validate_of_a_directory_without_manifest_exits_1(shell: Shell) -> None:
    assert shell.run("build-lambda.sh", "--validate").status == 1


def test_a_dry_run_prints_the_commands_and_runs_nothing(project: Shell) -> None:
    engine(project)
    project.stub("buildx", Answer(times=0))
    done = build(project, "--dry-run", "--clean", "prod", "--image", "t", CARGO_FLAGS="-F 'a b'")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("rm -rf target lambda-package lambda-deployment.zip")
    assert re.search(r"/buildx build .*--target package .*--output type=local", lines[1])
    assert "'CARGO_FLAGS=-F" in lines[1] or "CARGO_FLAGS=-F\\ " in lines[1]
    assert "--target runtime" in lines[2]
    assert sorted(p.name for p in project.project.iterdir()) == ["Cargo.toml", "src"]
    assert not (project.root / "state").exists()


def test_a_dry_run_needs_no_engine(project: Shell) -> None:
    done = project.run("build-lambda.sh", "--dry-run", "prod")
    assert done.status == 0
    assert "docker buildx build" in done.out
    assert "BUILD_IMAGE=rust:1.85-slim-bookworm" in done.out


@pytest.mark.parametrize("method", ["local", "native", "dev", "codebuild"])
def test_every_method_has_a_dry_run(project: Shell, method: str) -> None:
    done = project.run("build-lambda.sh", method, "--dry-run")
    assert done.status == 0
    expected = {
        "local": "cargo build --release --target x86_64-unknown-linux-gnu ",
        "native": "cargo build --release ",
        "dev": f"{SCRIPTS}/dev-container.sh build",
        "codebuild": "buildspec.yml",
    }
    assert expected[method] in done.out
    assert sorted(p.name for p in project.project.iterdir()) == ["Cargo.toml", "src"]
