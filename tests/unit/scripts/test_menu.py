"""scripts/build-deploy.sh, package-zip.sh, test-html.sh and codebuild.sh."""

from __future__ import annotations

import json
import os
import pty
import time
import zipfile
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell
from tests.unit.scripts.test_package import X86

CHOICES = {
    "1": "docker",
    "2": "local",
    "3": "native",
    "4": "codebuild",
    "5": "--validate",
    "": "docker",
}


@pytest.fixture
def copy(shell: Shell) -> Path:
    """The scripts, with a build-lambda.sh that only says how it was called."""
    directory = shell.root / "scripts"
    directory.mkdir()
    (directory / "lib").symlink_to(SCRIPTS / "lib")
    (directory / "build-deploy.sh").write_bytes((SCRIPTS / "build-deploy.sh").read_bytes())
    (directory / "build-lambda.sh").write_text('#!/bin/sh\necho "called: $*"\nexit 7\n')
    for name in ("build-lambda.sh", "build-deploy.sh"):
        (directory / name).chmod(0o755)
    return directory


def on_terminal(shell: Shell, script: Path, answer: str | None) -> tuple[int, str]:
    """Run a script on a terminal of its own and type an answer; None hangs up instead."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child becomes the script
        os.chdir(shell.project)
        os.execve(  # noqa: S606 - no shell is wanted
            script, [str(script)], shell.environment()
        )
    said = b""
    limit = time.monotonic() + 20
    while b"Choice" not in said and time.monotonic() < limit:
        said += os.read(terminal, 1024)
    os.write(terminal, b"\x04" if answer is None else answer.encode() + b"\n")
    while time.monotonic() < limit:
        try:
            said += os.read(terminal, 1024)
        except OSError:  # the other side has closed
            break
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("typed", CHOICES)
def test_the_menu_does_on_a_terminal_what_is_chosen(shell: Shell, copy: Path, typed: str) -> None:
    status, said = on_terminal(shell, copy / "build-deploy.sh", typed)
    assert status == 7
    assert f"called: {CHOICES[typed]}\n" in said
    for number, name in enumerate(
        ["docker", "local", "native", "codebuild", "validate", "clean"], 1
    ):
        assert f"{number}) {name}" in said


def test_the_menu_cleans(shell: Shell, copy: Path) -> None:
    for name in ("target/x", "lambda-package/bootstrap", "lambda-deployment.zip"):
        shell.write(name)
    status, _ = on_terminal(shell, copy / "build-deploy.sh", "6")
    assert status == 0
    assert list(shell.project.iterdir()) == []


@pytest.mark.parametrize("typed", ["7", "0", "x", "docker; ls", "11"])
def test_the_menu_refuses_other_answers(shell: Shell, copy: Path, typed: str) -> None:
    status, said = on_terminal(shell, copy / "build-deploy.sh", typed)
    assert status == 1
    assert f"[ERROR] Invalid choice: {typed} (1 to 6)" in said.replace("\033[0;31m", "").replace(
        "\033[0m", ""
    )


def test_no_answer_is_no_choice(shell: Shell, copy: Path) -> None:
    assert on_terminal(shell, copy / "build-deploy.sh", None)[0] == 130


def test_without_a_terminal_it_builds_in_docker(shell: Shell, copy: Path) -> None:
    done = shell.call(str(copy / "build-deploy.sh"))
    assert (done.status, done.out) == (7, "called: docker\n")
    assert "[INFO] no terminal to ask on" in done.err


@pytest.mark.parametrize(("argument", "method"), [("native", "native"), ("2", "local")])
def test_an_argument_is_the_answer(shell: Shell, copy: Path, argument: str, method: str) -> None:
    assert shell.call(str(copy / "build-deploy.sh"), argument).out == f"called: {method}\n"


def test_the_zip_is_made_from_the_bootstrap(shell: Shell) -> None:
    shell.write("lambda-package/bootstrap").write_bytes(X86)
    assert shell.run("package-zip.sh").status == 0
    opened = zipfile.ZipFile(shell.project / "lambda-deployment.zip")
    assert opened.namelist() == ["bootstrap"]
    assert opened.read("bootstrap") == X86
    assert sorted(p.name for p in (shell.project / "lambda-package").iterdir()) == ["bootstrap"]


def test_the_zip_is_the_one_that_a_build_makes(shell: Shell) -> None:
    shell.write("in").write_bytes(X86)
    shell.call("package_binaries", "9", "", "in")
    built = (shell.project / "lambda-deployment.zip").read_bytes()
    (shell.project / "lambda-deployment.zip").unlink()
    shell.run("package-zip.sh")
    assert (shell.project / "lambda-deployment.zip").read_bytes() == built


def test_each_package_of_several_gets_its_zip(shell: Shell) -> None:
    for name in ("one", "two"):
        shell.write(f"lambda-package/{name}/bootstrap").write_bytes(X86)
    assert shell.run("package-zip.sh").status == 0
    made = sorted(p.name for p in shell.project.glob("*.zip"))
    assert made == ["lambda-deployment-one.zip", "lambda-deployment-two.zip"]


def test_without_a_bootstrap_there_is_no_zip(shell: Shell) -> None:
    done = shell.run("package-zip.sh")
    assert done.status == 1
    assert "there is no lambda-package/bootstrap" in done.err
    assert list(shell.project.iterdir()) == []


def test_the_zip_of_before_stays_when_there_is_no_room(shell: Shell) -> None:
    shell.write("lambda-package/bootstrap").write_bytes(X86)
    old = shell.write("lambda-deployment.zip", "old")
    shell.stub("gzip", Answer(err="gzip: stdout: No space left on device\n", status=1))
    assert shell.run("package-zip.sh").status == 1
    assert old.read_text() == "old"
    assert sorted(p.name for p in (shell.project / "lambda-package").iterdir()) == ["bootstrap"]


@pytest.mark.parametrize(("status", "verdict"), [(0, "passed"), (101, "failed")])
def test_the_test_report_says_what_the_tests_said(shell: Shell, status: int, verdict: str) -> None:
    shell.cargo_project()
    answers = (Answer(when="--version"), Answer(when="test", out="left: <a> & b\n", status=status))
    shell.stub("cargo", *answers)
    done = shell.run("test-html.sh")
    assert done.status == status
    page = (shell.project / "target/test-report.html").read_text()
    assert f"<h1>Tests {verdict}</h1>" in page
    assert "left: &lt;a&gt; &amp; b" in page
    assert sorted(p.name for p in (shell.project / "target").iterdir()) == ["test-report.html"]


@pytest.mark.parametrize(
    ("triple", "kind"),
    [
        ("x86_64-unknown-linux-gnu", "LINUX_CONTAINER"),
        ("aarch64-unknown-linux-gnu", "ARM_CONTAINER"),
    ],
)
def test_codebuild_gets_a_machine_of_the_right_kind(shell: Shell, triple: str, kind: str) -> None:
    shell.cargo_project("my-app")
    flags = '--features "a b" \\'
    assert shell.call("write_codebuild", triple, flags).status == 0
    template = json.loads((shell.project / "codebuild-project-template.json").read_text())
    assert template["name"] == "my-app-build"
    assert template["environment"]["type"] == kind
    assert template["environment"]["privilegedMode"] is True
    spec = (shell.project / "buildspec.yml").read_text()
    assert f"TARGET_ARCH: {json.dumps(triple)}" in spec
    assert f"CARGO_FLAGS: {json.dumps(flags)}" in spec
    assert "build-lambda.sh prod" in spec


def test_a_configuration_of_the_users_own_is_kept(shell: Shell) -> None:
    shell.cargo_project()
    shell.write("buildspec.yml", "mine\n")
    done = shell.call("write_codebuild", "x86_64-unknown-linux-gnu", "")
    assert "[WARNING] buildspec.yml was different" in done.err
    assert (shell.project / "buildspec.yml.bak").read_text() == "mine\n"
    again = shell.call("write_codebuild", "x86_64-unknown-linux-gnu", "")
    assert "WARNING" not in again.err
    assert (shell.project / "buildspec.yml.bak").read_text() == "mine\n"
