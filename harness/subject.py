"""What is under test: a Dockerfile, the scripts beside it, a project; and what it can be given.

A Dockerfile that copies `Cargo.toml` and `src` by name can only build a single package of that
shape; generated projects keep to what its instructions reach. Pure, but for `load`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import dockerfile
from harness.brief import Brief
from harness.config import Config
from harness.errors import ExpansionError, ProjectError, UsageError
from harness.model import BuildOptions, Dockerfile, File, Instruction, Stage, Tree
from harness.parsing import expansion, instructions
from harness.structure import roles
from harness.structure.roles import Role

NOTHING_SAID = Config()
_BINARY = re.compile(
    r"(?:/(?:release|debug|lambda|cargo/bin)/|--bin[ =])"
    r"(?:(?P<name>[A-Za-z][A-Za-z0-9_-]*)|\$\{?(?P<variable>\w+)\}?)(?=[\s/\"'\],;)]|$)"
)
"""Where a binary's name stands: in cargo's target directory or bin folder, or after `--bin`."""
_FOLDERS = {"deps", "build", "examples", "incremental"}
_ALWAYS = {"Cargo.toml", "Cargo.lock", "src", "src/main.rs"}
_CONTENTS = {
    ".cargo/config": b"# nothing is set\n",
    ".cargo/config.toml": b"# nothing is set\n",
    "build.rs": b"fn main() {}\n",
    "rust-toolchain": b'[toolchain]\nprofile = "minimal"\n',
    "rust-toolchain.toml": b'[toolchain]\nprofile = "minimal"\n',
    "src/lib.rs": b"",
}
_VOLATILE = re.compile(
    r"(BUILD|COMMIT|GIT|VCS|SOURCE)_?(DATE|TIME|TIMESTAMP|SHA|SHA1|HASH|REF|REV|REVISION|COMMIT|ID"
    r"|NUMBER|NUM)|DATE|TIMESTAMP|COMMIT|REVISION|CACHE_?BUST(ER)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What kinds of generated projects the Dockerfile can build."""

    workspace: bool = True
    vendored: bool = True
    build_script: bool = True
    toolchain: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Subject(Brief):
    """The Dockerfile under test with what surrounds it.

    `ignore` is the text of its own `.dockerignore` file. `volatile` names the ARGs that change with
    every commit or build where such a thing is declared. `roles` overrides those that are inferred,
    `program` is the artifact's path in the image where the entry point is not it. `required` are
    files without which the Dockerfile builds nothing, whatever else a generated project is.
    """

    dockerfile: Dockerfile
    scripts: Path
    shape: Shape
    binary: str = "app"
    ignore: str | None = None
    volatile: tuple[str, ...] = ()
    project: Path | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    roles: Mapping[str, str] = field(default_factory=dict)
    program: str | None = None
    required: Tree = field(default_factory=dict)


def load(
    path: Path, *, scripts: Path, project: Path | None = None, config: Config = NOTHING_SAID
) -> Subject:
    """Read the Dockerfile under test. Raises UsageError, ProjectError or DockerfileSyntaxError."""
    if not path.is_file():
        raise UsageError(f"no such Dockerfile: {str(path)!r}")
    if not scripts.is_dir():
        raise UsageError(f"no such scripts directory: {str(scripts)!r}")
    if project is not None and not (project / "Cargo.toml").is_file():
        raise ProjectError(
            f"{str(project)!r} is not a cargo project", context=("expected a Cargo.toml in it",)
        )
    ignore = path.with_name(f"{path.name}.dockerignore")
    described = describe(
        dockerfile.load(path),
        scripts=scripts,
        ignore=ignore.read_text() if ignore.is_file() else None,
        project=project,
    )
    options = replace(
        described.options,
        target=config.target,
        build_args={**described.options.build_args, **config.build_args},
        secrets={
            name: str(config.directory / Path(value).expanduser())
            for name, value in config.secrets.items()
        },
    )
    return replace(described, options=options, roles=config.roles, program=config.binary)


