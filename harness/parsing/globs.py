"""Matches the shell patterns of `${V#p}`, `${V%p}` and `${V/p/r}` in time linear in pattern × text.

Only `*`, `?` and escapes are special, as in BuildKit (`convertShellPatternToRegex`); bracket
expressions are literal. A set of states stands in for a regular expression, so that no pattern can
make the matching explode.
"""

from __future__ import annotations

from typing import Final, Literal

_STAR: Final = "*"
_ANY: Final = "?"
_ESCAPABLE: Final = frozenset("*?\\")
_PARAMETER_SYNTAX: Final = frozenset("}/")

Kind = Literal["literal", "any", "star"]
Token = tuple[Kind, str]
Pattern = tuple[Token, ...]


def compile_pattern(text: str) -> Pattern:
    r"""Return the tokens of a shell pattern; `\x` is valid for `*`, `?`, `\`, `}` and `/` only.

    Raises ValueError naming the escape that is not.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        if char == _STAR:
            tokens.append(("star", char))
        elif char == _ANY:
            tokens.append(("any", char))
        elif char == "\\":
            escaped = text[position : position + 1]
            if escaped not in _ESCAPABLE | _PARAMETER_SYNTAX:
                raise ValueError(f"invalid escape '\\{escaped}'")
            tokens.append(("literal", escaped))
            position += 1
        else:
            tokens.append(("literal", char))
    return tuple(tokens)


def _ends(pattern: Pattern, text: str, start: int) -> list[int]:
    """Return every offset at which a match that begins at `start` can end, in ascending order."""
    accept = len(pattern)
    stars = [kind == "star" for kind, _ in pattern]
    states = _closure({0}, stars)
    ends = [start] if accept in states else []
    for position in range(start, len(text)):
        char = text[position]
        following: set[int] = set()
        for state in states:
            if state == accept:
                continue
            kind, literal = pattern[state]
            if kind == "literal":
                if literal == char:
                    following.add(state + 1)
            elif char != "\n":
                following.add(state if kind == "star" else state + 1)
        if not following:
            break
        states = _closure(following, stars)
        if accept in states:
            ends.append(position + 1)
    return ends


def _closure(states: set[int], stars: list[bool]) -> set[int]:
    """Return `states` and those reached from them by stars that match nothing."""
    reached = set(states)
    for state in states:
        current = state
        while current < len(stars) and stars[current]:
            current += 1
            reached.add(current)
    return reached


def trim_prefix(text: str, pattern: str, *, longest: bool) -> str:
    """Return `text` without the shortest (or longest) prefix that `pattern` matches."""
    ends = _ends(compile_pattern(pattern), text, 0)
    return text[ends[-1 if longest else 0] :] if ends else text


def trim_suffix(text: str, pattern: str, *, longest: bool) -> str:
    """Return `text` without the shortest (or longest) suffix that `pattern` matches."""
    ends = _ends(compile_pattern(pattern)[::-1], text[::-1], 0)
    return text[: len(text) - ends[-1 if longest else 0]] if ends else text


def replace(text: str, pattern: str, replacement: str, *, every: bool) -> str:
    """Return `text` with the first (or every) leftmost-longest match of `pattern` replaced.

    As in Go's regexp, an empty match directly after another match does not count.
    """
    compiled = compile_pattern(pattern)
    pieces: list[str] = []
    position = copied = 0
    last_end = -1
    while position <= len(text):
        ends = _ends(compiled, text, position)
        end = ends[-1] if ends else -1
        if end == -1 or end == position == last_end:
            position += 1
            continue
        pieces += [text[copied:position], replacement]
        copied = last_end = end
        if not every:
            break
        position = end if end > position else position + 1
    return "".join([*pieces, text[copied:]])
