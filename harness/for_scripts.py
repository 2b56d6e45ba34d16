"""What the scripts ask of a Dockerfile: a stage `base` to compile in, a stage `package` to export,
and no argument that they know nothing of.

A Dockerfile of another design calls its stages otherwise, or has no package to export. It gets the
two as further stages, and its arguments a default, so that its builds can be driven by the scripts
as they are. Pure, but for the paths that are compared.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

from harness import subject as subjects
from harness.judging import foundation
from harness.model import Dockerfile, Stage
from harness.naming import placed
from harness.parsing.instructions import assignments
from harness.structure import shell, stagegraph
from harness.subject import Subject

BASE, PACKAGE = "base", "package"


def fitted(parsed: Dockerfile, under_test: Subject) -> str:
    """Return the text of a Dockerfile as the scripts can build it: its own where that will do."""
    text = parsed.text
    if not beside_its_scripts(under_test):
        text = _with_defaults(parsed, under_test.options.build_args)
    added = missing_stages(parsed, under_test)
    return f"{text}\n{added}" if added else text


def beside_its_scripts(under_test: Subject) -> bool:
    """Whether the Dockerfile and the scripts under test are of one build: they were made to fit."""
    return Path(under_test.dockerfile.path).resolve().parent == under_test.scripts.parent


def has_fitted_package(under_test: Subject) -> bool:
    """Whether what the scripts export is the one program of the image, by a stage added here."""
    return not beside_its_scripts(under_test) and under_test.dockerfile.stage(PACKAGE) is None


def _with_defaults(parsed: Dockerfile, arguments: Mapping[str, str]) -> str:
    """Return the text with a default for each ARG that has none and whose value is known."""
    lines = parsed.text.splitlines(keepends=True)
    there = [i for stage in parsed.stages for i in stage.instructions if i.keyword == "ARG"]
    for instruction in (*parsed.global_args, *there):
        pairs = assignments(instruction, escape=parsed.escape)
        known = {
            name: _quoted(arguments[name])
            for name, value in pairs
            if name in arguments and value is None
        }
        if known and instruction.line == instruction.end_line:
            filled = [(name, known.get(name, value)) for name, value in pairs]
            words = (name if value is None else f"{name}={value}" for name, value in filled)
            lines[instruction.line - 1] = f"ARG {' '.join(words)}\n"
    return "".join(lines)


def _quoted(value: str) -> str:
    """Return a value as an ARG takes it literally: in single quotes nothing is expanded."""
    return "'" + value.replace("'", "'\"'\"'") + "'"


def missing_stages(parsed: Dockerfile, under_test: Subject) -> str:
    """Return the text of the stages that `parsed` lacks, to be put behind it; empty if none.

    Where no program can be told from ENTRYPOINT, CMD or the configuration, there is no package.
    """
    added = ""
    if parsed.stage(BASE) is None:
        added += f"\nFROM {_toolchain(parsed, under_test)} AS {BASE}\n"
    program = _program(parsed, under_test)
    if parsed.stage(PACKAGE) is None and program is not None:
        shipped = _name(_shipped(parsed, under_test))
        added += (
            f"\nFROM scratch AS {PACKAGE}\n"
            f"COPY --from={shipped} {program} /bin/{under_test.binary}\n"
            f"COPY --from={shipped} {program} /bootstrap\n"
        )
    return added


def _toolchain(parsed: Dockerfile, under_test: Subject) -> str:
    """Return the stage that holds the toolchain, or the image of the first one that compiles."""
    stage = foundation.base_stage(parsed, under_test.roles)
    if stage is not None:
        return _name(stage)
    images = subjects.bases(parsed, under_test.options.build_args)
    compiling = [index for index in images if subjects.compiles(parsed, index)]
    return parsed.stages[compiling[0] if compiling else 0].base


def _shipped(parsed: Dockerfile, under_test: Subject) -> Stage:
    return parsed.stage(under_test.options.target or "") or parsed.stages[-1]


def _program(parsed: Dockerfile, under_test: Subject) -> str | None:
    """Return the absolute path of the program that the shipped stage starts."""
    if under_test.program is not None:
        return under_test.program
    below = stagegraph.of(parsed).chain(_shipped(parsed, under_test).index)
    chain = [parsed.stages[index] for index in reversed(below)]
    for keyword in ("ENTRYPOINT", "CMD"):
        for stage in chain:
            started = [i for i in stage.instructions if i.keyword == keyword]
            if started:
                words = started[-1].words or ("sh", "-c", started[-1].value)
                program = shell.started(words)
                return program if program.startswith("/") else _placed(chain, program)
    return None


def _placed(chain: list[Stage], word: str) -> str | None:
    """Return where a COPY puts the file of that name."""
    steps = [instruction for stage in chain for instruction in stage.instructions]
    there = (path for _, path in placed(steps))
    name = posixpath.basename(word)
    return next((path for path in there if name and posixpath.basename(path) == name), None)


def _name(stage: Stage) -> str:
    return stage.name or str(stage.index)
