"""P5, dependency invalidation: a change to what dependencies depend on rebuilds them, a change of
source alone reuses them, and the binary is always that of the current source.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import Config
from harness.generated import checkouts
from harness.generated.checkouts import Checkout
from harness.generated.projects import render
from harness.judging.foundation import (
    among,
    compilation,
    dependencies,
    worked,
)
from harness.judging.judge import Judge, Tally
from harness.judging.report import PropertyViolation, Row
from harness.model import BuildObservation, Edit, EditClass
from harness.scenario import Bench, Workspace
from harness.strategies import (
    DEPENDENCY_EDITS,
    OTHER_EDITS,
    SOURCE_EDITS,
    Plan,
    State,
    Step,
    a_missing_module,
    an_error,
    each_file_in_turn,
    richest,
    taken_back,
    tree_of,
)
from harness.subject import Subject
from properties.common import scripts_in, structure_findings
from properties.compiled_crates import (
    expect_crates,
    expect_locked,
    hint_for,
    is_of_source,
    units_of,
)
from properties.scripted_invalidation import judge_scripts
from properties.story import (
    any_plan,
    checkout_of,
    count,
    expect_cached,
    expect_no_finding,
    expect_predicted,
    expect_success,
    lines_of,
)

pytestmark = pytest.mark.property("P5")
EDITS = (*SOURCE_EDITS, *OTHER_EDITS, *DEPENDENCY_EDITS, EditClass.REVERT)
DEMANDING = frozenset(
    {
        EditClass.DEPENDENCY_ADD,
        EditClass.DEPENDENCY_BUMP,
        EditClass.DEPENDENCY_REMOVE,
        EditClass.FEATURE,
        EditClass.LOCK,
        EditClass.PROFILE,
    }
)
"""Edits after which the dependencies' layer must be another one. After the rest of the manifest
edits (a comment, the package's own version, a member) it may be, and cargo decides what compiles.
"""


KEPT_AWAY = {"lock-file-ignored", "build-script-ignored"}
"""The structure rules about files that the ignore file keeps away."""
NO_STATE = -1
"""The commit of a source that is none of a plan's states."""
STALE = (
    "A stub or an old output was taken for newer than the source: touch the sources before the "
    "final build, or remove what the stub left."
)
EXECUTED_AGAIN = (
    "Copy nothing of the source before the dependencies are compiled. If these lines compile the "
    "project, say which stage compiles its dependencies: `[roles]` in layerproof.toml."
)


@given(data=st.data())
def test_exactly_what_changed_is_compiled_and_the_binary_is_of_the_current_source(
    data: st.DataObject, project_bench: Bench, subject: Subject, tally: Tally, judge: Judge
) -> None:
    """A project, then edits of source and of manifests in any order, each built and run."""
    plan = data.draw(any_plan(subject, EDITS, most=2))
    with tally.scenario(), project_bench.workspace(tree_of(plan.start), isolated=True) as workspace:
        judge_plan(plan, workspace, judge=judge)


def test_each_file_that_counts_is_seen_whatever_its_date(
    project_bench: Bench, subject: Subject, tally: Tally, judge: Judge
) -> None:
    """Program, library and build script in turn, each as old as a restored file; then all back,
    and a README, the lock file and the toolchain file by themselves. What is found is shown in a
    project of its own.
    """
    start = checkout_of(subject) or richest(subject.shape, subject.binary)
    plan = each_file_in_turn(start)
    with tally.scenario(), project_bench.workspace(tree_of(start), isolated=True) as workspace:
        found = broken_step(plan, workspace, judge=judge)
        if found is None:
            judge_library(start, workspace, judge=judge)
            judge_error(start, workspace, judge=judge)
            judge_removed(start, workspace, judge=judge)
            return
    alone, violation = found
    with tally.scenario(), project_bench.workspace(tree_of(alone.start), isolated=True) as again:
        judge_plan(alone, again, judge=judge)
    raise violation


def test_no_file_that_counts_is_kept_from_the_build(
    subject: Subject, configuration: Config, tally: Tally, judge: Judge
) -> None:
    """What the ignore file keeps away changes nothing, and cargo does not miss it."""
    kept = "The ignore file keeps from the build what the program is made of."
    with tally.scenario():
        expect_no_finding(kept, KEPT_AWAY, structure_findings(subject, configuration), judge)


def test_the_scripts_have_compiled_what_changed_and_nothing_else(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """What a Dockerfile keeps, the script that builds it may throw away, and overlook an edit."""
    start = richest(bench.subject.shape, bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally, isolated=True) as scripts:
        judge_scripts(start, scripts, judge=judge)


def judge_library(start: State, workspace: Workspace, *, judge: Judge) -> None:
    """Of a real project, a library in another package than the program's is compiled after an edit.

    What it does is not known: cargo says that it compiles it, where it says what it compiles.
    """
    found = checkouts.edit_of_a_library(start) if isinstance(start, Checkout) else None
    if found is None:
        return
    edit, crate = found
    workspace.edit(edit, old=True)
    story = ["…", f"{edit.summary}, with an old modification time, build"]
    seen = workspace.build(state=NO_STATE)
    expect_success(seen, story, judge)
    compiled = {each.split()[0] for each in seen.crates_compiled}
    judge(
        "A library of the project was edited, and the one before was linked.",
        holds=not compiled or crate in compiled,
        scenario=story,
        rows=[Row(f"crate {crate}", "compiled", "kept")],
        lines=lines_of([v for v in seen.vertices if "Compiling" in v.log], judge),
        log=seen.log,
        hint=STALE,
    )


def judge_removed(start: State, workspace: Workspace, *, judge: Judge) -> None:
    """Without a module that the program names nothing is built."""
    expect_refused(
        a_missing_module(start),
        start,
        workspace,
        judge,
        finding="A file was removed, and the program was made of it all the same.",
        hint="Where the source is copied into a directory that stays (a cache mount), remove from "
        "it what is gone from the source, as `rsync --delete` does; or mount the source itself.",
    )


def judge_error(start: State, workspace: Workspace, *, judge: Judge) -> None:
    """A source that does not compile ends the build, whatever was built before."""
    expect_refused(
        an_error(start),
        start,
        workspace,
        judge,
        finding="A source that does not compile was built: the image holds an earlier program.",
        hint="Let the status of cargo be that of the RUN: no pipe without `set -o pipefail`, no "
        "`|| true`, and nothing copied from target/ that this build did not make.",
    )


def expect_refused(
    edit: Edit | None,
    start: State,
    workspace: Workspace,
    judge: Judge,
    *,
    finding: str,
    hint: str,
) -> None:
    """After an edit, where there is such a one, nothing can be built; then it is taken back."""
    if edit is None:
        return
    workspace.edit(edit)
    seen = workspace.build(state=NO_STATE)
    judge(
        finding,
        holds=not seen.succeeded,
        scenario=["…", f"{edit.summary}, build"],
        lines=lines_of([v for v in seen.vertices if "Compiling" in v.log], judge),
        log=seen.log,
        hint=hint,
    )
    workspace.edit(taken_back(edit, start))


def broken_step(
    plan: Plan[State], workspace: Workspace, *, judge: Judge
) -> tuple[Plan[State], PropertyViolation] | None:
    """Judge a plan; return the first of its steps that breaks it, as a plan of its own, and how."""
    try:
        judge_plan(plan, workspace, judge=judge)
    except PropertyViolation as violation:
        number = len(workspace.observations) - 1
        before = plan.steps[number - 2].after if number > 1 else plan.start
        return Plan(before, plan.steps[max(number - 1, 0) : number]), violation
    return None


def judge_plan(plan: Plan[State], workspace: Workspace, *, judge: Judge) -> None:
    """Build and run the plan's states in turn; judge each by the units cargo had before it."""
    story = [f"build {plan!r}"]
    under_test = workspace.bench.subject
    places = dependencies(under_test.dockerfile, under_test.roles)
    first = workspace.build(state=0)
    expect_success(first, story, judge)
    expect_locked(plan.start, first, story, judge)
    expect_truth(plan.start, first, workspace, story, judge)
    compiled_before = units_of(plan.start)
    seen = [plan.start]
    for number, step in enumerate(plan.steps, 1):
        count(f"edit: {step.edit.edit_class.value}")
        workspace.edit(step.edit, old=step.old)
        story.append(f"{step!r}, build and run")
        known = step.after in seen
        now = workspace.build(state=number)  # another commit, be it one that goes back
        expect_success(now, story, judge)
        if is_of_source(step, under_test) or known:
            expect_cached(
                f"After {step!r} the dependencies were executed again.",
                among(worked(now.vertices), places),
                story,
                judge,
                workspace,
                hint=EXECUTED_AGAIN,
            )
        elif is_demanding(step, workspace) and places:
            expect_rebuilt(step, places, workspace, story, judge)
        expect_predicted(now, story, judge, workspace)
        expect_crates(
            step,
            now,
            before=compiled_before,
            known=known,
            workspace=workspace,
            story=story,
            judge=judge,
        )
        expect_locked(step.after, now, story, judge)
        expect_truth(step.after, now, workspace, story, judge)
        compiled_before |= units_of(step.after)
        seen.append(step.after)


def is_demanding(step: Step[State], workspace: Workspace) -> bool:
    """Whether after the last edit dependencies have to be compiled anew.

    A toolchain file that never comes to where the project is compiled is none of the build's.
    """
    if step.edit.edit_class is not EditClass.TOOLCHAIN:
        return step.edit.edit_class in DEMANDING
    under_test = workspace.bench.subject
    places = compilation(under_test.dockerfile, under_test.roles)
    executed = among(worked(workspace.observations[-1].vertices), places)
    count("the toolchain file is the build's" if executed else "the toolchain file is nobody's")
    return bool(executed)


def expect_rebuilt(
    step: Step[State],
    places: frozenset[tuple[str | None, int | None]],
    workspace: Workspace,
    story: list[str],
    judge: Judge,
) -> None:
    """The last build must have built the dependencies' layer anew."""
    now = workspace.observations[-1]
    there = among(now.vertices, places)
    lines = lines_of(there, judge)
    holds = bool(among(worked(now.vertices), places))
    judge(
        f"After {step!r} the dependencies' layer was reused as it was.",
        holds=holds,
        scenario=story,
        rows=[Row(vertex.name, "executed", "cached") for vertex in there],
        lines=lines,
        because=() if holds else workspace.reasons(lines),
        hint="Copy all that dependencies depend on before they are compiled: every Cargo.toml, "
        "Cargo.lock, the toolchain file and .cargo/config.toml.",
    )


def expect_truth(
    state: State,
    now: BuildObservation,
    workspace: Workspace,
    story: list[str],
    judge: Judge,
) -> None:
    """The image's program prints what its source, as it is now, says."""
    judge(
        "The build made no image to run.",
        holds=now.image_id is not None,
        scenario=story,
        log=now.log,
    )
    if isinstance(state, Checkout):
        marker = state.marker or checkouts.MARKER
        found, hint = marker.encode() in workspace.program(str(now.image_id)), STALE
        holds, row = found == (state.marker is not None), Row("contains", marker, str(found))
    else:
        expected = render(state).binaries[workspace.bench.subject.binary]
        command = [workspace.bench.subject.program] if workspace.bench.subject.program else []
        printed = workspace.run(str(now.image_id), *command).rstrip("\n")
        holds = expected in printed.splitlines()  # an entry point may say more than the program
        row = Row("prints", repr(expected), repr(printed))
        hint = hint_for(printed, expected, stale=STALE)
    judge(
        "The image's program is not that of the current source.",
        holds=holds,
        scenario=story,
        rows=[row],
        lines=lines_of([v for v in now.vertices if "Compiling" in v.log], judge),
        log=now.log,
        hint=hint,
    )
