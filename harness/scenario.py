"""Runs scenarios on an engine and returns what was observed; it never asserts.

A `Bench` is made once per engine: base images resolved, the registry of generated projects in the
build image. A `Workspace` is one scenario's: a build context of its own, with a basename that no
other has (buildx keys the synced context by it), and the Dockerfile beside it, not in it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import docker
import requests

from harness import cache, engine, fitting, strategies, subject, texts
from harness.brief import Brief
from harness.engine import Engine
from harness.errors import LOG_TAIL_LINES, LayerProofError, ProjectError
from harness.generated import checkouts, projects, trees
from harness.judging import foundation
from harness.judging.report import why_it_failed
from harness.keys import context
from harness.keys.evaluate import BuildState
from harness.keys.plan import ImageFacts
from harness.keys.quirks import Rules
from harness.model import BuildObservation, BuildOptions, Edit, Entry, File, Tree, VertexPrediction
from harness.running import bases, builder, images, programs, sweep
from harness.subject import Subject

RUN_SECONDS = 60
DOCKERIGNORE = ".dockerignore"
EPOCH = "SOURCE_DATE_EPOCH"
"""A moment that engines and tools read too: seconds since 1970 (reproducible-builds.org)."""
CACHE_ARGUMENT = "CACHE_ID"
"""What names the part of a cache mount that a build uses (docs/dockerfile.md)."""
DID_NOT_RUN = "(the container did not "
"""How `run` begins where the program was not run to its end, and so said nothing that counts."""
WITH_LOCK = (
    "arguments and secrets that it needs stand in its layerproof.toml, as in [build-args] "
    "BIN = 'NAME'"
)
WITHOUT_LOCK = (
    "it has no Cargo.lock, which a Dockerfile may copy: `cargo generate-lockfile` makes one"
)
NOTHING_CHANGED = "nothing that it reads has changed since an earlier build"

E = TypeVar("E", Entry, Entry | None)
_numbers = itertools.count(1)


@dataclass(slots=True)
class Ledger:
    """What was done on an engine: builds, the time they took, and the time around them."""

    scenarios: int = 0
    builds: int = 0
    build_seconds: float = 0.0
    run_seconds: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, repr=False)
class Bench(Brief):
    """An engine made ready for a subject. `text` is the Dockerfile with its images resolved.

    `images` is what the engine has of them, by the names that the subject's Dockerfile uses.
    """

    engine: Engine
    subject: Subject
    text: str
    run_id: str
    root: Path
    images: Mapping[str, ImageFacts]
    keep: bool = False
    ledger: Ledger = field(default_factory=Ledger)

    @contextlib.contextmanager
    def workspace(
        self,
        tree: Tree,
        *,
        options: BuildOptions | None = None,
        isolated: bool = False,
        called: str | None = None,
    ) -> Iterator[Workspace]:
        """Write a project to disk for one scenario; all it made is removed with the block.

        `isolated` makes its crates ones that no other scenario has compiled, and gives it a cache
        of its own where the Dockerfile has an ARG for that: one that holds what a hundred others
        compiled is slower. `called` is the basename of its directory, where it is to be the same as
        another's.
        """
        started = time.monotonic()
        name = f"{self.run_id}-{next(_numbers)}"
        home = self.root / name
        most = self.subject.shape.codegen_units
        drawn = (
            projects.PLENTY + secrets.randbelow(most - projects.PLENTY) for _ in projects.TABLES
        )
        numbers = tuple(drawn) if isolated else (projects.PLENTY,) * len(projects.TABLES)
        context = home / (called or f"context-{name}")
        chosen = options or self.subject.options
        if isolated and CACHE_ARGUMENT in texts.declared_arguments(self.subject.dockerfile):
            chosen = replace(chosen, build_args={CACHE_ARGUMENT: name, **chosen.build_args})
        made = Workspace(self, home, context, chosen, numbers)
        try:
            made.start(tree)
            yield made
        finally:
            made.close()
            self.ledger.scenarios += 1
            self.ledger.seconds += time.monotonic() - started


class Workspace:
    """One scenario's project on disk, and its builds."""

    def __init__(
        self,
        bench: Bench,
        home: Path,
        folder: Path,
        options: BuildOptions,
        numbers: tuple[int, ...],
    ) -> None:
        self.bench = bench
        self.context = folder
        self._project = folder / (bench.subject.shape.folder if not bench.subject.project else "")
        self.dockerfile = home / "dockerfile" / Path(bench.subject.dockerfile.path).name
        self.options = options
        self.observations: list[BuildObservation] = []
        self._home = home
        self._states: list[BuildState] = []
        self._numbers = numbers
        self._images: set[str] = set()
        self._long_ago = time.time_ns() - trees.LONG_AGO * trees.NANOSECONDS

    def start(self, tree: Tree) -> None:
        """Write Dockerfile and project; the sources are old, as in a checkout of last month."""
        self._project.mkdir(parents=True)
        self.dockerfile.parent.mkdir()
        self.dockerfile.write_text(self.bench.text)
        if self.bench.subject.ignore is not None:
            beside = self.dockerfile.with_name(f"{self.dockerfile.name}.dockerignore")
            beside.write_text(self.bench.subject.ignore)
        trees.write(self._project, self._own(tree), modified=self._long_ago)
        if self._project != self.context:
            self._ignore_below()
        self._complete()

    def edit(self, edit: Edit, *, old: bool = False) -> None:
        """Make an edit. With `old` what it writes is as old as a restored file, though never
        as old as what it replaces.
        """
        self._long_ago += trees.NANOSECONDS
        mine = replace(edit, changes=self._own(edit.changes))
        trees.apply(self._project, mine, modified=self._long_ago if old else None)
        self._complete()

    def build(
        self,
        *,
        state: int | None = None,
        target: str | None = None,
        no_cache: bool = False,
        secrets: Mapping[str, str] | None = None,
        build_args: Mapping[str, str] | None = None,
    ) -> BuildObservation:
        """Build the project as it is now, with the workspace's options but for what is given here.

        `state` numbers the state of the project: the build arguments that stand for a commit or a
        moment have one value for each.
        """
        volatile = self.bench.subject.volatile if state is not None else ()
        given = self.options.build_args if build_args is None else build_args
        options = replace(
            self.options,
            target=target or self.options.target,
            no_cache=no_cache,
            secrets=self.options.secrets if secrets is None else secrets,
            build_args={**given, **{name: _of_state(name, state or 0) for name in volatile}},
        )
        self._states.append(self._state(options))
        observation = builder.build(
            self.bench.engine,
            context=self.context,
            dockerfile=self.dockerfile,
            options=options,
            labels={sweep.LABEL: self.bench.run_id},
        )
        self.bench.ledger.builds += 1
        self.bench.ledger.build_seconds += observation.seconds
        if observation.image_id is not None:
            self._images.add(observation.image_id)
        self.observations.append(observation)
        return observation

    def _state(self, options: BuildOptions) -> BuildState:
        """Return what the cache model needs to know of a build about to be made."""
        under_test = self.bench.subject
        return BuildState(
            dockerfile=under_test.dockerfile,
            context=context.of_directory(self.context),
            options=options,
            images=self.bench.images,
            ignore=under_test.ignore,
        )

    def predictions(self) -> tuple[VertexPrediction, ...]:
        """Return what the cache model says of the last build, given those before it.

        Raises LayerProofError where the model cannot say. It knows nothing of other scenarios'
        builds: what it calls executed may be cached thanks to them, never the reverse.
        """
        *history, last = self._states
        rules = Rules.of_engine(self.bench.engine.version)
        return cache.predict(history, last, rules=rules).vertices

    def reasons(self, lines: Iterable[int]) -> list[str]:
        """Return why, after the cache model, the last build executed the steps at these lines.

        Where a step inherits the miss of another, that one's reasons stand before its own. Of a
        step that it calls cached it says that nothing which the step reads has changed.
        """
        wanted = set(lines)
        try:
            predicted = self.predictions()
        except LayerProofError as error:
            return [f"(the cache model cannot say: {error.message})"]
        for vertex in reversed(predicted):
            if vertex.line in wanted:
                wanted |= {cause.line for cause in vertex.because[:1] if cause.line is not None}
        there = [vertex for vertex in predicted if vertex.line in wanted]
        return [
            f"line {vertex.line}: {text}"
            for vertex in there
            for text in [cause.text for cause in vertex.because[:2]] or [NOTHING_CHANGED]
        ]

    def build_base(self, *, state: int) -> str | None:
        """Build the base stage by itself and return its image; None where none is set apart."""
        stage = foundation.base_stage(self.bench.subject.dockerfile, self.bench.subject.roles)
        if stage is None or stage.name is None:
            return None
        return self.build(state=state, target=stage.name).image_id

    def run(
        self, image_id: str, *command: str, environment: Mapping[str, str] | None = None
    ) -> str:
        """Run an image's entry point, or a command in its place, without a network.

        Returns what it wrote to both streams; how it ended is not judged.
        """
        started = time.monotonic()
        containers = self.bench.engine.client.containers
        made = containers.create(
            image_id,
            list(command[1:]) or None,
            entrypoint=[command[0]] if command else None,
            network_mode="none",
            network_disabled=True,  # no sandbox to set up either: a third of the time of a run
            environment=dict(environment or {}),
            labels={sweep.LABEL: self.bench.run_id},
        )
        try:
            made.start()
            made.wait(timeout=RUN_SECONDS)
            return made.logs().decode(errors="replace")
        except docker.errors.APIError as error:
            return f"{DID_NOT_RUN}start: {error.explanation})"
        except requests.exceptions.RequestException:  # so docker-py says that a wait was too long
            if not self.bench.engine.answers():
                raise
            return f"{DID_NOT_RUN}end within {RUN_SECONDS} s)"
        finally:
            made.remove(force=True)
            self.bench.ledger.run_seconds += time.monotonic() - started

    def program(self, image_id: str) -> bytes:
        """Return the bytes of an image's program; none where the image does not hold it."""
        client = self.bench.engine.client
        settings = client.images.get(image_id).attrs["Config"]
        made = client.containers.create(image_id, ["x"], labels={sweep.LABEL: self.bench.run_id})
        try:
            return programs.read(made, settings, named=self.bench.subject.program)
        finally:
            made.remove(force=True)

    def _ignore_below(self) -> None:
        """Have the ignore file of a project that lies in a folder of the context hold there."""
        file = self._project / DOCKERIGNORE
        if file.is_file():
            lines = (f"**/{line}\n" for line in file.read_text().splitlines())
            (self.context / DOCKERIGNORE).write_text("".join(lines))
            file.unlink()

    def _complete(self) -> None:
        """Add what the Dockerfile needs of any project and this one has not."""
        for path, entry in self.bench.subject.required.items():
            if not os.path.lexists(self.context / path):
                trees.put(self.context, path, entry, modified=self._long_ago)

    def _own(self, entries: Mapping[str, E]) -> dict[str, E]:
        """Put this scenario's own word and numbers where generated files leave room for them.

        Those of a real project leave none for the numbers, which may well be some of its own.
        """
        word = f"scenario {self.context.name}".encode()
        generated = self.bench.subject.project is None
        found = dict(entries)
        for path, entry in entries.items():
            if isinstance(entry, File):
                content = entry.content.replace(projects.WORD, word)
                for number in self._numbers if generated else ():
                    content = content.replace(projects.NUMBER, str(number).encode(), 1)
                found[path] = replace(entry, content=content)
        return found

    def close(self) -> None:
        """Remove the files, and the images unless the engine is ours alone."""
        if self.bench.keep:
            return
        shutil.rmtree(self._home, ignore_errors=True)
        if self.bench.engine.kind is not engine.Kind.PRIVATE:
            for image in self._images:
                with contextlib.suppress(docker.errors.APIError):
                    self.bench.engine.client.images.remove(image, force=True)


