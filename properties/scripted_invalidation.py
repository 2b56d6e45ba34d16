"""P5 of the scripts: what the Dockerfile keeps they do not throw away, and no edit escapes them."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence

from harness import progress
from harness.generated import edits
from harness.generated.projects import Blueprint, folder, render
from harness.judging.foundation import keeps_compiled_crates
from harness.judging.judge import Judge
from harness.judging.report import Row
from harness.model import EditClass, File
from harness.running.scripted import PACKAGE, Promise, Scripted, ScriptRun
from harness.texts import declared_arguments
from properties.common import with_feature
from properties.compiled_crates import hint_for, in_lock, units_of
from properties.story import expect_script

HIDDEN = "Make the engine's copy of the source compare what it holds, not sizes and dates."
RESTORED = "Leave it to the engine what has changed: it compares contents, a script only dates."
PROD = ("prod",)
FLAGS = "--features extra"


def judge_scripts(start: Blueprint, scripts: Scripted, *, judge: Judge) -> None:
    """Build, add a dependency, build: that is compiled. Then an edit that hides, where the scripts
    say that they see those, since what carries the source to the engine does not. Then with flags.
    """
    story = ["build-lambda.sh prod"]
    expect_script(scripts, PROD, story, judge)
    added = edits.apply(EditClass.DEPENDENCY_ADD, start)
    assert added is not None
    scripts.workspace.edit(added.edit)
    story.append(f"{added.edit.summary}, build-lambda.sh prod")
    seen = expect_script(scripts, PROD, story, judge)
    if keeps_compiled_crates(scripts.bench.subject.dockerfile):
        fresh = {unit.crate for unit in units_of(added.after) - units_of(start)}
        finding = "The script's build compiled other crates than the one that was added."
        hint = "Let the cache mount keep its id when a manifest or the lock file changes."
        expect_kept(finding, in_lock(added.after) - fresh, seen, story, judge, hint=hint)
    restored = edits.apply(EditClass.SOURCE, added.after)
    assert restored is not None
    scripts.workspace.edit(restored.edit, old=True)
    story.append(f"{restored.edit.summary}, with an old modification time, build-lambda.sh prod")
    seen = expect_script(scripts, PROD, story, judge)
    expect_package(restored.after, scripts, seen, story, judge, stale=RESTORED)
    if Promise.PROD_SEES_HIDDEN in scripts.promises:
        judge_hidden(restored.after, scripts, story, judge=judge)
    takes_flags = "CARGO_FLAGS" in declared_arguments(scripts.bench.subject.dockerfile)
    if takes_flags and Promise.FLAGS_FOR_ALL in scripts.promises:
        judge_flags(restored.after, scripts, story, judge=judge)


def judge_flags(start: Blueprint, scripts: Scripted, story: list[str], *, judge: Judge) -> None:
    """Build with a feature that changes a dependency, edit the source, and build so again: the
    dependencies are those of before.
    """
    path = f"{folder(start, start.members[0])}Cargo.toml"
    manifest = with_feature(start, "alpha/loud")[path]
    assert isinstance(manifest, File)
    (scripts.project / path).write_bytes(manifest.content)
    call = f"CARGO_FLAGS='{FLAGS}' build-lambda.sh prod"
    story.append(f"{path}: the feature extra, which turns on alpha's loud; {call}")
    expect_script(scripts, PROD, story, judge, flags=FLAGS)
    change = edits.apply(EditClass.SOURCE, start)
    assert change is not None
    scripts.workspace.edit(change.edit)
    story.append(f"{change.edit.summary}, {call}")
    seen = expect_script(scripts, PROD, story, judge, flags=FLAGS)
    finding = "An edit of source alone compiled dependencies where the script is given flags."
    hint = "Give CARGO_FLAGS to the cargo that compiles the dependencies, too."
    expect_kept(finding, in_lock(start), seen, story, judge, hint=hint)


def expect_kept(
    finding: str,
    crates: Collection[str],
    seen: ScriptRun,
    story: Sequence[str],
    judge: Judge,
    *,
    hint: str,
) -> None:
    """None of these crates was compiled by a script's build."""
    said = progress.crates_compiled(seen.notes.vertices) or seen.crates_compiled
    again = sorted({crate for crate in said if crate in crates})
    judge(
        finding,
        holds=not again,
        scenario=story,
        rows=[Row(f"crate {crate}", "kept", "compiled") for crate in again],
        log=seen.log,
        hint=hint,
    )


def judge_hidden(start: Blueprint, scripts: Scripted, story: list[str], *, judge: Judge) -> None:
    """Edit a file that lies beside src/, or else in it, and leave its size and date; build.

    A build with nothing to do goes before: after one that wrote to the engine's copy of the source
    (a bind mount with `rw`) the engine fetches all of it anew, and sees every edit.
    """
    story.append("nothing changed, build-lambda.sh prod")
    expect_script(scripts, PROD, story, judge)
    change = edits.apply(EditClass.BUILD_SCRIPT, start) or edits.apply(
        EditClass.SOURCE_SAME_SIZE, start
    )
    assert change is not None
    paths = [scripts.project / path for path in change.edit.changes]
    dates = [path.stat().st_mtime_ns for path in paths]
    scripts.workspace.edit(change.edit)
    for path, date in zip(paths, dates, strict=True):
        os.utime(path, ns=(date, date))
    story.append(f"{change.edit.summary}, of the same size and date, build-lambda.sh prod")
    seen = expect_script(scripts, PROD, story, judge)
    expect_package(change.after, scripts, seen, story, judge, stale=HIDDEN)


def expect_package(
    now: Blueprint,
    scripts: Scripted,
    seen: ScriptRun,
    story: Sequence[str],
    judge: Judge,
    *,
    stale: str,
) -> None:
    """The package that the script made prints what the source says now."""
    expected = render(now).binaries[now.members[0].binaries[0]]
    printed = scripts.programs(f"./{PACKAGE}")[0]
    row = Row("the package prints", expected, printed)
    judge(
        "The package is not of the current source.",
        holds=not row.differs,
        scenario=story,
        rows=[row],
        log=seen.log,
        hint=hint_for(printed, expected, stale=stale),
    )
