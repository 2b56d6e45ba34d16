"""P1, layer caching consistency: what the base stage does is never done again, and a build with
nothing changed does nothing and yields the same image.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.judging.foundation import among, base_stage, foundation, worked
from harness.judging.judge import Judge, Tally
from harness.judging.report import Row
from harness.model import BuildObservation, EditClass
from harness.scenario import Bench, Workspace
from harness.strategies import (
    DEPENDENCY_EDITS,
    IDLE_EDITS,
    OTHER_EDITS,
    SOURCE_EDITS,
    Plan,
    tree_of,
)
from harness.subject import Subject
from properties.story import any_plan, count, expect_cached, expect_predicted, expect_success

pytestmark = pytest.mark.property("P1")
EDITS = (*SOURCE_EDITS, *IDLE_EDITS, *OTHER_EDITS, *DEPENDENCY_EDITS, EditClass.REVERT)


@given(data=st.data())
def test_edits_never_run_the_base_again_and_idle_builds_run_nothing(
    data: st.DataObject, project_bench: Bench, subject: Subject, tally: Tally, judge: Judge
) -> None:
    """Every edit leaves the base alone; a build of a state seen before executes nothing."""
    plan = data.draw(any_plan(subject, EDITS, dependencies=1))
    with tally.scenario(), project_bench.workspace(tree_of(plan.start)) as workspace:
        judge_plan(plan, workspace, judge=judge)


def judge_plan(plan: Plan, workspace: Workspace, *, judge: Judge) -> None:
    """Build the plan's states in turn and judge each build by those before it."""
    story = [f"build {plan!r}"]
    under_test = workspace.bench.subject
    foundations = foundation(under_test.dockerfile, under_test.roles)
    stage = base_stage(under_test.dockerfile, under_test.roles)
    base_image = workspace.build_base(state=0)
    seen = [workspace.build(state=0)]
    expect_success(seen[0], story, judge)
    for number, step in enumerate(plan.steps, 1):
        count(f"edit: {step.edit.edit_class.value}")
        workspace.edit(step.edit, old=step.old)
        same_as = plan.same_as[number]
        story.append(f"{step!r}, build")
        now = workspace.build(state=same_as)
        expect_success(now, story, judge)
        ran = among(worked(now), foundations)
        expect_cached(
            f"After {step!r} the base stage was executed again.", ran, story, judge, workspace
        )
        expect_predicted(now, story, judge, workspace)
        if same_as < number:
            expect_nothing(seen[same_as], now, story, judge, workspace)
        seen.append(now)
    story.append("nothing changed, build")
    expect_nothing(seen[-1], workspace.build(state=plan.same_as[-1]), story, judge, workspace)
    judge(
        "The base stage, built by itself before and after the edits, is not the same image.",
        holds=base_image == workspace.build_base(state=len(plan.steps)),
        scenario=story,
        lines=[stage.line] if stage is not None else (),
    )


def expect_nothing(
    before: BuildObservation,
    now: BuildObservation,
    story: list[str],
    judge: Judge,
    workspace: Workspace,
) -> None:
    """Two witnesses: the progress names no executed vertex, and the image is the same one."""
    expect_cached(
        "Nothing changed, and yet the build executed something.",
        worked(now),
        story,
        judge,
        workspace,
    )
    judge(
        "Nothing changed, and yet the image is another one.",
        holds=before.image_id == now.image_id and before.layers == now.layers,
        scenario=story,
        rows=[
            Row("image", str(before.image_id), str(now.image_id)),
            *(
                Row(f"layer {n}", a, b)
                for n, (a, b) in enumerate(zip(before.layers, now.layers, strict=False), 1)
            ),
        ],
    )
