"""Reads the shell script of a RUN as a flat list of simple commands; runs and expands nothing.

Enough of the grammar to tell which programs are called, with which words, under which variables
and what becomes of their exit status. Where a script is cleverer than that (`eval`, functions
that take their program by argument) the commands are simply not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Final

from harness.model import Instruction
from harness.structure.status import NOTHING_MET, SEPARATORS, Fate, Token, fate

SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh"})
INIT: Final = re.compile(r"tini(-static)?(-\w+)?|dumb-init|catatonit|docker-init")
"""Programs that start another one and look after it as process 1."""
_OPERATORS: Final = ("&&", "||", "|&", ";;", ">>", "<<", "|", ";", "&", "(", ")", ">", "<", "\n")
_OPERATOR_STARTS: Final = frozenset(operator[0] for operator in _OPERATORS)
_SKIPPED: Final = frozenset({"then", "do", "else", "{", "}", "fi", "done", "exec", "time", "sudo"})
_CONDITIONS: Final = frozenset({"if", "elif", "while", "until", "!"})


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command: its words unquoted (variables as written), and what surrounds it.

    `after` is the operator that follows (`&&`, `||`, `|`, `&`, `;`, or nothing at the end), `fate`
    what its status meets; `tested` is True where its status is a condition; `errexit` and
    `pipefail` tell the options in force; `written` lists the files it redirects to.
    """

    words: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    written: tuple[str, ...] = ()
    after: str = ""
    fate: Fate = NOTHING_MET
    tested: bool = False
    errexit: bool = False
    pipefail: bool = False

    @property
    def program(self) -> str:
        """Return the base name of the program, or nothing for a bare assignment."""
        return PurePosixPath(self.words[0]).name if self.words else ""


def commands_of(instruction: Instruction, shell: tuple[str, ...] = ()) -> tuple[Command, ...]:
    """Return the commands of a RUN; `shell` is what the SHELL in force holds, if any."""
    if instruction.words is not None:
        return _unwrap(Command(instruction.words))
    options = _Options()
    options.read_flags(shell[1:])
    bodies = "\n".join(heredoc.content for heredoc in instruction.heredocs)
    value = instruction.value.strip()
    if instruction.heredocs and value.startswith("<<"):
        first = bodies.split("\n", 1)[0]
        if first.startswith("#!"):
            options = _Options()
            options.read_flags(tuple(first.split()[1:]))
        return tuple(_parse(bodies, options))
    found = list(_parse(value, options))
    for command in [c for c in found if c.program in SHELLS] if instruction.heredocs else []:
        options = _Options()
        options.read_flags(command.words[1:])
        found += _parse(bodies, options)
    return tuple(found)


@dataclass(slots=True)
class _Options:
    errexit: bool = False
    pipefail: bool = False

    def read_flags(self, words: tuple[str, ...]) -> None:
        """Take up what `set` or a shell's own flags say: -e, -eu, -o pipefail, -euxo pipefail."""
        for index, word in enumerate(words):
            if word[:1] not in ("-", "+") or word.startswith("--"):
                continue
            on = word[0] == "-"
            if "e" in word:
                self.errexit = on
            if word.endswith("o") and words[index + 1 : index + 2] == ("pipefail",):
                self.pipefail = on
            if word.endswith("o") and words[index + 1 : index + 2] == ("errexit",):
                self.errexit = on


def parse(script: str) -> tuple[Command, ...]:
    """Return the commands of a script."""
    return tuple(_parse(script, _Options()))


@dataclass(slots=True)
class _Statement:
    """The simple command that is being read."""

    words: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    redirect: str = ""
    tested: bool = False

    def word(self, text: str) -> None:
        if self.redirect:
            if self.redirect in (">", ">>"):
                self.written.append(text)
            self.redirect = ""
        elif not self.words and text in _CONDITIONS:
            self.tested = True
        elif not self.words and text in _SKIPPED:
            self.tested = self.tested and text not in ("then", "do")
        else:
            self.words.append(text)

    def redirection(self, operator: str) -> None:
        self.redirect = operator
        if self.words and self.words[-1] in ("1", "2"):
            self.words.pop()

    def end(self, operator: str, fate: Fate, options: _Options) -> Command | None:
        self.redirect = ""
        if not self.words and not self.written:
            return None
        command = replace(
            _command(self.words, self.written, options),
            after={"\n": ";", ")": ""}.get(operator, operator),
            fate=fate,
            tested=self.tested,
        )
        if command.program == "set":
            options.read_flags(command.words[1:])
        self.words, self.written = [], []
        return command


def _parse(script: str, options: _Options) -> Iterator[Command]:
    statement = _Statement()
    tokens = [*_tokens(script.rstrip()), ("", True)]
    for position, (text, is_operator) in enumerate(tokens):
        if not is_operator:
            statement.word(text)
        elif text and text not in SEPARATORS:
            statement.redirection(text)
        elif (command := statement.end(text, fate(tokens, position), options)) is not None:
            yield from _unwrap(command)


