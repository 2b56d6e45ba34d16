"""Private engines start, stop, and recover from being killed, on this machine's dockerd."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from harness import process
from tests.integration.setup.conftest import SCRIPTS, Engines
from tests.processes import has_ended, is_alive

STUBBORN = "trap '' TERM; while :; do sleep 1; done"


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert has_ended(pid)


def test_start_prints_where_the_engine_listens(engines: Engines) -> None:
    url = engines.start("main")
    assert url == f"unix://{engines.directory}/main.sock"
    assert engines.docker("main", "info", "--format", "{{.DockerRootDir}}") == (
        f"{engines.home}/engines/main/data"
    )
    assert engines.run("env", "main").out == f"export DOCKER_HOST={url}\n"
    assert engines.state("main") == "running"


def test_a_running_engine_is_not_started_twice(engines: Engines) -> None:
    first = engines.start("main")
    daemon = engines.pid("main")
    assert engines.start("main") == first
    assert engines.pid("main") == daemon


def test_two_starts_at_once_are_one_engine(engines: Engines) -> None:
    command = (str(SCRIPTS / "private-engine.sh"), "start", "main")
    with process.background(command, env=engines.env) as other:
        url = engines.start("main")
        assert other.wait(limit=60).check("start").out.strip() == url
    daemons = [line for line in engines.processes("main").values() if "dockerd --config" in line]
    assert len(daemons) == 1


def test_it_changes_nothing_outside(engines: Engines) -> None:
    def facts() -> tuple[str, str]:
        forward = Path("/proc/sys/net/ipv4/ip_forward").read_text()
        return forward, "\n".join(sorted(p.name for p in Path("/sys/class/net").iterdir()))

    before = facts()
    engines.start("main")
    assert facts() == before


def test_stop_takes_seconds_even_with_a_stubborn_container(engines: Engines) -> None:
    engines.start("main")
    engines.container("main", STUBBORN)
    stopped = engines.run("stop", "main").check("stop")
    assert stopped.seconds < 8  # dockerd alone would wait ten seconds for the container
    assert engines.state("main") == "stopped"
    assert engines.processes("main") == {}


def test_what_it_holds_outlives_a_stop(engines: Engines) -> None:
    engines.start("main")
    image = engines.docker("main", "import", str(engines.image()), "tiny")
    engines.run("stop", "main").check("stop")
    engines.start("main")
    assert engines.docker("main", "image", "inspect", "--format", "{{.Id}}", "tiny") == image


def test_what_grew_past_its_bound_is_not_kept(engines: Engines) -> None:
    engines.start("main")
    engines.docker("main", "import", str(engines.image()), "tiny")
    engines.run("stop", "main", "--most-layers", "100").check("stop")
    engines.start("main")
    assert engines.docker("main", "image", "ls", "--quiet", "tiny")
    engines.run("stop", "main", "--most-layers", "0").check("stop")
    engines.start("main")
    assert engines.docker("main", "image", "ls", "--quiet") == ""


def test_a_killed_engine_is_taken_over_with_all_it_left(engines: Engines) -> None:
    engines.start("main")
    container = engines.container("main", STUBBORN)
    inside = int(engines.docker("main", "inspect", "--format", "{{.State.Pid}}", container))
    kill(engines.pid("main"))
    assert is_alive(inside)
    assert engines.state("main") == "stale"

    done = engines.run("start", "main").check("start")
    assert "was killed in an earlier run; clearing what it left" in done.err
    assert has_ended(inside)
    assert engines.docker("main", "ps", "-q") == ""
    assert engines.docker("main", "image", "inspect", "--format", "{{.Os}}", "tiny") == "linux"
    assert engines.container("main", "sleep 1")


def test_after_a_reboot_socket_and_pidfile_of_others_do_no_harm(engines: Engines) -> None:
    engines.start("main")
    engines.container("main", STUBBORN)
    for pid in engines.processes("main"):
        kill(pid)
    assert (engines.directory / "main.sock").exists()
    (engines.directory / "main.pid").write_text(f"{os.getpid()}\n")
    engines.start("main")
    assert engines.pid("main") != os.getpid()
    assert engines.docker("main", "ps", "-q") == ""


def test_a_lost_runtime_directory_is_made_anew(engines: Engines) -> None:
    engines.start("main")
    engines.docker("main", "import", str(engines.image()), "tiny")
    engines.run("stop", "main").check("stop")
    for file in engines.directory.iterdir():
        file.unlink()
    engines.directory.rmdir()
    engines.start("main")
    assert engines.docker("main", "images", "-q", "tiny")


def test_a_data_root_that_dockerd_cannot_read_is_replaced(engines: Engines) -> None:
    engines.start("main")
    engines.run("stop", "main").check("stop")
    (engines.home / "engines/main/data/network/files/local-kv.db").write_bytes(
        b"not a database" * 999
    )
    done = engines.run("start", "main")
    assert done.status == 0, done.err
    assert "once more with an empty data root" in done.err
    assert engines.docker("main", "version", "--format", "{{.Server.Os}}") == "linux"


def test_remove_leaves_nothing(engines: Engines) -> None:
    engines.start("main")
    engines.container("main", STUBBORN)
    engines.run("remove", "main").check("remove")
    assert not (engines.home / "engines" / "main").exists()
    assert engines.processes("main") == {}
    assert engines.mounts() == []
    assert engines.state("main") == "none"


def test_remove_works_on_a_killed_engine(engines: Engines) -> None:
    engines.start("main")
    engines.container("main", STUBBORN)
    kill(engines.pid("main"))
    engines.run("remove", "main").check("remove")
    assert engines.processes("main") == {}
    assert engines.mounts() == []


def test_sweep_waits_for_the_owner_and_then_stops(engines: Engines) -> None:
    with process.background(("sleep", "300")) as owner:
        engines.start("owned", "--owner-pid", str(owner.pid))
        engines.start("throwaway", "--owner-pid", str(owner.pid), "--ephemeral")
        engines.start("free")
        engines.run("sweep").check("sweep")
        assert [engines.state(n) for n in ("owned", "throwaway", "free")] == ["running"] * 3
        kill(owner.pid)
        engines.run("sweep").check("sweep")
        owner.wait(limit=10)
    assert engines.state("owned") == "stopped"
    assert engines.state("throwaway") == "none"
    assert engines.state("free") == "running"


def test_only_an_engine_with_an_owner_waits_for_no_disk(engines: Engines) -> None:
    def filtered(name: str) -> str:
        status = Path(f"/proc/{engines.pid(name)}/status").read_text()
        return status.partition("\nSeccomp:")[2].split()[0]

    engines.start("main")
    assert filtered("main") == "0"
    engines.start("owned", "--owner-pid", str(os.getpid()))
    assert filtered("owned") == "2"


def test_sweep_clears_what_a_killed_engine_left(engines: Engines) -> None:
    engines.start("main")
    engines.container("main", STUBBORN)
    kill(engines.pid("main"))
    engines.run("sweep").check("sweep")
    assert engines.state("main") == "stopped"
    assert engines.processes("main") == {}


def test_a_name_taken_by_another_state_directory_is_refused(engines: Engines) -> None:
    engines.start("main")
    daemon = engines.pid("main")
    other = str(engines.home / "other")
    for action in ("start", "stop", "remove"):
        done = engines.run(action, "main", LAYERPROOF_HOME=other)
        assert done.status == 3
        assert f"already running for another state directory (process {daemon})" in done.err
    assert is_alive(daemon)


def test_engines_stand_side_by_side(engines: Engines) -> None:
    engines.start("one")
    engines.start("two")
    engines.docker("one", "import", str(engines.image()), "tiny")
    assert engines.docker("two", "images", "-q") == ""
    engines.run("stop", "one").check("stop")
    assert engines.state("two") == "running"


def test_the_storage_driver_can_be_chosen_and_stays(engines: Engines) -> None:
    engines.start("main", "--storage-driver", "vfs")
    engines.run("stop", "main").check("stop")
    engines.start("main")
    assert engines.docker("main", "info", "--format", "{{.Driver}}") == "vfs"
    container = engines.container("main", STUBBORN)
    inside = int(engines.docker("main", "inspect", "--format", "{{.State.Pid}}", container))
    kill(engines.pid("main"))
    engines.run("stop", "main").check("stop")
    assert has_ended(inside)


def test_a_dockerd_that_dies_is_reported_with_its_last_words(engines: Engines) -> None:
    dying = engines.home / "dockerd"
    dying.write_text("#!/bin/sh\necho 'failed to start daemon: no reason' >&2\nexit 1\n")
    dying.chmod(0o755)
    done = engines.run("start", "main", "--dockerd", str(dying))
    assert (done.status, done.out) == (3, "")
    assert "the private engine main does not start" in done.err
    assert "failed to start daemon: no reason" in done.err
    assert done.seconds < 10


def test_a_dockerd_that_is_not_there(engines: Engines) -> None:
    done = engines.run("start", "main", "--dockerd", "/nowhere/dockerd")
    assert done.status == 3
    assert "there is no dockerd at /nowhere/dockerd" in done.err


def test_a_path_too_long_for_a_socket_is_told(engines: Engines) -> None:
    deep = engines.runtime / ("x" * 100)
    deep.mkdir()
    done = engines.run("start", "main", XDG_RUNTIME_DIR=str(deep))
    assert done.status == 3
    assert "the socket's path is too long" in done.err


@pytest.mark.parametrize("place", ["with space", "a'b\"c", "émoji-☃"])
def test_the_state_may_lie_anywhere(engines: Engines, place: str) -> None:
    home = engines.home / place
    done = engines.run("start", "main", LAYERPROOF_HOME=str(home))
    try:
        assert done.status == 0, done.err
        container = engines.container("main", STUBBORN)
        inside = int(engines.docker("main", "inspect", "--format", "{{.State.Pid}}", container))
        kill(engines.pid("main"))
        engines.run("start", "main", LAYERPROOF_HOME=str(home)).check("start")
        assert has_ended(inside)
    finally:
        engines.run("remove", "main", LAYERPROOF_HOME=str(home)).check("remove")
    assert engines.mounts() == []
