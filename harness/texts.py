"""What the instructions of a Dockerfile say, and the arguments that it has; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from harness.model import Dockerfile, Instruction, Stage
from harness.parsing import instructions
from harness.structure import shell
from harness.structure.shell import Command

NOTHING_GIVEN: Mapping[str, str] = MappingProxyType({})
"""The build arguments where none are."""
_STRIPPING = re.compile(
    r"(?<![a-z])strip(?![a-z]|-components)|link-args?=\S*-s\b|\binstall\s+-\w*s\b", re.IGNORECASE
)


def text_of(instruction: Instruction) -> str:
    """Return what an instruction says, its here-documents included."""
    bodies = "\n".join(heredoc.content for heredoc in instruction.heredocs)
    return f"{instruction.value}\n{bodies}"


def run_texts(parsed: Dockerfile, stages: Iterable[Stage] | None = None) -> str:
    """Return what the instructions that make or copy files say, comments left out.

    `stages` are those of the Dockerfile to read, in that order; None for all.
    """
    made = (i for stage in stages or parsed.stages for i in stage.instructions)
    return "\n".join(text_of(i) for i in made if i.keyword in {"RUN", "COPY"})


def commands(parsed: Dockerfile) -> list[Command]:
    """Return the commands that the RUNs of all stages call, in order."""
    running = [i for stage in parsed.stages for i in stage.instructions if i.keyword == "RUN"]
    return [command for instruction in running for command in shell.commands_of(instruction)]


def declared_arguments(parsed: Dockerfile) -> frozenset[str]:
    """Return the names of all ARGs, global and of stages."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    return frozenset(
        name
        for instruction in (*parsed.global_args, *staged)
        if instruction.keyword == "ARG"
        for name, _ in instructions.assignments(instruction, escape=parsed.escape)
    )


def compiler_flags(parsed: Dockerfile) -> str:
    """Return the flags that a stage gives the compiler by ENV, as written; empty where none does.

    They hold in a container that is made from it too, and take the place of those that the project
    configures (cargo's `build.rustflags`).
    """
    environments = (i for s in parsed.stages for i in s.instructions if i.keyword == "ENV")
    return " ".join(
        value or ""
        for instruction in environments
        for name, value in instructions.assignments(instruction, escape=parsed.escape)
        if name.endswith("RUSTFLAGS")
    )


def defaults_of(parsed: Dockerfile) -> dict[str, str]:
    """Return the first plain value of each ARG and ENV that has one."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    found: dict[str, str] = {}
    for instruction in (*parsed.global_args, *staged):
        if instruction.keyword in {"ARG", "ENV"}:
            for name, value in instructions.assignments(instruction, escape=parsed.escape):
                if value and "$" not in value:
                    found.setdefault(name, value.strip("\"'"))
    return found


def speaks_of_stripping(parsed: Dockerfile) -> bool:
    """Whether an instruction strips a program or tells cargo, rustc or the linker to, or not to."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    return any(_STRIPPING.search(text_of(i)) for i in (*parsed.global_args, *staged))