def _command(words: list[str], written: list[str], options: _Options) -> Command:
    variables: list[tuple[str, str]] = []
    rest = list(words)
    if rest[:1] == ["env"]:
        rest.pop(0)
        while rest and rest[0].startswith("-"):
            rest.pop(0)
    while rest and _is_assignment(rest[0]):
        name, _, value = rest.pop(0).partition("=")
        variables.append((name, value))
    return Command(
        tuple(rest),
        variables=tuple(variables),
        written=tuple(written),
        errexit=options.errexit,
        pipefail=options.pipefail,
    )


def _is_assignment(word: str) -> bool:
    name, equals, _ = word.partition("=")
    return bool(equals) and name.isidentifier()


def started(words: Sequence[str]) -> str:
    """Return the program that an ENTRYPOINT or CMD comes to: of a shell's script the last one's,
    of an init process what that starts. Empty where there is none.
    """
    said = [command.words for command in _unwrap(Command(tuple(words))) if command.words]
    rest = list(said[-1]) if said else []
    if rest and INIT.fullmatch(PurePosixPath(rest[0]).name):
        rest = rest[rest.index("--") :] if "--" in rest else rest
        rest = [word for word in rest[1:] if not word.startswith("-")]
    return rest[0] if rest else ""


def _unwrap(command: Command) -> tuple[Command, ...]:
    """Return the commands of `sh -c '…'` in place of it; the last one gets what follows it."""
    if command.program not in SHELLS:
        return (command,)
    for index, word in enumerate(command.words[1:], start=1):
        if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
            options = _Options()
            options.read_flags(command.words[1 : index + 1])
            inner = list(_parse("".join(command.words[index + 1 : index + 2]), options))
            if inner:
                inner[-1] = replace(inner[-1], after=command.after, tested=command.tested)
            return tuple(
                each if each.fate.operator else replace(each, fate=command.fate) for each in inner
            )
    return (command,)


def _tokens(script: str) -> list[Token]:
    """Return words (unquoted) and operators in order."""
    tokens: list[Token] = []
    current: list[str] = []
    started = False
    position = 0

    def finish() -> None:
        nonlocal started
        if started:
            tokens.append(("".join(current), False))
        current.clear()
        started = False

    while position < len(script):
        char = script[position]
        operator = _operator(script, position) if char in _OPERATOR_STARTS else None
        if operator == "&" and (
            script[position - 1 : position] == ">" or _is_dup(script, position)
        ):
            operator = None
        if operator is not None:
            finish()
            tokens.append((operator, True))
            position += len(operator)
        elif script.startswith("\\\n", position):
            position += 2
        elif char in " \t\r":
            finish()
            position += 1
        elif char == "#" and not started:
            end = script.find("\n", position)
            position = len(script) if end < 0 else end
        else:
            piece, position = _piece(script, position)
            current.append(piece)
            started = True
    finish()
    return tokens


def _operator(script: str, position: int) -> str | None:
    return next((o for o in _OPERATORS if script.startswith(o, position)), None)


def _is_dup(script: str, position: int) -> bool:
    """Return whether the `&` at `position` belongs to `&>file`."""
    return script.startswith("&>", position)


def _piece(script: str, position: int) -> tuple[str, int]:
    """Read a quoted piece, an escape, a substitution or one character; return it and its end."""
    char = script[position]
    if char == "'":
        end = script.find("'", position + 1)
        end = len(script) if end < 0 else end
        return script[position + 1 : end], end + 1
    if char == '"':
        return _double_quoted(script, position + 1)
    if char == "\\":
        return script[position + 1 : position + 2], position + 2
    if char == "`":
        end = script.find("`", position + 1)
        end = len(script) if end < 0 else end
        return script[position : end + 1], end + 1
    if script.startswith("$(", position) or script.startswith("${", position):
        return _bracketed(script, position)
    return char, position + 1


def _double_quoted(script: str, position: int) -> tuple[str, int]:
    pieces: list[str] = []
    while position < len(script) and script[position] != '"':
        if script[position] == "\\" and script[position + 1 : position + 2] in (
            '"',
            "\\",
            "$",
            "`",
        ):
            position += 1
        elif script.startswith("$(", position) or script.startswith("${", position):
            piece, position = _bracketed(script, position)
            pieces.append(piece)
            continue
        pieces.append(script[position : position + 1])
        position += 1
    return "".join(pieces), position + 1


def _bracketed(script: str, position: int) -> tuple[str, int]:
    """Read `$(…)` or `${…}` as written, brackets balanced."""
    opening = script[position + 1]
    closing = ")" if opening == "(" else "}"
    depth = 0
    for end in range(position + 1, len(script)):
        if script[end] == opening:
            depth += 1
        elif script[end] == closing:
            depth -= 1
            if depth == 0:
                return script[position : end + 1], end + 1
    return script[position:], len(script)
