"""Ctrl-C at any point: everything that was started ends, nothing is left, exit 130."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from harness import process
from tests.processes import has_ended
from tests.unit.scripts.build_stubs import engine
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell
from tests.unit.scripts.test_package import X86

pytestmark = pytest.mark.usefixtures("signals_arrive")

WAIT = 'echo $$ >>"$PIDS"; exec sleep 60'


def until(condition: Path) -> None:
    """Wait until a file has something in it."""
    limit = time.monotonic() + 20
    while not (condition.exists() and condition.read_text()):
        assert time.monotonic() < limit, f"{condition} stayed empty"
        time.sleep(0.02)


@pytest.fixture
def project(shell: Shell) -> Shell:
    shell.cargo_project()
    for name in ("lambda-package/bootstrap", "lambda-deployment.zip"):
        shell.write(name, "previous")
    return shell


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("during", ["buildx", "cargo", "gzip"])
def test_an_interruption_ends_everything(
    project: Shell, during: str, number: signal.Signals
) -> None:
    pids = project.root / "pids"
    method = {"buildx": "prod", "cargo": "native", "gzip": "--package-only"}[during]
    if during == "buildx":
        engine(project)
    if during == "gzip":
        project.write("target/release/hello").write_bytes(X86)
        wait = 'echo $$ >>"$PIDS"; sleep 1'  # the shell waits for it before it runs the trap
    else:
        wait = WAIT
    project.stub(during, Answer(does=wait, times=1))
    command = ["bash", str(SCRIPTS / "build-lambda.sh"), method]
    env = project.environment(
        PIDS=str(pids), LAYERPROOF_BUILDX=str(project.root / "stubs" / "buildx")
    )
    with process.background(command, cwd=project.project, env=env) as running:
        until(pids)
        os.kill(running.pid, number)
        done = running.wait(limit=20)
    assert done.status == 130
    assert "[ERROR] interrupted; the previous package is as it was" in done.err
    assert [pid for pid in pids.read_text().split() if not has_ended(int(pid))] == []
    assert (project.project / "lambda-deployment.zip").read_text() == "previous"
    assert (project.project / "lambda-package/bootstrap").read_text() == "previous"
    assert list((project.root / "tmp").iterdir()) == []
    assert not list(project.project.glob("**/.staging.*"))
    assert not list(project.project.glob("target/.layerproof/out.*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_the_lock_file_as_it_was(
    project: Shell, number: signal.Signals
) -> None:
    pids = project.root / "pids"
    project.write("Cargo.lock", "what was resolved\n")
    project.stub("cargo", Answer(does=f"echo other >Cargo.lock; {WAIT}", times=1))
    command = ["bash", str(SCRIPTS / "build-lambda.sh"), "native"]
    env = project.environment(PIDS=str(pids))
    with process.background(command, cwd=project.project, env=env) as running:
        until(pids)
        os.kill(running.pid, number)
        done = running.wait(limit=20)
    assert done.status == 130
    assert (project.project / "Cargo.lock").read_text() == "what was resolved\n"
    assert not list(project.project.glob(".Cargo.lock*"))


def test_a_command_that_ignores_signals_is_ended_all_the_same(project: Shell) -> None:
    code = (
        "trap on_signal TERM; "
        "run_child bash -c 'trap \"\" INT TERM; echo $$ >pid; while :; do sleep 0.1; done'"
    )
    before = "sleep() { command sleep 0.005; }"
    libraries = "".join(f". {SCRIPTS}/lib/{name}.sh; " for name in ("log", "children"))
    with process.background(
        ["bash", "-c", f"{libraries} {before}; {code}"],
        cwd=project.project,
        env=project.environment(),
    ) as running:
        pid = project.project / "pid"
        until(pid)
        os.kill(running.pid, signal.SIGTERM)
        done = running.wait(limit=20)
    assert done.status == 130
    assert has_ended(int(pid.read_text()))


@pytest.mark.parametrize("status", [0, 1, 101])
def test_the_status_of_what_ran_is_passed_on(shell: Shell, status: int) -> None:
    assert shell.call("run_child", "bash", "-c", f"exit {status}").status == status
