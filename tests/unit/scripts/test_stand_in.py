"""adduser and addgroup as Alpine has them, on the Debian that stands in for it."""

from __future__ import annotations

import shlex

import pytest

from harness import process
from harness.running.promises import SCRIPTS
from tests.unit.scripts.shell_stubs import Answer, Shell

PLAIN = "-M -l -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0"


def run(shell: Shell, line: str) -> process.Completed:
    """Run a program of a stand-in, with the words of `line`."""
    name, *arguments = shlex.split(line)
    command = ["sh", str(SCRIPTS / name), *arguments]
    return process.run(command, limit=60, cwd=shell.project, env=shell.environment())


@pytest.mark.parametrize(
    ("line", "called"),
    [
        ("adduser -D -H app", f"{PLAIN} -d /home/app -c '' -U -s /bin/sh app"),
        ("adduser -S -D -H -G app app", f"{PLAIN} -d /home/app -c '' -g app -r -s /bin/sh app"),
        (
            "adduser -DHu 10001 -s /sbin/nologin -g 'an app' app",
            f"{PLAIN} -d /home/app -c 'an app' -U -u 10001 -s /sbin/nologin app",
        ),
        (
            "adduser --system --no-create-home --uid 7 --home /x app",
            f"{PLAIN} -d /x -c '' -g nogroup -r -u 7 -s /bin/sh app",
        ),
    ],
)
def test_an_account_is_made_as_it_is_asked_for(shell: Shell, line: str, called: str) -> None:
    shell.stub("useradd", Answer())
    done = run(shell, line)
    assert done.status == 0, done.err
    assert shell.calls("useradd") == [shlex.split(called)]


def test_the_home_of_an_account_is_its_own(shell: Shell) -> None:
    home = shell.root / "made" / "home"
    shell.stub("useradd", Answer())
    shell.stub("id", Answer(when="-u app", out="7\n"), Answer(when="-g app", out="8\n"))
    shell.stub("chown", Answer(when=f"7:8 {home}"))
    assert run(shell, f"adduser -D -h {shlex.quote(str(home))} app").status == 0
    assert home.is_dir()


@pytest.mark.parametrize(
    ("line", "program", "called"),
    [
        ("addgroup app", "groupadd", "app"),
        ("addgroup -S -g 1001 app", "groupadd", "-r -g 1001 app"),
        ("addgroup -Sg 1001 app", "groupadd", "-r -g 1001 app"),
        ("addgroup app www", "usermod", "-a -G www app"),
        ("adduser app www", "usermod", "-a -G www app"),
    ],
)
def test_a_group_is_made_or_joined(shell: Shell, line: str, program: str, called: str) -> None:
    shell.stub(program, Answer())
    assert run(shell, line).status == 0
    assert shell.calls(program) == [called.split()]


@pytest.mark.parametrize("line", ["adduser -D", "adduser -Z app", "addgroup", "addgroup -x app"])
def test_what_cannot_be_read_is_refused(shell: Shell, line: str) -> None:
    done = run(shell, line)
    assert done.status == 1
    assert done.err