def describe(
    parsed: Dockerfile, *, scripts: Path, ignore: str | None = None, project: Path | None = None
) -> Subject:
    """Return the subject that a parsed Dockerfile makes."""
    binary = binary_of(parsed)
    return Subject(
        dockerfile=parsed,
        scripts=scripts,
        shape=shape(parsed),
        binary=binary,
        ignore=ignore,
        volatile=volatile(parsed),
        project=project,
        options=BuildOptions(build_args=arguments(parsed, binary) if project is None else {}),
        required={} if project is not None else required(parsed),
    )


def binary_of(parsed: Dockerfile) -> str:
    """Return what the Dockerfile calls its binary, by name or by the default of an ARG; or `app`."""
    defaults = _defaults(parsed)
    for name, variable in _BINARY.findall(_run_texts(parsed)):
        value = name or defaults.get(variable) or ""
        if value and value not in _FOLDERS:
            return value
    return "app"


def arguments(parsed: Dockerfile, binary: str) -> dict[str, str]:
    """Return the build arguments that a Dockerfile which has them needs for generated projects.

    That is `BIN`, and what a binary's name is taken from where it has no default.
    """
    declared, defaults = declared_arguments(parsed), _defaults(parsed)
    variables = {variable for _, variable in _BINARY.findall(_run_texts(parsed))}
    wanted = {name for name in variables & declared if not defaults.get(name)}
    return dict.fromkeys(sorted(wanted | {"BIN"} & declared), binary)


def _defaults(parsed: Dockerfile) -> dict[str, str]:
    """Return the first plain value of each ARG and ENV that has one."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    found: dict[str, str] = {}
    for instruction in (*parsed.global_args, *staged):
        if instruction.keyword in {"ARG", "ENV"}:
            for name, value in instructions.assignments(instruction, escape=parsed.escape):
                if value and "$" not in value:
                    found.setdefault(name, value.strip("\"'"))
    return found


def _run_texts(parsed: Dockerfile) -> str:
    """Return what the instructions that make or copy files say, comments left out."""
    made = (i for stage in parsed.stages for i in stage.instructions)
    return "\n".join(_text(i) for i in made if i.keyword in {"RUN", "COPY"})


def shape(parsed: Dockerfile) -> Shape:
    """Return what the context paths that the Dockerfile reaches leave possible.

    What a dependency layer needs (members' manifests, a registry in the tree) has to be there
    before it. A toolchain file that is never named and never reached is none of the build's.
    """
    lines = roles.infer(parsed).lines
    compiled = [line for line, role in lines.items() if role is Role.DEPENDENCIES]
    reached = list(_context_sources(parsed))
    early = list(_context_sources(parsed, until=max(compiled))) if compiled else reached
    if any(_is_whole(source) for source in early):
        return Shape()
    whole = any(_is_whole(source) for source in reached)

    def has(name: str, sources: Iterable[str] = early) -> bool:
        return any(re.match(rf"(\./)?{name}", source) for source in sources)

    return Shape(
        workspace=has("crates") or has(r"\*\*/Cargo"),
        vendored=has("vendor") and has(r"\.cargo"),
        build_script=whole or has(r"build\.?r?", reached),
        toolchain=whole or has(r"(\S*/)?rust-toolchain", reached),
    )


def _is_whole(source: str) -> bool:
    return source.rstrip("/") in {".", "", "*"}


def required(parsed: Dockerfile) -> Tree:
    """Return a file for each path of the context that an instruction names, and so must find.

    What cargo or every generated project has is left out. A name without an extension is taken for
    a directory.
    """
    found: dict[str, File] = {}
    for source in _context_sources(parsed):
        path = posixpath.normpath(f"/{source}").lstrip("/")
        if not path or path in _ALWAYS or re.search(r"[*?\[$]|://", source) or "<<" in source:
            continue
        name = posixpath.basename(path)
        if path in _CONTENTS:
            found[path] = File(_CONTENTS[path])
        elif name == ".cargo":
            found[f"{path}/config.toml"] = File(_CONTENTS[".cargo/config.toml"])
        elif source.endswith("/") or "." not in name.lstrip("."):
            found[f"{path}/.keep"] = File(b"")
        else:
            found[path] = File(b"fn main() {}\n" if name.endswith(".rs") else b"")
    return found


def volatile(parsed: Dockerfile) -> tuple[str, ...]:
    """Return the names of ARGs that stand for the commit or the moment of the build."""
    return tuple(sorted(name for name in declared_arguments(parsed) if _VOLATILE.fullmatch(name)))


def declared_arguments(parsed: Dockerfile) -> frozenset[str]:
    """Return the names of all ARGs, global and of stages."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    return frozenset(
        name
        for instruction in (*parsed.global_args, *staged)
        if instruction.keyword == "ARG"
        for name, _ in instructions.assignments(instruction, escape=parsed.escape)
    )


