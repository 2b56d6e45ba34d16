"""Finds or starts Docker engines and makes sure of buildx and images; owns no build.

An engine is *found* (what `DOCKER_HOST` or docker's context names), *named* (a URL given to us)
or *private* (a dockerd of our own, from a pool that outlives no run unnoticed: a slot's lock is
held while it is in use, and whoever takes a slot takes over what a killed run left there).
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import gc
import os
import re
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import docker

from harness import commands, process
from harness.errors import CommandError, EnvironmentLacksError, UsageError

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
POOL_SLOTS = 64
POOL_LAYERS = 3000
"""What a private engine may keep for the next run: beyond it, starting anew is the cheaper way."""
OF_ANOTHER_POOL = "is already running for another state directory"
"""How `private-engine.sh` says that a name is taken: a user's pools share the names of sockets."""
NEWER = "newer"
"""The dockerd that `setup.sh newer-engine` provides, as `private-engine.sh` calls it."""
ANSWER_SECONDS = 10.0
SETUP_SECONDS = 1800.0
STOP_SECONDS = 600.0
"""Deleting the data of an engine that holds too much takes a second, or a minute on a busy disk."""
BUILDX_AT_LEAST = (0, 13)
"""The first buildx with progress as JSON."""
PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
    "/opt/homebrew/lib/docker/cli-plugins",
    "/usr/local/opt/docker-buildx/bin",
    "/Applications/Docker.app/Contents/Resources/cli-plugins",
)

Say = Callable[[str], None]


class Kind(enum.Enum):
    """Where an engine comes from, and so what may be done to it."""

    FOUND = "found"
    NAMED = "named"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine, its SDK client, and the buildx binary that talks to it.

    `started_by` is the command that started a private one, and starts it again on the same data.
    """

    url: str
    kind: Kind
    buildx: Path
    client: docker.DockerClient
    version: str
    started_by: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Our environment, with everything docker reads set to this engine."""
        return client_environment(self.url)

    def answers(self) -> bool:
        """Whether the engine is still there.

        docker-py leaves a socket open that could not be connected: it is collected here, without
        the warning that nobody could act on.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            with contextlib.suppress(docker.errors.DockerException, OSError):
                return bool(self.client.ping())
            gc.collect()
        return False

    def expect_answer(self, log: str) -> None:
        """Raise EnvironmentLacksError where the engine is gone; `log` is what failed for it.

        What fails then says nothing of a Dockerfile or a script.
        """
        if not self.answers():
            raise EnvironmentLacksError(
                f"the engine at {self.url} does not answer",
                context=log.splitlines()[-5:],
                hint="see the engine's own log; the same command starts a private one again",
            )

    def start_again_if_dead(self, *, say: Say) -> None:
        """Start a private engine that has died; what it held on disk is there as it was.

        Others are not ours to start.
        """
        if self.started_by and not self.answers():
            say(f"the private engine at {self.url} has died; starting it again")
            process.run(self.started_by, limit=SETUP_SECONDS).check("starting a private engine")

    def has_image(self, reference: str) -> bool:
        """Whether the engine's own store holds that image."""
        try:
            self.client.images.get(reference)
        except docker.errors.ImageNotFound:
            return False
        return True


def client_environment(url: str) -> dict[str, str]:
    """Return our environment with docker and buildx pointed at `url` and nothing else.

    They are spared what nobody looks at: questions to git, attestations, most garbage collection.
    """
    return process.environment(
        {
            "DOCKER_HOST": url,
            "DOCKER_CONTEXT": None,
            "BUILDX_BUILDER": "default",
            "BUILDX_GIT_INFO": "false",
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
            "GOGC": "400",
        }
    )


