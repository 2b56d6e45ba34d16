"""Makefile: every target calls its script, wherever Makefile and project lie."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness import process
from harness.process import Completed
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell

MAKEFILE = SCRIPTS.parent / "Makefile"
LEGACY = (
    "help build test test-html run check clean build-lambda build-docker build-local "
    "deploy-package package-zip docs docs-open"
)
NEW = ["setup", "verify", "bench", "lint"]
CALLS = {
    "build-lambda": "build-deploy.sh",
    "build-docker": "build-lambda.sh docker",
    "build-local": "build-lambda.sh local",
    "build-dev": "build-lambda.sh dev",
    "build-prod": "build-lambda.sh prod",
    "deploy-package": "build-lambda.sh --package-only",
    "package-zip": "package-zip.sh",
    "clean": "build-deploy.sh clean",
    "test-html": "test-html.sh",
    "setup": "setup.sh",
    "verify": "verify.sh",
}
CARGO = {
    "build": "build",
    "run": "run",
    "check": "check --all-targets",
    "docs": "doc --no-deps",
    "test": "test",
}


class Layout:
    """A copy of the Makefile with scripts that only say how and where they were called."""

    def __init__(self, shell: Shell, name: str) -> None:
        self.shell = shell
        self.root = shell.root / name
        scripts = self.root / "scripts"
        scripts.mkdir(parents=True)
        shutil.copy(MAKEFILE, self.root / "Makefile")
        for called in {call.split()[0] for call in CALLS.values()} | {
            "dev-container.sh",
            "test.sh",
        }:
            script = scripts / called
            script.write_text('#!/bin/sh\nset -- "${0##*/}" "$@"\necho "$*"\npwd -P\n')
            script.chmod(0o755)

    def make(self, *arguments: str, cwd: Path | None = None, **changes: str) -> Completed:
        make = shutil.which("make")
        assert make, "the tests of the Makefile need make"
        return process.run(
            [make, *arguments],
            limit=30,
            cwd=cwd or self.shell.project,
            env=self.shell.environment(**changes),
        )

    def called(self, *arguments: str, cwd: Path | None = None, **changes: str) -> list[str]:
        done = self.make(*arguments, cwd=cwd, **changes)
        assert done.status == 0, done.err
        return done.out.splitlines()


@pytest.fixture(params=["layerproof", "with space", "quo'te"])
def layout(shell: Shell, request: pytest.FixtureRequest) -> Layout:
    shell.cargo_project()
    return Layout(shell, request.param)


@pytest.mark.parametrize("target", CALLS)
def test_a_target_calls_its_script_in_the_project(layout: Layout, target: str) -> None:
    said = layout.called("-f", str(layout.root / "Makefile"), target)
    assert said == [CALLS[target], str(layout.shell.project)]


@pytest.mark.parametrize("target", CARGO)
def test_a_target_of_cargo_uses_the_hosts(layout: Layout, target: str) -> None:
    layout.shell.stub(
        "cargo",
        Answer(when="--version", times=1),
        Answer(when=CARGO[target], out="cargo\n", times=1),
    )
    assert layout.called("-f", str(layout.root / "Makefile"), target) == ["cargo"]


def test_a_cargo_without_a_toolchain_is_none(layout: Layout) -> None:
    layout.shell.stub("cargo", Answer(when="--version", status=1, times=1))
    said = layout.called("-f", str(layout.root / "Makefile"), "build")
    assert said[0] == f"dev-container.sh exec -- cargo {CARGO['build']}"


@pytest.mark.parametrize("target", CARGO)
def test_without_a_cargo_the_dev_container_has_one(layout: Layout, target: str) -> None:
    said = layout.called("-f", str(layout.root / "Makefile"), target)
    assert said[0] == f"dev-container.sh exec -- cargo {CARGO[target]}"


def test_the_makefile_can_be_copied_into_a_project(layout: Layout) -> None:
    (layout.root / "Cargo.toml").write_text("[package]\n")
    said = layout.called("-C", str(layout.root), "--no-print-directory", "build-docker")
    assert said == ["build-lambda.sh docker", str(layout.root)]


def test_a_project_can_be_named(layout: Layout) -> None:
    elsewhere = layout.shell.root / "else where"
    elsewhere.mkdir()
    makefile = str(layout.root / "Makefile")
    said = layout.called("-f", makefile, "build-docker", f"PROJECT={elsewhere}")
    assert said == ["build-lambda.sh docker", str(elsewhere)]


def test_the_sample_is_built_where_there_is_no_project(layout: Layout) -> None:
    sample = layout.root / "fixtures" / "hello-lambda"
    sample.mkdir(parents=True)
    assert layout.called("build-docker", cwd=layout.root)[1] == str(sample)


def test_make_test_outside_of_a_project_runs_the_tests_of_layerproof(layout: Layout) -> None:
    assert layout.called("test", cwd=layout.root)[0] == "test.sh"


def test_a_script_that_fails_fails_the_target(layout: Layout) -> None:
    (layout.root / "scripts" / "build-lambda.sh").write_text("#!/bin/sh\nexit 3\n")
    done = layout.make("-f", str(layout.root / "Makefile"), "build-docker")
    assert done.status == 2
    assert "Error 3" in done.err


def test_help_lists_every_target_and_is_the_default(layout: Layout) -> None:
    said = layout.called("-f", str(layout.root / "Makefile"))
    assert said == layout.called("-f", str(layout.root / "Makefile"), "help")
    listed = [line.split()[0] for line in said]
    assert set(listed) >= {*LEGACY.split(), *NEW}
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(" ".join(phony).split())
