"""Infers what each stage and each instruction of a Dockerfile is for, whatever it is called.

The graph of stages and the commands of their RUNs tell: where the project's source comes in, which
call compiles before it does, which one after. `layerproof.toml` may override what is inferred.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness.errors import UsageError
from harness.model import Dockerfile, Instruction, Stage
from harness.structure import stagegraph
from harness.structure.stagegraph import Graph, Step


class Role(enum.Enum):
    """What a stage, or an instruction within it, is for."""

    BASE = "base"
    PLANNER = "planner"
    DEPENDENCIES = "dependencies"
    BUILD = "build"
    RUNTIME = "runtime"
    PACKAGE = "package"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles of a Dockerfile's stages (by index) and instructions (by line).

    A stage may have several: cargo-chef's `builder` compiles dependencies and project, a
    single-stage file does everything. A role that no stage has is absent.
    """

    stages: tuple[frozenset[Role], ...]
    lines: Mapping[int, Role]
    dockerfile: Dockerfile = field(repr=False)

    def stage(self, role: Role) -> Stage | None:
        """Return the last stage that has `role`, one that has it alone before others; or None."""
        having = self.having(role)
        alone = [stage for stage in having if len(self.stages[stage.index]) == 1]
        return (alone or having or (None,))[-1]

    def having(self, role: Role) -> tuple[Stage, ...]:
        """Return the stages that have `role`, in order."""
        return tuple(s for s in self.dockerfile.stages if role in self.stages[s.index])

    def instructions(self, role: Role) -> tuple[Instruction, ...]:
        """Return the instructions that have `role`, in order."""
        return tuple(
            instruction
            for stage in self.dockerfile.stages
            for instruction in stage.instructions
            if self.lines.get(instruction.line) is role
        )

    def of(self, stage: Stage) -> frozenset[Role]:
        """Return the roles of `stage`."""
        return self.stages[stage.index]


_WITH_VERTEX: Final = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})


def infer(
    dockerfile: Dockerfile,
    overrides: Mapping[str, str] | None = None,
    *,
    graph: Graph | None = None,
) -> Roles:
    """Return the roles; `overrides` maps role names to the stage (name or number) that has them.

    `graph` spares making it anew where the caller has it.
    """
    graph = graph or stagegraph.of(dockerfile)
    main = _main_build(graph)
    stages: list[set[Role]] = [set() for _ in dockerfile.stages]
    lines: dict[int, Role] = {}
    if main is not None:
        for step, role in _roles_along(graph, main):
            lines[step.instruction.line] = role
            if step.instruction.keyword in _WITH_VERTEX:
                stages[step.stage].add(role)
        for index in graph.chain(main):
            if not stages[index]:
                stages[index].add(Role.BASE)
    for index in _runtimes(graph, main):
        stages[index].add(Role.RUNTIME)
    package = _package(graph, main)
    if package is not None:
        stages[package].add(Role.PACKAGE)
    _name_the_rest(graph, main, stages)
    _override(dockerfile, overrides or {}, stages, lines)
    for stage in dockerfile.stages:
        one = next(iter(stages[stage.index]), Role.OTHER)
        for instruction in stage.instructions:
            lines.setdefault(instruction.line, one)
    return Roles(tuple(frozenset(s or {Role.OTHER}) for s in stages), lines, dockerfile)


def _override(
    dockerfile: Dockerfile,
    overrides: Mapping[str, str],
    stages: list[set[Role]],
    lines: dict[int, Role],
) -> None:
    """Give each named role to the one stage it is said to have, in place."""
    for name, stage_name in overrides.items():
        stage = dockerfile.stage(stage_name)
        if stage is None:
            known = ", ".join(s.name or str(s.index) for s in dockerfile.stages)
            raise UsageError(
                f"role {name!r} is given to {stage_name!r}, which is no stage of {dockerfile.path}",
                context=(f"expected one of: {known}",),
            )
        role = Role(name)
        for others in stages:
            others.discard(role)
        stages[stage.index].add(role)
        if role in (Role.BASE, Role.DEPENDENCIES, Role.BUILD):
            lines.update((i.line, role) for i in stage.instructions)


