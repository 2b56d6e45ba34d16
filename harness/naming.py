"""What a Dockerfile calls its program: its binary's name, and its place in an image of Lambda's.

Generated projects take that name. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from harness import asked
from harness.model import Dockerfile, Instruction, Stage
from harness.parsing import instructions
from harness.structure import stagegraph
from harness.texts import NOTHING_GIVEN, declared_arguments, defaults_of, run_texts

_BINARY = (
    r"(?:/(?:release|debug{}|cargo/bin|(?<=target/)lambda|lambda(?=/[^\s/]+/bootstrap\b))/"
    r"|--bin[ =]"
    r"|\btarget/(?:[^\s/]+/)?\$\{{?\w+\}}?/(?!release/|debug/))"
    r"(?:(?P<name>[A-Za-z][A-Za-z0-9_-]*)|\$\{{?(?P<variable>\w+)\}}?)(?=[\s/\"'\],;)]|$)"
)
"""Where a binary's name stands: in cargo's target directory or bin folder, or after `--bin`. The
project's own profiles have folders in the target directory too.
"""
OF_LAMBDA = {"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
"""Variables of Lambda's images (docs.aws.amazon.com/lambda, "Using environment variables")."""
_FOLDERS = {"deps", "build", "examples", "incremental"}


def binary_of(
    parsed: Dockerfile,
    given: Mapping[str, str] = NOTHING_GIVEN,
    target: str | None = None,
) -> str:
    """Return what the Dockerfile calls its binary, or `app` where it gives it no name."""
    return named_binary(parsed, given, target) or "app"


def named_binary(
    parsed: Dockerfile,
    given: Mapping[str, str] = NOTHING_GIVEN,
    target: str | None = None,
) -> str | None:
    """Return what the Dockerfile calls its binary, itself or by an ARG; None where it takes what
    there is.

    What the stage that is built (`target`, or the last) says goes before what it needs, and that
    before the rest; of several names the one that it copies. Of an ARG the value counts that is
    `given`, or its default.
    """
    if "BIN" in given:
        return given["BIN"]
    defaults = {**defaults_of(parsed), **given}
    installed = _installed(parsed)
    if installed is not None:
        return installed
    graph = stagegraph.of(parsed)
    built = (parsed.stage(target or "") or parsed.stages[-1]).index
    needed, along = graph.reached_from(built), graph.chain(built)
    nearest = sorted(parsed.stages, key=lambda s: (s.index not in along, s.index not in needed))
    said = (
        name or defaults.get(variable) or "" for name, variable in _named(parsed, nearest, given)
    )
    names = [value for value in said if value and value not in _FOLDERS]
    copied = {posixpath.basename(path) for path in _copied_out(graph.steps_along(built))}
    return next((name for name in names if name in copied), next(iter(names), None))


def _named(
    parsed: Dockerfile,
    stages: Iterable[Stage] | None = None,
    given: Mapping[str, str] = NOTHING_GIVEN,
) -> list[tuple[str, str]]:
    """Return what stages call binaries: a name, or a variable that holds one."""
    profiles = "".join(f"|{re.escape(profile)}" for profile in asked.profiles(parsed, given))
    return re.findall(_BINARY.format(profiles), run_texts(parsed, stages))


def _copied_out(steps: Iterable[stagegraph.Step]) -> Iterator[str]:
    """Yield the paths that these steps copy from other stages, and those that they give them."""
    for step in steps:
        if step.instruction.keyword == "COPY" and step.instruction.flag("from") is not None:
            yield from instructions.transfer_of(step.instruction).sources
            yield from destinations(step.instruction)


def _installed(parsed: Dockerfile) -> str | None:
    """Return what is copied from the `bin` folder that `cargo install --path` was given.

    Where that folder is copied whole, or the one above it, it is what is started of it.
    """
    if not re.search(r"cargo\s+install\s[^\n]*--path\b", run_texts(parsed)):
        return None
    steps = [i for stage in parsed.stages for i in stage.instructions]
    copies = [i for i in steps if i.keyword == "COPY" and i.flag("from") is not None]
    sources = [
        (source.rstrip("/"), instructions.transfer_of(copy).destination)
        for copy in copies
        for source in instructions.transfer_of(copy).sources
    ]
    names = [re.search(r"/bin/([A-Za-z][A-Za-z0-9_-]*)$", source) for source, _ in sources]
    started = [i.value for i in steps if i.keyword in {"CMD", "ENTRYPOINT"}]
    for source, place in sources:
        inside = "" if source.endswith("/bin") else "bin"
        folder = re.escape(posixpath.join(place, inside).rstrip("/"))
        wanted = re.compile(rf"(?<![\w/]){folder}/([A-Za-z][A-Za-z0-9_-]*)(?=[\s\"']|$)")
        names += map(wanted.search, started)
    return next((found[1] for found in names if found is not None), None)


def arguments(parsed: Dockerfile, binary: str) -> dict[str, str]:
    """Return the build arguments that a Dockerfile which has them needs for generated projects.

    That is `BIN`, and what a binary's name is taken from where it has no default.
    """
    declared, defaults = declared_arguments(parsed), defaults_of(parsed)
    variables = {variable for _, variable in _named(parsed)}
    wanted = {name for name in variables & declared if not defaults.get(name)}
    return dict.fromkeys(sorted(wanted | {"BIN"} & declared), binary)


def program_of(parsed: Dockerfile) -> str | None:
    """Return where an image of Lambda's keeps its program, which its entry point does not name.

    None where the last stage starts from another image, has an ENTRYPOINT, or copies no bootstrap.
    """
    graph = stagegraph.of(parsed)
    last = len(parsed.stages) - 1
    steps = [step.instruction for step in graph.steps_along(last)]
    if "lambda" not in graph.base_image(last) or any(i.keyword == "ENTRYPOINT" for i in steps):
        return None
    programs = []
    for copy, path in placed(steps, root=OF_LAMBDA["LAMBDA_TASK_ROOT"], values=OF_LAMBDA):
        of_folder = any(s.endswith("/") for s in instructions.transfer_of(copy).sources)
        program = posixpath.join(path, "bootstrap") if of_folder else path
        if posixpath.basename(program) == "bootstrap":
            programs.append(program)
    return programs[-1] if programs else None


def placed(
    steps: Iterable[Instruction], *, root: str = "/", values: Mapping[str, str] = NOTHING_GIVEN
) -> Iterator[tuple[Instruction, str]]:
    """Yield each COPY and the absolute path that it gives to what it names.

    `root` is the first working directory, `values` those of variables that paths are told by.
    """
    for step in steps:
        if step.keyword == "WORKDIR":
            root = posixpath.join(root, _with_values(step.value, values))
        elif step.keyword == "COPY":
            for path in destinations(step):
                joined = posixpath.join(root, _with_values(path, values))
                yield step, posixpath.normpath(joined)


def _with_values(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text


def destinations(instruction: Instruction) -> list[str]:
    """Return the paths that a COPY gives to what it names, as written."""
    copied = instructions.transfer_of(instruction)
    if not copied.destination.endswith("/") and copied.destination != ".":
        return [copied.destination]
    return [
        posixpath.join(copied.destination, posixpath.basename(source)) for source in copied.sources
    ]
