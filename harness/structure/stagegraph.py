"""The graph of a Dockerfile's stages, and what each instruction reads, compiles and leaves behind.

Facts only, on which `roles` and the structure checks agree: which stage builds on which, where the
project's source is present, what a RUN's commands are. Names and meanings are `roles`' business.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.dockerfile import trigger_of
from harness.errors import ExpansionError
from harness.model import Dockerfile, Instruction, Mount, Stage
from harness.parsing import expansion, instructions
from harness.structure import compiles, shell, sources
from harness.structure.compiles import Compile
from harness.structure.shell import Command

_LEAVING_SOURCE: Final = frozenset({"cargo", "set", "cd", "mkdir", "echo", "ls", "cat"})
_VARIABLE: Final = re.compile(r"\$\w+|\$\{[^}]*\}")
_URL: Final = re.compile(r"(https?|git|ssh)://|git@")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction in the chain it stands in.

    `copied` are the context paths it brings in, `from_stages` the stages it reads. `has_source`
    tells whether the project's source is there while it runs, `compiled` what it compiles.
    """

    stage: int
    instruction: Instruction
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"
    copied: tuple[str, ...] = ()
    destination: str | None = None
    from_stages: tuple[int, ...] = ()
    brings_source: bool = False
    has_source: bool = False
    reads_project: bool = False
    commands: tuple[Command, ...] = ()
    compiled: tuple[Compile, ...] = ()
    mounts: tuple[Mount, ...] = ()

    @property
    def mounted(self) -> tuple[str, ...]:
        """Return the context paths that it mounts."""
        return tuple(m.source or "." for m in self.mounts if m.kind == "bind" and not m.from_stage)

    @property
    def compiles(self) -> bool:
        """Return whether it compiles anything of the project or its dependencies."""
        return bool(self.compiled)

    @property
    def compiles_dependencies(self) -> bool:
        """Return whether it compiles dependencies apart from the project."""
        return any(c.verb == "chef cook" for c in self.compiled) or (
            self.compiles and not self.has_source
        )

    @property
    def builds(self) -> bool:
        """Return whether it compiles the project itself."""
        return self.has_source and any(c.verb != "chef cook" for c in self.compiled)


@dataclass(frozen=True, slots=True)
class Graph:
    """The stages' steps and relations. Stages are named by index."""

    dockerfile: Dockerfile
    parents: tuple[int | None, ...]
    bases: tuple[str, ...]
    steps: tuple[tuple[Step, ...], ...]

    def chain(self, index: int) -> tuple[int, ...]:
        """Return the stages that `index` builds upon by FROM, root first, itself last."""
        found = [index]
        while (parent := self.parents[found[0]]) is not None:
            found.insert(0, parent)
        return tuple(found)

    def steps_along(self, index: int) -> tuple[Step, ...]:
        """Return the steps of the whole chain that ends in `index`, in order."""
        return tuple(step for stage in self.chain(index) for step in self.steps[stage])

    def compiling_along(self, index: int) -> tuple[Step, ...]:
        """Return the steps of the chain that ends in `index`, those of a dependency stage included.

        Where the chain copies in what another stage compiled before the source, that stage's own
        steps stand in front of those of `index`.
        """
        chain = self.chain(index)
        others: list[int] = []
        for step in self.steps[index]:
            for source in step.from_stages if step.destination else ():
                whole = self.steps_along(source)
                apart = any(s.compiles_dependencies for s in whole)
                if apart and not any(s.builds for s in whole):
                    others += [s for s in self.chain(source) if s not in (*chain, *others)]
        order = (*chain[:-1], *others, index)
        return tuple(step for stage in order for step in self.steps[stage])

    def base_image(self, index: int) -> str:
        """Return the image at the root of the chain, variables expanded by their defaults."""
        return self.bases[self.chain(index)[0]]

    def reached_from(self, index: int) -> frozenset[int]:
        """Return the stages that a build of `index` needs, itself included."""
        found: set[int] = set()
        pending = [index]
        while pending:
            current = pending.pop()
            if current not in found:
                found.add(current)
                parent = self.parents[current]
                pending += [] if parent is None else [parent]
                pending += [s for step in self.steps[current] for s in step.from_stages]
        return frozenset(found)

    def derived(self, index: int) -> tuple[Stage, ...]:
        """Return the stages that build upon `index` by FROM, or do with another value of an ARG."""
        name = self.dockerfile.stages[index].name or ""
        return tuple(
            stage
            for stage in self.dockerfile.stages
            if self.parents[stage.index] == index
            or (stage.index > index and _may_mean(stage.base, name))
        )

    def users(self, index: int) -> tuple[Stage, ...]:
        """Return the other stages that need `index`."""
        return tuple(
            s
            for s in self.dockerfile.stages
            if s.index != index and index in self.reached_from(s.index)
        )

    def is_export(self, index: int) -> bool:
        """Return whether the stage only carries files: from scratch, and nothing to run."""
        return self.base_image(index) == "scratch" and not any(
            step.instruction.keyword in ("ENTRYPOINT", "CMD", "RUN")
            for step in self.steps_along(index)
        )

    def only_checks(self, index: int, main: int | None) -> bool:
        """Return whether a stage on top of the main build only tests or lints: nothing uses it."""
        return (
            main is not None
            and index != main
            and main in self.chain(index)
            and len(self.dockerfile.stages) - 1 != index
        )

    def reads_project(self, index: int) -> bool:
        """Return whether the stage or one it needs reads the build context."""
        return any(step.reads_project for s in self.reached_from(index) for step in self.steps[s])


