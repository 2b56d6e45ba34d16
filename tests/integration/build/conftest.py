"""A project and its builds by this repo's Dockerfile.optimized, on a real engine."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from harness import progress
from harness.model import BuildObservation, Edit, Outcome, Tree
from harness.running import builder, sweep
from harness.scenario import Bench, Workspace


class Checkout:
    """A project on disk with a cache of its own; builds it and asserts nothing."""

    def __init__(self, workspace: Workspace, *, folder: Path) -> None:
        self.workspace = workspace
        self.cache_id = f"layerproof-{secrets.token_hex(6)}"
        self._folder = folder

    def edit(self, change: Edit, *, old: bool = False) -> None:
        """Make an edit; with `old` what it writes is as old as a restored file."""
        self.workspace.edit(change, old=old)

    def build(self, *, target: str | None = None, **arguments: str) -> BuildObservation:
        """Build an image, the runtime's unless another target is named."""
        return self.workspace.build(target=target, build_args=self._arguments(arguments))

    def export(self, **arguments: str) -> tuple[BuildObservation, Path]:
        """Build the package and return the directory it was written to."""
        destination = self._folder / secrets.token_hex(4)
        options = self.workspace.options
        seen = builder.build(
            self.workspace.bench.engine,
            context=self.workspace.context,
            dockerfile=self.workspace.dockerfile,
            options=type(options)(
                target="package",
                build_args=self._arguments(arguments),
                network=options.network,
                no_cache=options.no_cache,
            ),
            labels={sweep.LABEL: self.workspace.bench.run_id},
            export_to=destination,
        )
        return seen, destination

    def answer(self, seen: BuildObservation) -> str:
        """Return what the image's program prints; a build that failed answers its error."""
        if seen.image_id is None:
            return f"(no image) {seen.error}"
        return self.workspace.run(seen.image_id).strip()

    def _arguments(self, arguments: dict[str, str]) -> dict[str, str]:
        given = {k: v for k, v in self.workspace.options.build_args.items() if k != "BIN"}
        return {**given, "CACHE_ID": self.cache_id, **arguments}


def compiled(seen: BuildObservation, stage: str) -> tuple[str, ...]:
    """Return the crates that a stage compiled, by name, in alphabetical order."""
    vertices = tuple(vertex for vertex in seen.vertices if vertex.stage == stage)
    return tuple(sorted(crate.split()[0] for crate in progress.crates_compiled(vertices)))


def executed(seen: BuildObservation) -> tuple[str, ...]:
    """Return the stages of which an instruction was executed, each once, in order."""
    stages = [
        vertex.stage
        for vertex in seen.vertices
        if vertex.stage and vertex.outcome is Outcome.EXECUTED and " FROM " not in vertex.name
    ]
    return tuple(dict.fromkeys(stages))


@pytest.fixture
def checkout(bench: Bench, tmp_path: Path) -> Callable[[Tree], AbstractContextManager[Checkout]]:
    """Open a project as a checkout; it is removed with the block."""

    @contextmanager
    def opened(tree: Tree) -> Iterator[Checkout]:
        with bench.workspace(tree) as workspace:
            yield Checkout(workspace, folder=tmp_path)

    return opened
