"""Matches one `.dockerignore`-style pattern against paths, as moby/patternmatcher does.

A pattern becomes a chain of character sets, each once or any number of times, and is run as a set
of states: linear in path × pattern, whatever the pattern. Patterns with few wildcards use Python's
own matcher, which cannot blow up on them. The order of patterns, negation and parents is left to
`dockerignore`.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Final

_SEPARATOR: Final = "/"
_NOT_SEPARATOR: Final = "[^/]"
_ANY_DIRECTORIES: Final = "(.*/)?"
_ANYTHING: Final = ".*"
_ESCAPED: Final = frozenset(".+()|{}$")
_PERL_CLASSES: Final = {
    "d": r"0-9",
    "w": r"0-9A-Za-z_",
    "s": r"\t\n\f\r ",
}
_CONTROLS: Final = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_SAFE_WILDCARDS: Final = 2


class PatternError(ValueError):
    """A pattern that moby/patternmatcher refuses."""


@dataclass(frozen=True, slots=True)
class Element:
    """One character out of a set, once, or any number of times when `repeats`.

    `directories` stands for any number of whole directories, each with its slash.
    """

    characters: re.Pattern[str]
    repeats: bool = False
    directories: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern. `text` is the cleaned one; `kind` is how it is matched."""

    text: str
    kind: str
    regex: re.Pattern[str] | None = None
    elements: tuple[Element, ...] = ()

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches the whole of `path` (its parents do not count)."""
        if self.kind == "exact":
            return path == self.text
        if self.kind == "prefix":
            return path.startswith(self.text[:-2])
        if self.kind == "suffix":
            suffix = self.text[2:]
            return path.endswith(suffix) or (suffix[:1] == _SEPARATOR and path == suffix[1:])
        if self.regex is not None:
            return self.regex.fullmatch(path) is not None
        return _run(self.elements, path)


def clean(path: str) -> str:
    """Return `path` as Go's `filepath.Clean` gives it."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def compile_pattern(text: str) -> Pattern:
    """Return the compiled pattern of an already cleaned text without its `!`.

    Raises PatternError where Go's `filepath.Match` or regexp would.
    """
    _check_syntax(text)
    kind, regex = _translate(text)
    if kind != "regex":
        return Pattern(text, kind)
    elements = tuple(_parse(regex))
    wildcards = sum(element.repeats or element.directories for element in elements)
    if wildcards > _SAFE_WILDCARDS or any(e.characters.pattern == "(?!)" for e in elements):
        return Pattern(text, kind, elements=elements)
    return Pattern(text, kind, regex=_regex_of(elements), elements=elements)


def _check_syntax(text: str) -> None:
    """Refuse an open or empty bracket and a trailing backslash, as `filepath.Match` does."""
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == "\\":
            if position == len(text):
                raise PatternError("the pattern ends in a backslash")
            position += 1
        elif char == "[":
            position = _after_bracket(text, position)


def _after_bracket(text: str, position: int) -> int:
    if text.startswith("^", position):
        position += 1
    ranges = 0
    while not (ranges and text.startswith("]", position)):
        position = _after_member(text, position)
        if text.startswith("-", position):
            position = _after_member(text, position + 1)
        ranges += 1
    return position + 1


def _after_member(text: str, position: int) -> int:
    if text[position : position + 1] == "\\":
        position += 1
    elif text[position : position + 1] in ("-", "]"):
        raise PatternError("a bracket expression is malformed")
    if position + 1 >= len(text):
        raise PatternError("a bracket expression is not closed")
    return position + 1


def _translate(text: str) -> tuple[str, str]:
    """Return how to match `text` and, for the kind regex, moby's regular expression.

    The brackets are passed on as they are, so that `*` inside them has the odd effect it has there.
    """
    kind = "exact"
    pieces: list[str] = []
    position = 0
    while position < len(text):
        first = position == 0
        char = text[position]
        position += 1
        if text.startswith("**", position - 1):
            position += 1
            if text.startswith(_SEPARATOR, position):
                position += 1
            if position < len(text):
                pieces.append(_ANY_DIRECTORIES)
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                pieces.append(_ANYTHING)
                kind = "regex"
            if first:
                kind = "suffix"
        elif char in "*?":
            pieces.append(_NOT_SEPARATOR + ("*" if char == "*" else ""))
            kind = "regex"
        elif char in _ESCAPED:
            pieces.append("\\" + char)
        elif char == "\\":
            pieces.append(char + text[position : position + 1])
            position += 1
            kind = "regex"
        else:
            pieces.append(char)
            if char in "[]":
                kind = "regex"
    return kind, "".join(pieces)


