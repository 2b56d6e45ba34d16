"""What COPY and WORKDIR write, as far as it follows from known files: a file system by data.

A `Layered` is what is known of a vertex' result: the files written on top, and the identity of
what lies beneath when that is not known file by file. Links at the destination and archives are
not followed up: then the result is known by identity only.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from harness.context import IMPLIED_DIRECTORY, Context, Record, digest
from harness.plan import Selector, Write
from harness.selection import resolve

_NUMERIC_OWNER: Final = re.compile(r"(\d+|root)(?::(\d+|root))?")
_OCTAL: Final = re.compile(r"[0-7]+")


@dataclass(frozen=True, slots=True)
class Layered:
    """Known files over something known by its identity only, or over nothing (`lower` None).

    `image` tells that what lies beneath is a base image as it came, not what a RUN wrote.
    """

    top: Context
    lower: bytes | None
    image: bool = False


EMPTY: Final = Layered(Context({}, {}), None)


def opaque(identity: bytes, *, image: bool = False) -> Layered:
    """Return a result of which nothing is known but its identity."""
    return Layered(Context({}, {}), identity, image)


def make_directory(below: Layered, path: str) -> Layered | None:
    """Return the result of a WORKDIR; None when a link stands in the way."""
    records = dict(below.top.records)
    if not _make_parents(records, path.strip("/"), Record("dir", 0o755)):
        return None
    return replace(below, top=Context(records, {}))


def write(below: Layered, source: Layered, action: Write) -> Layered | None:
    """Return the result of copying one source, or None when it cannot be told file by file."""
    selector = action.selector
    if action.unpack or action.parents or selector.wildcard or selector.include:
        return None
    if selector.exclude:
        return None
    owner = _owner(action.chown)
    if owner is None or (action.chmod is not None and not _OCTAL.fullmatch(action.chmod)):
        return None
    files = _taken(source, selector)
    if files is None:
        return None
    records = dict(below.top.records)
    base, taken = files
    is_directory = taken[""].kind == "dir"
    target = action.destination.strip("/")
    existing = records.get(target)
    if not is_directory:
        if action.destination.endswith("/") or (existing is not None and existing.kind == "dir"):
            target = f"{target}/{base}" if target else base
        elif existing is None and below.lower is not None:
            # A directory of that name may lie beneath: then the file would go into it.
            return None
    if any(at in records and records[at].kind == "link" for at in _upwards(target)):
        return None
    mode = None if action.chmod is None else int(action.chmod, 8)
    if not _make_parents(records, target.rpartition("/")[0], _owned(IMPLIED_DIRECTORY, owner)):
        return None
    for relative, record in taken.items():
        path = f"{target}/{relative}".strip("/") if relative else target
        if not path:
            continue
        placed = _owned(record, owner)
        if mode is not None and record.kind != "link":
            placed = replace(placed, mode=mode)
        known = records.get(path)
        if known is not None and (known.kind == "dir") != (placed.kind == "dir"):
            return None
        if known is not None and relative == "" and is_directory:
            continue
        records[path] = placed
    return replace(below, top=Context(records, {}))


def _taken(source: Layered, selector: Selector) -> tuple[str, dict[str, Record]] | None:
    """Return the base name of what is selected, and its records by path relative to it."""
    top = source.top
    try:
        root = resolve(top, selector.path.strip("/"), last=selector.follow)
    except LookupError:
        return None
    record = top.record(root)
    if record is None or (record.kind == "dir" and source.lower is not None):
        return None
    prefix = f"{root}/" if root else ""
    taken = {"": record}
    if record.kind == "dir":
        for path, each in top.records.items():
            if path.startswith(prefix):
                taken[path[len(prefix) :]] = each
    if any(each.kind in ("special", "unreadable") for each in taken.values()):
        return None
    return posixpath.basename(selector.path.rstrip("/")), dict(sorted(taken.items()))


def _make_parents(records: dict[str, Record], path: str, made: Record) -> bool:
    for at in reversed(list(_upwards(path))):
        known = records.get(at)
        if known is None:
            records[at] = made
        elif known.kind != "dir":
            return False
    return True


def _upwards(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1) if parts[0]]


def _owner(chown: str | None) -> tuple[int | None, int | None] | None:
    """Return uid and gid; Nones keep the source's. None for names, which an image resolves."""
    if chown is None:
        return (None, None)
    found = _NUMERIC_OWNER.fullmatch(chown)
    if found is None:
        return None
    uid = _number(found[1])
    return (uid, _number(found[2]) if found[2] is not None else uid)


def _number(text: str) -> int:
    return 0 if text == "root" else int(text)


def _owned(record: Record, owner: tuple[int | None, int | None]) -> Record:
    uid, gid = owner
    if uid is None or gid is None:
        return record
    return replace(record, uid=uid, gid=gid)


def inline_files(files: tuple[tuple[str, int, bytes], ...]) -> Context:
    """Return the tree that here-documents make."""
    return Context(
        {
            name.strip("/"): Record("file", mode, digest(content), size=len(content))
            for name, mode, content in files
        },
        {},
    )


def known_below(layered: Layered, selector: Selector) -> str | None:
    """Return the path of a selected file that is known whatever lies beneath, or None."""
    if selector.wildcard or selector.include or selector.exclude:
        return None
    try:
        path = resolve(layered.top, selector.path.strip("/"), last=selector.follow)
    except LookupError:
        return None
    record = layered.top.record(path)
    return path if record is not None and record.kind != "dir" and path else None


def explicit(layered: Layered, selector: Selector) -> Mapping[str, bytes]:
    """Return the known files that a selector may take, by path."""
    path = selector.path.strip("/")
    prefix = f"{path}/" if path else ""
    return {
        at: record.token
        for at, record in layered.top.records.items()
        if at == path or at.startswith(prefix)
    }
