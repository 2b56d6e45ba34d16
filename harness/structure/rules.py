"""What structure checks are made of: a rule, a finding, and the facts a rule may look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from harness.model import Dockerfile, File, Tree
from harness.parsing.dockerignore import Ignore
from harness.structure.roles import Roles
from harness.structure.stagegraph import Graph, Step

Found = Iterator[tuple[int, str]]
MANIFEST = "Cargo.toml"
LOCK = "Cargo.lock"
TOOLCHAIN = ("rust-toolchain.toml", "rust-toolchain")
CONFIGURATION = (".cargo/config.toml", ".cargo/config")
LOOKED_INTO = frozenset({MANIFEST, LOCK, *CONFIGURATION})
"""The files of a project whose content rules look at; of the rest they know the names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule says of a line: what is there (`message`), why it matters, what to write.

    `advice` is worth following and breaks no promise: the properties do not fail for it.
    """

    rule: str
    line: int
    message: str
    why: str
    instead: str
    advice: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """A Dockerfile as the rules see it.

    `main` is the stage that compiles the project and `runtime` the one that is shipped, by index,
    or None. `ignore` and `files` (those of the context) are None where they are not known.
    `building` are the steps of the chain that compiles, `shipping` those of the chain that is
    shipped, where that is another one.
    """

    dockerfile: Dockerfile
    graph: Graph
    roles: Roles
    main: int | None
    runtime: int | None
    ignore: Ignore | None
    files: Tree | None
    building: tuple[Step, ...] = field(init=False)
    shipping: tuple[Step, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Work out the steps of both chains once."""
        building = () if self.main is None else self.graph.compiling_along(self.main)
        shipped = self.runtime is not None and not self.one_stage
        shipping = self.graph.steps_along(self.runtime or 0) if shipped else ()
        object.__setattr__(self, "building", building)
        object.__setattr__(self, "shipping", shipping)

    @property
    def configured(self) -> str:
        """Return what cargo is configured with: the project's files, if it is known, and what a
        step writes of its own.
        """
        written = (
            step.instruction.value
            for step in self.building
            if any("cargo/config" in path for c in step.commands for path in c.written)
        )
        return "\n".join((*map(self._text, CONFIGURATION), *written))

    @property
    def takes_crates(self) -> bool:
        """Return whether the project has crates from elsewhere, or it is not known."""
        return LOCK not in (self.files or {}) or "\nsource = " in self._text(LOCK)

    @property
    def manifest(self) -> str:
        """Return what the project's own manifest says; empty where it is not known."""
        return self._text(MANIFEST)

    def _text(self, path: str) -> str:
        entry = (self.files or {}).get(path)
        return entry.content.decode(errors="replace") if isinstance(entry, File) else ""

    @property
    def one_stage(self) -> bool:
        """Return whether what is shipped is what compiles."""
        return self.runtime is not None and self.main in self.graph.chain(self.runtime)

    @property
    def dependency_steps(self) -> tuple[int, ...]:
        """Return the positions in `building` of what compiles dependencies apart."""
        return tuple(n for n, step in enumerate(self.building) if step.compiles_dependencies)

    @property
    def above_dependencies(self) -> tuple[Step, ...]:
        """Return the steps that the dependency layer rests on; none where there is none."""
        found = self.dependency_steps
        return self.building[: found[-1]] if found else ()

    @property
    def builds(self) -> tuple[Step, ...]:
        """Return the steps of `building` that compile the project."""
        return tuple(step for step in self.building if step.builds)


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: `find` yields line and message. `bad` shows what it finds, in a line or two."""

    id: str
    why: str
    instead: str
    bad: str
    find: Callable[[Facts], Found]
    advice: bool = False
