"""Puts what a build is made from on disk, one state after the other, as an editor would.

Every file that changes gets a new modification time, from a clock of the case's own; nothing else
does. Each case has a directory and a nonce that no other has: buildx keys the synced context by
the directory's basename, and the nonce keeps the engine's other records out of the case.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.generated import trees
from harness.generated.dockerfile_cases import Case
from harness.generated.recipe import render, with_nonce
from harness.model import BuildOptions, Directory, Dockerfile, Entry, File, Tree

EPOCH_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9
IMPLIED_MODE = 0o755


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one build is made from, and a line on what was done to get there.

    `touched` files have a new mtime and nothing else new; with `keep_mtimes` no file that was
    there before gets one (BK#4817). The Dockerfile stands in the context if `inside`, else beside;
    `own_ignore` stands next to it.
    """

    summary: str
    dockerfile: Dockerfile
    tree: Tree
    options: BuildOptions = field(default_factory=BuildOptions)
    inside: bool = True
    touched: frozenset[str] = frozenset()
    keep_mtimes: bool = False
    own_ignore: File | None = None


def inputs(case: Case, nonce: str) -> tuple[Inputs, ...]:
    """Return what a case's builds are made from, with its nonce put in."""
    found = []
    for summary, state in case.states:
        _, truth = render(with_nonce(state.recipe, nonce))
        found.append(
            Inputs(
                summary=summary,
                dockerfile=truth,
                tree=state.tree,
                options=state.options,
                inside=state.inside,
                touched=state.touched,
                keep_mtimes=state.keep_mtimes,
                own_ignore=state.own_ignore,
            )
        )
    return tuple(found)


@dataclass(slots=True)
class Workshop:
    """The directory of one case, and the clock that its modification times are taken from."""

    root: Path
    nonce: str = field(default_factory=lambda: f"n{uuid.uuid4().hex[:12]}")
    ticks: int = 0
    written: dict[str, Entry] = field(default_factory=dict)

    @property
    def context(self) -> Path:
        """Return the build context; its basename is the case's own."""
        return self.root / f"context-{self.nonce}"

    def put(self, wanted: Inputs) -> Path:
        """Make the directory as `wanted` says, moving the mtime of every file that changes.

        Returns the path of the Dockerfile.
        """
        self.ticks += 1
        now = EPOCH_NS + self.ticks * SECOND_NS
        self.context.mkdir(parents=True, exist_ok=True)
        folder = self.context if wanted.inside else self.root / f"files-{self.nonce}"
        path = folder / "Dockerfile"
        entries = {f"{self.context.name}/{name}": entry for name, entry in wanted.tree.items()}
        name = path.relative_to(self.root).as_posix()
        entries[name] = File(wanted.dockerfile.text.encode())
        if wanted.own_ignore is not None:
            entries[f"{name}.dockerignore"] = wanted.own_ignore
        for name in sorted(self.written.keys() - entries.keys()):
            self._take_away(name, entries)
        for name, entry in entries.items():
            touched = name.partition("/")[2] in wanted.touched
            lost = isinstance(entry, Directory) and not (self.root / name).exists()
            if touched or lost or self.written.get(name) != entry:
                old = self.root / name
                keep = wanted.keep_mtimes and name in self.written
                trees.put(self.root, name, entry, modified=old.lstat().st_mtime_ns if keep else now)
        self.written = entries
        return path

    def _take_away(self, name: str, entries: Mapping[str, Entry]) -> None:
        """Remove what stood there, and the directories that this leaves empty."""
        path = self.root / name
        if any(other.startswith(f"{name}/") for other in entries):
            path.chmod(IMPLIED_MODE)
            return
        trees.remove(path)
        folder = path.parent
        while self.context in folder.parents and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