def of(dockerfile: Dockerfile) -> Graph:
    """Return the graph of `dockerfile`."""
    defaults = _defaults(dockerfile)
    parents: list[int | None] = []
    bases: list[str] = []
    for stage in dockerfile.stages:
        base = expanded(stage.base, defaults, dockerfile.escape)
        parent = next(
            (s.index for s in reversed(dockerfile.stages[: stage.index]) if s.name == base.lower()),
            None,
        )
        parents.append(parent)
        bases.append(base)
    walker = _Walker(dockerfile, defaults)
    for stage in dockerfile.stages:
        walker.walk(stage, parents[stage.index])
    return Graph(dockerfile, tuple(parents), tuple(bases), tuple(walker.steps))


def _may_mean(base: str, name: str) -> bool:
    """Return whether a FROM that is a name in part, as `run-$KIND`, may mean a stage."""
    parts = _VARIABLE.split(base)
    pattern = ".+".join(map(re.escape, parts))
    return len(parts) > 1 and any(parts) and re.fullmatch(pattern, name) is not None


def expanded(word: str, variables: Mapping[str, str], escape: str) -> str:
    """Return `word` expanded, or as written where that fails."""
    try:
        return expansion.expand(word, variables, escape=escape)
    except ExpansionError:
        return word


def _defaults(dockerfile: Dockerfile) -> dict[str, str]:
    values: dict[str, str] = {}
    for instruction in dockerfile.global_args:
        for name, value in instructions.assignments(instruction, escape=dockerfile.escape):
            if value is not None:
                values[name] = expanded(value, values, dockerfile.escape)
    return values


@dataclass(slots=True)
class _State:
    """What holds at a point of a stage."""

    environment: dict[str, str] = field(default_factory=dict)
    directory: str = "/"
    shell: tuple[str, ...] = ()
    has_source: bool = False
    source_at: tuple[str, ...] = ()
    ran_since_source: bool = False

    def copy(self) -> _State:
        return _State(
            dict(self.environment),
            self.directory,
            self.shell,
            self.has_source,
            self.source_at,
            self.ran_since_source,
        )


