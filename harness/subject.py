"""What is under test: a Dockerfile, the scripts beside it, a project. Pure, but for `load`.

What a generated project has to be for it is `fitting`'s business.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import dockerfile, exported, fitting, naming, texts
from harness.brief import Brief
from harness.config import Config
from harness.errors import ExpansionError, ProjectError, UsageError
from harness.model import BuildOptions, Dockerfile, Stage, Tree
from harness.parsing import dockerignore, expansion, instructions
from harness.parsing.dockerignore import Ignore
from harness.structure import layers
from harness.structure.rules import CONFIGURATION, LOCK, MANIFEST, TOOLCHAIN

NOTHING_SAID = Config()
HEREDOC_VERSION = 23
MANIFESTS_BELOW = ("*/Cargo.toml", "*/*/Cargo.toml", "*/*/*/Cargo.toml")
"""How deep in its context a project may lie, and be found."""
STRIPPING, KEEPING = (True, "symbols"), (False, "none", "debuginfo")
"""What a profile's `strip` may be (doc.rust-lang.org/cargo/reference/profiles.html)."""
_CALLS = re.compile(r"(?<![\w.-])(cargo|rustc)(?![\w./-])")
_SYNTAX = re.compile(r"^(#[ \t]*)syntax([ \t]*=)", re.IGNORECASE | re.MULTILINE)
_VOLATILE = re.compile(layers.COMMITS, re.IGNORECASE)


@dataclass(frozen=True, slots=True, repr=False)
class Subject(Brief):
    """The Dockerfile under test with what surrounds it.

    `takes_by_name` says that another program beside `binary` is none that the Dockerfile may take.
    `ignore` is the text of its own `.dockerignore` file. `volatile` names the ARGs that change with
    every commit or build where such a thing is declared. `roles` overrides those that are inferred,
    `program` is the artifact's path in the image where the entry point is not it, `image_files` are
    patterns of what it may hold beside. `keeps_symbols` says that the program may keep its symbol
    table: the project's manifest says so, or neither that nor the Dockerfile speaks of stripping.
    `project_folder` is where in the project cargo's root is, empty where it is the project itself.
    `required` are files without which the Dockerfile builds nothing, whatever else a generated
    project is.
    """

    dockerfile: Dockerfile
    scripts: Path
    shape: fitting.Shape
    binary: str = "app"
    takes_by_name: bool = True
    ignore: str | None = None
    volatile: tuple[str, ...] = ()
    project: Path | None = None
    options: BuildOptions = field(default_factory=BuildOptions)
    roles: Mapping[str, str] = field(default_factory=dict)
    program: str | None = None
    image_files: tuple[str, ...] = ()
    keeps_symbols: bool = False
    project_folder: str = ""
    required: Tree = field(default_factory=dict)


def load(
    path: Path,
    *,
    scripts: Path,
    project: Path | None = None,
    like: Path | None = None,
    config: Config = NOTHING_SAID,
) -> Subject:
    """Read the Dockerfile under test. Raises UsageError, ProjectError or DockerfileSyntaxError.

    With `project` that is judged; generated ones otherwise, whose manifests leave the stripping to
    the Dockerfile, unless that of the project `like` does not, and which have a toolchain file
    where that has one.
    """
    if not path.is_file():
        raise UsageError(f"no such Dockerfile: {str(path)!r}")
    if not scripts.is_dir():
        raise UsageError(f"no such scripts directory: {str(scripts)!r}")
    ignore = path.with_name(f"{path.name}.dockerignore")
    read = dockerfile.load(path)
    dockerfile.target(read, config.target, where=config.source)
    judged = exported.with_runtime(read, target=config.target, binary=config.binary)
    described = describe(
        judged,
        scripts=scripts,
        ignore=ignore.read_text() if ignore.is_file() else None,
        project=project,
        given=config.build_args,
        target=config.target if judged is read else None,
    )
    options = replace(
        described.options,
        target=config.target if judged is read else None,
        build_args={**described.options.build_args, **config.build_args},
        secrets={
            name: str(config.directory / Path(value).expanduser())
            for name, value in config.secrets.items()
        },
    )
    folder = "" if project is None else project_folder(project, read)
    strip = None if like is None else said_of_strip(like / folder)
    has_toolchain = like is not None and any((like / folder / name).is_file() for name in TOOLCHAIN)
    shape = replace(
        described.shape,
        strips=strip in STRIPPING,
        toolchain=described.shape.toolchain or has_toolchain,
    )
    program = (config.binary if judged is read else None) or described.program
    return replace(
        described,
        options=options,
        roles=config.roles,
        program=program,
        image_files=config.image_files,
        keeps_symbols=strip in KEEPING or (strip is None and not texts.speaks_of_stripping(read)),
        shape=shape,
        project_folder=folder,
    )


