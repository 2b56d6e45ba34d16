"""Which vertices are the base's and which the dependencies': places in a Dockerfile. Pure.

The base is what `roles` infers, and besides every step of a stage that is called so: who names a
stage `base` promises that the project does not reach it; breaking the promise must not hide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from harness.judging.positions import positions
from harness.model import Dockerfile, Instruction, Outcome, Stage, Vertex
from harness.parsing import instructions
from harness.structure import roles, sources, stagegraph
from harness.structure.roles import Role

BASE_NAMES = ("base", "toolchain")

Overrides = Mapping[str, str] | None
Place = tuple[str | None, int | None]


def worked(vertices: Iterable[Vertex]) -> list[Vertex]:
    """Return the vertices that did a step's work; FROM and internal ones do none."""
    return [
        vertex
        for vertex in vertices
        if vertex.outcome is Outcome.EXECUTED
        and vertex.stage is not None
        and not vertex.name.partition("] ")[2].startswith("FROM ")
    ]


def among(vertices: Iterable[Vertex], places: frozenset[Place]) -> list[Vertex]:
    """Return those of the vertices that stand at one of the places."""
    return [vertex for vertex in vertices if (vertex.stage, vertex.position) in places]


def base_stage(dockerfile: Dockerfile, overrides: Overrides = None) -> Stage | None:
    """Return the stage that holds the toolchain and nothing of the project, if one is set apart."""
    if overrides and Role.BASE.value in overrides:
        return roles.infer(dockerfile, overrides).stage(Role.BASE)
    named = (s for s in dockerfile.stages if (s.name or "").lower() in BASE_NAMES)
    inferred = roles.infer(dockerfile, overrides)
    alone = (s for s in inferred.having(Role.BASE) if inferred.of(s) == {Role.BASE})
    return next(named, None) or next(alone, None)


def foundation(dockerfile: Dockerfile, overrides: Overrides = None) -> frozenset[Place]:
    """Return stage and position of each base vertex."""
    base = base_stage(dockerfile, overrides)
    lines = roles.infer(dockerfile, overrides).lines
    return frozenset(
        place
        for stage, place, instruction in _steps(dockerfile)
        if stage is base or lines.get(instruction.line) is Role.BASE
    )


def dependencies(dockerfile: Dockerfile, overrides: Overrides = None) -> frozenset[Place]:
    """Return stage and position of each vertex that compiles dependencies or copies for that."""
    return _having(Role.DEPENDENCIES, dockerfile, overrides)


def compilation(dockerfile: Dockerfile, overrides: Overrides = None) -> frozenset[Place]:
    """Return stage and position of each vertex that compiles the project or copies for that."""
    return _having(Role.BUILD, dockerfile, overrides)


def _having(role: Role, dockerfile: Dockerfile, overrides: Overrides) -> frozenset[Place]:
    lines = roles.infer(dockerfile, overrides).lines
    return frozenset(
        place for _, place, instruction in _steps(dockerfile) if lines.get(instruction.line) is role
    )


def made_of_the_source(dockerfile: Dockerfile, overrides: Overrides = None) -> bool:
    """Whether dependencies are compiled from what another stage makes of the whole source.

    Such a skeleton (cargo-chef's recipe, a stand-in for each crate root) is another one when a
    program is added. Not where the Dockerfile declares what that stage's output depends on.
    """
    graph = stagegraph.of(dockerfile)
    lines = roles.infer(dockerfile, overrides).lines
    compiling = {
        stage.index
        for stage, _, instruction in _steps(dockerfile)
        if lines.get(instruction.line) is Role.DEPENDENCIES
    }
    others = {s for index in compiling for s in graph.reached_from(index) - {*graph.chain(index)}}
    undeclared = others - {declaration.stage for declaration in dockerfile.declarations}
    return any(step.brings_source for index in undeclared for step in graph.steps[index])


def keeps_compiled_crates(dockerfile: Dockerfile) -> bool:
    """Whether a step that compiles has a cache mount to keep crates in between builds."""
    return any(
        sources.keeps_compiled_crates(mount)
        for _, _, instruction in _steps(dockerfile)
        if instruction.keyword == "RUN" and "cargo" in instruction.value
        for mount in instructions.mounts_of(instruction)
    )


def _steps(dockerfile: Dockerfile) -> Iterator[tuple[Stage, Place, Instruction]]:
    """Yield every instruction that BuildKit numbers, with the place that it gives it."""
    known = positions(dockerfile)
    for stage in dockerfile.stages:
        for instruction in stage.instructions:
            if instruction.line in known:
                name, position = known[instruction.line]
                yield stage, (name.lower(), position), instruction