class _Walker:
    """Walks the stages in order and notes the steps of each."""

    def __init__(self, dockerfile: Dockerfile, defaults: dict[str, str]) -> None:
        self.dockerfile = dockerfile
        self.defaults = defaults
        self.steps: list[tuple[Step, ...]] = []
        self.ends: list[_State] = []
        self.reading: list[bool] = []

    def walk(self, stage: Stage, parent: int | None) -> None:
        state = _State() if parent is None else self.ends[parent].copy()
        begun = self.triggers(parent) if parent is not None else []
        todo = (*begun, *stage.instructions)
        self.steps.append(tuple(self.visit(stage, each, state) for each in todo))
        self.ends.append(state)
        above = parent is not None and self.reading[parent]
        self.reading.append(above or any(step.reads_project for step in self.steps[-1]))

    def triggers(self, parent: int) -> list[Instruction]:
        """Return what the ONBUILDs of a stage put at the beginning of one upon it."""
        waiting = (i for i in self.dockerfile.stages[parent].instructions if i.keyword == "ONBUILD")
        return [trigger_of(each, escape=self.dockerfile.escape) for each in waiting]

    def visit(self, stage: Stage, instruction: Instruction, state: _State) -> Step:
        keyword = instruction.keyword
        if keyword in ("ARG", "ENV"):
            self.assign(instruction, state)
        elif keyword == "WORKDIR":
            state.directory = self.path(instruction.value, state)
        elif keyword == "SHELL":
            state.shell = instruction.words or ()
        elif keyword in ("COPY", "ADD"):
            return self.transfer(stage, instruction, state)
        elif keyword == "RUN":
            return self.run(stage, instruction, state)
        return Step(stage.index, instruction, dict(state.environment), state.directory)

    def assign(self, instruction: Instruction, state: _State) -> None:
        for name, value in instructions.assignments(instruction, escape=self.dockerfile.escape):
            if value is None:
                if name in self.defaults:
                    state.environment[name] = self.defaults[name]
            else:
                escape = self.dockerfile.escape
                state.environment[name] = expanded(value, state.environment, escape)

    def path(self, text: str, state: _State) -> str:
        text = expanded(text, state.environment, self.dockerfile.escape)
        return posixpath.normpath(posixpath.join(state.directory, text))

    def transfer(self, stage: Stage, instruction: Instruction, state: _State) -> Step:
        transfer = instructions.transfer_of(instruction)
        destination = self.path(transfer.destination, state)
        name = instruction.flag("from")
        source = self.dockerfile.stage(name) if name else None
        copied = tuple(s for s in transfer.sources if not _URL.match(s)) if not name else ()
        inside = f"{destination}/".startswith(state.directory.rstrip("/") + "/")
        brings = any(sources.is_source(path, inside=inside) for path in copied)
        if source is not None:
            brings = any(self.is_source_of(source.index, path) for path in transfer.sources)
        if brings:
            state.has_source, state.ran_since_source = True, False
            state.source_at = (*state.source_at, destination)
        return Step(
            stage.index,
            instruction,
            dict(state.environment),
            state.directory,
            copied=copied,
            destination=destination,
            from_stages=() if source is None else (source.index,),
            brings_source=brings,
            has_source=state.has_source,
            reads_project=bool(copied) or (source is not None and self.reads(source.index)),
        )

    def is_source_of(self, index: int, path: str) -> bool:
        """Return whether `path` of a finished stage is the source as the context has it."""
        end = self.ends[index]
        if end.ran_since_source or sources.is_manifest(path):
            return False
        whole = posixpath.normpath(posixpath.join(end.directory, path))
        if posixpath.splitext(whole)[1] not in ("", ".rs"):
            return False
        return any(
            f"{at}/".startswith(f"{whole.rstrip('/')}/") or whole.startswith(f"{at.rstrip('/')}/")
            for at in end.source_at
        )

    def reads(self, index: int) -> bool:
        """Return whether a finished stage, or one that it builds upon, reads the project."""
        return self.reading[index]

    def run(self, stage: Stage, instruction: Instruction, state: _State) -> Step:
        mounts = instructions.mounts_of(instruction)
        from_stages = []
        brings = False
        reads = False
        for mount in mounts:
            if mount.kind != "bind":
                source = None
            elif mount.from_stage is None:
                brings = brings or sources.is_source(mount.source or ".")
                reads = True
                source = None
            else:
                source = self.dockerfile.stage(mount.from_stage)
            if source is not None:
                from_stages.append(source.index)
                brings = brings or self.is_source_of(source.index, mount.source or "/")
                reads = reads or self.reads(source.index)
        commands = shell.commands_of(instruction, state.shell)
        compiled = compiles.find(commands, state.environment)
        if any(c.program == "git" and "clone" in c.words for c in commands):
            state.has_source = reads = True
        if any(command.program not in _LEAVING_SOURCE for command in commands):
            state.ran_since_source = True
        return Step(
            stage.index,
            instruction,
            dict(state.environment),
            state.directory,
            from_stages=tuple(from_stages),
            brings_source=brings,
            has_source=state.has_source or brings,
            reads_project=reads,
            commands=commands,
            compiled=compiled,
            mounts=mounts,
        )
