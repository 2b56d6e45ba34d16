"""P4's project, whose binary tells of a file of the source, and what a dev build makes of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.generated import trees
from harness.generated.projects import Blueprint, Member, render
from harness.generated.source_trees import differences, on_host
from harness.judging.judge import Judge
from harness.judging.report import Row
from harness.model import Entry, File
from harness.running.scripted import DEV_CONTAINER, OUTPUTS, ZIP, Scripted, ScriptRun, scripted
from harness.scenario import Bench
from harness.texts import compiler_flags
from properties.common import git

DATA = "src/target/data.bin"
"""Lies in a folder that is called as cargo's own is, and is none."""
PART = "src/part.rs"
MAIN = """\
mod part;

fn main() {
    let data: &[u8] = include_bytes!("target/data.bin");
    let sum = data.iter().fold(7u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte as u64));
    let told = (option_env!("TOLD").unwrap_or("nothing"), cfg!(told));
    println!("{} {} {} {}", data.len(), sum, told.0, told.1);
}
"""
FEW = 6
"""As many files are named of those that are all wrong in one way."""
DECLARED = (*OUTPUTS, str(ZIP))
"""What the scripts may write in a project, be it by a dev build."""


def printed(data: bytes, *, told: str = "", flagged: bool = False) -> str:
    """Return what the project's binary prints for the data it was compiled with.

    It tells too what cargo was configured to tell it, by a word and by a flag of the compiler's.
    """
    total = 7
    for byte in data:
        total = (total * 31 + byte) % 2**64
    return f"{len(data)} {total} {told or 'nothing'} {str(flagged).lower()}"


@contextlib.contextmanager
def project_of_a_user(bench: Bench) -> Iterator[Scripted]:
    """Yield the scripts in the project, which is a plain user's, and the container up.

    It is a repository of git's, where there is git: that is part of the source tree too.
    """
    with bench.workspace(project(bench)) as workspace:
        git(workspace.context, ("init", "--quiet"))
        with scripted(workspace, plain=True) as made:
            made.run(DEV_CONTAINER, "start")
            yield made


def project(bench: Bench) -> dict[str, Entry]:
    """Return the project: its binary prints the length and a checksum of a file of the source.

    Of what a build may write there is nothing yet: a mount may make it, and as root.
    """
    start = render(Blueprint(members=(Member("app", binaries=(bench.subject.binary,)),)))
    written = {"src/main.rs": File(MAIN.encode()), PART: File(b""), DATA: File(b"")}
    tree = {**start.tree, **written}
    return {path: entry for path, entry in tree.items() if path.partition("/")[0] not in OUTPUTS}


def judge_output(
    dev: Scripted,
    content: bytes,
    seen: ScriptRun,
    story: Sequence[str],
    judge: Judge,
    *,
    told: str = "",
    hint: str | None = None,
) -> None:
    """The binary tells of what the host has now."""
    binary = dev.bench.subject.binary
    flagged = bool(told) and not compiler_flags(dev.bench.subject.dockerfile)
    row = Row(binary, printed(content, told=told, flagged=flagged), dev.printed(binary))
    judge(
        "The build did not take what the host has.",
        holds=not row.differs,
        scenario=story,
        rows=[row],
        log=seen.log,
        hint=hint,
    )


def judge_build(
    dev: Scripted,
    content: bytes,
    story: Sequence[str],
    judge: Judge,
    *,
    told: str = "",
    hint: str | None = None,
) -> None:
    """The build takes what the host has now, and writes nothing but the declared outputs."""
    before = sources(dev.project)
    seen = dev.run(DEV_CONTAINER, "build")
    failed = "The dev build failed."
    judge(failed, holds=seen.status == 0, scenario=story, log=seen.log, hint=hint)
    judge_output(dev, content, seen, story, judge, told=told, hint=hint)
    after = sources(dev.project)
    rows = [Row(*words) for words in differences(before, after)]
    for path in after.keys() - before.keys():  # or a build that repeats it would change nothing
        trees.remove(dev.project / path)
    judge("The build changed the source tree.", holds=not rows, scenario=story, rows=rows)
    groups = {dev.gid, dev.project.stat().st_gid}  # BSD's files have the group of their folder
    foreign = [
        Row(
            str(path.relative_to(dev.project)),
            f"{dev.uid}:{dev.gid}",
            f"{path.lstat().st_uid}:{path.lstat().st_gid}",
        )
        for name in DECLARED
        for path in (dev.project / name, *(dev.project / name).rglob("*"))
        if os.path.lexists(path)
        and (path.lstat().st_uid != dev.uid or path.lstat().st_gid not in groups)
    ]
    judge(
        "What the build left in the source tree is not the caller's.",
        holds=not foreign,
        scenario=story,
        rows=foreign[:FEW],
        hint="Compile as the caller (docker's --user), or hand over at last what was made.",
    )


def sources(project: Path) -> dict[str, tuple[object, ...]]:
    """Return everything in the project but what the scripts may write."""
    return on_host(project, skip=DECLARED)
