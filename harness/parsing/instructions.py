"""Typed views of single instructions: assignments, transfers, bases, mounts.

Takes no notice of what surrounds an instruction: stages and references are `dockerfile`'s, the
values of variables are the caller's. The rules are those of BuildKit's `instructions/parse.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.model import Heredoc, Instruction, Mount
from harness.parsing.lexer import heredoc_of
from harness.parsing.mounts import MountError, parse_mount
from harness.parsing.words import split_blanks, split_words

EXEC_FORM_KEYWORDS: Final = frozenset(
    {"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"}
)
_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9-_.]*")


class InstructionError(ValueError):
    """An instruction that BuildKit refuses; `expected` says what would do."""

    def __init__(self, message: str, *, expected: str) -> None:
        super().__init__(message)
        self.expected = expected


@dataclass(frozen=True, slots=True)
class Transfer:
    """What COPY or ADD names: `inline` holds the here-documents among the sources."""

    sources: tuple[str, ...]
    inline: tuple[Heredoc, ...]
    destination: str


@dataclass(frozen=True, slots=True)
class Base:
    """What FROM names."""

    image: str
    name: str | None
    platform: str | None


def assignments(instruction: Instruction, *, escape: str) -> tuple[tuple[str, str | None], ...]:
    """Return the name–value pairs of an ARG, ENV or LABEL, unexpanded, in order.

    A value is None for an ARG without default; the old form `ENV NAME rest of line` has one pair.
    """
    keyword = instruction.keyword
    words = split_words(instruction.value, escape=escape)
    if not words:
        raise InstructionError(f"{keyword} has no argument", expected=f"{keyword} name=value")
    if keyword != "ARG" and "=" not in words[0]:
        name, _, value = _cut(instruction.value)
        if not value:
            raise InstructionError(
                f"{keyword} {name} has no value", expected=f"{keyword} {name}=value"
            )
        return ((name, value),)
    pairs: list[tuple[str, str | None]] = []
    for word in words:
        name, equals, value = word.partition("=")
        if keyword != "ARG" and not equals:
            raise InstructionError(f"{keyword}: no '=' in {word!r}", expected="name=value")
        if not name:
            raise InstructionError(f"{keyword}: blank name in {word!r}", expected="name=value")
        pairs.append((name, value if equals else None))
    return tuple(pairs)


def _cut(text: str) -> tuple[str, str, str]:
    """Cut `text` at its first blanks, as the old form of ENV does."""
    words = text.split(None, 1)
    return words[0], " ", words[1] if len(words) > 1 else ""


def base_of(instruction: Instruction) -> Base:
    """Return what a FROM names; the stage name is lower-case, as BuildKit keeps it."""
    words = split_blanks(instruction.value)
    if len(words) not in (1, 3) or (len(words) == 3 and words[1].lower() != "as"):
        raise InstructionError(
            f"FROM with {len(words)} arguments", expected="FROM image, or FROM image AS name"
        )
    name = words[2].lower() if len(words) == 3 else None
    if name is not None and not _STAGE_NAME.fullmatch(name):
        raise InstructionError(
            f"invalid stage name {words[2]!r}",
            expected="a name that starts with a letter and holds letters, digits, '-', '_', '.'",
        )
    return Base(words[0], name, instruction.flag("platform") or None)


def transfer_of(instruction: Instruction) -> Transfer:
    """Return sources and destination of a COPY or ADD, unexpanded."""
    words = instruction.words
    if words is None:
        words = split_blanks(instruction.value)
    if len(words) < 2:
        raise InstructionError(
            f"{instruction.keyword} with {len(words)} argument(s)",
            expected=f"{instruction.keyword} source… destination",
        )
    *sources, destination = words
    if heredoc_of(destination):
        raise InstructionError(
            f"{instruction.keyword} to a here-document", expected="a path as destination"
        )
    bodies = {heredoc.name: heredoc for heredoc in instruction.heredocs}
    paths: list[str] = []
    inline: list[Heredoc] = []
    for source in sources:
        heredoc = heredoc_of(source)
        if heredoc is None:
            paths.append(source)
        else:
            inline.append(bodies.get(heredoc.name, heredoc))
    return Transfer(tuple(paths), tuple(inline), destination)


def mounts_of(
    instruction: Instruction, expand: Callable[[str], str] | None = None
) -> tuple[Mount, ...]:
    """Return the mounts of a RUN in order, their values run through `expand` where given."""
    values = [flag.value for flag in instruction.flags if flag.name == "mount"]
    try:
        return tuple(parse_mount(value or "", expand) for value in values)
    except MountError as error:
        raise InstructionError(str(error), expected=error.expected) from error
