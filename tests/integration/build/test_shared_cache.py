"""A cache kept in a registry: a machine that has built nothing yet compiles no dependency.

Two engines play the machines, Debian's docker-registry is between them. The commands are those of
docs/dockerfile.md: an embedded BuildKit writes no cache but into an image (`type=inline`), and of
the stages only what that image consists of, so that it is `dependencies` which is pushed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from harness import commands, process, progress
from harness import engine as engines
from harness import subject as subjects
from harness.engine import Engine, Kind
from harness.errors import EnvironmentLacksError
from harness.generated import trees
from harness.model import BuildObservation, BuildOptions, Edit, Outcome
from harness.running import bases, sweep
from harness.running.sweep import new_run_id
from harness.subject import Subject
from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import compiled, executed

Say = Callable[[str], None]

BUILD_SECONDS = 300.0
START_SECONDS = 600.0
ANSWER_SECONDS = 20.0
OWN = {"build", "runnable", "runtime"}
"""The stages that build the project and nothing of what it depends on."""


@dataclass(frozen=True, slots=True)
class Machine:
    """An engine and a checkout of the project; asserts nothing but that a build succeeds."""

    engine: Engine
    context: Path
    dockerfile: Path
    options: BuildOptions
    image: str

    def edit(self, change: Edit) -> None:
        """Make an edit."""
        trees.apply(self.context, change)

    def build(self, *words: str, target: str, tag: str | None = None) -> BuildObservation:
        """Build a target, with more words for buildx."""
        argv = commands.buildx_build(
            self.engine.buildx,
            context=self.context,
            dockerfile=self.dockerfile,
            options=replace(self.options, target=target),
            tags=(tag or self.image,),
            labels={sweep.LABEL: self.image.partition(":")[2]},
        )
        argv = (*argv[:-2], *words, *argv[-2:])
        done = process.run(argv, limit=BUILD_SECONDS, env=self.engine.environment)
        assert done.status == 0, progress.words(done.err)
        vertices = progress.decode(done.err)
        return BuildObservation(True, vertices, progress.crates_compiled(vertices))

    def answer(self) -> str:
        """Return what the program of the image prints."""
        printed = self.engine.client.containers.run(self.image, network_mode="none", remove=True)
        return printed.decode().strip()

    def remove(self, image: str) -> None:
        """Remove an image, if it is there."""
        with suppress(docker.errors.ImageNotFound):
            self.engine.client.images.remove(image, force=True)

    def forget(self) -> None:
        """Remove what was built, and the build cache; of an engine of the test's own."""
        self.remove(self.image)
        self.engine.client.images.prune()
        pruned = process.run(
            commands.buildx_prune(self.engine.buildx), limit=60, env=self.engine.environment
        )
        pruned.check("emptying the build cache")

    @property
    def knows_nothing(self) -> bool:
        """Whether the engine has no build cache at all."""
        return not self.engine.client.df()["BuildCache"]


@contextmanager
def registry(folder: Path, say: Say) -> Iterator[str]:
    """Run a registry on loopback that keeps its data in the folder; yield its host and port.

    Its words go to a file: it says something of every request, and with a pipe that nobody reads
    it stops answering after some hundred of them, which looks as if the engine hung.
    """
    engines.setup("registry", say=say)
    unpacked = engines.state_home() / "tools" / "registry" / "usr" / "bin" / "docker-registry"
    program = shutil.which("docker-registry") or str(unpacked)
    settings, log = folder / "registry.yml", folder / "registry.log"
    settings.write_text(
        "version: 0.1\n"
        "log: {level: info, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder / 'registry'}'}}}}\n"
        "http: {addr: '127.0.0.1:0'}\n"
    )
    argv = ("sh", "-c", 'exec "$0" serve "$1" >"$2" 2>&1', program, str(settings), str(log))
    env = process.environment({name: None for name in os.environ if name.startswith("REGISTRY_")})
    with process.background(argv, env=env) as running:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (found := re.search(r"listening on (127\.0\.0\.1:\d+)", _text(log))):
            assert not running.ended, _text(log)
            assert time.monotonic() < deadline, f"the registry does not start: {_text(log)}"
            time.sleep(0.05)
        try:
            yield found[1]
        finally:
            shutil.rmtree(folder / "registry", ignore_errors=True)