@contextlib.contextmanager
def prepare(
    on: Engine, under_test: Subject, *, say: Callable[[str], None], keep: bool = False
) -> Iterator[Bench]:
    """Make an engine ready for a subject and yield the bench; its folder goes with the block.

    With `keep` nothing is removed, and where it lies is said.
    """
    expect_projects_to_fit(under_test)
    run_id = sweep.new_run_id()
    root = sweep.folder_of(run_id)
    root.mkdir(mode=0o700)
    try:
        mounted = bases.taken(on, under_test, root=root, say=say)
        chosen = bases.resolve(on, under_test, root=root, say=say)
        text = subject.with_bases(under_test.dockerfile, chosen, mounted)
        text = bases.readable(on, under_test.dockerfile, text, root=root, say=say)
        named = subject.bases(under_test.dockerfile, under_test.options.build_args)
        there = {**{named[index]: image for index, image in chosen.items()}, **mounted}
        known = {name: images.facts(on, image) for name, image in there.items()}
        if under_test.options.network is None:
            options = bases.with_network(
                on, under_test, image=next(iter(chosen.values())), root=root
            )
            under_test = replace(under_test, options=options)
        yield Bench(on, under_test, text, run_id, root, known, keep)
    finally:
        if keep:
            say(f"kept: {root}, and what is labelled {sweep.LABEL}={run_id} on {on.url}")
        else:
            shutil.rmtree(root, ignore_errors=True)


