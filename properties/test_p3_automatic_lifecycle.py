"""P3, automatic lifecycle: after any dev build, whatever the container went through before it, a
healthy and current container is up and the build ran in it; and `status` never lies.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.generated import edits
from harness.generated.projects import Blueprint, Dependency, Member, render
from harness.judging.judge import Judge, Tally
from harness.judging.legacy import NO_ENGINE
from harness.judging.report import PropertyViolation, Row
from harness.judging.states import OTHER_WORDS, STATES
from harness.model import Edit, EditClass
from harness.running.container_events import (
    ContainerEvent,
    base_image_of_its_own,
    change_dockerfile,
    perform,
)
from harness.running.noting import NO_SPACE, refusing_containers
from harness.running.scripted import (
    BUILD_LAMBDA,
    DEV_CONTAINER,
    PACKAGE,
    Container,
    Promise,
    Scripted,
    promised,
    scripted,
)
from harness.scenario import Bench
from harness.strategies import taken_back
from properties.common import ctrl_c, dev_truth, git, same_lines, scripts_in, slow_script, until
from properties.dev_container import (
    CALL_SECONDS,
    judge_build,
    judge_container,
    judge_inside,
    judge_move,
    states,
)
from properties.story import count

pytestmark = pytest.mark.property("P3")
LONG, NOT_FOR_EVER = 60, 15
"""Seconds that a build takes which is interrupted; the second where it may be left to go on."""
SOON = 20.0
"""Seconds within which an interrupted call has ended, and what it runs; less than what is LONG."""

EACH_ALONE: Sequence[tuple[ContainerEvent, ...]] = (
    (ContainerEvent.PAUSED,),
    (ContainerEvent.KILLED,),
    (ContainerEvent.REMOVED,),
    (ContainerEvent.RECREATED,),
    (ContainerEvent.HALF_MADE,),
    (ContainerEvent.VOLUMES_REMOVED,),
    (ContainerEvent.STATUS, ContainerEvent.PAUSED, ContainerEvent.STATUS, ContainerEvent.STOP),
    (ContainerEvent.DOCKERFILE_CHANGED,),
    (ContainerEvent.DOCKERFILE_CHANGED, ContainerEvent.EXEC),
    (ContainerEvent.BASE_IMAGE_CHANGED,),
    (ContainerEvent.DAMAGED,),
    (ContainerEvent.IMAGE_REMOVED,),
)
"""What is to be followed by nothing but a build: chance alone may follow an accident by a command
that repairs what it did. A container that is paused can be stopped, too.
"""
NO_PACKAGE = "no production build took its place"
happenings = st.lists(
    st.sampled_from([m for m in ContainerEvent if m is not ContainerEvent.BUILD]), max_size=4
)


def project(binary: str) -> Blueprint:
    """Return the project that is built: one binary, one dependency."""
    member = Member("app", binaries=(binary,), uses=("alpha",))
    return Blueprint(members=(member,), dependencies=(Dependency("alpha"),))


@given(moves=happenings, built=st.booleans())
def test_a_dev_build_brings_up_a_current_container_whatever_happened(
    moves: list[ContainerEvent], built: bool, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Commands and accidents in any order, then an edit, then a build that has to succeed."""
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as dev:
        judge_moves(start, moves, dev, built=built, judge=judge)


