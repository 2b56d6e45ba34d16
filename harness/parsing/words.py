"""Takes an instruction's text apart: builder flags, exec form, quoted words; expands nothing.

The rules are those of BuildKit's `parser/split_command.go` and `parser/line_parsers.go`.
"""

from __future__ import annotations

import json
import re
from typing import Final

from harness.model import Flag

BLANKS: Final = re.compile(r"[\t\v\f\r ]+")


class NotStringsError(ValueError):
    """A JSON array that holds something other than strings."""


def exec_form(text: str) -> tuple[str, ...] | None:
    """Return the words of a JSON (exec) form, or None when `text` is not one.

    Raises NotStringsError for an array that holds anything but strings.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(word, str) for word in words):
        raise NotStringsError(text)
    return tuple(words)


def split_flags(text: str, *, escape: str) -> tuple[tuple[Flag, ...], str]:
    """Return the leading `--name=value` flags of `text` and what follows them.

    Quotes in flags group and vanish; the escape character takes the next one literally.
    """
    flags: list[Flag] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if not text.startswith("--", position):
            return tuple(flags), text[position:].strip()
        word, position = _flag_word(text, position, escape)
        if word == "--":
            return tuple(flags), text[position:].strip()
        name, equals, value = word[2:].partition("=")
        flags.append(Flag(name, value if equals else None))


def _flag_word(text: str, position: int, escape: str) -> tuple[str, int]:
    """Read one flag from `position`; return it unquoted, and where it ends."""
    pieces: list[str] = []
    quote = ""
    while position < len(text):
        char = text[position]
        if not quote and char.isspace():
            break
        if char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif char == escape:
            position += 1
            pieces.append(text[position : position + 1])
        else:
            pieces.append(char)
        position += 1
    return "".join(pieces), position


def split_words(text: str, *, escape: str) -> tuple[str, ...]:
    """Split `text` at unquoted blanks and keep quotes and escapes, as ARG, ENV and LABEL do."""
    words: list[str] = []
    current: list[str] = []
    quote = ""
    quoted = False
    position = 0
    while position < len(text):
        char = text[position]
        if not quote and char.isspace():
            if current or quoted:
                words.append("".join(current))
            current, quoted = [], False
        elif char == escape and quote != "'":
            if position + 1 < len(text):
                current += [char, text[position + 1]]
                position += 1
        else:
            if char == quote:
                quote = ""
            elif not quote and char in "'\"":
                quote, quoted = char, True
            current.append(char)
        position += 1
    if current or quoted:
        words.append("".join(current))
    return tuple(words)


def split_blanks(text: str) -> tuple[str, ...]:
    """Split `text` at blanks without regard to quotes, as FROM, COPY, ADD and EXPOSE do."""
    return tuple(BLANKS.split(text)) if text else ()
