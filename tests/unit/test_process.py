"""process: limits hold, groups end as a whole, results are what the command did."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from harness import process
from harness.errors import CommandError, EnvironmentLacksError
from tests.processes import has_ended, is_alive


def test_a_command_that_ends_says_what_it_did() -> None:
    done = process.run(["sh", "-c", "echo out; echo err >&2; exit 3"], limit=10)
    assert (done.status, done.out, done.err) == (3, "out\n", "err\n")


def test_standard_input_is_closed_unless_given() -> None:
    assert process.run(["cat"], limit=10).stdout == b""
    assert process.run(["cat"], limit=10, stdin=b"\xff\x00").stdout == b"\xff\x00"


def test_check_raises_with_command_status_and_the_logs_end() -> None:
    done = process.run(["sh", "-c", "echo 'no such thing' >&2; exit 7"], limit=10)
    with pytest.raises(CommandError) as caught:
        done.check("looking", hint="look elsewhere")
    assert str(caught.value) == (
        "error: looking failed\n"
        "  command: sh -c 'echo '\"'\"'no such thing'\"'\"' >&2; exit 7'\n"
        "  exit status 7\n"
        "  | no such thing\n"
        "hint: look elsewhere"
    )


def test_a_command_over_its_limit_ends_with_all_its_children(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = f"sleep 60 & echo $! >{pidfile}; echo begun; wait"
    started = time.monotonic()
    with pytest.raises(CommandError) as caught:
        process.run(["sh", "-c", script], limit=0.5)
    assert caught.value.status is None
    assert "begun" in caught.value.log
    assert time.monotonic() - started < 30
    assert has_ended(int(pidfile.read_text()))


def test_a_command_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_SECONDS", 0.3)
    with pytest.raises(CommandError):
        process.run(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], limit=0.3)


@pytest.mark.usefixtures("signals_arrive")
def test_an_interrupt_ends_the_group_and_goes_on_upwards(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    script = (
        "import signal, sys, threading, os, time; sys.path.insert(0, sys.argv[1])\n"
        "from harness import process\n"
        "threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "process.run(['sh', '-c', f'echo $$ >{sys.argv[2]}; sleep 60'], limit=60)\n"
    )
    root = Path(__file__).parents[2]
    done = process.run([sys.executable, "-c", script, str(root), str(pidfile)], limit=30)
    assert "KeyboardInterrupt" in done.err
    assert has_ended(int(pidfile.read_text()))


def test_a_background_command_does_not_outlive_its_block() -> None:
    with process.background(["sleep", "60"]) as running:
        assert not running.ended
    assert running.ended


def test_nor_does_what_a_command_left_behind_when_it_ended() -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $!"
    with process.background(["sh", "-c", script]) as running:
        left = int(running.wait(limit=10).out)
        assert is_alive(left)
    assert has_ended(left)


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(EnvironmentLacksError, match="cannot run 'no-such-command'"):
        process.run(["no-such-command"], limit=1)


def test_environment_sets_and_removes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONE", "1")
    monkeypatch.setenv("KEPT", "1")
    made = process.environment({"GONE": None, "NEW": "2"})
    assert "GONE" not in made
    assert (made["KEPT"], made["NEW"]) == ("1", "2")