def _parse(regex: str) -> list[Element]:
    """Return the elements of a regular expression made by `_translate`."""
    elements: list[Element] = []
    position = 0
    while position < len(regex):
        if regex.startswith(_ANY_DIRECTORIES, position):
            elements.append(Element(re.compile("."), directories=True))
            position += len(_ANY_DIRECTORIES)
        elif regex.startswith(_ANYTHING, position):
            elements.append(Element(re.compile("."), repeats=True))
            position += len(_ANYTHING)
        elif regex[position] == "^":
            if position:
                elements.append(Element(re.compile("(?!)")))
            position += 1
        else:
            members, position = _set(regex, position)
            repeats = regex.startswith("*", position)
            elements.append(Element(_compile_set(members), repeats=repeats))
            position += repeats
    return elements


def _set(regex: str, position: int) -> tuple[str, int]:
    """Read one character, escape or bracket expression; return it for Python, and its end."""
    if regex[position] != "[":
        return _member(regex, position)
    position += 1
    negated = regex.startswith("^", position)
    position += negated
    members: list[str] = []
    while position < len(regex) and not (members and regex[position] == "]"):
        low, position = _member(regex, position)
        if regex.startswith("-", position) and not regex.startswith("-]", position):
            high, position = _member(regex, position + 1)
            low = f"{low}-{high}"
        members.append(low)
    if position >= len(regex):
        raise PatternError("a bracket expression is not closed")
    return ("^" if negated else "") + "".join(members), position + 1


def _member(regex: str, position: int) -> tuple[str, int]:
    if position >= len(regex):
        raise PatternError("a bracket expression is not closed")
    char = regex[position]
    if char != "\\":
        return re.escape(char) if char != "^" else r"\^", position + 1
    escaped = regex[position + 1 : position + 2]
    if escaped in _PERL_CLASSES:
        return _PERL_CLASSES[escaped], position + 2
    if escaped in _CONTROLS:
        return re.escape(_CONTROLS[escaped]), position + 2
    if escaped.isalnum() and escaped.isascii():
        raise PatternError(f"the escape \\{escaped} has no meaning")
    return re.escape(escaped), position + 2


def _compile_set(members: str) -> re.Pattern[str]:
    try:
        return re.compile(f"[{members}]")
    except re.error as error:
        raise PatternError(f"a bracket expression is malformed: {error}") from error


def _regex_of(elements: tuple[Element, ...]) -> re.Pattern[str]:
    pieces = []
    for element in elements:
        if element.directories:
            pieces.append("(?:.*/)?")
        else:
            pieces.append(element.characters.pattern + ("*" if element.repeats else ""))
    return re.compile("".join(pieces))


def _run(elements: tuple[Element, ...], path: str) -> bool:
    """Return whether the elements match all of `path`.

    States are element indexes; those within a run of directories, where only a slash leads on, are
    kept apart as `inside`.
    """
    accept = len(elements)
    states = _closure({0}, elements)
    inside: set[int] = set()
    for char in path:
        following: set[int] = set()
        still_inside: set[int] = set()
        for state in inside | {s for s in states if s < accept and elements[s].directories}:
            if char == "\n":
                continue
            still_inside.add(state)
            if char == _SEPARATOR:
                following.add(state + 1)
        for state in states:
            if state == accept or elements[state].directories:
                continue
            if elements[state].characters.match(char):
                following.add(state if elements[state].repeats else state + 1)
        states, inside = _closure(following, elements), still_inside
        if not states and not inside:
            return False
    return accept in states


def _closure(states: set[int], elements: tuple[Element, ...]) -> set[int]:
    reached = set(states)
    for state in states:
        current = state
        while current < len(elements) and (
            elements[current].repeats or elements[current].directories
        ):
            current += 1
            reached.add(current)
    return reached


def has_wildcard(path: str) -> bool:
    """Return whether BuildKit takes `path` for a pattern."""
    position = 0
    while position < len(path):
        if path[position] == "\\":
            position += 1
        elif path[position] in "*?[":
            return True
        position += 1
    return False
