"""scripts/private-engine.sh: names, usage, whose processes are whose, which storage driver."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from pathlib import Path

import pytest

from harness import process
from tests.unit.scripts.shell_stubs import SCRIPTS, Answer, Shell


def run_dir(shell: Shell) -> Path:
    return shell.root / "run" / f"layerproof-{os.getuid()}"


@pytest.mark.parametrize("name", ["main", "pool-0", "a", "x" * 32])
def test_plain_names_are_names(shell: Shell, name: str) -> None:
    assert shell.call("is_engine_name", name).status == 0


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", "../main", "-x", "A", "a b", "a.b", "x" * 33, "a\nb", "é"]
)
def test_names_that_could_leave_their_directory_are_refused(shell: Shell, name: str) -> None:
    done = shell.run("private-engine.sh", "start", name)
    assert done.status == 2
    assert f"not a name for an engine: '{name}'" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "unknown action: ''"),
        (("begin", "main"), "unknown action: 'begin'"),
        (("start", "main", "--nested"), "unknown option of start: --nested"),
        (("start", "main", "--owner-pid"), "--owner-pid needs a value"),
        (("start", "main", "--owner-pid", "x"), "not a process id: x"),
        (("stop", "main", "--now"), "unknown option of stop: --now"),
        (("stop", "main", "--most-layers"), "--most-layers needs a value"),
        (("stop", "main", "--most-layers", "few"), "not a number of layers: 'few'"),
    ],
)
def test_usage_errors(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    done = shell.run("private-engine.sh", *arguments)
    assert done.status == 2
    assert f"[ERROR] {message}\n" in done.err
    assert "USAGE" in done.err
    assert not (shell.root / "state").exists()


def test_help_is_the_header(shell: Shell) -> None:
    done = shell.run("private-engine.sh", "--help")
    assert done.status == 0
    for action in ("start", "stop", "remove", "env", "list", "sweep"):
        assert f"private-engine.sh {action}" in done.out
    assert "set -Eeuo" not in done.out


@pytest.mark.parametrize(
    ("system", "user", "reason"),
    [
        ("Darwin", "501", "a private engine needs Linux"),
        ("Linux", "1000", "a private engine needs root"),
        ("Linux", "0", "a private engine needs flock (util-linux)"),
    ],
)
def test_where_there_can_be_none_the_reason_is_told(
    shell: Shell, system: str, user: str, reason: str
) -> None:
    shell.stub("uname", Answer(when="-s", out=f"{system}\n"))
    if system == "Linux":
        shell.stub("id", Answer(when="-u", out=f"{user}\n"))
    done = shell.run("private-engine.sh", "start", "main")
    assert (done.status, done.out) == (3, "")
    assert f"[ERROR] {reason}\n" in done.err
    assert "set DOCKER_HOST" in done.err


def test_env_of_an_engine_that_does_not_run(shell: Shell) -> None:
    done = shell.run("private-engine.sh", "env", "main")
    assert (done.status, done.out, done.err) == (1, "", "")


def test_list_is_empty_where_there_is_none(shell: Shell) -> None:
    done = shell.run("private-engine.sh", "list")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_files_of_others_among_the_engines_are_no_engines(shell: Shell) -> None:
    engines = shell.root / "state" / "engines"
    for name in ("main", "Not.Ours"):
        (engines / name).mkdir(parents=True)
    (engines / "pool-0.lock").touch()
    done = shell.run("private-engine.sh", "list")
    assert done.out == f"main stopped - unix://{run_dir(shell)}/main.sock -\n"


def test_a_socket_left_behind_is_stale(shell: Shell) -> None:
    run_dir(shell).mkdir()
    (run_dir(shell) / "main.sock").touch()
    assert shell.call("engine_state", "main").out == "stale\n"


def test_a_pidfile_that_names_another_process_is_stale(shell: Shell) -> None:
    run_dir(shell).mkdir()
    (run_dir(shell) / "main.pid").write_text(f"{os.getpid()}\n")
    assert shell.call("engine_state", "main").out == "stale\n"


def test_leftovers_are_cleared_without_touching_that_process(shell: Shell) -> None:
    run_dir(shell).mkdir()
    (run_dir(shell) / "main.pid").write_text(f"{os.getpid()}\n")
    (run_dir(shell) / "main.sock").touch()
    (run_dir(shell) / "main.exec").mkdir()
    assert shell.call("clear_leftovers", "main").status == 0
    assert list(run_dir(shell).iterdir()) == []


def test_a_program_is_the_engines_only_by_name_and_exec_root(shell: Shell) -> None:
    root = f"{run_dir(shell)}/main.exec"
    code = f"""
      exec -a dockerd perl -e 'sleep 20' -- --exec-root {root} & one=$!
      exec -a containerd perl -e 'sleep 20' -- --config {root}/containerd/containerd.toml & two=$!
      exec -a dockerd perl -e 'sleep 20' -- --exec-root {root}2 & other=$!
      exec -a editor perl -e 'sleep 20' -- {root} & editor=$!
      sleep 0.3
      [ "$(engine_processes main | sort)" = "$(printf '%s\\n' $one $two | sort)" ] && echo both
      [ "$(engine_pid main)" = "$one" ] && echo daemon
      kill $one $two $other $editor
    """
    done = shell.call(":", after=code)
    assert done.out.split() == ["both", "daemon"], done.err


def test_the_owner_is_that_process_and_not_a_later_one_of_its_number(shell: Shell) -> None:
    directory = shell.root / "state" / "engines" / "main"
    directory.mkdir(parents=True)
    ask = "has_dead_owner main && echo dead || echo alive"
    assert shell.call("record_owner", "main", str(os.getpid()), after=ask).out == "alive\n"
    (directory / "owner").write_text(f"{os.getpid()} 1\n")
    assert shell.call(":", after=ask).out == "dead\n"
    (directory / "owner").write_text("4194399 77\n")
    assert shell.call(":", after=ask).out == "dead\n"
    (directory / "owner").unlink()
    assert shell.call(":", after=ask).out == "alive\n"


def test_a_runtime_directory_of_someone_elses_making_is_refused(shell: Shell) -> None:
    (shell.root / "elsewhere").mkdir()
    run_dir(shell).symlink_to(shell.root / "elsewhere")
    done = shell.call("make_runtime_dir || echo status $?")
    assert done.out == "status 3\n"
    assert "belongs to someone else" in done.err


def test_the_runtime_directory_is_for_us_alone(shell: Shell) -> None:
    run_dir(shell).mkdir(mode=0o755)
    assert shell.call("make_runtime_dir").status == 0
    assert run_dir(shell).stat().st_mode & 0o777 == 0o700


def chosen(shell: Shell, before: str) -> str:
    (shell.root / "state" / "engines" / "main").mkdir(parents=True, exist_ok=True)
    return shell.call("choose_driver", "main", before=before).out.strip()


def test_overlay2_is_the_first_choice(shell: Shell) -> None:
    assert chosen(shell, "overlay_works() { :; }") == "overlay2"


def test_vfs_is_the_last(shell: Shell) -> None:
    assert chosen(shell, "overlay_works() { return 1; }") == "vfs"


def test_a_data_root_keeps_the_driver_it_was_made_with(shell: Shell) -> None:
    directory = shell.root / "state" / "engines" / "main"
    (directory / "data").mkdir(parents=True)
    (directory / "driver").write_text("vfs\n")
    assert chosen(shell, "overlay_works() { :; }") == "vfs"


@pytest.mark.parametrize("path", ["/a/b.c", "/a b/[x](y)+{2}|^$*?", "/back\\slash"])
def test_paths_are_matched_as_mountinfo_writes_them(shell: Shell, path: str) -> None:
    line = path.replace("\\", "\\134").replace(" ", "\\040")
    shell.write("mountinfo", f"upperdir={line}/x\nupperdir=/a/bxc/x\n")
    matches = 'matches() { grep -cE "=$(escape_regex "$1")/" mountinfo; }'
    assert shell.call("matches", path, before=matches).out == "1\n"


def test_a_removal_that_is_cut_short_leaves_nothing_to_start_on(shell: Shell) -> None:
    home = shell.project / "home"
    data = home / "engines" / "one" / "data"
    data.mkdir(parents=True)
    code = "rm() { return 1; }; put_data_away one; delete_data one || :"
    done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
    assert done.status == 0, done.err
    assert not data.parent.exists()
    assert [path.name[:10] for path in (home / "engines").iterdir()] == [".gone-one-"]
    code = "PATH=/usr/bin:/bin; delete_data_meanwhile"
    done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
    assert done.status == 0, done.err
    is_emptied(home / "engines")


def test_what_is_deleted_meanwhile_keeps_no_lock_and_is_gone_in_the_end(shell: Shell) -> None:
    home = shell.project / "home"
    (home / "engines" / "one" / "data").mkdir(parents=True)
    slow = shell.root / "slow"
    slow.mkdir()
    (slow / "rm").write_text('#!/bin/sh\nsleep 3\nexec /bin/rm "$@"\n')
    (slow / "rm").chmod(0o755)
    code = (
        f'PATH="{slow}:/usr/bin:/bin"; away() {{ put_data_away one; delete_data_meanwhile; }}; '
        "with_engine_lock one away; with_engine_lock one true"
    )
    started = time.monotonic()
    done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
    assert done.status == 0, done.err
    assert time.monotonic() - started < 3
    is_emptied(home / "engines")


def is_emptied(folder: Path) -> None:
    """Wait for a directory to become empty."""
    ends = time.monotonic() + 20
    while list(folder.iterdir()) and time.monotonic() < ends:
        time.sleep(0.02)
    assert list(folder.iterdir()) == []


TAKES = 'mkdir -p "$(engine_dir one)"; PATH="/usr/bin:/bin"; take_memory one'


def test_what_is_deleted_at_once_lies_in_memory_and_is_given_back(shell: Shell) -> None:
    home = shell.project / "home"
    code = f"PLENTY_KB=1; {TAKES}; clear_leftovers one"
    done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
    assert done.status == 0, done.err
    taken = Path(done.out.strip())
    assert taken.parent == Path("/dev/shm")  # noqa: S108 - where it lies is the point
    assert not taken.exists()
    assert list((home / "engines" / "one").iterdir()) == []


def test_memory_that_is_not_plenty_is_left_alone(shell: Shell) -> None:
    home = shell.project / "home"
    code = f"PLENTY_KB=99999999999; {TAKES}"
    done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
    assert (done.status, done.out) == (0, "")


def test_a_record_that_leads_elsewhere_removes_nothing(shell: Shell) -> None:
    home = shell.project / "home"
    kept = shell.project / "kept"
    kept.mkdir()
    (home / "engines" / "one").mkdir(parents=True)
    for path in (str(kept), f"/dev/shm/layerproof.x/../..{kept}"):  # noqa: S108 - likewise
        (home / "engines" / "one" / "memory").write_text(f"{path}\n")
        code = "give_back_memory one"
        done = shell.source("private-engine.sh", code, LAYERPROOF_HOME=str(home))
        assert done.status == 0, done.err
        assert kept.exists()


ENDS = "import os, sys; os.sync(); os.fsync(99)"


@pytest.mark.skipif(platform.machine() not in {"x86_64", "aarch64"}, reason="no filter for others")
def test_a_program_that_is_run_unsynced_waits_for_no_disk() -> None:
    """A file that is not open is no error where nothing is brought to the disk."""
    launcher = [sys.executable, "-I", str(SCRIPTS / "lib" / "unsynced.py")]
    failing = [sys.executable, "-c", ENDS]
    assert process.run(failing, limit=60).status == 1
    done = process.run([*launcher, *failing], limit=60)
    assert (done.status, done.err) == (0, "")
    started = process.run([*launcher, "/bin/sh", "-c", f"exec {shlex.join(failing)}"], limit=60)
    assert started.status == 0, started.err
    opens = [*launcher, sys.executable, "-c", "open('/nowhere/at all')"]
    assert "FileNotFoundError" in process.run(opens, limit=60).err


@pytest.mark.parametrize(("boot", "kept"), [("this", True), ("an earlier one", False)])
def test_unsynced_data_are_of_this_boot_or_none(shell: Shell, boot: str, kept: bool) -> None:
    data = shell.root / "state" / "engines" / "one" / "data"
    data.mkdir(parents=True)
    before = "boot_id() { echo this; }"
    assert shell.call("forget_unsynced", "one", before=before).status == 0
    assert data.is_dir()
    written = shell.call("mark_unsynced", "one", before=before.replace("this", boot))
    assert written.status == 0, written.err
    assert shell.call("forget_unsynced", "one", before=before).status == 0
    assert data.is_dir() is kept
    assert shell.call("is_unsynced", "one").status == (0 if kept else 1)
