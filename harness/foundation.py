"""Which vertices are the base's: those that nothing of the project should ever reach. Pure.

The base is every stage that plays that role, and in the other stages that start from an image
what stands above the first instruction that takes something from the context or another stage.
"""

from __future__ import annotations

from harness import instructions
from harness.model import BuildObservation, Dockerfile, Instruction, Outcome, Stage, Vertex

BASE_NAMES = ("base", "toolchain", "rust", "sdk", "tools")
STEPS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})

Place = tuple[str | None, int | None]


def worked(seen: BuildObservation) -> list[Vertex]:
    """Return the vertices that did a step's work; FROM and internal ones do none."""
    return [
        vertex
        for vertex in seen.vertices
        if vertex.outcome is Outcome.EXECUTED
        and vertex.stage is not None
        and not vertex.name.partition("] ")[2].startswith("FROM ")
    ]


def base_stage(dockerfile: Dockerfile) -> Stage | None:
    """Return the stage that holds the toolchain and nothing of the project, if one is set apart."""
    return next((s for s in dockerfile.stages if (s.name or "").lower() in BASE_NAMES), None)


def foundation(dockerfile: Dockerfile) -> frozenset[Place]:
    """Return stage and position of each base vertex."""
    base = base_stage(dockerfile)
    names = {(stage.name or "").lower() for stage in dockerfile.stages} - {""}
    places: set[Place] = set()
    for stage in dockerfile.stages:
        if stage.base.lower() in names and stage is not base:
            continue
        steps = [i for i in stage.instructions if i.keyword in STEPS]
        for number, instruction in enumerate(steps, 2):
            if stage is not base and _takes(instruction):
                break
            places.add(((stage.name or f"stage-{stage.index}").lower(), number))
    return frozenset(places)


def _takes(instruction: Instruction) -> bool:
    """Whether an instruction takes files from the context or from elsewhere."""
    if instruction.keyword in {"COPY", "ADD"}:
        return True
    if instruction.keyword != "RUN":
        return False
    return any(mount.kind == "bind" for mount in instructions.mounts_of(instruction))
