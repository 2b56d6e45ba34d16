"""Where BuildKit numbers an instruction: from `[stage i/n]` of a vertex to a line, and back. Pure.

Measured on engines 20.10 and 26.1: the differential tests compare these positions with what an
engine reports.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from harness import progress
from harness.model import Dockerfile, Stage
from harness.structure import stagegraph

SCRATCH = "scratch"
VERTEX_KEYWORDS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})


def positions(dockerfile: Dockerfile) -> dict[int, tuple[str, int]]:
    """Return BuildKit's stage name and position for each line whose fate can be witnessed.

    Neither FROM scratch, FROM of a stage nor a WORKDIR that leads to `/` takes a position. Left
    out is a WORKDIR on scratch: a vertex without inputs is reported as run whenever its key is
    asked for (`sharedOp.CacheMap`), whether or not it then runs.
    """
    found: dict[int, tuple[str, int]] = {}
    graph = stagegraph.of(dockerfile)
    earlier: dict[int, _Place] = {}
    for stage in dockerfile.stages:
        upon, image = graph.parents[stage.index], graph.bases[stage.index]
        place = _Place(image != SCRATCH, "/") if upon is None else earlier[upon]
        position = 1 if upon is None and image != SCRATCH else 0
        position += place.triggers
        place = _Place(place.has_input or place.triggers > 0, place.directory)
        name = stage_name(stage, dockerfile)
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
        earlier[stage.index] = replace(place, triggers=triggers)
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a stage stands: whether its next step has an input, and its working directory.

    `triggers` counts the vertices that its ONBUILDs put at the beginning of a stage upon it.
    """

    has_input: bool
    directory: str
    triggers: int = 0


def stage_name(stage: Stage, dockerfile: Dockerfile) -> str:
    """Return the stage's name in vertex names; progress calls a lone stage as if unnamed."""
    if len(dockerfile.stages) == 1:
        return progress.UNNAMED_STAGE
    return stage.name or f"stage-{stage.index}"


def _joined(directory: str, value: str) -> str:
    return value if value.startswith("/") else f"{directory.rstrip('/')}/{value}"
