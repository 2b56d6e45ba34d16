"""The state of a stage while its instructions are followed, and the vertices found so far."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.keys.plan import (
    EnvValue,
    ImageFacts,
    Input,
    Place,
    Plan,
    PlannedVertex,
    Source,
    Write,
)
from harness.keys.quirks import Rules
from harness.model import Instruction, Stage

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
SourceOf = Callable[[str], Source]
Parts = tuple[tuple[str, object], ...]


@dataclass(slots=True)
class StageState:
    """What the next instruction of a stage finds: environment, directory, user, shell, vertex.

    `env` is the build's environment, ARGs included, in the order of the key; `image_env` is that
    of the image, from which a child stage starts.
    """

    stage: Stage
    name: str
    shown: str
    ignore_cache: bool
    platform: str
    global_args: Mapping[str, str | None]
    build_args: Mapping[str, str]
    vertex: int | None = None
    env: dict[str, EnvValue] = field(default_factory=dict)
    image_env: dict[str, EnvValue] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    shell: tuple[str, ...] = DEFAULT_SHELL
    onbuild: tuple[str, ...] = ()
    total: int = 0
    position: int = 0
    inherits_unknown: bool = False

    def inherit(self, facts: ImageFacts) -> None:
        """Take over the configuration of a base image."""
        for name, value in facts.env:
            self.image_env[name] = EnvValue(value, "FROM", self.stage.line)
        self.workdir = facts.workdir or "/"
        self.user = facts.user
        self.shell = facts.shell or DEFAULT_SHELL
        self.onbuild = facts.onbuild
        self._begin()

    def child(self, *, stage: Stage, name: str, shown: str, ignore_cache: bool) -> StageState:
        """Return the state in which a stage begins that is built FROM this one."""
        state = StageState(
            stage=stage,
            name=name,
            shown=shown,
            ignore_cache=ignore_cache,
            platform=self.platform,
            global_args=self.global_args,
            build_args=self.build_args,
            vertex=self.vertex,
            env=dict(self.env),
            image_env=dict(self.image_env),
            workdir=self.workdir,
            user=self.user,
            shell=self.shell,
            onbuild=self.onbuild,
            inherits_unknown=self.inherits_unknown,
        )
        state._begin()
        return state

    def _begin(self) -> None:
        if "PATH" not in self.image_env:
            self.image_env["PATH"] = EnvValue(DEFAULT_PATH, "FROM", self.stage.line)
        for name, value in self.image_env.items():
            self.set(name, value)

    def take_triggers(self) -> tuple[str, ...]:
        """Return the ONBUILD triggers of the base, which fire once."""
        triggers, self.onbuild = self.onbuild, ()
        return triggers

    def set(self, name: str, value: EnvValue) -> None:
        """Set a variable; one set again moves to the end, as in the key."""
        self.env.pop(name, None)
        self.env[name] = value

    @property
    def values(self) -> dict[str, str]:
        """Return the environment by name."""
        return {name: each.value for name, each in self.env.items()}

    def next_place(self, line: int) -> Place:
        """Return the place of the next vertex of this stage."""
        self.position += 1
        return Place(self.name, self.shown, self.position, self.total, line)

    def absolute(self, path: str) -> str:
        """Return `path` against the working directory, cleaned."""
        joined = path if path.startswith("/") else f"{self.workdir}/{path}"
        return "/" + posixpath.normpath("/" + joined).lstrip("/")


class Builder:
    """Collects vertices; equal ones become one with several places, as in the engine."""

    def __init__(self, *, escape: str, network: str | None, rules: Rules) -> None:
        self.escape = escape
        self.rules = rules
        self.network = network or "default"
        self.vertices: list[PlannedVertex] = []
        self.places: list[list[tuple[Place, int]]] = []
        self._known: dict[object, int] = {}
        self._states: list[StageState] = []

    def add(
        self,
        *,
        kind: str,
        instruction: str,
        place: Place,
        state: StageState,
        parts: Parts,
        base: int | None,
        inputs: tuple[Input, ...] = (),
        volatile: bool = False,
        unknown: str = "",
        root_by_content: bool = False,
        writes: tuple[Write, ...] = (),
        makes: str = "",
        env: Mapping[str, EnvValue] | None = None,
    ) -> int:
        """Add a vertex, or a place to one that is equal; return its index."""
        ignore = state.ignore_cache and kind in ("RUN", "COPY", "ADD")
        same = (kind, parts, base, inputs, ignore)
        index = self._known.get(same)
        self._states.append(state)
        if index is not None:
            self.places[index].append((place, len(self._states) - 1))
            return index
        index = self._known[same] = len(self.vertices)
        self.places.append([(place, len(self._states) - 1)])
        self.vertices.append(
            PlannedVertex(
                index=index,
                kind=kind,
                instruction=instruction,
                line=place.line,
                parts=(("kind", kind), *parts),
                base=base,
                inputs=inputs,
                ignore_cache=ignore,
                volatile=volatile,
                unknown=unknown,
                root_by_content=root_by_content,
                writes=writes,
                makes=makes,
                env=env or {},
            )
        )
        return index

    def finish(self, stages: Mapping[int, StageState], stage_names: Mapping[int, str]) -> Plan:
        """Return the plan, the totals of all stages being known now."""
        places = tuple(
            tuple(
                Place(p.stage, p.shown, p.position, self._states[at].total, p.line)
                for p, at in found
            )
            for found in self.places
        )
        return Plan(
            vertices=tuple(self.vertices),
            places=places,
            stage_vertex={index: state.vertex for index, state in stages.items()},
            stage_names=stage_names,
            stage_values={index: state.values for index, state in stages.items()},
        )


def instruction_text(instruction: Instruction) -> str:
    """Return an instruction as written, flags first."""
    flags = "".join(
        f"--{f.name}{'' if f.value is None else '=' + f.value} " for f in instruction.flags
    )
    return f"{instruction.keyword} {flags}{instruction.value}"
