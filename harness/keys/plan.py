"""The vertices that a build consists of, as data: what enters each one's key and where it stands.

Reads nothing and predicts nothing. `dispatch` makes a plan from a Dockerfile and build options,
`cache` compares plans. A vertex refers to others by their index in the plan, always a lower one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from harness.keys.records import digest

MAIN_CONTEXT: Final = ""
"""The name of the build context itself among the named ones."""

SourceKind = Literal["context", "vertex", "image", "inline", "remote"]


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of a base image: its identity, and the configuration that builds inherit."""

    identity: str
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    user: str = ""
    shell: tuple[str, ...] = ()
    onbuild: tuple[str, ...] = ()
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vertex stands: `[stage position/total]`, and its Dockerfile line.

    `stage` is the stage's name, or `stage-N`; `shown` is what the engine prints, `stage-0` where
    it prints none because the build has one stage only.
    """

    stage: str
    shown: str
    position: int
    total: int
    line: int


@dataclass(frozen=True, slots=True)
class Selector:
    """What a vertex takes from an input: an absolute path or pattern, and how it is read."""

    path: str
    follow: bool = True
    wildcard: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """Where an input comes from: a context by name, a vertex by index, an image, …"""

    kind: SourceKind
    name: str = MAIN_CONTEXT
    vertex: int = -1


@dataclass(frozen=True, slots=True)
class Input:
    """An input that is compared by content. `identity` is the definition's, where it has one."""

    source: Source
    selectors: tuple[Selector, ...]
    inline: tuple[tuple[str, int, bytes], ...] = ()
    """For here-documents: name, mode and content."""


@dataclass(frozen=True, slots=True)
class Write:
    """What a COPY or ADD writes from one source: `input` indexes the vertex' inputs."""

    input: int
    selector: Selector
    destination: str
    chmod: str | None = None
    chown: str | None = None
    unpack: bool = False
    parents: bool = False


@dataclass(frozen=True, slots=True)
class EnvValue:
    """A variable of the build environment, and the instruction that set it."""

    value: str
    keyword: str
    line: int


@dataclass(frozen=True, slots=True)
class PlannedVertex:
    """One vertex. `parts` are the named pieces of its key, from which `operation` is made.

    `base` is the vertex of the file system it works on, None for scratch; it counts by identity
    and not by content. `unknown` says why no key can be given, `volatile` that the engine never
    finds it again. `env` tells where each variable of a RUN was set.
    """

    index: int
    kind: str
    instruction: str
    line: int
    parts: tuple[tuple[str, object], ...]
    base: int | None
    inputs: tuple[Input, ...]
    ignore_cache: bool = False
    volatile: bool = False
    unknown: str = ""
    root_by_content: bool = False
    """Whether the file system it works on may match by content, too."""
    writes: tuple[Write, ...] = ()
    makes: str = ""
    """The directory that a WORKDIR makes."""
    env: Mapping[str, EnvValue] = field(default_factory=dict, compare=False)
    operation: bytes = field(init=False, compare=False, default=b"")
    content_inputs: tuple[Input, ...] = field(init=False, compare=False, default=())
    """The inputs that count by content: all but those that are the file system it works on."""

    def __post_init__(self) -> None:
        by_content = tuple(
            each for each in self.inputs if self.base is None or each.source.vertex != self.base
        )
        object.__setattr__(self, "content_inputs", by_content)
        object.__setattr__(self, "operation", digest(repr(self.parts).encode(errors="replace")))

    def part(self, name: str) -> object:
        """Return a named piece of the key, or None."""
        return next((value for key, value in self.parts if key == name), None)


@dataclass(frozen=True, slots=True)
class Plan:
    """The vertices a target needs, inputs before users. `places` has each vertex' every place.

    Equal vertices of two stages are one, with two places. `stage_vertex` maps the index of each
    stage to the vertex that holds its result (None for scratch).
    """

    vertices: tuple[PlannedVertex, ...]
    places: tuple[tuple[Place, ...], ...]
    stage_vertex: Mapping[int, int | None]
    stage_names: Mapping[int, str]
    stage_values: Mapping[int, Mapping[str, str]]
    """The environment at each stage's end, ARGs included."""
