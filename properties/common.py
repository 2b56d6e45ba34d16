"""What several properties need of generated projects; judges nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from harness import commands, process
from harness import subject as subjects
from harness.config import Config
from harness.generated import trees
from harness.generated.checkouts import LEFT_OUT
from harness.generated.projects import Blueprint, folder, render, root_source
from harness.judging.judge import Tally
from harness.judging.report import Row
from harness.model import Entry, File, Tree
from harness.running.scripted import Scripted, scripted
from harness.scenario import Bench
from harness.strategies import plainest
from harness.structure import checks as structure
from harness.structure.rules import Finding
from harness.subject import Subject

WITHIN = 60.0
"""Seconds in which a build has begun, and in which an interrupted one is gone."""
ROOM = 8
"""What a file may hold where there is little room, in the blocks of `ulimit -f` (1,024 bytes)."""
FITS = ROOM * 1024 - 60
"""Bytes at random that fit there, be they compressed, and a zip of them does not."""
EXTRA = b"\n[features]\nextra = [%s]\n"


@contextlib.contextmanager
def scripts_in(
    tree: Tree, bench: Bench, tally: Tally, *, called: str | None = None, isolated: bool = False
) -> Iterator[Scripted]:
    """Count a scenario, write its project to disk, and yield the scripts under test in it."""
    with (
        tally.scenario(),
        bench.workspace(tree, called=called, isolated=isolated) as workspace,
        scripted(workspace) as scripts,
    ):
        yield scripts


def git(folder: Path, *calls: Sequence[str]) -> None:
    """Call git in a folder, where there is git.

    A hook of git's, which may run this, names its own repository in the environment.
    """
    if shutil.which("git") is None:
        return
    env = process.environment({name: None for name in os.environ if name.startswith("GIT_")})
    for words in calls:
        process.run(commands.git(*words), cwd=folder, env=env, limit=60).check("calling git")


def with_feature(start: Blueprint, turns_on: str = "") -> dict[str, Entry]:
    """Return a project's files; its first package has a feature `extra`, which changes nothing.

    Or it turns on one feature of another crate (`alpha/loud`).
    """
    tree = dict(render(start).tree)
    path = f"{folder(start, start.members[0])}Cargo.toml"
    manifest = tree[path]
    assert isinstance(manifest, File)
    tree[path] = File(manifest.content + EXTRA % (f'"{turns_on}"' if turns_on else "").encode())
    return tree


def source_path(subject: Subject) -> str:
    """Return where the program's main.rs lies in the plainest project."""
    start = plainest(subject.shape, subject.binary)
    return root_source(start, start.members[0])


def slow_script(seconds: int) -> File:
    """Return a build script that takes so long."""
    text = f"fn main() {{\n    std::thread::sleep(std::time::Duration::from_secs({seconds}));\n}}\n"
    return File(text.encode())


def structure_findings(under_test: Subject, said: Config) -> tuple[Finding, ...]:
    """Return what the structure checks find in the Dockerfile under test, and is not allowed."""
    project = under_test.project
    return structure.check(
        under_test.dockerfile,
        ignore=subjects.ignored(under_test),
        files=None if project is None else trees.read(project, skip=LEFT_OUT),
        overrides=said.roles,
        allowed=said.allowed,
    )


def on_terminal(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return the command that runs another on a terminal of its own; None where there is none.

    It is util-linux's `script`: elsewhere, one of that name takes other words.
    """
    if sys.platform != "linux" or shutil.which("script") is None:
        return None
    return ("script", "--quiet", "--return", "--command", shlex.join(words), "/dev/null")


def with_little_room(words: Sequence[str]) -> tuple[str, ...]:
    """Return the command that runs another in which no file can hold more than ROOM."""
    return ("bash", "-c", f'ulimit -f {ROOM} && exec "$@"', "bash", *words)


def until(holds: Callable[[], bool], *, within: float = WITHIN) -> bool:
    """Wait until that holds; return whether it does so within so many seconds."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def ctrl_c() -> int:
    """Return the signal that stands for Ctrl-C: programs inherit from us whether they ignore it."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return signal.SIGTERM if ignored else signal.SIGINT


def dev_truth(blueprint: Blueprint) -> dict[str, str]:
    """Return what each binary prints when it is compiled with cargo's dev profile.

    That profile has debug assertions, whatever the release profile says.
    """
    binaries = render(blueprint).binaries
    return {name: line.replace("checked=false", "checked=true") for name, line in binaries.items()}


def same_lines(rows: Iterable[Row]) -> bool:
    """Whether every expectation was met."""
    return not any(row.differs for row in rows)