def expect_projects_to_fit(under_test: Subject) -> None:
    """Raise ProjectError where a Dockerfile can build none of the projects that are generated.

    All of them lie in the context's root, or in the folder that it takes them from.
    """
    parsed = under_test.dockerfile
    if under_test.project is not None:
        return
    taken = fitting.project_elsewhere(parsed)
    if taken is not None:
        raise ProjectError(
            f"no generated project fits {parsed.path}",
            context=(
                "expected an instruction that takes the Cargo.toml of one folder of the context",
                f"found one that takes {taken!r}",
            ),
            hint="judge it by its own project (--project DIRECTORY), and name in layerproof.toml "
            "the properties that cannot be claimed (not-claimed)",
        )


def expect_project_to_build(bench: Bench) -> None:
    """Build the project under test as it is; raise ProjectError with the log's end if it fails."""
    project = bench.subject.project
    if project is None:
        return
    with bench.workspace(trees.read(project, skip=checkouts.LEFT_OUT)) as workspace:
        seen = workspace.build()
    if not seen.succeeded:
        log = (why_it_failed(seen) or seen.error or "").rstrip().splitlines()
        locked = (project / bench.subject.project_folder / "Cargo.lock").is_file()
        raise ProjectError(
            f"{str(project)!r} does not build with {bench.subject.dockerfile.path}",
            context=[f"| {line}" for line in log[-LOG_TAIL_LINES:]],
            hint="no property can be judged before the project builds as it is; "
            + (WITH_LOCK if locked else WITHOUT_LOCK),
        )


def why_it_builds_no_generated_project(bench: Bench) -> str | None:
    """Build the plainest generated project; return the last that is said where that fails.

    A Dockerfile that was written for one project may well build no other.
    """
    start = strategies.plainest(bench.subject.shape, bench.subject.binary)
    with bench.workspace(projects.render(start).tree) as workspace:
        seen = workspace.build()
    said = (seen.error or "").strip().splitlines()
    return None if seen.succeeded else textwrap.shorten(said[-1] if said else "it fails", 120)


def _of_state(name: str, state: int) -> str:
    """Return what an argument that stands for a commit or a moment is in a state of the project."""
    return str(1_700_000_000 + state) if name == EPOCH else f"state-{state}"
