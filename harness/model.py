"""The data everything else speaks in: frozen, slotted, without behaviour beyond look-ups.

Owns the words of the field (Dockerfile, stage, vertex, edit, observation, prediction). Leaves
parsing to `dockerfile`, prediction to `cache`, and every effect to the rim.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

# --- Dockerfiles -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flag:
    """One `--name=value` of an instruction; `value` is None for a bare `--name`."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A here-document: `expand` is False when its delimiter was quoted.

    `content` is the body as written, line ends included. `chomp` is True for `<<-`, which takes
    leading tabs off each line of it and is not applied to `content`.
    """

    name: str
    content: str
    expand: bool = True
    chomp: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """One `RUN --mount`. `source`, `target` and `from_stage` are as written, or None if not given.

    `kind` is bind, cache, tmpfs, secret or ssh; `id` names a cache, a secret or an agent; `sharing`
    is a cache's (`shared` unless said); `mode` is octal, as a number.
    """

    kind: str
    target: str | None = None
    source: str | None = None
    from_stage: str | None = None
    id: str | None = None
    sharing: str | None = None
    read_only: bool = False
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: str | None = None
    env: str | None = None


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, as written: no variable is expanded yet.

    `line`/`end_line` are 1-based and inclusive. `value` is what follows keyword and flags, with
    continuation lines joined and comments inside them dropped. `words` holds the JSON (exec) form
    when it was used, else None.
    """

    keyword: str
    value: str
    line: int
    end_line: int
    flags: tuple[Flag, ...] = ()
    words: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()

    def flag(self, name: str) -> str | None:
        """Return the last value given for `--name`, or None."""
        return next((f.value for f in reversed(self.flags) if f.name == name), None)


@dataclass(frozen=True, slots=True)
class Stage:
    """A build stage: its FROM and what follows it up to the next FROM."""

    index: int
    name: str | None
    base: str
    platform: str | None
    line: int
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """A `# layerproof: depends-on …` comment: what the output of a stage depends on.

    `stage` is the index of the stage it stands in (a comment right above a FROM belongs to that
    FROM). `patterns` are `.dockerignore`-style globs over the build context or `@`-names of sets
    that the model can compute; `arguments` are the build arguments it names, as `$NAME`.
    """

    stage: int
    patterns: tuple[str, ...]
    line: int
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed Dockerfile. `global_args` are the ARGs before the first FROM."""

    path: str
    text: str
    escape: str
    syntax: str | None
    global_args: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    declarations: tuple[Declaration, ...] = ()

    def stage(self, name: str) -> Stage | None:
        """Return the stage called `name` (case-insensitive) or numbered so, or None.

        As in BuildKit, the last stage of that name wins.
        """
        found = [s for s in self.stages if s.name is not None and s.name.lower() == name.lower()]
        if found:
            return found[-1]
        if name.isdigit() and int(name) < len(self.stages):
            return self.stages[int(name)]
        return None


# --- Build contexts and edits ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class File:
    """A regular file of a tree."""

    content: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link of a tree."""

    target: str


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory that is named for itself: because it is empty or its mode matters."""

    mode: int = 0o755


Entry = File | Link | Directory
Tree = Mapping[str, Entry]
"""Entries by path, relative and `/`-separated. Parents need no entry of their own."""


class EditClass(enum.Enum):
    """The edit vocabulary: what a developer does to a project between two builds."""

    NOTHING = "nothing changed"
    SOURCE = "source content"
    SOURCE_SAME_SIZE = "source content of the same size"
    SOURCE_COMMENT = "source comment"
    MODULE_ADD = "new module"
    SOURCE_RENAME = "source file renamed"
    SOURCE_DELETE = "source file deleted"
    MTIME = "modification time only"
    MODE = "file mode"
    SYMLINK = "symbolic link"
    ODD_NAME = "file with an odd name"
    IGNORED = "dockerignored file"
    README = "documentation"
    BUILD_SCRIPT = "build.rs"
    DEPENDENCY_ADD = "dependency added"
    DEPENDENCY_BUMP = "dependency bumped"
    DEPENDENCY_REMOVE = "dependency removed"
    FEATURE = "feature toggled"
    LOCK = "lock file only"
    OWN_VERSION = "own version"
    MANIFEST_COMMENT = "manifest comment"
    PROFILE = "profile setting"
    TOOLCHAIN = "toolchain file"
    MEMBER_ADD = "workspace member added"
    BIN_ADD = "binary target added"
    REVERT = "revert to an earlier state"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a tree. `changes` maps paths to their new entry, or to None when removed.

    `summary` is one line a person can act on (`src/main.rs: answer 7 → 8`). `keep_mtime` leaves
    the modification times of changed files as they were, to provoke BK#4817 on purpose; `touch`
    lists files of which the modification time alone moves.
    """

    edit_class: EditClass
    summary: str
    changes: Mapping[str, Entry | None] = field(default_factory=dict)
    touch: tuple[str, ...] = ()
    keep_mtime: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A cargo project as data: its files, and what a build of it is expected to make.

    `binaries` maps each binary's name to the line it prints when run. `packages` are the names of
    the workspace's own crates, `dependencies` those of its registry crates.
    """

    name: str
    tree: Tree
    binaries: Mapping[str, str]
    packages: tuple[str, ...]
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build is invoked with, beyond Dockerfile and context.

    `secrets` and `named_contexts` map ids or names to paths on the host (contexts may also be
    image references); secret values are never held here.
    """

    target: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    no_cache: bool = False
    no_cache_filter: tuple[str, ...] = ()
    network: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    named_contexts: Mapping[str, str] = field(default_factory=dict)


# --- What a build did --------------------------------------------------------------------------


class Outcome(enum.Enum):
    """What happens to a vertex. UNKNOWN is a prediction's only; NOT_RUN an observation's only."""

    CACHED = "cached"
    EXECUTED = "executed"
    UNKNOWN = "unknown"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class Vertex:
    """A vertex as the engine reported it. `name` is BuildKit's, `[build 3/7] RUN …`.

    `stage` and `position` come from the name (None for internal vertices); `error` is the engine's
    message. `log` is what the vertex printed, decoded with replacement.
    """

    name: str
    outcome: Outcome
    stage: str | None = None
    position: int | None = None
    error: str | None = None
    seconds: float | None = None
    log: str = ""


@dataclass(frozen=True, slots=True)
class BuildObservation:
    """One build: what the engine did and what came out. Crates are `name version`, in order."""

    succeeded: bool
    vertices: tuple[Vertex, ...]
    crates_compiled: tuple[str, ...] = ()
    image_id: str | None = None
    layers: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str | None = None
    log: str = ""


# --- What a build will do ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a vertex is executed or unknown: one sentence, the line and the path it speaks of."""

    text: str
    line: int | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class VertexPrediction:
    """The fate of one instruction's vertex; `because` is empty exactly when it is cached."""

    stage: str
    line: int
    instruction: str
    prediction: Outcome
    because: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a build will run again, vertex by vertex, in Dockerfile order."""

    vertices: tuple[VertexPrediction, ...]