def bases(parsed: Dockerfile, arguments: Mapping[str, str]) -> dict[int, str]:
    """Return the image each stage starts from, by stage index; stages on stages are left out."""
    variables: dict[str, str] = {}
    for instruction in parsed.global_args:
        for name, default in instructions.assignments(instruction, escape=parsed.escape):
            if name in arguments:
                variables[name] = arguments[name]
            elif default is not None:
                variables[name] = _expand(default, variables, parsed.escape)
    found: dict[int, str] = {}
    for stage in parsed.stages:
        image = _expand(stage.base, variables, parsed.escape)
        earlier = parsed.stages[: stage.index]
        named = any(s.name and s.name.lower() == image.lower() for s in earlier)
        if not named and image != "scratch":
            found[stage.index] = image
    return found


def compiles(parsed: Dockerfile, index: int) -> bool:
    """Whether the stage, or one that is built upon it, calls cargo or rustc."""
    stage = parsed.stages[index]
    if any(
        i.keyword == "RUN" and re.search(r"\b(cargo|rustc)\b", _text(i)) for i in stage.instructions
    ):
        return True
    upon = (s.index for s in parsed.stages[index + 1 :] if _based_on(parsed, s, stage))
    return any(compiles(parsed, later) for later in upon)


def with_bases(parsed: Dockerfile, images: Mapping[int, str]) -> str:
    """Return the Dockerfile's text with the images of some stages replaced, line for line."""
    lines = parsed.text.splitlines(keepends=True)
    for index, image in images.items():
        stage = parsed.stages[index]
        at = stage.line - 1
        lines[at] = lines[at].replace(stage.base, image, 1)
    return "".join(lines)


def _based_on(parsed: Dockerfile, stage: Stage, other: Stage) -> bool:
    earlier = [
        s for s in parsed.stages[: stage.index] if (s.name or "").lower() == stage.base.lower()
    ]
    return bool(earlier) and earlier[-1].index == other.index


def _context_sources(parsed: Dockerfile, *, until: int | None = None) -> Iterator[str]:
    """Yield what instructions take from the build context, those after line `until` left out."""
    for instruction in (i for stage in parsed.stages for i in stage.instructions):
        if until is not None and instruction.line > until:
            return
        if instruction.keyword in {"COPY", "ADD"} and instruction.flag("from") is None:
            yield from instructions.transfer_of(instruction).sources
        elif instruction.keyword == "RUN":
            for mount in instructions.mounts_of(instruction):
                if mount.kind == "bind" and mount.from_stage is None:
                    yield mount.source or "."


def _text(instruction: Instruction) -> str:
    bodies = "\n".join(heredoc.content for heredoc in instruction.heredocs)
    return f"{instruction.value}\n{bodies}"


def _expand(text: str, variables: Mapping[str, str], escape: str) -> str:
    try:
        return expansion.expand(text, variables, escape=escape)
    except ExpansionError:
        return text
