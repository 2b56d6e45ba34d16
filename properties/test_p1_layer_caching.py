"""P1, layer caching consistency: what the base stage does is never done again, and a build with
nothing changed does nothing and yields the same image.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import Config
from harness.for_scripts import beside_its_scripts
from harness.generated import edits, trees
from harness.generated.projects import Blueprint, render
from harness.judging.foundation import among, base_stage, dependencies, foundation, worked
from harness.judging.judge import Judge, Tally
from harness.judging.report import Row
from harness.model import BuildObservation, EditClass, Vertex
from harness.running.scripted import BUILD_LAMBDA, OUTPUTS, PACKAGE, ZIP, Scripted
from harness.scenario import Bench, Workspace
from harness.strategies import (
    DEPENDENCY_EDITS,
    IDLE_EDITS,
    OTHER_EDITS,
    SOURCE_EDITS,
    Plan,
    State,
    no_such_dependency,
    plainest,
    taken_back,
    tree_of,
)
from harness.subject import Subject
from properties.common import git, scripts_in, structure_findings
from properties.story import (
    any_plan,
    count,
    expect_cached,
    expect_no_finding,
    expect_predicted,
    expect_script,
    expect_success,
    lines_of,
)

pytestmark = pytest.mark.property("P1")
RUNTIME = "runtime"
"""The stage whose image scripts load under a name, where they do that."""
INSTALLED_AGAIN = {"tools-after-manifests", "packages-below-artifact"}
"""The structure rules about tools and packages that an edit of the project installs again."""
EDITS = (*SOURCE_EDITS, *IDLE_EDITS, *OTHER_EDITS, *DEPENDENCY_EDITS, EditClass.REVERT)


@given(data=st.data())
def test_edits_never_run_the_base_again_and_idle_builds_run_nothing(
    data: st.DataObject, project_bench: Bench, subject: Subject, tally: Tally, judge: Judge
) -> None:
    """Every edit leaves the base alone; a build of a state seen before executes nothing."""
    plan = data.draw(any_plan(subject, EDITS, dependencies=1))
    with tally.scenario(), project_bench.workspace(tree_of(plan.start)) as workspace:
        judge_plan(plan, workspace, judge=judge)


def test_no_edit_has_the_tools_installed_again(
    subject: Subject, configuration: Config, tally: Tally, judge: Judge
) -> None:
    """They and the image's packages are the base's, whatever the stage is called that installs
    them.
    """
    again = "An edit of the project has tools or packages installed again."
    with tally.scenario():
        found = structure_findings(subject, configuration)
        expect_no_finding(again, INSTALLED_AGAIN, found, judge)


def test_a_build_by_the_scripts_runs_nothing_again_either(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """What a Dockerfile keeps, the script that builds it may throw away: with each call, or with
    each commit.
    """
    start = plainest(bench.subject.shape, bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as scripts:
        judge_scripts(start, scripts, judge=judge)


def judge_scripts(start: Blueprint, scripts: Scripted, *, judge: Judge) -> None:
    """Build, on another branch again, with --clean, and after a failure that is taken back: nothing
    is executed again. Edit and commit, build: nothing of the base and the dependencies.
    """
    change = edits.apply(EditClass.SOURCE, start)
    assert change is not None
    story = ["build-lambda.sh prod"]
    commit(scripts.project)
    script_build(scripts, story, judge)
    before = (scripts.project / PACKAGE).read_bytes()
    branch(scripts.project)
    for happened, words in {"the branch": ("prod",), "the call": ("--clean", "prod")}.items():
        story.append(f"nothing changed but {happened}, build-lambda.sh {' '.join(words)}")
        expect_kept(script_build(scripts, story, judge, *words), story, judge)
        judge(
            "Nothing changed, and yet the package is another one.",
            holds=(scripts.project / PACKAGE).read_bytes() == before,
            scenario=story,
        )
    wrong = no_such_dependency(start)
    scripts.workspace.edit(wrong)
    story.append(f"{wrong.summary}, build-lambda.sh prod")
    tidy(scripts)
    failed = scripts.run_noting(BUILD_LAMBDA, "prod")
    judge(
        "Dependencies that do not exist were built.",
        holds=failed.status != 0,
        scenario=story,
        log=failed.log,
    )
    under_test = scripts.bench.subject
    parsed, given = under_test.dockerfile, under_test.roles
    expect_kept(among(worked(failed.notes.vertices), foundation(parsed, given)), story, judge)
    scripts.workspace.edit(taken_back(wrong, start))
    story.append("that is taken back, build-lambda.sh prod")
    expect_kept(script_build(scripts, story, judge), story, judge)
    scripts.workspace.edit(change.edit)
    commit(scripts.project)
    story.append(f"{change.edit.summary}, a commit, build-lambda.sh prod")
    places = foundation(parsed, given) | dependencies(parsed, given)
    expect_kept(among(script_build(scripts, story, judge), places), story, judge)
    if parsed.stage(RUNTIME) and scripts.offers("--image"):
        judge_image(scripts, story, judge=judge)


def judge_image(scripts: Scripted, story: list[str], *, judge: Judge) -> None:
    """Load the image twice under a name of this scenario's: it is one and the same.

    A second lies between the two: no date is told more finely.
    """
    images = scripts.bench.engine.client.images
    name = f"layerproof/loaded:{scripts.project.name.lower()}"
    identities = []
    try:
        for pause in (0, 1):
            time.sleep(pause)
            story.append("build-lambda.sh --image NAME prod")
            seen = scripts.run(BUILD_LAMBDA, "--image", name, "prod")
            judge("It failed.", holds=seen.status == 0, scenario=story, log=seen.log)
            identities.append(str(images.get(name).id))
    finally:
        with contextlib.suppress(docker.errors.APIError):
            images.remove(name)
    judge(
        "Nothing changed, and yet the image is another one.",
        holds=identities[0] == identities[1],
        scenario=story,
        rows=[Row("image", identities[0], identities[1])],
        hint="Label the image with nothing that differs from call to call: no date, no number.",
    )


def commit(project: Path) -> None:
    """Make a commit of the project as it is, where there is git."""
    git(project, ("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "-"))


def branch(project: Path) -> None:
    """Switch to another branch, where there is git."""
    git(project, ("checkout", "--quiet", "-b", "another-branch"))


def tidy(scripts: Scripted) -> None:
    """Remove what earlier builds left in the project, so that the next one takes none of it along.

    A Dockerfile that does not lie beside the scripts need not know what they leave, and keep it
    away; and the engine may not forget a directory that was removed (20.10 does not).
    """
    if not beside_its_scripts(scripts.bench.subject):
        for path in (*OUTPUTS, ZIP):
            trees.remove(scripts.project / path)


def script_build(scripts: Scripted, story: list[str], judge: Judge, *words: str) -> list[Vertex]:
    """Build for production by the script, which has to succeed; return the steps it executed.

    Of a build by another program than buildx nothing is known; its package is judged all the same.
    """
    tidy(scripts)
    return worked(expect_script(scripts, words or ("prod",), story, judge).notes.vertices)


def expect_kept(ran: list[Vertex], story: list[str], judge: Judge) -> None:
    """None of these steps may have been executed by the script's build."""
    judge(
        "The script's build executed again what nothing had changed.",
        holds=not ran,
        scenario=story,
        rows=[Row(vertex.name, "cached", "executed") for vertex in ran],
        lines=lines_of(ran, judge),
        hint="Give buildx no --no-cache, no --no-cache-filter and no argument that differs from "
        "call to call.",
    )


def judge_plan(plan: Plan[State], workspace: Workspace, *, judge: Judge) -> None:
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
        ran = among(worked(now.vertices), foundations)
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
        worked(now.vertices),
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
