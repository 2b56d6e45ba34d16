"""A build context at one moment: what lies at each path, hashed once; predicts nothing.

A snapshot is taken of a directory, of a `model.Tree`, or of another snapshot by an edit. Links are
recorded and never followed, special files are recorded and never opened, and what cannot be read
stays in the snapshot with the reason, so that nothing built on it has to guess.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

from harness.errors import ProjectError
from harness.keys.records import (
    DIGEST_SIZE,
    IMPLIED_DIRECTORY,
    ROOT,
    Record,
    difference,
    is_kept,
    record_of,
    record_on_disk,
    token_of,
)
from harness.model import Edit, Entry, File, Tree
from harness.parsing.dockerignore import NOTHING, Ignore, Verdict


class Context:
    """An immutable snapshot: records by path, relative and `/`-separated; the root is `""`.

    `texts` holds the bytes of the few files that the model itself reads. Whatever is derived from
    a snapshot is kept with it, so that asking twice costs once.
    """

    def __init__(self, records: Mapping[str, Record], texts: Mapping[str, bytes]) -> None:
        self.records = records
        self.texts = texts
        self.memo: dict[object, object] = {}
        self.changed_from: tuple[Context, Edit] | None = None
        self._directories: dict[str, bytes] = {}

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Return the sorted names in each directory."""
        names: dict[str, list[str]] = {"": []}
        for path, record in self.records.items():
            if record.kind == "dir":
                names.setdefault(path, [])
            parent, _, name = path.rpartition("/")
            names.setdefault(parent, []).append(name)
        return {parent: tuple(sorted(entries)) for parent, entries in names.items()}

    @cached_property
    def unreadable(self) -> tuple[str, ...]:
        """Return the paths that could not be read, in order."""
        return tuple(sorted(p for p, r in self.records.items() if r.kind == "unreadable"))

    def record(self, path: str) -> Record | None:
        """Return what lies at `path`, without following any link."""
        return ROOT if path == "" else self.records.get(path)

    def tree_digest(self, path: str) -> bytes:
        """Return the recursive digest of what lies at `path`, names and modes included."""
        record = self.record(path)
        if record is None:
            raise KeyError(path)
        if record.kind != "dir":
            return record.token
        known = self._directories.get(path)
        if known is None:
            known = self._directories[path] = self._hash_directory(path, record)
        return known

    def _hash_directory(self, path: str, record: Record) -> bytes:
        prefix = f"{path}/" if path else ""
        records = self.records
        parts = [record.token]
        for name in self.children.get(path, ()):
            child = records[prefix + name]
            parts.append(b"\0%b\0" % os.fsencode(name))
            parts.append(child.token if child.kind != "dir" else self.tree_digest(prefix + name))
        return blake2b(b"".join(parts), digest_size=DIGEST_SIZE).digest()

    def kept(self, keep: Callable[[str], bool]) -> Context:
        """Return the snapshot of the paths for which `keep` holds, and of their parents."""
        paths = {path for path in self.records if keep(path)}
        for path in tuple(paths):
            parent = path.rpartition("/")[0]
            while parent and parent not in paths:
                paths.add(parent)
                parent = parent.rpartition("/")[0]
        return Context(
            {path: record for path, record in self.records.items() if path in paths},
            {path: text for path, text in self.texts.items() if path in paths},
        )

    def edited(self, edit: Edit, *, now_ns: int = 0) -> Context:
        """Return the snapshot after `edit`; changed files are given the mtime `now_ns`."""
        records, texts = dict(self.records), dict(self.texts)
        for path, entry in edit.changes.items():
            before = records.get(path)
            _remove(records, texts, path)
            if entry is None:
                continue
            mtime_ns = before.mtime_ns if before is not None and edit.keep_mtime else now_ns
            _put(records, texts, path, entry, mtime_ns)
        for path in edit.touch:
            record = records.get(path)
            if record is not None:
                records[path] = replace(record, mtime_ns=now_ns)
        after = Context(records, texts)
        if self._keeps_shape(edit):
            after.changed_from = (self, edit)
            after.children = self.children
            after._directories = self._without(edit.changes)
        return after

    def replaced(self, records: Mapping[str, Record], texts: Mapping[str, bytes]) -> Context:
        """Return the snapshot with the files at known paths replaced by other files."""
        after = Context({**self.records, **records}, {**self.texts, **texts})
        after.children = self.children
        after._directories = self._without(records)
        return after

    def _keeps_shape(self, edit: Edit) -> bool:
        """Return whether an edit replaces files by files only, so that no name comes or goes."""
        return all(
            isinstance(entry, File) and (record := self.records.get(path)) and record.kind == "file"
            for path, entry in edit.changes.items()
        )

    def _without(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Return the digests of the directories that hold none of `paths`."""
        directories = dict(self._directories)
        for path in paths:
            parent = path
            while parent:
                parent = parent.rpartition("/")[0]
                directories.pop(parent, None)
        return directories

    def differences(self, other: Context) -> tuple[tuple[str, str], ...]:
        """Return `(path, what)` for each path that differs; `what` is content, mode, added, …"""
        mine, theirs = self.records, other.records
        return tuple(
            (path, difference(mine.get(path), theirs.get(path)))
            for path in sorted(mine.keys() | theirs.keys())
            if token_of(mine.get(path)) != token_of(theirs.get(path))
        )


def _remove(records: dict[str, Record], texts: dict[str, bytes], path: str) -> None:
    record = records.pop(path, None)
    texts.pop(path, None)
    if record is not None and record.kind == "dir":
        for below in [known for known in records if known.startswith(f"{path}/")]:
            del records[below]
            texts.pop(below, None)


def _put(
    records: dict[str, Record],
    texts: dict[str, bytes],
    path: str,
    entry: Entry,
    mtime_ns: int,
) -> None:
    parent = path.rpartition("/")[0]
    while parent and (parent not in records or records[parent].kind != "dir"):
        texts.pop(parent, None)
        records[parent] = IMPLIED_DIRECTORY
        parent = parent.rpartition("/")[0]
    records[path] = record_of(entry, mtime_ns=mtime_ns)
    if isinstance(entry, File) and is_kept(path):
        texts[path] = entry.content


def of_tree(tree: Tree, *, mtime_ns: int = 0) -> Context:
    """Return the snapshot of a tree given as data; parents without an entry are mode 0755."""
    records: dict[str, Record] = {}
    texts: dict[str, bytes] = {}
    for path, entry in tree.items():
        _put(records, texts, path, entry, mtime_ns)
    return Context(records, texts)


def of_directory(root: Path, *, ignore: Ignore = NOTHING) -> Context:
    """Walk `root` and return its snapshot, without what `ignore` keeps from the builder.

    Ignored directories are not read at all. Raises ProjectError when `root` is no directory that
    can be listed.
    """
    records: dict[str, Record] = {}
    texts: dict[str, bytes] = {}
    verdicts: dict[str, Verdict] = {}
    try:
        pending = [(entry, entry.name) for entry in os.scandir(root)]
    except OSError as error:
        raise ProjectError(
            "the build context cannot be listed", where=str(root), context=(str(error),)
        ) from error
    while pending:
        entry, path = pending.pop()
        verdict = ignore.judge(path, verdicts.get(path.rpartition("/")[0]))
        if verdict.excluded:
            is_directory = entry.is_dir(follow_symlinks=False)
            if not (is_directory and ignore.may_hold_sent(path, verdict)):
                continue
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                verdicts[path] = verdict
                pending += [(below, f"{path}/{below.name}") for below in os.scandir(entry.path)]
            records[path] = record_on_disk(entry, status, path, texts)
        except OSError as error:
            if error.errno == errno.ENOENT:
                continue
            reason = error.strerror or str(error)
            records[path] = Record("unreadable", 0, reason=reason)
    snapshot = Context(records, texts)
    if not ignore.rules:
        return snapshot
    return snapshot.kept(lambda path: path not in verdicts or not verdicts[path].excluded)
