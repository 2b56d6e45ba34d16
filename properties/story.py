"""What several properties share: builds judged as a story goes on, and why a step ran again."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence

from hypothesis import currently_in_test_context, event
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness.errors import LayerProofError
from harness.generated import checkouts
from harness.generated.checkouts import Checkout
from harness.judging.foundation import worked
from harness.judging.judge import Judge
from harness.judging.report import Row, failed, line_of, shown, why_it_failed
from harness.model import BuildObservation, EditClass, Outcome, Vertex
from harness.running.scripted import BUILD_LAMBDA, Scripted, ScriptRun
from harness.scenario import Workspace
from harness.strategies import Plan, State, blueprints, plans
from harness.structure.rules import Finding
from harness.subject import Subject


def any_plan(
    subject: Subject,
    classes: Sequence[EditClass],
    *,
    least: int = 1,
    most: int = 4,
    dependencies: int = 2,
) -> SearchStrategy[Plan[State]]:
    """Return plans for the subject: of the project given, else of generated ones."""
    start = checkout_of(subject)
    if start is not None:
        fitting = [c for c in classes if c in checkouts.CLASSES]
        return plans(start=st.just(start), classes=fitting, least=least, most=most)
    generated = blueprints(shape=subject.shape, binary=subject.binary, dependencies=dependencies)
    one_program = () if subject.takes_by_name else (EditClass.BIN_ADD,)
    fitting = [c for c in classes if c not in one_program]
    return plans(start=generated, classes=fitting, least=least, most=most)


def checkout_of(subject: Subject) -> Checkout | None:
    """Return the project under test as it is; None where generated ones are."""
    if subject.project is None:
        return None
    return checkouts.load(subject.project, binary=subject.binary, folder=subject.project_folder)


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
        lines=lines_of(failed(seen), judge),
        hint="A project of this shape does not build with this Dockerfile: see the log.",
    )


def expect_script(
    scripts: Scripted,
    words: Sequence[str],
    story: Sequence[str],
    judge: Judge,
    *,
    flags: str | None = None,
) -> ScriptRun:
    """Call build-lambda.sh (with CARGO_FLAGS), which has to succeed; return the run, noted."""
    seen = scripts.run_noting(BUILD_LAMBDA, *words, flags=flags)
    finding = f"`build-lambda.sh {' '.join(words)}` failed."
    judge(finding, holds=seen.status == 0, scenario=story, log=seen.log)
    return seen


def expect_failure(
    finding: str, scripts: Scripted, words: Sequence[str], story: list[str], judge: Judge
) -> None:
    """Call build-lambda.sh, which has to fail; the call is added to the story."""
    story.append(shlex.join((BUILD_LAMBDA, *words)))
    seen = scripts.run(BUILD_LAMBDA, *words)
    judge(
        finding,
        holds=seen.status != 0,
        scenario=story,
        rows=[Row("exit status", "not 0", "not 0" if seen.status else "0")],
        log=seen.log,
    )


def expect_no_finding(
    finding: str, rules: Collection[str], found: Iterable[Finding], judge: Judge
) -> None:
    """None of these structure rules finds anything; no build is needed to know."""
    broken = [each for each in found if each.rule in rules]
    judge(
        finding,
        holds=not broken,
        scenario=["the Dockerfile and its ignore file, read"],
        lines=[each.line for each in broken],
        because=[f"{each.message}: {each.why}" for each in broken],
        hint=broken[0].instead if broken else None,
    )


def expect_cached(
    finding: str,
    ran: Sequence[Vertex],
    story: Sequence[str],
    judge: Judge,
    workspace: Workspace,
    *,
    hint: str | None = None,
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
        hint=hint,
    )


def expect_predicted(
    seen: BuildObservation, story: Sequence[str], judge: Judge, workspace: Workspace
) -> None:
    """Nothing is executed that the cache model predicts to be cached.

    That is how a false `depends-on` declaration is found: the model believes it, the engine does
    not. What the model cannot say is counted and not judged.
    """
    try:
        predicted = {p.line: p for p in workspace.predictions() if p.prediction is Outcome.CACHED}
    except LayerProofError:
        count("the cache model cannot say")
        return
    ran = [v for v in worked(seen.vertices) if line_of(judge.dockerfile, v) in predicted]
    declared = [d.line for d in judge.dockerfile.declarations]
    judge(
        "The engine executed what the cache model predicts to be cached.",
        holds=not ran,
        scenario=story,
        rows=[Row(vertex.name, "cached", shown(vertex.outcome)) for vertex in ran],
        lines=[*lines_of(ran, judge), *declared],
        hint="A `depends-on` declaration leaves out what the last edit changed, or a step above "
        "writes something else each time it runs.",
    )


def lines_of(vertices: Iterable[Vertex], judge: Judge) -> list[int]:
    """Return the Dockerfile lines of some vertices."""
    found = (line_of(judge.dockerfile, vertex) for vertex in vertices)
    return [line for line in found if line is not None]
