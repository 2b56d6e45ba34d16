"""What COPY and WORKDIR write, as far as it follows from known files: a file system by data.

A `Layered` is what is known of a vertex' result: the files written on top, and the identity of
what lies beneath when that is not known file by file. Links at the destination and archives are
not followed up: then the result is known by identity only.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from harness.keys.context import Context
from harness.keys.plan import Selector, Write
from harness.keys.records import IMPLIED_DIRECTORY, Record, digest
from harness.keys.selection import matches, may_match, resolve

_NUMERIC_OWNER: Final = re.compile(r"(\d+|root)(?::(\d+|root))?")
_OCTAL: Final = re.compile(r"[0-7]+")
EVERYWHERE: Final = "."
"""Where the mark of files lies that were copied into the root."""
_MERGED: Final = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32"})
MARKS: Final = frozenset({"either", "untold"})
"""Kinds of records that stand for files of which an identity is known, and nothing else."""
Owner = tuple[int, ...]
"""A uid and a gid, or nothing."""


@dataclass(frozen=True, slots=True)
class Layered:
    """Known files over something known by its identity only, or over nothing (`lower` None).

    `image` tells that what lies beneath is a base image as it came, not what a RUN wrote.
    """

    top: Context
    lower: bytes | None
    image: bool = False
    vertex: int | None = None
    """The vertex that left what lies beneath."""


EMPTY: Final = Layered(Context({}, {}), None)


def opaque(identity: bytes, vertex: int, *, image: bool = False) -> Layered:
    """Return a result of which nothing is known but its identity."""
    return Layered(Context({}, {}), identity, image, vertex)


def make_directory(below: Layered, path: str) -> Layered | None:
    """Return the result of a WORKDIR; None when a link stands in the way."""
    records = dict(below.top.records)
    at = canonical(below, path.strip("/"))
    if not _make_parents(records, at, IMPLIED_DIRECTORY):
        return None
    return replace(below, top=Context(records, {}))


def write(below: Layered, source: Layered, action: Write) -> Layered | None:
    """Return the result of copying one source, or None when it cannot be told file by file."""
    selector = action.selector
    untold = action.unpack or action.parents or selector.wildcard
    owner = _owner(action.chown)
    mode = _mode(action.chmod)
    taken = None if untold or selector.exclude else _taken(source, selector)
    if taken is None or owner is None or mode is None:
        return None
    files = {path: _changed(record, owner, mode) for path, record in taken[1].items()}
    target = canonical(below, action.destination.strip("/"))
    records = dict(below.top.records)
    if files[""].kind == "dir":
        files[""] = _changed(IMPLIED_DIRECTORY, owner, ())
        done = _place(records, target, files, owner)
    else:
        existing = records.get(target)
        inside = action.destination.endswith("/") or (existing and existing.kind == "dir")
        if inside:
            target = f"{target}/{taken[0]}".lstrip("/")
        elif below.lower is not None and (existing is None or existing.kind in MARKS):
            known = b"" if existing is None else existing.token
            content = digest(known, taken[0].encode(errors="surrogateescape"), files[""].token)
            kind = "either" if existing is None else existing.kind
            files[""] = Record(kind, 0, content)
        done = _place(records, target, files, owner)
    return replace(below, top=Context(records, {})) if done else None


def canonical(layered: Layered, path: str) -> str:
    """Return `path` by the name it has where an image merges `/bin` into `/usr/bin`, and so on."""
    if layered.lower is None:
        return path
    first, _, rest = path.partition("/")
    if first in _MERGED:
        return f"usr/{path}"
    return rest if first == "var" and rest.partition("/")[0] == "run" else path


def _place(
    records: dict[str, Record], target: str, files: Mapping[str, Record], owner: Owner
) -> bool:
    """Put files below `target`; False when a link or a clash of kinds stands in the way."""
    for at in _upwards(target):
        known = records.get(at)
        if known is not None and (known.kind == "link" or (known.kind != "dir" and at != target)):
            return False
    made = _changed(IMPLIED_DIRECTORY, owner, ())
    if not _make_parents(records, target.rpartition("/")[0], made):
        return False
    for relative, record in files.items():
        path = f"{target}/{relative}".strip("/") if relative else target
        known = records.get(path)
        if known is not None and (known.kind == "dir") != (record.kind == "dir"):
            return False
        is_root = relative == "" and record.kind == "dir"
        if path and not (is_root and known is not None):
            records[path] = record
    return True


def _taken(source: Layered, selector: Selector) -> tuple[str, dict[str, Record]] | None:
    """Return the base name of what is selected, and its records by path relative to it."""
    top = source.top
    try:
        wanted = canonical(source, selector.path.strip("/"))
        root = resolve(top, wanted, last=selector.follow)
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
    if any(each.kind in ("special", "unreadable", *MARKS) for each in taken.values()):
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


def _owner(chown: str | None) -> Owner | None:
    """Return uid and gid, nothing to keep the source's, or None for names only an image knows."""
    if chown is None:
        return ()
    found = _NUMERIC_OWNER.fullmatch(chown)
    if found is None:
        return None
    uid = _number(found[1])
    return (uid, _number(found[2]) if found[2] is not None else uid)


