"""Builds a series of states on an engine and lines up what was predicted with what happened.

The builds of the series are all the history there is (`workshop` sees to that). Nothing is
exported. It returns findings; whether one is a fault of the model or of the engine is for the
caller to say.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import commands, process, progress
from harness.cache import Cache, PlacedPrediction
from harness.engine import Engine
from harness.judging.positions import positions, stage_name
from harness.keys.context import of_directory
from harness.keys.evaluate import BuildState
from harness.keys.plan import ImageFacts
from harness.keys.quirks import ALL, Quirks, Rules
from harness.model import Outcome, Vertex
from harness.running.workshop import Inputs, Workshop

BUILD_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Built:
    """One build: its inputs as they lay on disk, and what the engine reported.

    `error` is None when the build succeeded.
    """

    inputs: Inputs
    context: Path
    dockerfile_path: Path
    vertices: tuple[Vertex, ...]
    error: str | None


class Verdict(enum.Enum):
    """What the comparison of one vertex says."""

    AGREED = "agreed"
    UNKNOWN = "unknown"
    DISAGREED = "disagreed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One vertex of one build: predicted and observed, None where one of the two has none."""

    line: int
    vertex: str
    predicted: Outcome | None
    observed: Outcome | None
    verdict: Verdict
    because: str = ""

    def __str__(self) -> str:
        said = self.predicted.value if self.predicted else "nothing"
        saw = self.observed.value if self.observed else "nothing"
        return f"line {self.line}: {self.vertex}: predicted {said}, observed {saw}{self.because}"


def build(engine: Engine, workshop: Workshop, wanted: Inputs) -> Built:
    """Put `wanted` on disk and build it; a build that fails is returned like any other."""
    path = workshop.put(wanted)
    argv = commands.buildx_build(
        engine.buildx, context=workshop.context, dockerfile=path, options=wanted.options
    )
    exported = (*argv[:-2], "--network=none", "--output=type=cacheonly", *argv[-2:])
    result = process.run(exported, limit=BUILD_SECONDS, env=engine.environment)
    error = None if result.status == 0 else progress.words(result.err) or f"{result.status}"
    return Built(wanted, workshop.context, path, progress.decode(result.err), error)


def state_of(built: Built, images: Mapping[str, ImageFacts]) -> BuildState:
    """Return what the model is told of a build: the parsed Dockerfile, and the files on disk."""
    beside = built.dockerfile_path.with_name("Dockerfile.dockerignore")
    return BuildState(
        dockerfile=built.inputs.dockerfile,
        context=of_directory(built.context),
        options=replace(built.inputs.options, network="none"),
        images=images,
        ignore=beside.read_text() if beside.exists() else None,
    )


def judge(
    engine: Engine,
    steps: Sequence[Inputs],
    workshop: Workshop,
    images: Mapping[str, ImageFacts],
    *,
    quirks: Quirks = ALL,
) -> Iterator[tuple[Built, tuple[Finding, ...]]]:
    """Build every step and yield it with its findings; ends after a build that fails.

    A failed build leaves in the engine's cache what it had done by then, which nobody can tell:
    nothing after it can be predicted.
    """
    cache = Cache(quirks=quirks, rules=Rules.of_engine(engine.version))
    for wanted in steps:
        built = build(engine, workshop, wanted)
        if built.error is not None:
            yield built, ()
            return
        state = state_of(built, images)
        predicted = cache.predict(state)
        cache.build(state)
        yield built, compare(built, predicted)


# --- Lining up ---------------------------------------------------------------------------------


def compare(built: Built, predicted: Sequence[PlacedPrediction]) -> tuple[Finding, ...]:
    """Return a finding per vertex of a build that succeeded.

    A step that several stages share is one vertex, reported under the name of any of them. One
    that is reported and not predicted, or under two names, is a disagreement too.
    """
    truth = positions(built.inputs.dockerfile)
    observed = reported(built)
    left = {line: observed[place] for line, place in truth.items() if place in observed}
    findings = []
    for each in predicted:
        vertex = each.prediction
        lines = [place.line for place in each.step.places if place.line in truth]
        if not lines:
            continue
        seen = [left.pop(line) for line in lines if line in left]
        outcome = seen[0].outcome if seen else None
        because = "".join(f"; {cause.text}" for cause in vertex.because)
        name = f"{truth[lines[0]]} {vertex.instruction}"
        verdict = _verdict(vertex.prediction, outcome) if len(seen) < 2 else Verdict.DISAGREED
        findings.append(Finding(lines[0], name, vertex.prediction, outcome, verdict, because))
    for line, other in left.items():
        findings.append(Finding(line, other.name, None, other.outcome, Verdict.DISAGREED))
    return tuple(findings)


def reported(built: Built) -> dict[tuple[str, int], Vertex]:
    """Return the reported vertices of steps by stage and position.

    A lone stage is named when a mount or a COPY brings in another image or scratch, and is not
    when there is none.
    """
    dockerfile = built.inputs.dockerfile
    lone = stage_name(dockerfile.stages[0], dockerfile) if len(dockerfile.stages) == 1 else None
    return {
        (lone or v.stage, v.position): v
        for v in built.vertices
        if v.stage is not None and v.position is not None and "] FROM " not in v.name
    }


def _verdict(predicted: Outcome, observed: Outcome | None) -> Verdict:
    if predicted is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.AGREED if predicted is observed else Verdict.DISAGREED