def project_folder(project: Path, parsed: Dockerfile) -> str:
    """Return the folder of a project that cargo's root is in, empty where it is the project itself.

    Below it that is the one which the Dockerfile takes the project from, or the only one with a
    Cargo.lock. Raises ProjectError where none is, or it cannot be told.
    """
    if (project / "Cargo.toml").is_file():
        return ""
    below = sorted(
        file.parent.relative_to(project).as_posix()
        for pattern in MANIFESTS_BELOW
        for file in project.glob(pattern)
    )
    named = fitting.project_folder(parsed)
    roots = [folder for folder in below if (project / folder / LOCK).is_file()]
    if named in below:
        return named
    if len(roots) == 1:
        return roots[0]
    raise ProjectError(
        f"{str(project)!r} is not a cargo project",
        context=(
            "expected a Cargo.toml in it, or one folder below with a Cargo.toml and a Cargo.lock",
            *(f"found {path}/Cargo.toml" for path in (roots or below)[:3]),
        ),
        hint="--project is the context that the Dockerfile is built with; where that is the folder "
        "of one of these, say so"
        if below
        else None,
    )


def said_of_strip(project: Path) -> object:
    """Return what a project's own manifest says of `strip` in a release; None where nothing."""
    try:
        said = tomllib.loads((project / "Cargo.toml").read_text())
        return said["profile"]["release"]["strip"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def said_of_compiling(under_test: Subject) -> str:
    """Return all that may say how to compile, and for what: the Dockerfile, the manifest, cargo's
    configuration and the toolchain file of a project that is not generated.
    """
    files: tuple[Path, ...] = ()
    if under_test.project is not None:
        folder = under_test.project / under_test.project_folder
        files = tuple(folder / name for name in (MANIFEST, *CONFIGURATION, *TOOLCHAIN))
    return "\n".join(
        (under_test.dockerfile.text, *(file.read_text() for file in files if file.is_file()))
    )


def describe(
    parsed: Dockerfile,
    *,
    scripts: Path,
    ignore: str | None = None,
    project: Path | None = None,
    given: Mapping[str, str] = texts.NOTHING_GIVEN,
    target: str | None = None,
) -> Subject:
    """Return the subject that a parsed Dockerfile makes with the build arguments `given`."""
    binary = naming.binary_of(parsed, given, target)
    arguments = naming.arguments(parsed, binary)
    return Subject(
        dockerfile=parsed,
        scripts=scripts,
        shape=fitting.shape(parsed, dockerignore.parse(ignore or ""), binary=binary, given=given),
        binary=binary,
        takes_by_name=bool(naming.named_binary(parsed, given, target) or arguments),
        ignore=ignore,
        volatile=volatile(parsed),
        project=project,
        program=naming.program_of(parsed),
        options=BuildOptions(build_args=arguments if project is None else {}),
        required={} if project is not None else fitting.required(parsed),
    )


def ignored(under_test: Subject) -> Ignore | None:
    """Return what the ignore file keeps from the build; None where there is no such file.

    The Dockerfile's own goes before that of the project.
    """
    text = under_test.ignore
    if text is None and under_test.project is not None:
        file = under_test.project / ".dockerignore"
        text = file.read_text() if file.is_file() else None
    return None if text is None else dockerignore.parse(text)


def volatile(parsed: Dockerfile) -> tuple[str, ...]:
    """Return the names of ARGs that stand for the commit or the moment of the build."""
    return tuple(
        sorted(name for name in texts.declared_arguments(parsed) if _VOLATILE.fullmatch(name))
    )


def bases(parsed: Dockerfile, arguments: Mapping[str, str]) -> dict[int, str]:
    """Return the image each stage starts from, by stage index; stages on stages are left out."""
    return {
        index: image
        for index, image in enumerate(started_from(parsed, arguments))
        if image != "scratch" and parent_of(parsed, index, image) is None
    }


def parent_of(parsed: Dockerfile, index: int, name: str) -> Stage | None:
    """Return the stage above `index` that a FROM of `name` means; the case does not count."""
    earlier = reversed(parsed.stages[:index])
    return next((s for s in earlier if s.name and s.name.lower() == name.lower()), None)


def started_from(parsed: Dockerfile, arguments: Mapping[str, str]) -> tuple[str, ...]:
    """Return what each stage's FROM names, an image or a stage, with variables expanded."""
    variables: dict[str, str] = {}
    for instruction in parsed.global_args:
        for name, default in instructions.assignments(instruction, escape=parsed.escape):
            if name in arguments:
                variables[name] = arguments[name]
            elif default is not None:
                variables[name] = _expand(default, variables, parsed.escape)
    return tuple(_expand(stage.base, variables, parsed.escape) for stage in parsed.stages)


def compiles(parsed: Dockerfile, index: int) -> bool:
    """Whether the stage, or one that is built upon it, calls cargo or rustc."""
    stage = parsed.stages[index]
    if any(i.keyword == "RUN" and _CALLS.search(texts.text_of(i)) for i in stage.instructions):
        return True
    later = parsed.stages[index + 1 :]
    upon = (s.index for s in later if parent_of(parsed, s.index, s.base) is stage)
    return any(compiles(parsed, each) for each in upon)


def with_bases(
    parsed: Dockerfile, images: Mapping[int, str], taken: Mapping[str, str] = texts.NOTHING_GIVEN
) -> str:
    """Return the Dockerfile's text with the images of some stages replaced, line for line, and
    those by name that files are `taken` from.
    """
    lines = parsed.text.splitlines(keepends=True)
    for index, image in images.items():
        stage = parsed.stages[index]
        at = stage.line - 1
        lines[at] = lines[at].replace(stage.base, image, 1)
    taking = [i for s in parsed.stages for i in s.instructions if i.keyword in {"COPY", "RUN"}]
    for name, image in taken.items():
        for at in (n - 1 for i in taking for n in range(i.line, i.end_line + 1)):
            lines[at] = re.sub(rf"(?<=\bfrom=){re.escape(name)}(?=[,\s])", image, lines[at])
    return "".join(lines)


def without_frontend(text: str) -> str:
    """Return the Dockerfile's text with its `# syntax=` line made an ordinary comment."""
    return _SYNTAX.sub(r"\1left out: syntax\2", text, count=1)


def engine_version(parsed: Dockerfile) -> int | None:
    """Return the major version of Docker whose own frontend reads the Dockerfile; None for any.

    Heredocs and `--link` are of Dockerfile 1.4 (docs.docker.com/build/buildkit/dockerfile-release-
    notes), which came with Docker 23; a `# syntax=` line can bring them to older ones.
    """
    there = [i for stage in parsed.stages for i in stage.instructions]
    newer = any(i.heredocs or any(f.name == "link" for f in i.flags) for i in there)
    return HEREDOC_VERSION if newer else None


def _expand(text: str, variables: Mapping[str, str], escape: str) -> str:
    try:
        return expansion.expand(text, variables, escape=escape)
    except ExpansionError:
        return text
