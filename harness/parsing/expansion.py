"""Expands variables, quotes and escapes in Dockerfile words, as BuildKit's shell lexer does.

The rules are those of `frontend/dockerfile/shell/lex.go`: `$V`, `${V}`, `${V-w}`, `${V:-w}`,
`${V+w}`, `${V:+w}`, `${V?w}`, `${V:?w}`, `${V#p}`, `${V##p}`, `${V%p}`, `${V%%p}`, `${V/p/r}` and
`${V//p/r}`. Which words of which instruction are expanded is for the caller to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from harness.errors import ExpansionError
from harness.parsing import globs

_SPECIAL_PARAMETERS: Final = frozenset("@*#?-$!0")
_HEREDOC_BLANKS: Final = frozenset("\t\r ")
_END: Final = ""


@dataclass(frozen=True, slots=True)
class Expanded:
    """The outcome of an expansion: `text` whole, `words` split at unquoted blanks.

    `used` names the variables that had a value, `unset` those that had none.
    """

    text: str
    words: tuple[str, ...]
    used: frozenset[str]
    unset: frozenset[str]


@dataclass(slots=True)
class _Words:
    """Splits what is appended to it at blanks, unless it is appended as quoted."""

    done: list[str] = field(default_factory=list)
    current: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        for char in text:
            if not char.isspace():
                self.current.append(char)
            else:
                self.finish()

    def add_quoted(self, text: str) -> None:
        if text:
            self.current.append(text)

    def finish(self) -> tuple[str, ...]:
        if self.current:
            self.done.append("".join(self.current))
            self.current.clear()
        return tuple(self.done)


class _Lexer:
    """One pass over one text; `keep_*` leaves quotes, escapes or unset variables as written."""

    def __init__(
        self,
        text: str,
        variables: Mapping[str, str],
        *,
        escape: str,
        keep_quotes: bool = False,
        keep_escapes: bool = False,
        keep_unset: bool = False,
    ) -> None:
        self.text = text
        self.position = 0
        self.variables = variables
        self.escape = escape
        self.keep_quotes = keep_quotes
        self.keep_escapes = keep_escapes
        self.keep_unset = keep_unset
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def fail(self, message: str) -> ExpansionError:
        return ExpansionError(message, context=(f"in {self.text!r}",))

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def take(self) -> str:
        char = self.peek()
        self.position += 1
        return char

    def run(self, stop: str = _END, *, keep_escapes: bool | None = None) -> tuple[str, _Words]:
        """Read up to `stop` (or the end) and return the text and its words."""
        outer, self.keep_escapes = (
            self.keep_escapes,
            self.keep_escapes if keep_escapes is None else keep_escapes,
        )
        pieces: list[str] = []
        words = _Words()
        try:
            while (char := self.peek()) != _END:
                if char == stop:
                    self.take()
                    return "".join(pieces), words
                if char == "$":
                    piece = self.dollar()
                    words.add(piece)
                elif char in "'\"<":
                    piece = self.quoted_or_heredoc(char)
                    words.add_quoted(piece)
                elif self.take() == self.escape:
                    piece = (self.escape if self.keep_escapes else "") + self.take()
                    words.add_quoted(piece)
                else:
                    piece = char
                    words.add(piece)
                pieces.append(piece)
        finally:
            self.keep_escapes = outer
        if stop != _END:
            raise self.fail(f"'${{' is not closed: no {stop!r} follows")
        return "".join(pieces), words

    def quoted_or_heredoc(self, char: str) -> str:
        if char == "'":
            return self.single_quoted()
        if char == '"':
            return self.double_quoted()
        return self.possible_heredoc()

    def single_quoted(self) -> str:
        self.take()
        end = self.text.find("'", self.position)
        if end < 0:
            raise self.fail("a single quote is not closed")
        content = self.text[self.position : end]
        self.position = end + 1
        return f"'{content}'" if self.keep_quotes else content

    def double_quoted(self) -> str:
        self.take()
        quote = '"' if self.keep_quotes else ""
        pieces = [quote]
        while (char := self.peek()) != '"':
            if char == _END:
                raise self.fail("a double quote is not closed")
            if char == "$":
                pieces.append(self.dollar())
                continue
            self.take()
            if char == self.escape:
                if self.keep_escapes:
                    pieces.append(char)
                if self.peek() == _END:
                    continue
                if self.peek() in ('"', "$", self.escape):
                    char = self.take()
            pieces.append(char)
        self.take()
        return "".join([*pieces, quote])

    def possible_heredoc(self) -> str:
        self.take()
        if self.peek() != "<":
            return "<"
        self.take()
        start = self.position
        while self.peek() in _HEREDOC_BLANKS and self.peek() != _END:
            self.take()
        return "<<" + self.text[start : self.position]

    def name(self) -> str:
        """Read a variable name, a run of digits, or one special parameter; may be empty."""
        start = self.position
        first = self.peek()
        if first.isdecimal():
            while self.peek().isdecimal():
                self.take()
        elif first in _SPECIAL_PARAMETERS:
            self.take()
        else:
            while (char := self.peek()).isalpha() or char.isdecimal() or char == "_":
                self.take()
        return self.text[start : self.position]

    def look_up(self, name: str) -> str | None:
        value = self.variables.get(name)
        (self.unset if value is None else self.used).add(name)
        return value

    def value_or(self, name: str, written: str) -> str:
        """Return the value of `name`; if it has none, nothing, or `written` where it is kept."""
        value = self.look_up(name)
        if value is None:
            return written if self.keep_unset else ""
        return value

    def dollar(self) -> str:
        self.take()
        if self.peek() != "{":
            name = self.name()
            return self.value_or(name, f"${name}") if name else "$"
        self.take()
        if self.peek() == _END:
            raise self.fail("'${' is not closed: no '}' follows")
        if self.peek() in "{}:":
            raise self.fail("bad substitution: '${' is not followed by a name")
        name = self.name()
        operator = self.take()
        if operator == "}":
            return self.value_or(name, f"${{{name}}}")
        if operator == "/":
            return self.substitution(name)
        return self.modified(name, operator)

    def modified(self, name: str, operator: str) -> str:
        """Handle `${V-w}`, `${V+w}`, `${V?w}`, `${V#p}`, `${V%p}` and those with a colon."""
        colon = operator == ":"
        if colon:
            operator = self.take()
        written = (":" if colon else "") + operator
        if operator not in ("-", "+", "?", "#", "%") or (colon and operator in "#%"):
            raise self.fail(f"unsupported modifier ({written}) in substitution of {name!r}")
        word, _ = self.run("}", keep_escapes=operator in "#%")
        value = self.look_up(name)
        if value is None and self.keep_unset:
            return f"${{{name}{written}{word}}}"
        missing = value is None or (colon and value == "")
        if operator == "-":
            return word if missing else value or ""
        if operator == "+":
            return "" if missing else word
        if operator == "?":
            if missing:
                state = "unset" if value is None else "empty"
                raise self.fail(f"{name}: {word or f'is not allowed to be {state}'}")
            return value or ""
        longest = word.startswith(operator)
        trim = globs.trim_prefix if operator == "#" else globs.trim_suffix
        try:
            return trim(value or "", word[1:] if longest else word, longest=longest)
        except ValueError as error:
            raise self.fail(f"invalid pattern ({word}) in substitution: {error}") from error

    def substitution(self, name: str) -> str:
        """Handle `${V/p/r}` and `${V//p/r}`."""
        every = self.peek() == "/"
        if every:
            self.take()
        pattern, _ = self.run("/", keep_escapes=True)
        replacement, _ = self.run("}", keep_escapes=True)
        value = self.look_up(name)
        if value is None and self.keep_unset:
            return f"${{{name}/{pattern}/{replacement}}}"
        try:
            return globs.replace(value or "", pattern, replacement, every=every)
        except ValueError as error:
            raise self.fail(f"invalid pattern ({pattern}) in substitution: {error}") from error


def expand(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> str:
    """Return `text` with variables expanded and quotes and escapes removed; blanks stay.

    Raises ExpansionError where BuildKit refuses the word.
    """
    return expand_fully(text, variables, escape=escape).text


def expand_fully(text: str, variables: Mapping[str, str], *, escape: str = "\\") -> Expanded:
    """Return the expansion of `text` with its words and the variables it looked up."""
    lexer = _Lexer(text, variables, escape=escape)
    try:
        result, words = lexer.run()
    except RecursionError:
        raise lexer.fail("substitutions are nested too deeply") from None
    return Expanded(result, words.finish(), frozenset(lexer.used), frozenset(lexer.unset))


def split_raw(text: str) -> tuple[str, ...]:
    """Split `text` at unquoted blanks and keep quotes, escapes and variables as written.

    This is how BuildKit finds here-documents in a line; a line it cannot lex has none: `()`.
    """
    lexer = _Lexer(text, {}, escape="\\", keep_quotes=True, keep_escapes=True, keep_unset=True)
    try:
        return lexer.run()[1].finish()
    except ExpansionError:
        return ()


def unquote(text: str, *, keep_quotes: bool = False) -> tuple[str, ...]:
    """Return the words of `text` with escapes (and, unless kept, quotes) removed, unset names kept.

    Raises ExpansionError for an open quote.
    """
    lexer = _Lexer(text, {}, escape="\\", keep_quotes=keep_quotes, keep_unset=True)
    return lexer.run()[1].finish()
