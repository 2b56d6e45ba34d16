"""Runs commands: the only importer of subprocess; every call has a time limit.

A command runs in a process group of its own, which is ended as a whole when the limit passes or
the caller is interrupted, so that nothing we start outlives us. Building argv is left to
`commands`, judging a result to the caller.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CommandError, EnvironmentLacksError

GRACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended by itself. A negative `status` is the signal that ended it."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def out(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode(errors="replace")

    @property
    def err(self) -> str:
        """Standard error as text, undecodable bytes replaced."""
        return self.stderr.decode(errors="replace")

    def check(self, doing: str, *, hint: str | None = None) -> Completed:
        """Return self, or raise CommandError saying what was being done when status is not 0."""
        if self.status == 0:
            return self
        log = self.err if self.err.strip() else self.out
        raise CommandError(
            f"{doing} failed", argv=self.argv, status=self.status, log=log, hint=hint
        )


class Running:
    """A command in the background, in a process group of its own. Made by `background`."""

    def __init__(self, argv: Sequence[str], popen: subprocess.Popen[bytes]) -> None:
        self.argv = tuple(argv)
        self.pid = popen.pid
        self._popen = popen
        self._started = time.monotonic()

    @property
    def ended(self) -> bool:
        """Whether the command has ended."""
        return self._popen.poll() is not None

    def signal(self, number: int, *, alone: bool = False) -> None:
        """Send a signal to the whole group, or to its first process alone.

        One that is gone already is no error.
        """
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.kill if alone else os.killpg)(self.pid, number)

    def wait(self, *, limit: float, stdin: bytes | None = None) -> Completed:
        """Return the result, or end the group and raise CommandError after `limit` seconds."""
        try:
            out, err = self._popen.communicate(input=stdin, timeout=limit)
        except subprocess.TimeoutExpired:
            log = b"".join(self.end()).decode(errors="replace")
            raise CommandError(
                f"a command did not end within {limit:g} s", argv=self.argv, status=None, log=log
            ) from None
        except BaseException:
            self.end()
            raise
        return Completed(
            self.argv, self._popen.returncode, out, err, time.monotonic() - self._started
        )

    def close(self) -> None:
        """Let go of what the command wrote; nothing can be read of it any more."""
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                pipe.close()

    def end(self) -> tuple[bytes, bytes]:
        """End the group, with force after a grace period; return what it had still to say."""
        self.signal(signal.SIGTERM)
        try:
            out, err = self._popen.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            try:
                out, err = self._popen.communicate(timeout=GRACE_SECONDS)
            except subprocess.TimeoutExpired:  # a process that left the group holds the pipe
                out, err = b"", b""
        self.signal(signal.SIGKILL)
        return out or b"", err or b""


def run(
    argv: Sequence[str],
    *,
    limit: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
) -> Completed:
    """Run a command to its end and return what it did, whatever its status.

    `env` is the whole environment, None for ours. Raises CommandError when `limit` seconds pass,
    EnvironmentLacksError when there is no such command.
    """
    return _start(argv, cwd=cwd, env=env, stdin=stdin is not None).wait(limit=limit, stdin=stdin)


@contextlib.contextmanager
def background(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    """Run a command beside the block; whatever is left of its group is ended with the block."""
    running = _start(argv, cwd=cwd, env=env, stdin=False)
    try:
        yield running
    finally:
        if not running.ended:
            running.end()
        running.signal(signal.SIGKILL)
        running.close()


def environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return our environment with `changes` made to it; None removes a variable."""
    merged = {**os.environ, **{k: v for k, v in changes.items() if v is not None}}
    return {k: v for k, v in merged.items() if changes.get(k, "") is not None}


def _start(
    argv: Sequence[str], *, cwd: Path | None, env: Mapping[str, str] | None, stdin: bool
) -> Running:
    try:
        popen = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        if cwd is not None and not cwd.is_dir():
            raise
        raise EnvironmentLacksError(
            f"cannot run {argv[0]!r}", context=(str(error),), hint="run `make setup`"
        ) from error
    return Running(argv, popen)


def host_cargo_works() -> bool:
    """Whether this machine has a cargo that runs: rustup's is there before any toolchain is."""
    try:
        return run(("cargo", "--version"), limit=60).status == 0
    except EnvironmentLacksError:
        return False
