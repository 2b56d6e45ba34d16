"""Runs the scripts under test in a scenario's project, returns what happened, and judges nothing.

What a script says of its container is one witness; the other is the engine itself, asked for the
containers that mount the project's directory, whatever they are called and labelled.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import docker

from harness import dockerfile, for_scripts, process, progress
from harness import subject as subjects
from harness.engine import SCRIPTS
from harness.errors import CommandError
from harness.judging import states
from harness.running import execution, noting, other_scripts, sweep
from harness.running.noting import Notes
from harness.scenario import Workspace

SCRIPT_SECONDS = 300.0
BUILD_LAMBDA = "build-lambda.sh"
DEV_CONTAINER = "dev-container.sh"
PACKAGE, ZIP = Path("lambda-package/bootstrap"), Path("lambda-deployment.zip")
"""What build-lambda.sh makes, in the project."""
OUTPUTS = ("target", "lambda-package")
"""The directories that the scripts may write to in a project."""
AFTER_PROGRAM = "\x1f"
EACH_PROGRAM = r'for path; do "$path" 2>&1; printf "\037%s\037" "$?"; done'
"""Runs programs in turn, each status between two separators after what the program wrote."""
PLAIN_USER = 12345
"""Whom root calls the scripts as where files' owners matter: root's own show nothing."""


class Promise(enum.Enum):
    """What dev-container.sh may promise beyond the contract, each by a line `# layerproof: …`."""

    SEES_OLD_DATES = "sees files that change to an older date"
    PROD_SEES_HIDDEN = "prod, too, sees files that change and keep their size and date"
    FLAGS_FOR_ALL = "CARGO_FLAGS reach the cargo that compiles the dependencies, too"
    ENDS_BUILDS = "ends what an interrupted build runs"
    ONE_CONTAINER = "one container for a directory, whatever path leads to it and whatever its name"
    CURRENT_BEFORE_EXEC = "start and exec, too, replace a container that is not current"
    FOLLOWS_NETWORK = "a container is not current in another network"
    ANY_PATH = "a project, and these scripts, may lie at any path that is text"
    STATUS_EXITS = "status ends with 0 only where the container is up and current"
    WAITS_FOR_ENGINE = "an engine that answers late is waited for"
    PACKAGES_DEV = "dev, too, packages what it built"
    KEEPS_PACKAGE = "a package that cannot be made leaves the one before as it was"
    MENDS_CACHE = "what cargo kept is compiled anew where it is damaged"


def promised(scripts: Path) -> set[Promise]:
    """Return what the scripts in a folder promise."""
    file = scripts / DEV_CONTAINER
    lines = {line.strip() for line in file.read_text().splitlines()} if file.is_file() else set()
    return {promise for promise in Promise if f"# layerproof: {promise.value}" in lines}


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """One call of a script: its words, exit status, what it wrote, and what was noted of it."""

    argv: tuple[str, ...]
    status: int
    out: str
    err: str
    stdout: bytes
    crates_compiled: tuple[str, ...]
    notes: Notes = field(default_factory=Notes)

    @property
    def log(self) -> str:
        """Everything that it wrote, errors last."""
        return f"{self.out}{self.err}"


@dataclass(frozen=True, slots=True)
class Container:
    """A container that mounts the project, as the engine tells it."""

    id: str
    state: str
    started_at: str
    image: str
    mounted_at: str
    writable: bool
    user: str


class Scripted:
    """A project and the scripts, on the engine and with the base images of a bench."""

    def __init__(self, workspace: Workspace, *, plain: bool = False) -> None:
        self.workspace = workspace
        self.bench = workspace.bench
        self.project = workspace.context
        parsed = dockerfile.parse(workspace.dockerfile.read_text(), path=str(workspace.dockerfile))
        workspace.dockerfile.write_text(for_scripts.fitted(parsed, self.bench.subject))
        self.scripts = self.bench.subject.scripts
        self.are_ours = self.scripts == SCRIPTS
        self.promises = promised(self.scripts)
        buildx = noting.stand_in_for_buildx(self.bench.engine.buildx, self.project.parent / "tools")
        self.environment = {**script_environment(workspace), "LAYERPROOF_BUILDX": str(buildx)}
        self.uid = PLAIN_USER if plain and os.getuid() == 0 and _can_change_user() else os.getuid()
        self.gid = os.getgid() if self.uid == os.getuid() else self.uid
        if self.uid != os.getuid():
            self.environment |= _home(self.project.parent / "home")
            self.hand_over(self.project.parent / "home")
            self.hand_over(self.project)
        if not self.are_ours:
            around = self.project.parent
            self.scripts = other_scripts.mirror(
                self.scripts, workspace.dockerfile, around / "repository"
            )
            configuration = around / "docker-config"
            other_scripts.client_configuration(buildx, configuration)
            self.environment["DOCKER_CONFIG"] = str(configuration)

    def hand_over(self, folder: Path) -> None:
        """Make all in a folder the caller's; what it is already stays as it is."""
        if self.uid == os.getuid():
            return
        for path in (folder, *folder.rglob("*")):
            if path.lstat().st_uid != self.uid:
                os.lchown(path, self.uid, self.gid)

    def run(
        self,
        script: str,
        *arguments: str,
        environment: Mapping[str, str | None] | None = None,
        limit: float = SCRIPT_SECONDS,
        by: Path | None = None,
    ) -> ScriptRun:
        """Run a script in the project's root, to its end, whatever its status.

        `by` is another path that leads there, as a shell knows it that went that way.
        """
        argv = (str(self.scripts / script), *arguments)
        return self.command(argv, environment=environment, limit=limit, by=by)

    def command(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str | None] | None = None,
        limit: float = SCRIPT_SECONDS,
        by: Path | None = None,
        typed: bytes | None = None,
    ) -> ScriptRun:
        """Run any command in the project's root as a user of the scripts would; `typed` is read."""
        env = self._merged(environment)
        if by is not None:
            env["PWD"] = str(by)
        done = process.run(
            self._as_caller(argv), limit=limit, cwd=by or self.project, env=env, stdin=typed
        )
        if done.status != 0:
            self.bench.engine.expect_answer(f"{done.out}{done.err}")
        return _observed(done)

    def run_noting(self, script: str, *arguments: str, flags: str | None = None) -> ScriptRun:
        """Run a script and note what it calls docker with, and what its builds say of themselves.

        That is noted whatever the script shows of it. `flags` are CARGO_FLAGS.
        """
        folder = self.project.parent / "notes"
        asked = {} if flags is None else {"CARGO_FLAGS": flags}
        environment = {**noting.environment(folder), **asked}
        seen = self.run(script, *arguments, environment=environment)
        return replace(seen, notes=noting.read(folder))

    @functools.cached_property
    def _offers_json(self) -> bool:
        """Whether the text of a script knows of `--json`."""
        files = (path for path in self.scripts.rglob("*") if path.is_file())
        return any("--json" in path.read_text(errors="replace") for path in files)

    def executing(self, *words: str) -> tuple[str, ...]:
        """Return the arguments of dev-container.sh that run a command in the container.

        They have `--` before it where the script speaks of that.
        """
        asks = re.search(r"\bexec \[?--\]?(\s|$)", (self.scripts / DEV_CONTAINER).read_text())
        return ("exec", *(["--"] if asks else []), *words)

    def offers(self, option: str) -> bool:
        """Whether the help of build-lambda.sh names an option: some know more than they must."""
        help_text = self.run(BUILD_LAMBDA, "--help").out
        return re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", help_text) is not None

    @contextlib.contextmanager
    def beside(self, script: str, *arguments: str) -> Iterator[process.Running]:
        """Run a script beside the block; what is left of it is ended with the block."""
        argv = (str(self.scripts / script), *arguments)
        with process.background(
            self._as_caller(argv), cwd=self.project, env=self._merged(None)
        ) as running:
            yield running

    def status(self, environment: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """Return what `dev-container.sh status --json` says, and how it ends.

        Scripts that know nothing of `--json` are asked without it: what they say for people
        may tell a `state`. Raises CommandError for no JSON.
        """
        if not self._offers_json:
            seen = self.run(DEV_CONTAINER, "status", environment=environment)
            state = states.told(seen.log, seen.status)
            return {**({} if state is None else {"state": state}), "exit": seen.status}
        seen = self.run(DEV_CONTAINER, "status", "--json", environment=environment)
        try:
            said = json.loads(seen.out)
        except ValueError as error:
            raise CommandError(
                "`status --json` prints no JSON", argv=seen.argv, status=seen.status, log=seen.log
            ) from error
        return {**said, "exit": seen.status}

    def containers(self) -> list[Container]:
        """Return the containers that mount the project, running or not."""
        client = self.bench.engine.client
        found = []
        for summary in client.api.containers(all=True):
            mounts = summary.get("Mounts") or ()
            here = [m for m in mounts if m.get("Source") == str(self.project.resolve())]
            if not here:
                continue
            with contextlib.suppress(docker.errors.NotFound):
                facts = client.api.inspect_container(summary["Id"])
                state = facts["State"]
                found.append(
                    Container(
                        id=facts["Id"],
                        state=state["Status"],
                        started_at=state["StartedAt"],
                        image=facts["Image"],
                        mounted_at=here[0]["Destination"],
                        writable=any(mount.get("RW", True) for mount in here),
                        user=facts["Config"]["User"],
                    )
                )
        return found

    def printed(self, binary: str, *, profile: str = "debug") -> str:
        """Return what a dev build's binary prints when it is run in the container."""
        return self.programs(f"./target/{profile}/{binary}")[0]

    def programs(self, *paths: str) -> tuple[str, ...]:
        """Return what each of some programs of the project's directory prints in the container.

        The engine is asked to run them where a container is up, or comes up when it is asked for,
        which needs no script's word.
        """
        up = self._running()
        if not up:
            self.run(DEV_CONTAINER, "start")
            up = self._running()
        words = ("sh", "-c", EACH_PROGRAM, "sh", *paths)
        if up:
            status, said = self._execute(up[0], words)
        else:
            seen = self.run(DEV_CONTAINER, *self.executing(*words))
            status, said = seen.status, seen.out if seen.status == 0 else seen.log
        parts = said.split(AFTER_PROGRAM)
        if status != 0 or len(parts) != 2 * len(paths) + 1:
            return (f"(exit {status}) {said.strip()}",) * len(paths)
        each = zip(parts[0::2], parts[1::2], strict=False)
        return tuple(
            text.strip() if end == "0" else f"(exit {end}) {text.strip()}" for text, end in each
        )

    def _running(self) -> list[Container]:
        return [container for container in self.containers() if container.state == "running"]

    def _execute(self, container: Container, words: Sequence[str]) -> tuple[int, str]:
        """Run a command in the container, where the project is mounted; status and output."""
        status, said = execution.execute(
            self.bench.engine, container.id, words, workdir=container.mounted_at
        )
        return status, said.decode(errors="replace")

    def close(self) -> None:
        """Remove what the scripts made on the engine; other scripts than ours by their own means
        first, since only they know all of it.
        """
        if self.bench.keep:
            return
        if not self.are_ours:
            with contextlib.suppress(CommandError):
                self.run(DEV_CONTAINER, "clean")
        sweep.of_project(self.bench.engine, self.project.resolve())
        for name in OUTPUTS:
            shutil.rmtree(self.project / name, ignore_errors=True)

    def _as_caller(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as the caller runs it: with access to the engine, as its group has."""
        if self.uid == os.getuid():
            return tuple(argv)
        identity = (f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups")
        access = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
        return ("setpriv", *identity, *access, "--", *argv)

    def _merged(self, environment: Mapping[str, str | None] | None) -> dict[str, str]:
        changes = {**self.environment, **(environment or {})}
        merged = {**self.bench.engine.environment, **changes}
        return {name: value for name, value in merged.items() if value is not None}


@contextlib.contextmanager
def scripted(workspace: Workspace, *, plain: bool = False) -> Iterator[Scripted]:
    """Yield the scripts in a workspace's project; what they made goes with the block.

    With `plain` root calls them as a plain user, whose the project then is.
    """
    made = Scripted(workspace, plain=plain)
    images = contextlib.nullcontext() if made.are_ours else other_scripts.named_images(made.bench)
    with images:
        try:
            yield made
        finally:
            made.close()


def script_environment(workspace: Workspace) -> dict[str, str | None]:
    """Return what the scripts are told through their environment.

    The base images are the bench's. Where builds have no network, the scripts have none: the crates
    of generated projects lie in the build image.
    """
    parsed = dockerfile.parse(workspace.dockerfile.read_text(), path=str(workspace.dockerfile))
    options = workspace.options
    images = subjects.bases(parsed, options.build_args)
    building = [image for index, image in images.items() if subjects.compiles(parsed, index)]
    running = [image for image in images.values() if image not in building]
    offline = options.network == "none"
    return {
        "LAYERPROOF_DOCKERFILE": str(workspace.dockerfile),
        "DOCKER_IMAGE": building[0] if building else None,
        "RUNTIME_IMAGE": running[-1] if running else None,
        "LAYERPROOF_OFFLINE": "1" if offline else None,
        "LAYERPROOF_NETWORK": options.network,
        "LAYERPROOF_CA_BUNDLE": "" if offline else None,
        "CARGO_FLAGS": None,
        "TARGET_ARCH": None,
        "NO_COLOR": "1",
    }


def _can_change_user() -> bool:
    """Whether a command can be run as another user here (util-linux)."""
    return shutil.which("setpriv") is not None


def _home(home: Path) -> dict[str, str | None]:
    """Make a home directory; return the environment that leads there."""
    home.mkdir(parents=True)
    return {
        "HOME": str(home),
        "LAYERPROOF_HOME": str(home / "layerproof"),
        "DOCKER_CONFIG": None,
        "XDG_CACHE_HOME": None,
        "XDG_RUNTIME_DIR": str(home),
    }


def _observed(done: process.Completed) -> ScriptRun:
    return ScriptRun(
        argv=done.argv,
        status=done.status,
        out=done.out,
        err=done.err,
        stdout=done.stdout,
        crates_compiled=progress.compiled_in(f"{done.out}\n{done.err}"),
    )