def _main_build(graph: Graph) -> int | None:
    """Return the stage whose compile makes the artifact: reached by the last stages, else any."""
    compiling = [
        s.index
        for s in graph.dockerfile.stages
        if any(step.compiles and step.has_source for step in graph.steps[s.index])
    ]
    for stage in reversed(graph.dockerfile.stages):
        reachable = [c for c in compiling if c in graph.reached_from(stage.index)]
        if reachable:
            return reachable[-1]
    fallback = [
        s.index for s in graph.dockerfile.stages if any(p.compiles for p in graph.steps[s.index])
    ]
    return fallback[-1] if fallback else None


def _roles_along(graph: Graph, main: int) -> list[tuple[Step, Role]]:
    """Return each step of the chain that ends in the main build, with its role."""
    steps = graph.compiling_along(main)
    first_input = next((n for n, s in enumerate(steps) if s.reads_project), len(steps))
    last_dependency = _last_dependency(graph, steps)
    roles = []
    for number, step in enumerate(steps):
        if number <= last_dependency:
            role = Role.BASE if number < first_input else Role.DEPENDENCIES
        else:
            role = Role.BASE if number < first_input else Role.BUILD
        roles.append((step, role))
    return roles


def _last_dependency(graph: Graph, steps: Sequence[Step]) -> int:
    """Return the number of the step that compiles the last of the dependencies; -1 if none does.

    What compiles with more of the project than was there before, be it what another stage made of
    it, compiles the project; but for cargo-chef, which says what it does.
    """
    last = -1
    for number, step in enumerate(steps):
        if last >= 0 and any(_hands_on(graph, source) for source in step.from_stages):
            break
        if step.compiles_dependencies:
            last = number
    cooks = (n for n, s in enumerate(steps) if any(c.verb == "chef cook" for c in s.compiled))
    return max(last, *cooks, -1)


def _hands_on(graph: Graph, index: int) -> bool:
    """Return whether a stage holds something of the project, and nothing compiled."""
    compiled = (s.compiles for stage in graph.reached_from(index) for s in graph.steps[stage])
    return graph.reads_project(index) and not any(compiled)


def _runtimes(graph: Graph, main: int | None) -> list[int]:
    """Return the stages that are made to be run and hold what the main build made.

    Nothing builds upon them. The last stage of the file is one even if it compiles itself, or
    takes what it ships from a stage that it should not.
    """
    last = len(graph.dockerfile.stages) - 1
    found = []
    for stage in graph.dockerfile.stages:
        index = stage.index
        reached = graph.reached_from(index)
        if graph.derived(index) or graph.is_export(index) or graph.only_checks(index, main):
            continue
        used = graph.users(index) and index != last
        if (main is None or main in reached) and not used and (index != main or index == last):
            found.append(index)
    if not found and main is not None and main not in graph.chain(last):
        found = [] if graph.is_export(last) else [last]
    return found


def _package(graph: Graph, main: int | None) -> int | None:
    """Return the last stage that only carries files out: from scratch, without a command."""
    for stage in reversed(graph.dockerfile.stages):
        if graph.is_export(stage.index) and main in graph.reached_from(stage.index):
            return stage.index
    return None


def _name_the_rest(graph: Graph, main: int | None, stages: list[set[Role]]) -> None:
    """Name what feeds the main build, and what the runtime builds upon.

    A stage that reads the project and feeds the compiling chain is a planner, and so is one that
    does and feeds a planner.
    """
    if main is None:
        return
    for step in graph.compiling_along(main):
        for source in step.from_stages:
            if not stages[source] and graph.reads_project(source):
                stages[source].add(Role.PLANNER)
    for index in graph.reached_from(main):
        reads = any(step.reads_project for step in graph.steps[index])
        stages[index] = stages[index] or {Role.PLANNER if reads else Role.BASE}
    for runtime in [n for n, found in enumerate(stages) if Role.RUNTIME in found]:
        for index in graph.chain(runtime):
            stages[index] = stages[index] or {Role.RUNTIME}
