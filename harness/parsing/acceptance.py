"""Decides whether BuildKit would accept an instruction by itself: flags, arguments, substitutions.

The rules are those of `instructions/parse.go` and `bflag.go`. References to other stages are
`dockerfile`'s concern.
"""

from __future__ import annotations

import difflib
import re
from typing import Final

from harness.errors import ExpansionError
from harness.model import Flag, Instruction
from harness.parsing.expansion import expand
from harness.parsing.instructions import (
    InstructionError,
    assignments,
    base_of,
    mounts_of,
    transfer_of,
)

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
_DURATION: Final = re.compile(r"[-+]?(0|(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+")
_EXPANDED_WHOLE: Final = frozenset({"EXPOSE", "USER", "VOLUME", "WORKDIR", "STOPSIGNAL"})
_NETWORKS: Final = ("default", "none", "host")
_SECURITY: Final = ("sandbox", "insecure")


class _AnyName(dict[str, str]):
    """Has a value for every name, so that only malformed substitutions fail."""

    def get(self, name: str, default: object = None) -> str:
        return "x"


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
    _check_substitutions(instruction, escape=escape)


def _check_substitutions(instruction: Instruction, *, escape: str) -> None:
    """Refuse open quotes and malformed `${…}` in what the engine expands."""
    try:
        for word in _expanded_words(instruction, escape):
            expand(word, _AnyName(), escape=escape)
    except ExpansionError as error:
        raise InstructionError(
            f"{instruction.keyword}: {error.message}",
            expected="closed quotes and substitutions such as ${NAME} or ${NAME:-default}",
        ) from error


def _expanded_words(instruction: Instruction, escape: str) -> list[str]:
    keyword = instruction.keyword
    if keyword in ("ARG", "ENV", "LABEL"):
        pairs = assignments(instruction, escape=escape)
        return [word for pair in pairs for word in pair if word is not None]
    if keyword in ("COPY", "ADD"):
        transfer = transfer_of(instruction)
        names = ("chown", "chmod", "checksum")
        flags = [flag.value for flag in instruction.flags if flag.name in names and flag.value]
        return [*transfer.sources, transfer.destination, *flags]
    if keyword == "FROM":
        base = base_of(instruction)
        return [base.image, base.platform or ""]
    if keyword == "VOLUME" and instruction.words is not None:
        return list(instruction.words)
    return [instruction.value] if keyword in _EXPANDED_WHOLE else []


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
