"""What P1 and P5 share: builds judged as a story goes on, with the cache model's reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import currently_in_test_context, event
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness.generated import checkouts
from harness.judging.judge import Judge
from harness.judging.report import Row, line_of, shown, why_it_failed
from harness.model import BuildObservation, EditClass, Vertex
from harness.scenario import Workspace
from harness.strategies import Plan, State, blueprints, plans
from harness.subject import Subject


def any_plan(subject: Subject, classes: Sequence[EditClass], most: int = 4) -> SearchStrategy[Plan]:
    """Return plans for the subject: of the project given, else of generated ones."""
    if subject.project is not None:
        start: SearchStrategy[State] = st.just(checkouts.load(subject.project))
        fitting = [c for c in classes if c in checkouts.CLASSES]
        return plans(start=start, classes=fitting, most=most)
    generated = blueprints(shape=subject.shape, binary=subject.binary)
    return plans(start=generated, classes=classes, most=most)


def count(what: str) -> None:
    """Count a kind of case in Hypothesis's statistics; outside of a generated test do nothing."""
    if currently_in_test_context():
        event(what)


def expect_success(seen: BuildObservation, story: Sequence[str], judge: Judge) -> None:
    """A generated project that does not build is the Dockerfile's fault, and said so."""
    judge(
        "The build failed.",
        holds=seen.succeeded,
        scenario=story,
        log=why_it_failed(seen),
        lines=lines_of([v for v in seen.vertices if v.error], judge),
        hint="A project of this shape does not build with this Dockerfile: see the log.",
    )


def expect_cached(
    finding: str,
    ran: Sequence[Vertex],
    story: Sequence[str],
    judge: Judge,
    workspace: Workspace,
) -> None:
    """None of these vertices may have been executed; the model says why each was."""
    lines = lines_of(ran, judge)
    judge(
        finding,
        holds=not ran,
        scenario=story,
        rows=[Row(vertex.name, "cached", shown(vertex.outcome)) for vertex in ran],
        lines=lines,
        because=workspace.reasons(lines) if ran else (),
    )


def lines_of(vertices: Iterable[Vertex], judge: Judge) -> list[int]:
    """Return the Dockerfile lines of some vertices."""
    found = (line_of(judge.dockerfile, vertex) for vertex in vertices)
    return [line for line in found if line is not None]
