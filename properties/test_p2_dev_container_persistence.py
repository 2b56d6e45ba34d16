"""P2, dev container persistence: one container serves a series of dev builds and keeps what it
compiled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import strategies
from harness.generated import edits
from harness.generated.projects import Blueprint, folder, render
from harness.judging.judge import Judge, Tally
from harness.judging.report import Row
from harness.model import EditClass
from harness.running.container_events import ContainerEvent, perform
from harness.running.scripted import (
    BUILD_LAMBDA,
    DEV_CONTAINER,
    Container,
    Promise,
    Scripted,
    ScriptRun,
)
from harness.scenario import Bench
from harness.strategies import IDLE_EDITS, OTHER_EDITS, SOURCE_EDITS, Plan
from properties.common import dev_truth, same_lines, scripts_in, with_feature
from properties.dev_container import judge_inside
from properties.story import count

pytestmark = pytest.mark.property("P2")
EDITS = (
    *SOURCE_EDITS,
    *IDLE_EDITS,
    *OTHER_EDITS,
    EditClass.MANIFEST_COMMENT,
    EditClass.REVERT,
)
AT_LAST = (None, None, ContainerEvent.STOP, ContainerEvent.REMOVED)
"""What happens before one more build; it ends the container, not what was compiled in it."""


@given(data=st.data())
def test_one_container_serves_every_dev_build_and_keeps_what_it_compiled(
    data: st.DataObject, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Same id and start time throughout; after the first build no dependency is compiled."""
    start = strategies.blueprints(
        shape=bench.subject.shape, binary=bench.subject.binary, dependencies=1
    )
    plan = data.draw(strategies.plans(start=start, classes=EDITS, most=3))
    at_last = data.draw(st.sampled_from(AT_LAST), "at last")
    with scripts_in(render(plan.start).tree, bench, tally) as dev:
        judge_plan(plan, dev, at_last=at_last, judge=judge)


