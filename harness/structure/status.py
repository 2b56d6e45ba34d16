"""What becomes of a command's exit status: which operator it meets behind lists and compounds.

The status of the last command of a branch, a group or a subshell is that of the whole, and that of
a command before `&&` is the list's where it fails. So `if …; then cargo build; fi` loses nothing,
and `cargo build && cp a b || true` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

Token: TypeAlias = tuple[str, bool]
"""A word or an operator, and whether it is an operator."""

PIPES: Final = frozenset({"|", "|&"})
SEPARATORS: Final = frozenset({"&&", "||", ";", ";;", "&", "\n", "(", ")"}) | PIPES
_ENDS: Final = frozenset({";", ";;", "\n"})
_OPENING: Final = frozenset({"if", "case", "for", "while", "until", "{"})
_CLOSING: Final = frozenset({"fi", "esac", "done", "}"})
_BEFORE_COMMANDS: Final = frozenset(
    {"if", "while", "until", "{", "!", "then", "do", "else", "elif", "time", "exec"}
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What a status meets: `||`, a pipe, `&` or `;`; nothing where it is the whole script's.

    `instead` is what runs behind the `||` last, whose status then counts.
    """

    operator: str = ""
    instead: tuple[str, ...] = ()


NOTHING_MET: Final = Fate()
"""The status is that of the whole script."""


def fate(tokens: Sequence[Token], at: int) -> Fate:
    """Return what becomes of the status of the command that ends at the operator `tokens[at]`."""
    in_list = False
    while at < len(tokens):
        operator = tokens[at][0]
        if operator in _ENDS:
            end = _end_of_compound(tokens, at)
            if end is None:
                goes_on = not in_list and any(text not in _ENDS for text, _ in tokens[at:] if text)
                return Fate(";") if goes_on else NOTHING_MET
            at = _operator_from(tokens, end)
        elif operator == "&&":
            at, in_list = _behind(tokens, at + 1), True
        elif operator == ")":
            at = _operator_from(tokens, at + 1)
        elif operator == "||":
            return Fate(operator, _last_words(tokens[at + 1 : _behind(tokens, at + 1)]))
        else:
            return Fate(operator)
    return NOTHING_MET


def _end_of_compound(tokens: Sequence[Token], at: int) -> int | None:
    """Return what is behind the compound that ends with the command before `at`, if one does.

    A loop's is not: its status is that of the last round alone.
    """
    if tokens[at][0] == ";;":
        return _behind(tokens, at + 1, ["case"])
    following = next((n for n in range(at, len(tokens)) if tokens[n][0] not in _ENDS), len(tokens))
    text, is_operator = tokens[following] if following < len(tokens) else ("", True)
    if text == ")" and is_operator:
        return following
    if text in ("else", "elif"):
        return _behind(tokens, following + 1, ["if"])
    return following + 1 if text in ("fi", "esac", "}") else None


def _operator_from(tokens: Sequence[Token], at: int) -> int:
    """Return the next separator from `at` on; behind a compound only redirections come before."""
    return next((n for n in range(at, len(tokens)) if _separates(tokens[n])), len(tokens))


def _separates(token: Token) -> bool:
    text, is_operator = token
    return is_operator and (text in SEPARATORS or not text)


def _behind(tokens: Sequence[Token], at: int, opened: Sequence[str] = ()) -> int:
    """Return what is behind a pipeline that begins at `at`, or behind the compound `opened`."""
    stack, begins = list(opened), True
    while not opened and at < len(tokens) and tokens[at] == ("\n", True):
        at += 1
    while at < len(tokens):
        text, is_operator = tokens[at]
        if is_operator:
            if text == "(":
                stack.append(text)
            elif text == ")" and stack[-1:] == ["("]:
                stack.pop()
            elif not stack and text not in PIPES and _separates(tokens[at]):
                return at
            begins = begins if text and not _separates(tokens[at]) else True
        elif begins and text in _OPENING:
            stack.append(text)
            begins = text in _BEFORE_COMMANDS
        elif begins and text in _CLOSING:
            stack[-1:] = []
            begins = False
            if opened and not stack:
                return at + 1
        else:
            begins = begins and text in _BEFORE_COMMANDS
        at += 1
    return at


def _last_words(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Return the words of the last simple command."""
    words: list[str] = []
    ended = False
    for token in tokens:
        if _separates(token):
            ended = True
        elif token[0] not in _CLOSING | _BEFORE_COMMANDS:
            words = [token[0]] if ended else [*words, token[0]]
            ended = False
    return tuple(words)