def test_each_accident_is_mended_by_the_next_build(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """One after the other in one project; what is found is shown in a project of its own."""
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as dev:
        found = judge_accidents(start, dev, judge=judge)
    if found is None:
        return
    accident, violation = found
    with scripts_in(render(start).tree, bench, tally) as dev:
        judge_moves(start, accident, dev, built=True, judge=judge)
    raise violation


@given(built=st.booleans())
def test_two_dev_builds_at_once_both_succeed(
    built: bool, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Callers who do not know of each other share one container and both get their build."""
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as dev:
        judge_two_at_once(start, dev, built=built, judge=judge)


def test_without_a_container_there_is_a_package_all_the_same(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Where no container can be had, `dev` says why and falls back to a production build."""
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as dev:
        judge_fallback(start, dev, judge=judge)


def test_an_interrupted_build_is_in_nobodys_way(bench: Bench, tally: Tally, judge: Judge) -> None:
    """Ctrl-C while the build runs in the container; then a build that has to succeed."""
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally) as dev:
        judge_interrupted(start, dev, judge=judge)


def test_status_tells_no_more_than_it_knows(bench: Bench, tally: Tally, judge: Judge) -> None:
    """A container that is up, asked for where no engine answers, and where the network differs.

    Where any path will do, the project's has in it what divides docker's words.
    """
    start = project(bench.subject.binary)
    with scripts_in(render(start).tree, bench, tally, called=hard_name(bench)) as dev:
        judge_elsewhere(start, dev, judge=judge)


def test_two_checkouts_have_a_container_each(bench: Bench, tally: Tally, judge: Judge) -> None:
    """Two projects of one repository whose directories have one name: what happens to one leaves
    the other alone.
    """
    start = project(bench.subject.binary)
    other = edits.apply(EditClass.SOURCE, start)
    assert other is not None
    with (
        tally.scenario(),
        bench.workspace(render(start).tree) as one,
        bench.workspace(render(other.after).tree, called=one.context.name) as two,
        scripted(one) as here,
        scripted(two) as there,
        one_repository(bench.root),
    ):
        judge_two_checkouts((start, here), (other.after, there), judge=judge)


def hard_name(bench: Bench) -> str | None:
    """Return a name for the project's directory that a careless call of docker's takes apart."""
    any_path = Promise.ANY_PATH in promised(bench.subject.scripts)
    return f"a:project, src={secrets.token_hex(4)}" if any_path else None


@contextlib.contextmanager
def one_repository(root: Path) -> Iterator[None]:
    """Make a folder, and all below it, one repository of git for as long as the block lasts."""
    git(root, ("init", "--quiet"))
    try:
        yield
    finally:
        shutil.rmtree(root / ".git", ignore_errors=True)


def judge_moves(
    start: Blueprint,
    moves: Sequence[ContainerEvent],
    dev: Scripted,
    *,
    built: bool,
    judge: Judge,
) -> None:
    """Judge `status` and the commands after each move, and the build after them all."""
    change_dockerfile(dev)
    with base_image_of_its_own(dev):
        story = ["a project without a dev container"]
        if built:
            story.append("dev build")
            judge_build(dev, start, story, judge)
        judge_each(moves, start, dev, story, judge)


def judge_accidents(
    start: Blueprint, dev: Scripted, *, judge: Judge
) -> tuple[Sequence[ContainerEvent], PropertyViolation] | None:
    """Judge a build after each of EACH_ALONE; return the first that it did not mend, and how."""
    now, story = start, ["a project without a dev container", "dev build"]
    change_dockerfile(dev)
    with base_image_of_its_own(dev):
        judge_build(dev, start, story, judge)
        for accident in EACH_ALONE:
            try:
                now = judge_each(accident, now, dev, story, judge)
            except PropertyViolation as violation:
                return accident, violation
        judge_inside(now, dev, story, judge)
    return None


def judge_each(
    moves: Sequence[ContainerEvent], now: Blueprint, dev: Scripted, story: list[str], judge: Judge
) -> Blueprint:
    """Make the moves in turn and judge what follows; a build comes last. Return what it built."""
    if Promise.MENDS_CACHE not in dev.promises:
        moves = [move for move in moves if move is not ContainerEvent.DAMAGED]
    for move in (*moves, ContainerEvent.BUILD):
        count(f"move: {move.value}")
        if move is ContainerEvent.BUILD:
            change = edits.apply(EditClass.SOURCE, now)
            assert change is not None
            dev.workspace.edit(change.edit)
            story.append(f"{change.edit.summary}, dev build")
            now = change.after
            judge_build(dev, now, story, judge)
        else:
            story.append(move.value)
            judge_move(move, perform(move, dev), dev, story, judge)
    return now


def judge_two_at_once(start: Blueprint, dev: Scripted, *, built: bool, judge: Judge) -> None:
    """Both callers get their build, and one container is left."""
    story = ["a project without a dev container"]
    if built:
        story.append("dev build")
        judge_build(dev, start, story, judge)
    story.append("two dev builds at once")
    with dev.beside(DEV_CONTAINER, "build") as one, dev.beside(DEV_CONTAINER, "build") as two:
        ends = [one.wait(limit=CALL_SECONDS), two.wait(limit=CALL_SECONDS)]
    judge(
        "Of two dev builds at once, not both succeeded.",
        holds=[end.status for end in ends] == [0, 0],
        scenario=story,
        rows=[Row("exit status", "0", str(end.status)) for end in ends],
        hint="Let callers wait for each other (flock) while a container is looked for and made.",
        log="\n".join(f"{end.out}{end.err}" for end in ends if end.status != 0),
    )
    judge_container(dev, start, story, judge, log="")


def judge_two_checkouts(
    one: tuple[Blueprint, Scripted], two: tuple[Blueprint, Scripted], *, judge: Judge
) -> None:
    """Build in both, stop the second's container: the first's is the one it was, and up. Remove
    the first's, clean the second: what the first has compiled is there.
    """
    (first, here), (second, there) = one, two
    story = ["dev build in a checkout"]
    judge_build(here, first, story, judge)
    before = here.containers()[0]
    story.append("dev build in another checkout, whose directory has the same name")
    judge_build(there, second, story, judge)
    expect_untouched(before, here, story, judge)
    story.append("stop in the other checkout")
    there.run(DEV_CONTAINER, "stop")
    expect_untouched(before, here, story, judge)
    judge_container(here, first, story, judge, log="")
    if Promise.ONE_CONTAINER in there.promises:
        judge_names(before, here, there, story, judge)
    else:
        there.run(DEV_CONTAINER, "clean")
        story.append("clean in the other checkout")
        expect_untouched(before, here, story, judge)
    perform(ContainerEvent.REMOVED, here)
    there.run(DEV_CONTAINER, "clean")
    story += ["the first checkout's container is removed", "clean in the other", "dev build"]
    seen = here.run(DEV_CONTAINER, "build", limit=CALL_SECONDS)
    again = [c for c in seen.crates_compiled if c.split()[0] in render(first).dependencies]
    judge(
        "`clean` in one checkout removed what another has compiled.",
        holds=seen.status == 0 and not again,
        scenario=story,
        rows=[Row(crate, "kept", "compiled") for crate in again],
        log=seen.log,
        hint="Name volumes by the project's whole path, and remove those of that project alone.",
    )


def judge_names(
    before: Container, here: Scripted, there: Scripted, story: list[str], judge: Judge
) -> None:
    """The first's container gets the name that the other's has: `clean` removes the other's."""
    api = here.bench.engine.client.api
    (other,) = there.containers()
    name = api.inspect_container(other.id)["Name"].lstrip("/")
    api.rename(other.id, f"{name}-renamed")
    api.rename(before.id, name)
    there.run(DEV_CONTAINER, "clean")
    story.append("the first's container gets the other's name, and that another; clean there")
    expect_untouched(before, here, story, judge)
    judge(
        "`clean` did not find the container of its project.",
        holds=not there.containers(),
        scenario=story,
        rows=[Row("containers of the other", "none", states(there.containers()))],
        hint="Find the container by a label, not by its name.",
    )


def judge_fallback(start: Blueprint, dev: Scripted, *, judge: Judge) -> None:
    """Build and package in dev mode while the engine makes no container."""
    story = [
        f"a project without a dev container; for one there is {NO_SPACE}",
        "build-lambda.sh dev",
    ]
    environment = refusing_containers(dev.project.parent / "refusing")
    seen = dev.run(BUILD_LAMBDA, "dev", environment=environment)
    why = NO_SPACE in seen.log
    built = seen.status == 0
    judge(
        f"The dev container cannot start, and {'why is not said' if built else NO_PACKAGE}.",
        holds=built and why,
        scenario=story,
        rows=[Row("exit status", "0", str(seen.status)), Row("says why", "True", str(why))],
        log=seen.log,
        hint="Say why the container cannot start, and build as `prod` does.",
    )
    binary = start.members[0].binaries[0]
    expected = {render(start).binaries[binary], dev_truth(start)[binary]}
    printed = dev.programs(f"./{PACKAGE}")[0]
    judge(
        "The package is not of the current source.",
        holds=printed in expected,
        scenario=story,
        rows=[Row("the package prints", min(expected), printed)],
    )


def judge_interrupted(start: Blueprint, dev: Scripted, *, judge: Judge) -> None:
    """Interrupt a build that takes long; then one without what took so long is as any other."""
    story = ["dev build"]
    judge_build(dev, start, story, judge)
    ends_builds = Promise.ENDS_BUILDS in dev.promises
    changes = {"build.rs": slow_script(LONG if ends_builds else NOT_FOR_EVER)}
    slow = Edit(EditClass.BUILD_SCRIPT, "a build script that takes long", changes)
    dev.workspace.edit(slow)
    story.append(f"{slow.summary}, dev build, Ctrl-C")
    judge_end((DEV_CONTAINER, "build"), dev, story, judge)
    if ends_builds:  # where it may go on, the second would wait for the first
        story.append("build-lambda.sh dev, which alone is told to end")
        judge_end((BUILD_LAMBDA, "dev"), dev, story, judge, alone=True)
    dev.workspace.edit(taken_back(slow, start))
    story.append("that is taken back, dev build")
    judge_build(dev, start, story, judge)


def judge_elsewhere(start: Blueprint, dev: Scripted, *, judge: Judge) -> None:
    """Build; ask for the container without an engine, and in another network where promised.

    A `status` that does not tell whether the container is current is not held to this.
    """
    story = ["dev build"]
    judge_build(dev, start, story, judge)
    if "current" not in dev.status():
        return
    story.append("status --json, where no engine answers")
    seen = dev.run(DEV_CONTAINER, "status", "--json", environment={"DOCKER_HOST": NO_ENGINE})
    told = [state for state in (*STATES, *OTHER_WORDS, "absent") if f'"{state}"' in seen.out]
    judge(
        "`status` tells of a container without having asked an engine.",
        holds=seen.status != 0 and not told,
        scenario=story,
        rows=[
            Row("exit of status", "not 0", "not 0" if seen.status else "0"),
            Row("state", "none told", ", ".join(told) or "none told"),
        ],
        log=seen.log,
        hint="Where the engine does not answer, say so and fail: nothing is known.",
    )
    if Promise.FOLLOWS_NETWORK not in dev.promises:
        return
    other = "none" if dev.environment["LAYERPROOF_NETWORK"] == "host" else "host"
    story.append(f"LAYERPROOF_NETWORK={other} status --json")
    said = dev.status({"LAYERPROOF_NETWORK": other})
    row = Row("current", "False", str(said.get("current")))
    finding = "The container has another network than it is to have, and `status` says nothing."
    judge(finding, holds=not row.differs, scenario=story, rows=[row])


def judge_end(
    call: Sequence[str], dev: Scripted, story: list[str], judge: Judge, *, alone: bool = False
) -> None:
    """Interrupt the call while it builds; it ends, and so does what it runs, where promised.

    The signal is Ctrl-C's, to all that the terminal runs; or kill's, to the script `alone`.
    """
    with dev.beside(*call) as running:
        begun = until(lambda: running.ended or slow_processes(dev)) and not running.ended
        running.signal(signal.SIGTERM if alone else ctrl_c(), alone=alone)
        ended = until(lambda: running.ended, within=SOON)
        end = running.wait(limit=CALL_SECONDS)
    rows = [Row("the build script ran", "True", str(begun))]
    if Promise.ENDS_BUILDS in dev.promises:
        rows.append(Row("exit status", "not 0", "not 0" if end.status else "0"))
        gone = until(lambda: not slow_processes(dev), within=SOON)
        rows.append(Row("the call ended", "soon", "soon" if ended else "with the build"))
        rows.append(
            Row("processes of the build in the container", "none", "none" if gone else "some")
        )
    judge(
        "A build was interrupted, and went on.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=f"{end.out}{end.err}",
        hint="End what runs in the container, too: docker's client ends alone, and leaves that.",
    )


def slow_processes(dev: Scripted) -> bool:
    """Whether the slow build script runs in one of the project's containers."""
    api = dev.bench.engine.client.api
    for container in dev.containers():
        with contextlib.suppress(docker.errors.APIError):
            processes = api.top(container.id, ps_args="-eo pid,comm")["Processes"] or ()
            if any("build-script" in word for words in processes for word in words):
                return True
    return False


def expect_untouched(before: Container, here: Scripted, story: Sequence[str], judge: Judge) -> None:
    """The checkout's one container is the one that it was, and has been up since."""
    found = here.containers()
    rows = [
        Row("containers of the first checkout", "running", states(found)),
        Row("id", before.id[:12], found[0].id[:12] if found else "none"),
        Row("started at", before.started_at, found[0].started_at if found else "never"),
    ]
    judge(
        "What was done in one checkout reached the container of the other.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        hint="Find the container by a label that holds the project's whole path, not by a name "
        "that another checkout has too.",
    )
