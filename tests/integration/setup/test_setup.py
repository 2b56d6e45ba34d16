"""`setup.sh` on this machine: what it provides works, and a second run changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

import pytest

from harness import process
from harness.process import Completed
from tests.integration.setup.conftest import SCRIPTS, Engines

debian = pytest.mark.skipif(
    shutil.which("apt-get") is None or "debian" not in platform.freedesktop_os_release()["ID"],
    reason="unpacks Debian packages",
)


def setup(engines: Engines, *arguments: str, **env: str) -> Completed:
    """Run the script with a home of its own, where no plugin of the user's lies."""
    command = (str(SCRIPTS / "setup.sh"), *arguments)
    return process.run(command, limit=300, env={**engines.env, "HOME": str(engines.home), **env})


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Every file below a directory with its inode and time of change."""
    facts = {}
    for path in directory.rglob("*"):
        seen = path.lstat()
        facts[str(path)] = (seen.st_ino, seen.st_mtime_ns)
    return facts


@debian
def test_buildx_is_provided_once_and_works(engines: Engines) -> None:
    done = setup(engines, "buildx")
    assert done.status == 0, done.err
    assert setup(engines, "buildx", "--check").status == 0
    before = snapshot(engines.home)
    again = setup(engines, "buildx")
    assert (again.status, again.err) == (0, "")
    assert {k: v for k, v in snapshot(engines.home).items() if "setup.lock" not in k} == {
        k: v for k, v in before.items() if "setup.lock" not in k
    }
    tool = engines.home / "tools" / "docker-buildx"
    if tool.exists():
        assert "buildx" in process.run((str(tool), "version"), limit=30).check("version").out


@debian
def test_a_newer_engine_is_unpacked_and_runs_containers(engines: Engines) -> None:
    engines.start("newer", "--dockerd", "newer")
    version = engines.docker("newer", "version", "--format", "{{.Server.Version}}")
    assert int(version.split(".")[0]) >= 26
    container = engines.container("newer", "exit 3")
    assert engines.docker("newer", "wait", container) == "3"
    tree = engines.home / "tools" / "newer-engine" / "usr" / "sbin" / "dockerd"
    running = Path(f"/proc/{engines.pid('newer')}/exe").readlink()
    assert running == tree
    before = snapshot(engines.home / "tools")
    assert setup(engines, "newer-engine").err == ""
    assert snapshot(engines.home / "tools") == before


def test_a_named_engine_that_is_dead_is_a_clear_error(engines: Engines) -> None:
    done = setup(engines, "engine", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert (done.status, done.out) == (3, "")
    assert "no Docker engine is running at unix:///nonexistent/docker.sock" in done.err
    assert engines.run("list").out == ""


def test_a_private_engine_that_was_killed_is_started_again(engines: Engines) -> None:
    host = engines.start("main")
    os.kill(engines.pid("main"), 9)
    done = setup(engines, "engine", DOCKER_HOST=host)
    assert (done.status, done.out.strip()) == (0, host), done.err
    assert engines.state("main") == "running"


def test_two_set_ups_at_once_wait_for_each_other(engines: Engines) -> None:
    host = engines.start("main")
    command = (str(SCRIPTS / "setup.sh"), "engine", "buildx")
    env = {**engines.env, "DOCKER_HOST": host}
    with process.background(command, env=env) as other:
        assert process.run(command, limit=300, env=env).check("set-up").out.strip() == host
        assert other.wait(limit=300).check("set-up").out.strip() == host
