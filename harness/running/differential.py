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
from harness.generated.recipe import VERTEX_KEYWORDS
from harness.keys.context import of_directory
from harness.keys.evaluate import BuildState
from harness.keys.plan import ImageFacts
from harness.keys.quirks import ALL, Quirks, Rules
from harness.model import Dockerfile, Outcome, Stage, Vertex
from harness.running.workshop import Inputs, Workshop

BUILD_SECONDS = 120.0
SCRATCH = "scratch"


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


def names(truth: Dockerfile) -> dict[int, tuple[str, int]]:
    """Return BuildKit's stage name and position for each line whose fate can be witnessed.

    Neither FROM scratch, FROM of a stage nor a WORKDIR that leads to `/` takes a position. Left
    out is a WORKDIR on scratch: a vertex without inputs is reported as run whenever its key is
    asked for (`sharedOp.CacheMap`), whether or not it then runs.
    """
    found: dict[int, tuple[str, int]] = {}
    earlier: dict[str, _Place] = {}
    for stage in truth.stages:
        place = earlier.get(stage.base, _Place(stage.base != SCRATCH, "/"))
        position = 0 if stage.base in earlier or stage.base == SCRATCH else 1
        position += place.triggers
        place = _Place(place.has_input or place.triggers > 0, place.directory)
        name = _name(stage, truth)
        triggers = 0
        for step in stage.instructions:
            triggers += step.keyword == "ONBUILD" and step.value.startswith("WORKDIR")
            if step.keyword == "WORKDIR":
                place = _Place(place.has_input, _joined(place.directory, step.value))
                if place.directory == "/":
                    continue
            if step.keyword not in VERTEX_KEYWORDS:
                continue
            position += 1
            if place.has_input or step.keyword != "WORKDIR":
                found[step.line] = (name, position)
            place = _Place(True, place.directory)
        earlier[stage.name or name] = replace(place, triggers=triggers)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stage stands: whether its next step has an input, and its working directory.

    `triggers` counts the vertices that its ONBUILDs put at the beginning of a stage upon it.
    """

    has_input: bool
    directory: str
    triggers: int = 0


def _name(stage: Stage, truth: Dockerfile) -> str:
    """Return the stage's name in vertex names; progress calls a lone stage as if unnamed."""
    if len(truth.stages) == 1:
        return progress.UNNAMED_STAGE
    return stage.name or f"stage-{stage.index}"


def _joined(directory: str, value: str) -> str:
    return value if value.startswith("/") else f"{directory.rstrip('/')}/{value}"


def compare(built: Built, predicted: Sequence[PlacedPrediction]) -> tuple[Finding, ...]:
    """Return a finding per vertex of a build that succeeded.

    A step that several stages share is one vertex, reported under the name of any of them. One
    that is reported and not predicted, or under two names, is a disagreement too.
    """
    truth = names(built.inputs.dockerfile)
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
    lone = _name(dockerfile.stages[0], dockerfile) if len(dockerfile.stages) == 1 else None
    return {
        (lone or v.stage, v.position): v
        for v in built.vertices
        if v.stage is not None and v.position is not None and "] FROM " not in v.name
    }


def _verdict(predicted: Outcome, observed: Outcome | None) -> Verdict:
    if predicted is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.AGREED if predicted is observed else Verdict.DISAGREED
