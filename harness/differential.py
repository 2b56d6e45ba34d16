"""Builds a drawn case on an engine and lines up what was predicted with what happened.

Every build is one of a context of its own, with a basename and a nonce that no other build has, so
that the case's own earlier builds are all the history there is. Nothing is exported. It returns
findings; whether one is a fault of the model or of the engine is for the caller to say.
"""

from __future__ import annotations

import enum
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness import commands, process, progress, trees
from harness.dockerfile_cases import Case
from harness.engine import Engine
from harness.model import (
    BuildOptions,
    Dockerfile,
    Entry,
    File,
    Instruction,
    Outcome,
    Prediction,
    Stage,
    Tree,
    Vertex,
)
from harness.recipe import VERTEX_KEYWORDS, render, with_nonce

BUILD_SECONDS = 120.0
EPOCH_NS = 1_700_000_000 * 10**9
SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Inputs:
    """What one build is made from, and a line on what was done to get there.

    `touched` files have a new mtime and nothing else new; with `keep_mtimes` no file that was
    there before gets one (BK#4817). The Dockerfile stands in the context if `inside`, else beside.
    """

    summary: str
    dockerfile: Dockerfile
    tree: Tree
    options: BuildOptions = field(default_factory=BuildOptions)
    inside: bool = True
    touched: frozenset[str] = frozenset()
    keep_mtimes: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """One build: its inputs as they lay on disk, and what the engine reported.

    `error` is None when the build succeeded.
    """

    inputs: Inputs
    context: Path
    dockerfile_path: Path
    vertices: tuple[Vertex, ...]
    error: str | None


class Verdict(enum.Enum):
    """What the comparison of one vertex says."""

    AGREED = "agreed"
    UNKNOWN = "unknown"
    DISAGREED = "disagreed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One vertex of one build: predicted and observed, None where one of the two has none."""

    line: int
    vertex: str
    predicted: Outcome | None
    observed: Outcome | None
    verdict: Verdict
    because: str = ""

    def __str__(self) -> str:
        said = self.predicted.value if self.predicted else "nothing"
        saw = self.observed.value if self.observed else "nothing"
        return f"line {self.line}: {self.vertex}: predicted {said}, observed {saw}{self.because}"


def inputs(case: Case, nonce: str) -> tuple[Inputs, ...]:
    """Return what a case's builds are made from, with its nonce put in."""
    found = []
    for summary, state in case.states:
        _, truth = render(with_nonce(state.recipe, nonce))
        found.append(
            Inputs(
                summary, truth, state.tree, state.options, state.inside, frozenset(state.touched)
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
        entries[path.relative_to(self.root).as_posix()] = File(wanted.dockerfile.text.encode())
        for name in sorted(self.written.keys() - entries.keys()):
            trees.remove(self.root / name)
            _prune(self.root / name, self.context)
        for name, entry in entries.items():
            touched = name.partition("/")[2] in wanted.touched
            if touched or self.written.get(name) != entry:
                old = self.root / name
                keep = wanted.keep_mtimes and name in self.written
                trees.put(self.root, name, entry, modified=old.lstat().st_mtime_ns if keep else now)
        self.written = entries
        return path


def _prune(path: Path, root: Path) -> None:
    """Remove the directories that the removal of `path` left empty."""
    folder = path.parent
    while folder != root and root in folder.parents and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def build(engine: Engine, workshop: Workshop, wanted: Inputs) -> Built:
    """Put `wanted` on disk and build it; a build that fails is returned like any other."""
    path = workshop.put(wanted)
    argv = commands.buildx_build(
        engine.buildx, context=workshop.context, dockerfile=path, options=wanted.options
    )
    exported = (*argv[:-2], "--network=none", "--output=type=cacheonly", *argv[-2:])
    result = process.run(exported, limit=BUILD_SECONDS, env=engine.environment)
    error = None if result.status == 0 else progress.words(result.err) or f"{result.status}"
    return Built(wanted, workshop.context, path, progress.decode(result.err), error)


def remove(workshop: Workshop) -> None:
    """Remove what a case left on disk."""
    shutil.rmtree(workshop.root, ignore_errors=True)


# --- Lining up ---------------------------------------------------------------------------------


def names(truth: Dockerfile) -> dict[int, tuple[str, int]]:
    """Return, per line that makes a vertex of its own, BuildKit's stage name and position.

    `FROM scratch` and `FROM stage` take no position, nor does a WORKDIR that leads to `/`.
    """
    found: dict[int, tuple[str, int]] = {}
    positions: dict[str, str] = {}
    for stage in truth.stages:
        inherited = stage.base in positions or stage.base == "scratch"
        position = 0 if inherited else 1
        directory = positions.get(stage.base, "/")
        for step in stage.instructions:
            directory = _directory(directory, step)
            if step.keyword not in VERTEX_KEYWORDS or _is_silent(step, directory):
                continue
            position += 1
            found[step.line] = (_name(stage), position)
        positions[_name(stage)] = directory
    return found


def _name(stage: Stage) -> str:
    return stage.name or f"stage-{stage.index}"


def _directory(current: str, step: Instruction) -> str:
    """Return whether and where a WORKDIR leads, as far as telling the root asks for."""
    if step.keyword != "WORKDIR":
        return current
    return step.value if step.value.startswith("/") else f"{current.rstrip('/')}/{step.value}"


def _is_silent(step: Instruction, directory: str) -> bool:
    return step.keyword == "WORKDIR" and directory == "/"


def compare(built: Built, prediction: Prediction) -> tuple[Finding, ...]:
    """Return a finding per vertex of a build that succeeded.

    A step that two stages share is one vertex, under the name of either: where a predicted vertex
    was not reported, a reported one of the same instruction in another stage stands in for it.
    """
    truth = names(built.inputs.dockerfile)
    observed = {(v.stage, v.position): v for v in built.vertices if v.stage is not None}
    expected = {v.line: v for v in prediction.vertices if v.line in truth}
    twins = _twins(built.inputs.dockerfile, truth)
    findings = []
    for line, vertex in expected.items():
        seen = next((observed[p] for p in (truth[line], *twins[line]) if p in observed), None)
        outcome = seen.outcome if seen else None
        because = "".join(f"; {cause.text}" for cause in vertex.because)
        name = f"[{truth[line][0]} {truth[line][1]}] {vertex.instruction}"
        verdict = _verdict(vertex.prediction, outcome)
        findings.append(Finding(line, name, vertex.prediction, outcome, verdict, because))
    for line, place in truth.items():
        if line not in expected and place in observed:
            seen = observed[place]
            findings.append(Finding(line, seen.name, None, seen.outcome, Verdict.DISAGREED))
    return tuple(findings)


def _twins(
    dockerfile: Dockerfile, truth: Mapping[int, tuple[str, int]]
) -> dict[int, list[tuple[str, int]]]:
    """Return, per line, the places of the same instruction elsewhere in the Dockerfile."""
    steps = {s.line: s for stage in dockerfile.stages for s in stage.instructions}
    texts = {line: (steps[line].keyword, steps[line].value) for line in truth}
    return {
        line: [truth[other] for other in truth if other != line and texts[other] == texts[line]]
        for line in truth
    }


def _verdict(predicted: Outcome, observed: Outcome | None) -> Verdict:
    if predicted is Outcome.UNKNOWN:
        return Verdict.UNKNOWN
    return Verdict.AGREED if predicted is observed else Verdict.DISAGREED
