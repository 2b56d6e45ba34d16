"""Typed views of single instructions, and the check that BuildKit would accept each of them.

Takes no notice of what surrounds an instruction: stages and references are `dockerfile`'s, the
values of variables are the caller's. The rules are those of BuildKit's `instructions/parse.go`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from harness.lexer import heredoc_of
from harness.model import Flag, Heredoc, Instruction, Mount
from harness.mounts import MountError, parse_mount
from harness.words import split_blanks, split_words

_BOOLEAN_FLAGS: Final = frozenset({"link", "keep-git-dir", "unpack", "parents"})
_REPEATED_FLAGS: Final = frozenset({"mount", "exclude", "device"})
_FLAGS: Final[dict[str, frozenset[str]]] = {
    "FROM": frozenset({"platform"}),
    "RUN": frozenset({"mount", "network", "security", "device"}),
    "COPY": frozenset({"from", "chown", "chmod", "link", "exclude", "parents"}),
    "ADD": frozenset({"chown", "chmod", "link", "keep-git-dir", "checksum", "unpack", "exclude"}),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "start-interval", "retries"}),
}
_UNCHECKED_FLAGS: Final = frozenset({"ARG", "STOPSIGNAL"})
KEYWORDS: Final = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)
EXEC_FORM_KEYWORDS: Final = frozenset(
    {"ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME"}
)
_DURATION: Final = re.compile(r"[-+]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+")
_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9-_.]*")
_NETWORKS: Final = ("default", "none", "host")
_SECURITY: Final = ("sandbox", "insecure")


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


def check(instruction: Instruction, *, escape: str) -> None:
    """Raise InstructionError if BuildKit would refuse the instruction by itself."""
    keyword = instruction.keyword
    if keyword not in KEYWORDS:
        close = difflib.get_close_matches(keyword, KEYWORDS, n=1)
        raise InstructionError(
            f"unknown instruction {keyword!r}",
            expected=f"{close[0]}, perhaps" if close else "an instruction such as RUN or COPY",
        )
    if keyword not in _UNCHECKED_FLAGS:
        _check_flags(keyword, instruction.flags)
    if not instruction.value and keyword not in ("RUN", "CMD", "ENTRYPOINT"):
        raise InstructionError(f"{keyword} has no argument", expected=f"{keyword} with an argument")
    if keyword in ("ARG", "ENV", "LABEL"):
        assignments(instruction, escape=escape)
    elif keyword == "FROM":
        base_of(instruction)
    elif keyword in ("COPY", "ADD"):
        transfer_of(instruction)
        if "$" in (instruction.flag("from") or ""):
            raise InstructionError(
                "variables are not expanded in --from",
                expected="a stage or image by name (name a stage with FROM instead)",
            )
    elif keyword == "RUN":
        _check_run(instruction)
    elif keyword == "SHELL" and not instruction.words:
        raise InstructionError("SHELL is not in exec form", expected='SHELL ["program", "-c"]')
    elif keyword == "HEALTHCHECK":
        _check_healthcheck(instruction)
    elif keyword == "VOLUME" and not all(w.strip() for w in instruction.words or ("x",)):
        raise InstructionError("VOLUME names an empty path", expected="a path")


def _check_flags(keyword: str, flags: tuple[Flag, ...]) -> None:
    known = _FLAGS.get(keyword, frozenset())
    seen: set[str] = set()
    for flag in flags:
        if flag.name not in known:
            allowed = ", ".join(f"--{name}" for name in sorted(known)) or "no flag"
            raise InstructionError(f"unknown flag --{flag.name} of {keyword}", expected=allowed)
        if flag.name in seen and flag.name not in _REPEATED_FLAGS:
            raise InstructionError(f"--{flag.name} is given twice", expected="it once")
        seen.add(flag.name)
        if flag.name in _BOOLEAN_FLAGS:
            if flag.value is not None and flag.value.lower() not in ("true", "false"):
                raise InstructionError(
                    f"--{flag.name}={flag.value} of {keyword}", expected="true or false"
                )
        elif flag.value is None:
            raise InstructionError(
                f"--{flag.name} of {keyword} has no value", expected=f"--{flag.name}=value"
            )


def _check_run(instruction: Instruction) -> None:
    mounts_of(instruction)
    for name, allowed in (("network", _NETWORKS), ("security", _SECURITY)):
        value = instruction.flag(name)
        if value and "$" not in value and value not in allowed:
            raise InstructionError(f"--{name}={value}", expected="one of " + ", ".join(allowed))


def _check_healthcheck(instruction: Instruction) -> None:
    kind, _, rest = instruction.value.partition(" ")
    if kind.upper() == "NONE":
        if rest.strip():
            raise InstructionError("HEALTHCHECK NONE with an argument", expected="no argument")
        return
    if kind.upper() != "CMD":
        raise InstructionError(f"HEALTHCHECK {kind}", expected="HEALTHCHECK CMD or NONE")
    if not rest.strip() or instruction.words == ():
        raise InstructionError("HEALTHCHECK CMD without a command", expected="a command")
    for flag in instruction.flags:
        if flag.name == "retries":
            if flag.value and not re.fullmatch(r"\+?\d+", flag.value):
                raise InstructionError(f"--retries={flag.value}", expected="a number from 0 on")
        elif flag.value and not _DURATION.fullmatch(flag.value):
            raise InstructionError(
                f"--{flag.name}={flag.value}", expected="a duration such as 30s or 1m30s"
            )
