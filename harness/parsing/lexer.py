"""Splits a Dockerfile's text into directives, comments and logical lines with their heredocs.

The physical layer only: byte-order mark, line ends, `# escape=`, continuations, comments inside
them, here-documents. What an instruction means is left to `instructions` and `dockerfile`. The
rules are those of BuildKit's `frontend/dockerfile/parser`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from harness.errors import DockerfileSyntaxError, ExpansionError
from harness.model import Heredoc
from harness.parsing.expansion import split_raw, unquote
from harness.parsing.words import BLANKS, NotStringsError, exec_form, split_flags

_DIRECTIVE: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(\S.*?)\s*", re.DOTALL)
_DIRECTIVES: Final = frozenset({"syntax", "escape", "check"})
_HEREDOC: Final = re.compile(r"[0-9]*<<(-?)\s*([^<]*)")
_BLANKS: Final = " \t"
_HEREDOC_KEYWORDS: Final = frozenset({"RUN", "COPY", "ADD"})


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """An instruction's text, joined over its continuations; lines are 1-based and inclusive."""

    text: str
    line: int
    end_line: int
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """A whole-line comment outside here-documents, without its `#`; directives are none."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Lexed:
    """A Dockerfile's physical structure. `lines` counts the physical lines."""

    directives: dict[str, str]
    comments: tuple[Comment, ...]
    logical: tuple[LogicalLine, ...]
    lines: int

    @property
    def escape(self) -> str:
        """Return the escape character in force."""
        return self.directives.get("escape", "\\")


@dataclass(slots=True)
class _Reader:
    """Walks the physical lines of one text."""

    path: str
    lines: list[str]
    position: int = 0
    directives: dict[str, str] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)
    directives_over: bool = False

    @property
    def escape(self) -> str:
        return self.directives.get("escape", "\\")

    def next(self) -> str:
        self.position += 1
        return self.lines[self.position - 1]

    def more(self) -> bool:
        return self.position < len(self.lines)

    def note_comment(self, line: str) -> bool:
        """Record `line` if it is a comment or a directive; return whether it is."""
        stripped = line.lstrip()
        if not stripped.startswith("#"):
            self.directives_over = True
            return False
        text = stripped[1:].strip()
        if not (self.directives_over or self.note_directive(text)):
            self.directives_over = True
        if self.directives_over:
            self.comments.append(Comment(text, self.position))
        return True

    def note_directive(self, text: str) -> bool:
        match = _DIRECTIVE.fullmatch(text)
        name = match[1].lower() if match else ""
        if match is None or name not in _DIRECTIVES:
            return False
        if name in self.directives:
            raise DockerfileSyntaxError(
                f"the {name} directive stands twice",
                path=self.path,
                line=self.position,
                expected=f"one `# {name}=` line",
            )
        if name == "escape" and match[2] not in ("\\", "`"):
            raise DockerfileSyntaxError(
                f"escape directive with {match[2]!r}",
                path=self.path,
                line=self.position,
                expected="a backslash or a backtick",
            )
        self.directives[name] = match[2]
        return True

    def continues(self, line: str) -> str | None:
        """Return `line` without its continuation character, or None if it has none.

        A doubled escape character at the end of a line does not continue it.
        """
        body = line.rstrip(_BLANKS)
        if not body.endswith(self.escape) or body.endswith(self.escape * 2):
            return None
        return body[:-1]

    def logical_lines(self) -> Iterator[LogicalLine]:
        while self.more():
            raw = self.next().rstrip("\r\n")
            if self.note_comment(raw):
                continue
            start = self.position
            line = raw.lstrip()
            pieces: list[str] = []
            while (body := self.continues(line)) is not None:
                pieces.append(body)
                following = self.next_of_continuation()
                if following is None:
                    line = ""
                    break
                line = following
            pieces.append(line)
            text = "".join(pieces)
            if not line and not pieces[:-1]:
                continue
            yield self.with_heredocs(LogicalLine(text, start, self.position))

    def next_of_continuation(self) -> str | None:
        """Return the next line of a continued instruction, past comments and blank lines."""
        while self.more():
            line = self.next().rstrip("\r\n")
            if line.strip() and not self.note_comment(line):
                return line
        return None

    def with_heredocs(self, logical: LogicalLine) -> LogicalLine:
        if "<<" not in logical.text or not self.may_hold_heredocs(logical.text):
            return logical
        heredocs = tuple(self.read_body(h, logical) for h in heredocs_of(logical.text))
        return replace(logical, end_line=self.position, heredocs=heredocs)

    def may_hold_heredocs(self, text: str) -> bool:
        keyword, rest = _keyword(text)
        rest = split_flags(rest, escape=self.escape)[1]
        if keyword == "ONBUILD":
            return self.may_hold_heredocs(rest)
        try:
            return keyword in _HEREDOC_KEYWORDS and exec_form(rest) is None
        except NotStringsError:
            return False

    def read_body(self, heredoc: Heredoc, logical: LogicalLine) -> Heredoc:
        start = self.position
        while self.more():
            line = self.next().rstrip("\r\n")
            if (line.lstrip("\t") if heredoc.chomp else line) == heredoc.name:
                return replace(heredoc, content="".join(self.lines[start : self.position - 1]))
        raise DockerfileSyntaxError(
            f"here-document {heredoc.name!r} is not terminated",
            path=self.path,
            line=logical.line,
            expected=f"a line that holds {heredoc.name!r} alone",
        )


def _keyword(text: str) -> tuple[str, str]:
    """Return the upper-case keyword of a joined line and the rest."""
    text = text.strip()
    blanks = BLANKS.search(text)
    if blanks is None:
        return text.upper(), ""
    return text[: blanks.start()].upper(), text[blanks.end() :]


def heredoc_of(word: str) -> Heredoc | None:
    """Return the (empty) here-document that a word such as `<<-"EOF"` opens, or None."""
    match = _HEREDOC.fullmatch(word)
    if match is None or not match[2]:
        return None
    try:
        names = unquote(match[2])
    except ExpansionError:
        return None
    if len(names) != 1:
        return None
    quoted = sum(map(unquote(match[2], keep_quotes=True)[0].count, "'\""))
    kept = sum(map(names[0].count, "'\""))
    return Heredoc(names[0], "", expand=quoted == kept, chomp=bool(match[1]))


def heredocs_of(text: str) -> tuple[Heredoc, ...]:
    """Return the here-documents that a joined line opens, still without their content."""
    found = [heredoc_of(word) for word in split_raw(text) if "<<" in word]
    return tuple(h for h in found if h is not None)


def lex(text: str, *, path: str) -> Lexed:
    """Return the physical structure of a Dockerfile.

    Raises DockerfileSyntaxError for a directive that is invalid or repeated and for a
    here-document that does not end.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    lines = [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    reader = _Reader(path, lines)
    logical = tuple(reader.logical_lines())
    return Lexed(reader.directives, tuple(reader.comments), logical, len(lines))