def test_neither_a_failed_build_nor_a_date_costs_what_was_compiled(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """The Dockerfile is checked out again, an edit does not compile, and is taken back; and then
    the build is asked for in other ways.
    """
    start = strategies.richest(bench.subject.shape, bench.subject.binary, workspace=True)
    with scripts_in(with_feature(start), bench, tally) as dev:
        judge_mishaps(start, dev, judge=judge)


def judge_mishaps(start: Blueprint, dev: Scripted, *, judge: Judge) -> None:
    """Build, fail, and build again: one container, in which dependencies are compiled once.

    Those are the registry's, and the members that the program depends on and nobody edits.
    """
    dependencies = {*render(start).dependencies, *start.members[0].libraries}
    story = ["dev build"]
    build(dev, story, judge)
    before = the_container(dev, story, judge)
    os.utime(dev.workspace.dockerfile)
    story.append("the Dockerfile gets another date")
    for words in strategies.ERRORS:
        wrong = strategies.an_error(start, words)
        assert wrong is not None
        dev.workspace.edit(wrong)
        story.append(f"{wrong.summary}, dev build")
        failed = dev.run(DEV_CONTAINER, "build")
        judge(
            "A source that does not compile was built.",
            holds=failed.status != 0,
            scenario=story,
            log=failed.log,
        )
        expect_kept(dependencies, failed, story, judge)
        dev.workspace.edit(strategies.taken_back(wrong, start))
    story.append("the error is taken back, dev build")
    seen = build(dev, story, judge)
    expect_same(before, dev, story, judge)
    expect_kept(dependencies, seen, story, judge)
    judge_output(start, dev, seen, story, judge)
    for name in ("Cargo.toml", "Cargo.lock"):
        with (dev.project / name).open("ab") as file:
            file.write(b"# a comment\n")
    story.append("a comment in Cargo.toml and in Cargo.lock, dev build")
    seen = build(dev, story, judge)
    expect_same(before, dev, story, judge)
    expect_kept(dependencies, seen, story, judge)
    judge_inside(start, dev, story, judge)
    if Promise.SEES_OLD_DATES in dev.promises:
        edit_of_a_member(start, dev, story, judge)
    for way, call in ways_to_ask(dev).items():
        story.append(way)
        seen = call()
        judge("The dev build failed.", holds=seen.status == 0, scenario=story, log=seen.log)
        expect_same(before, dev, story, judge)
        expect_kept(dependencies, seen, story, judge)


def edit_of_a_member(start: Blueprint, dev: Scripted, story: list[str], judge: Judge) -> None:
    """Edit the last of the project's packages, in a file of an old date, and build."""
    place = folder(start, start.members[-1])
    made = (edits.apply(EditClass.SOURCE, start, choice) for choice in range(strategies.CHOICES))
    change = next(c for c in made if c and all(path.startswith(place) for path in c.edit.changes))
    dev.workspace.edit(change.edit, old=True)
    story.append(f"{change.edit.summary}, with an old modification time, dev build")
    judge_output(change.after, dev, build(dev, story, judge), story, judge)


def ways_to_ask(dev: Scripted) -> dict[str, Callable[[], ScriptRun]]:
    """Return the calls that ask for a dev build in another way than `dev-container.sh build`."""
    flags = {"CARGO_FLAGS": "--features extra"}
    ways: dict[str, Callable[[], ScriptRun]] = {
        "build-lambda.sh --verbose dev": lambda: dev.run(BUILD_LAMBDA, "--verbose", "dev"),
        "CARGO_FLAGS='--features extra' dev-container.sh build": lambda: dev.run(
            DEV_CONTAINER, "build", environment=flags
        ),
    }
    if dev.offers("--quiet"):
        ways["build-lambda.sh --quiet dev"] = lambda: dev.run(BUILD_LAMBDA, "--quiet", "dev")
    if Promise.ONE_CONTAINER in dev.promises:
        link = dev.project.with_name(f"{dev.project.name}-link")
        link.symlink_to(dev.project)
        ways["dev build where a link leads to the project"] = lambda: dev.run(
            DEV_CONTAINER, "build", by=link
        )
    return ways


def judge_plan(
    plan: Plan[Blueprint], dev: Scripted, *, at_last: ContainerEvent | None = None, judge: Judge
) -> None:
    """Build each state in turn; the container and what it compiled have to stay.

    Cargo itself overlooks a file that changes to an older date: only scripts that say they see it
    are given such edits.
    """
    if Promise.SEES_OLD_DATES not in dev.promises:
        plan = replace(plan, steps=tuple(replace(step, old=False) for step in plan.steps))
    story = [f"dev build of {plan!r}"]
    project = render(plan.start)
    dependencies = set(project.dependencies)
    first = build(dev, story, judge)
    before = the_container(dev, story, judge)
    judge_output(plan.start, dev, first, story, judge)
    for step in plan.steps:
        count(f"edit: {step.edit.edit_class.value}")
        dev.workspace.edit(step.edit, old=step.old)
        story.append(f"{step!r}, dev build")
        seen = build(dev, story, judge)
        expect_same(before, dev, story, judge)
        expect_kept(dependencies, seen, story, judge)
        judge_output(step.after, dev, seen, story, judge)
    if at_last is not None:
        count(f"at last: {at_last.value}")
        perform(at_last, dev)
        story.append(f"{at_last.value}, dev build")
        expect_kept(dependencies, build(dev, story, judge), story, judge)


def expect_same(before: Container, dev: Scripted, story: list[str], judge: Judge) -> None:
    """The container is the one that it was, and has been up since."""
    after = the_container(dev, story, judge)
    judge(
        "Another container served this build.",
        holds=(before.id, before.started_at) == (after.id, after.started_at),
        scenario=story,
        rows=[
            Row("container", before.id[:12], after.id[:12]),
            Row("started at", before.started_at, after.started_at),
        ],
    )


def expect_kept(
    dependencies: Collection[str], seen: ScriptRun, story: list[str], judge: Judge
) -> None:
    """No dependency was compiled in this build: all of them had been before."""
    again = [c for c in seen.crates_compiled if c.split()[0] in dependencies]
    judge(
        "A dependency that was compiled before was compiled again.",
        holds=not again,
        scenario=story,
        rows=[Row(crate, "kept", "compiled") for crate in again],
        log=seen.log,
    )


def build(dev: Scripted, story: list[str], judge: Judge) -> ScriptRun:
    """Run a dev build that has to succeed."""
    seen = dev.run(DEV_CONTAINER, "build")
    judge("The dev build failed.", holds=seen.status == 0, scenario=story, log=seen.log)
    return seen


def the_container(dev: Scripted, story: list[str], judge: Judge) -> Container:
    """Return the one running container that mounts the project."""
    found = dev.containers()
    judge(
        "Not exactly one running container mounts the project.",
        holds=[container.state for container in found] == ["running"],
        scenario=story,
        rows=[Row("containers", "running", ", ".join(c.state for c in found) or "none")],
    )
    return found[0]


def judge_output(
    blueprint: Blueprint, dev: Scripted, seen: ScriptRun, story: list[str], judge: Judge
) -> None:
    """Every binary of the project prints what the current source says."""
    rows = [
        Row(name, expected, dev.printed(name)) for name, expected in dev_truth(blueprint).items()
    ]
    judge(
        "A binary is not that of the current source.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
    )