def _number(text: str) -> int:
    return 0 if text == "root" else int(text)


def _mode(chmod: str | None) -> tuple[int, ...] | None:
    """Return the mode to set, nothing to keep the source's, or None for one that is no number."""
    if chmod is None:
        return ()
    return (int(chmod, 8),) if _OCTAL.fullmatch(chmod) else None


def _changed(record: Record, owner: Owner, mode: tuple[int, ...]) -> Record:
    if owner:
        record = replace(record, uid=owner[0], gid=owner[1])
    if mode and record.kind != "link":
        record = replace(record, mode=mode[0])
    return record


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
        wanted = canonical(layered, selector.path.strip("/"))
        path = resolve(layered.top, wanted, last=selector.follow)
    except LookupError:
        return None
    record = layered.top.record(path)
    marked = any(each in layered.top.records for each in (EVERYWHERE, *_marks(layered, path)))
    known = record is not None and record.kind in ("file", "link") and not marked
    return path if known else None


def _marks(layered: Layered, path: str) -> list[str]:
    """Return the directories above `path` that something unknown was copied into."""
    records = layered.top.records
    return [at for at in _upwards(path) if at in records and records[at].kind in MARKS]


def is_free(below: Layered, destination: str) -> bool:
    """Whether nothing known leads what is copied there to another place."""
    target = canonical(below, destination.strip("/"))
    there = [(at, below.top.records[at].kind) for at in _upwards(target) if at in below.top.records]
    return all(kind == "dir" or (kind in MARKS and at == target) for at, kind in there)


def mark(below: Layered, destination: str, identity: bytes, *, told: bool = True) -> Layered:
    """Return the result of copying files of which an identity is known, and nothing else.

    Unless it is `told` what they are, a part of them may be the same where the identity is not.
    """
    target = canonical(below, destination.strip("/")) or EVERYWHERE
    known = below.top.records.get(target)
    content = digest(b"" if known is None else known.token, identity)
    told = told and (known is None or known.kind != "untold")
    record = Record("either" if told else "untold", 0, content)
    return replace(below, top=Context({**below.top.records, target: record}, {}))


def explicit(layered: Layered, selector: Selector) -> Mapping[str, Record]:
    """Return the known records that a selector may take, by path."""
    path = canonical(layered, selector.path.strip("/"))
    roots = {path}
    if selector.wildcard:
        roots = set(matches(layered.top, path))
    if selector.wildcard and selector.follow:
        roots |= {_followed(layered.top, root) for root in roots}

    def is_taken(at: str) -> bool:
        return any(at == root or _is_below(at, root) for root in roots)

    def is_near(at: str) -> bool:
        if selector.wildcard:
            return at == EVERYWHERE or may_match(path, at)
        return at in {EVERYWHERE, path} or _is_below(at, path) or _is_below(path, at)

    return {
        at: record
        for at, record in layered.top.records.items()
        if is_taken(at) or (record.kind in MARKS and is_near(at))
    }


def takes_untold(layered: Layered, selectors: Iterable[Selector]) -> bool:
    """Whether the selectors may take files of which it is not told what they are."""
    if all(record.kind != "untold" for record in layered.top.records.values()):
        return False
    taken = (record for each in selectors for record in explicit(layered, each).values())
    return any(record.kind == "untold" for record in taken)


def _followed(top: Context, path: str) -> str:
    try:
        return resolve(top, path, last=True)
    except LookupError:
        return path


def _is_below(path: str, directory: str) -> bool:
    return directory == "" or path.startswith(f"{directory}/")
