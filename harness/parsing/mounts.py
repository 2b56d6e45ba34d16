"""Parses the comma-separated text of a `RUN --mount` flag into a typed `Mount`.

The keys and their limits are those of BuildKit's `instructions/commands_runmount.go`; which stage
or context a mount reads is for the caller to resolve.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from typing import Final

from harness.model import Mount

KINDS: Final = ("bind", "cache", "secret", "ssh", "tmpfs")
SHARING: Final = ("shared", "private", "locked")
_ALIASES: Final = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_KEYS: Final = frozenset(
    [
        "type",
        "from",
        "source",
        "target",
        "readonly",
        "readwrite",
        "required",
        "size",
        "id",
        "sharing",
        "mode",
        "uid",
        "gid",
        "env",
    ]
)
_BARE: Final = frozenset({"readonly", "readwrite", "required"})
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SIZE: Final = re.compile(r"\d+(\.\d+)?\s*([kKmMgGtTpP]?[iI]?[bB]?)")
_LIMIT: Final = 2**32


class MountError(ValueError):
    """A mount that BuildKit refuses; `expected` says what would do."""

    def __init__(self, message: str, *, expected: str) -> None:
        super().__init__(message)
        self.expected = expected


def parse_mount(text: str, expand: Callable[[str], str] | None = None) -> Mount:
    """Return the mount that `text` describes, its values run through `expand` where given.

    Without `expand`, values that hold a `$` are kept as written and not checked.
    """
    fields = _fields(text, expand)
    kind = fields.get("type", "bind").lower()
    _check_kind(fields, kind)
    read_only = kind not in ("cache", "tmpfs")
    if "readwrite" in fields:
        read_only = not _boolean(fields, "readwrite")
    if "readonly" in fields:
        read_only = _boolean(fields, "readonly")
    return Mount(
        kind=kind,
        target=fields.get("target"),
        source=fields.get("source"),
        from_stage=fields.get("from"),
        id=fields.get("id"),
        sharing=_sharing(fields, kind),
        read_only=read_only,
        required=_boolean(fields, "required") if "required" in fields else False,
        mode=_number(fields, "mode", 8),
        uid=_number(fields, "uid", 10),
        gid=_number(fields, "gid", 10),
        size=_size(fields),
        env=fields.get("env"),
    )


def _fields(text: str, expand: Callable[[str], str] | None) -> dict[str, str]:
    """Return the fields by canonical key; a later one replaces an earlier one."""
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise MountError(f"mount {text!r}: {error}", expected="comma-separated fields") from error
    fields: dict[str, str] = {}
    for item in rows[0] if rows else []:
        key, equals, value = item.partition("=")
        key = _ALIASES.get(key.lower(), key.lower())
        if not equals and key not in _BARE:
            raise MountError(f"field {item!r} of a mount has no value", expected="key=value")
        if key not in _KEYS:
            raise MountError(
                f"unknown key {key!r} in mount field {item!r}",
                expected="one of " + ", ".join(sorted(_KEYS)),
            )
        value = value if equals else "true"
        if expand is not None:
            value = expand(value)
        elif key == "from" and "$" in value[:-1]:
            raise MountError(
                f"from={value} of a mount holds a variable",
                expected="a stage or image by name: variables are not expanded here, "
                "name a stage with FROM instead",
            )
        fields[key] = value
    return fields


def _deferred(value: str) -> bool:
    return "$" in value


def _check_kind(fields: dict[str, str], kind: str) -> None:
    """Refuse unknown types, and keys that the type does not take."""
    if _deferred(kind):
        return
    if kind not in KINDS:
        raise MountError(f"unsupported mount type {kind!r}", expected="one of " + ", ".join(KINDS))
    allowed_for = {
        "required": ("secret", "ssh"),
        "size": ("tmpfs",),
        "sharing": ("cache",),
        "mode": ("secret", "ssh", "cache"),
        "uid": ("secret", "ssh", "cache"),
        "gid": ("secret", "ssh", "cache"),
    }
    for key, kinds in allowed_for.items():
        if key in fields and kind not in kinds:
            raise MountError(
                f"{key} is not allowed for a {kind} mount", expected=f"type={' or '.join(kinds)}"
            )
    if kind != "secret":
        return
    if fields.get("from"):
        raise MountError("a secret mount has no from", expected="id, source or target")
    if not (fields.get("source") or fields.get("target") or fields.get("id")):
        raise MountError("a secret mount names nothing", expected="id, source or target")
    if fields.get("source") and fields.get("id"):
        raise MountError("a secret mount has both source and id", expected="one of them")


def _boolean(fields: dict[str, str], key: str) -> bool:
    value = fields[key]
    if value in _TRUE or _deferred(value):
        return True
    if value in _FALSE:
        return False
    raise MountError(f"{key}={value} of a mount", expected="true or false")


def _number(fields: dict[str, str], key: str, base: int) -> int | None:
    value = fields.get(key)
    if value is None or _deferred(value):
        return None
    digits = "01234567" if base == 8 else "0123456789"
    if not value or value.strip(digits) or int(value, base) >= _LIMIT:
        raise MountError(f"{key}={value} of a mount", expected=f"a number of base {base}")
    return int(value, base)


def _sharing(fields: dict[str, str], kind: str) -> str | None:
    value = fields.get("sharing")
    if not value:
        return "shared" if kind == "cache" else None
    if value.lower() not in SHARING and not _deferred(value):
        raise MountError(f"sharing={value} of a mount", expected="one of " + ", ".join(SHARING))
    return value.lower()


def _size(fields: dict[str, str]) -> str | None:
    value = fields.get("size")
    if value is not None and not _deferred(value) and not _SIZE.fullmatch(value):
        raise MountError(f"size={value} of a mount", expected="a size such as 64m")
    return value