@contextmanager
def another_engine(say: Say) -> Iterator[Engine]:
    """Start an engine that has built nothing yet; it is gone afterwards."""
    script, name = engines.SCRIPTS / "private-engine.sh", f"second-{os.getpid()}"
    say(f"starting private engine {name}")
    start = ("start", name, "--images", "--ephemeral", "--owner-pid", str(os.getpid()))
    try:
        started = process.run(commands.private_engine(script, *start), limit=START_SECONDS)
        url = started.check("starting a second engine").out.strip()
        yield engines.connect(url, kind=Kind.PRIVATE, say=say)
    finally:
        process.run(commands.private_engine(script, "remove", name), limit=START_SECONDS)


def machines(
    one: Engine, two: Engine, subject: Subject, *, folder: Path, say: Say
) -> tuple[Machine, Machine]:
    """Check the project out on two machines that have the same base images."""
    parsed = subject.dockerfile
    chosen = bases.resolve(one, replace(subject, project=folder), root=folder, say=say)
    for image in set(chosen.values()):
        if not two.has_image(image):
            assert engines.carry(one.client, two, image, say=say)
    arguments = {k: v for k, v in subject.options.build_args.items() if k != "BIN"}
    arguments["CACHE_ID"] = f"layerproof-{secrets.token_hex(6)}"
    options = replace(subject.options, build_args=arguments, network="none")
    image = f"layerproof/shared-cache:{new_run_id()}"
    made = []
    for name, engine in (("one", one), ("two", two)):
        home = folder / name
        dockerfile = home / Path(parsed.path).name
        trees.write(home / f"checkout-{name}", cargo.tree(cargo.simple()))
        dockerfile.write_text(subjects.with_bases(parsed, chosen))
        if subject.ignore is not None:
            dockerfile.with_name(f"{dockerfile.name}.dockerignore").write_text(subject.ignore)
        made.append(Machine(engine, home / f"checkout-{name}", dockerfile, options, image))
    return made[0], made[1]


def outcomes(seen: BuildObservation, stages: Sequence[str]) -> set[Outcome]:
    """Return what became of the steps of some stages."""
    steps = [v for v in seen.vertices if v.stage in stages and "] FROM " not in v.name]
    assert {step.stage for step in steps} == set(stages)
    return {step.outcome for step in steps}


def says(text: str) -> Edit:
    """Return an edit of the program, which then prints another text."""
    return cargo.edit({"src/main.rs": cargo.program(text, prints="one::value() + 10")})


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.fixture
def host(request: pytest.FixtureRequest, say: Say, tmp_path: Path) -> Iterator[str]:
    """The host and port of a registry."""
    with ExitStack() as stack:
        try:
            started = stack.enter_context(registry(tmp_path, say))
        except EnvironmentLacksError as error:
            if request.config.getoption("--require-engine") or os.environ.get("CI"):
                raise
            pytest.skip(error.message)
        yield started


@pytest.fixture
def two_machines(
    engine: Engine, subject: Subject, say: Say, tmp_path: Path
) -> Iterator[tuple[Machine, Machine]]:
    """One machine that may have built before, and one that has not."""
    if engine.kind is not Kind.PRIVATE:
        pytest.skip("the second machine is a private engine, and so must the first be")
    with another_engine(say) as other:
        yield machines(engine, other, subject, folder=tmp_path, say=say)


def test_a_second_machine_compiles_no_dependency_that_the_first_has_pushed(
    two_machines: tuple[Machine, Machine], host: str
) -> None:
    one, two = two_machines
    shared = ("base", "dependencies")
    pushed = f"{host}/app:dependencies"
    try:
        seen = one.build("--cache-to=type=inline", "--push", target="dependencies", tag=pushed)
    finally:
        one.remove(pushed)
    assert compiled(seen, "dependencies") == ("app", "one", "two")

    assert two.knows_nothing
    warm = two.build(f"--cache-from={pushed}", target="runtime")
    assert outcomes(warm, shared) == {Outcome.CACHED}
    assert set(executed(warm)) == OWN
    assert warm.crates_compiled == ("app 0.1.0",)
    assert two.answer() == "app 13"

    two.edit(says("edited"))
    edited = two.build(f"--cache-from={pushed}", target="runtime")
    assert outcomes(edited, shared) == {Outcome.CACHED}
    assert set(executed(edited)) == OWN | {"planner"}
    assert two.answer() == "edited 13"

    two.forget()
    assert two.knows_nothing
    two.edit(says("another commit"))
    other_commit = two.build(f"--cache-from={pushed}", target="runtime")
    assert outcomes(other_commit, shared) == {Outcome.CACHED}
    assert set(executed(other_commit)) == OWN | {"planner"}
    assert other_commit.crates_compiled == ("app 0.1.0",)
    assert two.answer() == "another commit 13"