def state_home() -> Path:
    """Return the directory that holds our tools, images and private engines."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("LAYERPROOF_HOME") or Path(cache) / "layerproof")


def found_url() -> str:
    """Return the endpoint that docker itself would use."""
    if os.environ.get("DOCKER_HOST"):
        return os.environ["DOCKER_HOST"]
    with contextlib.suppress(EnvironmentLacksError, CommandError):
        result = process.run(commands.context_endpoint(), limit=ANSWER_SECONDS)
        if result.status == 0 and result.out.strip():
            return result.out.strip()
    return "unix:///var/run/docker.sock"


@contextlib.contextmanager
def provide(
    choice: str, *, say: Say, scripts: Path = SCRIPTS, at_least: int | None = None
) -> Iterator[Engine]:
    """Provide the engine that `choice` asks for, for as long as the block runs.

    `choice` is `auto` (private where one can be started, else found), `private`, `found` or a URL.
    A private one is of the major version `at_least`, where set-up can provide that.
    Raises EnvironmentLacksError when there is none, UsageError for another word.
    """
    if choice in {"auto", "private"}:
        with contextlib.ExitStack() as stack:
            try:
                private = _private(stack, scripts=scripts, say=say, at_least=at_least)
            except (CommandError, EnvironmentLacksError) as error:
                if choice == "private":
                    raise
                say(f"no private engine ({error.message}); using the one found")
            else:
                yield private
                return
        choice = "found"
    if choice == "found":
        yield connect(found_url(), kind=Kind.FOUND, say=say, scripts=scripts)
    elif "://" in choice:
        yield connect(choice, kind=Kind.NAMED, say=say, scripts=scripts)
    else:
        raise UsageError(
            f"no such engine: {choice!r}", context=("expected auto, private, found or a URL",)
        )


def connect(url: str, *, kind: Kind, say: Say, scripts: Path = SCRIPTS) -> Engine:
    """Return the engine that answers at `url`, with buildx for it."""
    client = _client(url)
    if client is None and kind is Kind.FOUND and (scripts / "setup.sh").exists():
        say("no engine answers; asking scripts/setup.sh for one")
        url = setup("engine", say=say, scripts=scripts).strip() or url
        client = _client(url)
    if client is None:
        raise EnvironmentLacksError(
            f"no Docker engine answers at {url}",
            hint="start Docker, set DOCKER_HOST, or run `make setup`",
        )
    version = str(client.version()["Version"])
    return Engine(url, kind, find_buildx(say=say, scripts=scripts), client, version)


def find_buildx(*, say: Say, scripts: Path = SCRIPTS) -> Path:
    """Return buildx's binary, 0.13 or later; lets scripts/setup.sh provide it when there is none.

    It is looked for where the scripts look for it (`buildx_candidates` in scripts/lib/engine.sh).
    """
    found = _buildx()
    if found is None and (scripts / "setup.sh").exists():
        say("no buildx; asking scripts/setup.sh for it")
        setup("buildx", say=say, scripts=scripts)
        found = _buildx()
    if found is None:
        raise EnvironmentLacksError(
            "docker's buildx plugin is missing, or older than 0.13",
            context=("looked for docker-buildx in docker's plugin folders, our tools and PATH",),
            hint="run `scripts/setup.sh buildx`",
        )
    return found


def setup(part: str, *, say: Say, scripts: Path = SCRIPTS, url: str | None = None) -> str:
    """Let `scripts/setup.sh` provide a part, on the engine at `url` where that matters.

    Returns what it prints: the engine's URL for the part `engine`.
    """
    env = client_environment(url) if url else None
    result = process.run(commands.setup(scripts / "setup.sh", part), limit=SETUP_SECONDS, env=env)
    for line in result.err.splitlines():
        say(line.removeprefix("[INFO] "))
    if result.status == 3:
        raise EnvironmentLacksError(
            f"`scripts/setup.sh {part}` could not provide it", context=result.err.splitlines()[-5:]
        )
    return result.check(f"`scripts/setup.sh {part}`").out


def ensure_images(
    engine: Engine, references: Sequence[str], *, say: Say, scripts: Path = SCRIPTS
) -> None:
    """See to it that the engine has these stand-ins, by set-up, which knows how they are made now.

    Raises EnvironmentLacksError naming those that it could not provide.
    """

    def missing() -> list[str]:
        return [reference for reference in references if not engine.has_image(reference)]

    if missing():
        setup("images", say=say, scripts=scripts, url=engine.url)
    if missing():
        raise EnvironmentLacksError(
            f"the engine at {engine.url} has no image {', '.join(map(repr, missing()))}",
            hint="pull it, or let `scripts/setup.sh images` make a stand-in",
        )


def carry_from_found(engine: Engine, reference: str, *, say: Say) -> bool:
    """Copy an image from the found engine; False where none answers, or it lacks it too.

    No engine is started for that.
    """
    source = _client(found_url()) if found_url() != engine.url else None
    if source is None:
        return False
    with contextlib.closing(source):
        return carry(source, engine, reference, say=say)


def carry(source: docker.DockerClient, engine: Engine, reference: str, *, say: Say) -> bool:
    """Copy an image from another engine by save and load; False when that one lacks it too."""
    try:
        image = source.images.get(reference)
    except docker.errors.ImageNotFound:
        return False
    say(f"carrying image {reference} to {engine.url}")
    read, write = os.pipe()

    def save() -> None:
        with os.fdopen(write, "wb") as sink:
            for chunk in image.save(named=reference if ":" in reference else True):
                sink.write(chunk)

    thread = threading.Thread(target=save, daemon=True)
    thread.start()
    with os.fdopen(read, "rb") as stream:
        engine.client.images.load(stream)
    thread.join()
    return engine.has_image(reference)


def _client(url: str) -> docker.DockerClient | None:
    try:
        client = docker.DockerClient(base_url=url, timeout=120)
        client.ping()
    except (docker.errors.DockerException, OSError):
        return None
    return client


def _buildx() -> Path | None:
    """Return the first plugin that is recent enough; one that the environment names before all."""
    named = os.environ.get("LAYERPROOF_BUILDX")
    if named:
        if not os.access(named, os.X_OK):
            raise UsageError(f"LAYERPROOF_BUILDX cannot be run: {named!r}")
        return Path(named)
    configuration = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    folders = [configuration / "cli-plugins", state_home() / "tools"]
    places = [folder / "docker-buildx" for folder in (*folders, *map(Path, PLUGIN_FOLDERS))]
    on_path = shutil.which("docker-buildx")
    places += [Path(on_path)] if on_path else []
    return next((path for path in places if os.access(path, os.X_OK) and _is_recent(path)), None)


def _is_recent(buildx: Path) -> bool:
    said = process.run(commands.buildx_version(buildx), limit=ANSWER_SECONDS).out
    version = re.search(r"\bv?(\d+)\.(\d+)", said.partition(" ")[2])
    return version is not None and tuple(map(int, version.groups())) >= BUILDX_AT_LEAST


def _private(
    stack: contextlib.ExitStack, *, scripts: Path, say: Say, at_least: int | None
) -> Engine:
    """Start a private engine that lives as long as the stack; the newer one where need be."""
    own = stack.enter_context(_pooled(scripts=scripts, say=say))
    if at_least is None or int(own.version.partition(".")[0]) >= at_least:
        return own
    try:
        return stack.enter_context(_pooled(NEWER, scripts=scripts, say=say))
    except (CommandError, EnvironmentLacksError) as error:
        say(f"no engine of version {at_least} ({error.message}); {own.version} has to do")
        return own


@contextlib.contextmanager
def _pooled(dockerd: str | None = None, *, scripts: Path, say: Say) -> Iterator[Engine]:
    """Hold a slot of the pool of private engines and yield its engine.

    Engines of another `dockerd` than the system's have slots of their own: data are not handed on
    from one version to another.
    """
    script = scripts / "private-engine.sh"
    if not script.exists():
        raise EnvironmentLacksError(f"there is no {script.name}")
    pool = state_home() / "engines"
    pool.mkdir(parents=True, exist_ok=True)
    process.run(commands.private_engine(script, "sweep"), limit=120)
    for slot in range(POOL_SLOTS):
        name = f"{dockerd}-pool-{slot}" if dockerd else f"pool-{slot}"
        with (pool / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            say(f"starting private engine {name}")
            options = ["--images", "--owner-pid", str(os.getpid())]
            options += ["--dockerd", dockerd] if dockerd else []
            start = commands.private_engine(script, "start", name, *options)
            started = process.run(start, limit=SETUP_SECONDS)
            if started.status == 3 and OF_ANOTHER_POOL in started.err:
                continue
            started.check("starting a private engine")
            try:
                url = started.out.strip()
                made = connect(url, kind=Kind.PRIVATE, say=say, scripts=scripts)
                yield replace(made, started_by=tuple(start))
            finally:
                most = ("--most-layers", str(POOL_LAYERS))
                stop = commands.private_engine(script, "stop", name, *most)
                process.run(stop, limit=STOP_SECONDS)
            return
    raise EnvironmentLacksError(f"all {POOL_SLOTS} private engines are in use")
