"""A reference model of the legacy interface: what an invocation is to do, from the facts alone.

Written from the interface's facts and not from any script, so that it can judge them. `expect`
takes the state of a project and an invocation, and returns the outcome and the state after it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

METHODS = ("docker", "local", "native", "codebuild", "dev", "prod")
HELP_SECTIONS = ("USAGE", "BUILD METHODS", "OPTIONS", "EXAMPLES", "ENVIRONMENT VARIABLES")
CODEBUILD_FILES = ("buildspec.yml", "codebuild-project-template.json")
DEFAULT_TRIPLE = "x86_64-unknown-linux-gnu"
NO_ENGINE = "unix:///nonexistent/docker.sock"
FLAGS = {"-h", "--help", "-v", "--verbose", "-c", "--clean", "--validate", "--package-only"}


class ExitClass(enum.Enum):
    """How an invocation ends: 0, or 1 where the build or the call is at fault."""

    DONE = 0
    REFUSED = 1


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call: `target` is a make target, or None for `build-lambda.sh` with `words`.

    Without `engine`, there is none in reach. `umask` is what the call is made under, `choice` what
    is typed at the menu of `build-lambda`.
    """

    words: tuple[str, ...] = ()
    cargo_flags: str | None = None
    target_arch: str | None = None
    target: str | None = None
    engine: bool = True
    umask: int | None = None
    choice: int | None = None

    def __repr__(self) -> str:
        """Show the call as it would be typed."""
        before = [f"{name}={value!r}" for name, value in self.environment.items() if value]
        call = ["make", self.target] if self.target else ["build-lambda.sh", *self.words]
        under = "" if self.umask is None else f"umask {self.umask:03o}; "
        typed = "" if self.choice is None else f", and {self.choice} at its menu"
        return under + " ".join([*before, *call]) + typed

    @property
    def environment(self) -> dict[str, str | None]:
        """The variables that the call is made with; None takes one away."""
        given = {"CARGO_FLAGS": self.cargo_flags, "TARGET_ARCH": self.target_arch}
        return given if self.engine else {**given, "DOCKER_HOST": NO_ENGINE}


@dataclass(frozen=True, slots=True)
class Program:
    """A binary that was built: of which source, with the extra feature or not, where, by whom.

    `optimised` says that it came out of the Dockerfile under test.
    """

    answer: int
    extra: bool
    path: str
    optimised: bool


@dataclass(frozen=True, slots=True)
class State:
    """A project: what its source answers (None: it does not compile), what is built and packed."""

    answer: int | None
    built: Program | None = None
    packaged: Program | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be seen: exit class, words in the output, the state, the files of codebuild.

    What it `says` is judged by `is_said`.
    `packages` says that the package is made, be it of the program that it holds already.
    """

    exit: ExitClass
    says: tuple[str, ...]
    state: State
    codebuild: bool = False
    packages: bool = False


_MAKE = {
    "build-docker": ("docker",),
    "build-local": ("local",),
    "deploy-package": ("--package-only",),
}
_MENU = {
    1: ("docker",),
    2: ("local",),
    3: ("native",),
    4: ("codebuild",),
    5: ("--validate",),
}
CLEAN_CHOICE = 6
"""What the menu of `build-lambda` offers; the last is no call of the script."""


def is_said(words: str, log: str) -> bool:
    """Tell whether the words stand in the log, as they are or all of them in one line.

    How a sentence is put is a script's own; words in lower case may stand there in any case.
    """
    lines = log.splitlines() if words != words.lower() else log.lower().splitlines()
    return words in log or any(all(w in line for w in words.split()) for line in lines)


def expect(invocation: Invocation, state: State, *, binary: str) -> Outcome:
    """Return what an invocation is to do to a project in this state."""
    target = "clean" if invocation.choice == CLEAN_CHOICE else invocation.target
    if target in {"help", "clean", "package-zip"}:
        return _expect_target(target, state)
    words = invocation.words
    if target:
        words = _MAKE[target] if invocation.choice is None else _MENU[invocation.choice]
    for word in words:
        if word in {"-h", "--help"}:
            return Outcome(ExitClass.DONE, HELP_SECTIONS, state)
        if word not in FLAGS and word not in METHODS:
            return Outcome(ExitClass.REFUSED, ("[ERROR]", word, "USAGE"), state)
    if "--validate" in words and invocation.engine:
        return Outcome(ExitClass.DONE, ("[SUCCESS]",), state)
    if not invocation.engine:
        return Outcome(ExitClass.REFUSED, ("[ERROR]",), state)
    start = State(state.answer) if {"-c", "--clean"} & set(words) else state
    if "--package-only" not in words:
        return _expect_build(invocation, words, start, binary=binary)
    if start.built is None:
        return Outcome(ExitClass.REFUSED, ("[ERROR]",), start)
    after = replace(start, packaged=start.built)
    return Outcome(ExitClass.DONE, ("[SUCCESS]",), after, packages=True)


def is_ambiguous(invocation: Invocation, state: State, *, binary: str) -> bool:
    """Whether the facts leave open what is packaged: that of a method that did not build last.

    `--package-only` may then mean what that method left, or what was built last.
    """
    methods = [word for word in invocation.words if word in METHODS]
    if "--package-only" not in invocation.words or not methods or state.built is None:
        return False
    return place(methods[-1], invocation.target_arch, binary=binary) != state.built.path


def _expect_target(target: str, state: State) -> Outcome:
    """The make targets that are no other name of a call of the script."""
    if target == "help":
        return Outcome(ExitClass.DONE, ("build-lambda", "package-zip"), state)
    if target == "clean":
        return Outcome(ExitClass.DONE, (), State(state.answer))
    return Outcome(ExitClass.DONE if state.packaged else ExitClass.REFUSED, (), state)


def _expect_build(
    invocation: Invocation, words: tuple[str, ...], start: State, *, binary: str
) -> Outcome:
    """A method that builds: the last one named, `docker` where none is."""
    methods = [word for word in words if word in METHODS]
    method = methods[-1] if methods else "docker"
    said: list[str] = [] if methods else ["default docker"]
    if method == "codebuild":
        return Outcome(ExitClass.DONE, tuple(said), start, codebuild=True)
    if start.answer is None:
        return Outcome(ExitClass.REFUSED, (*said, "[ERROR]"), start)
    made = Program(
        answer=start.answer,
        extra="extra" in (invocation.cargo_flags or ""),
        path=place(method, invocation.target_arch, binary=binary),
        optimised=method in {"docker", "prod"},
    )
    said += ["[WARNING]"] if method == "native" else []
    after = State(start.answer, built=made, packaged=made)
    return Outcome(ExitClass.DONE, (*said, "[SUCCESS]"), after, packages=True)


def place(method: str, target_arch: str | None, *, binary: str) -> str:
    """Return where a method leaves the binary."""
    if method == "local":
        return f"target/{target_arch or DEFAULT_TRIPLE}/release/{binary}"
    return f"target/{'debug' if method == 'dev' else 'release'}/{binary}"
