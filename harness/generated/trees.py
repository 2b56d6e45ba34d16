"""Puts trees on disk and applies edits to them; owns modification times.

Every write moves the modification time, as an editor does, unless an edit says otherwise: BuildKit
sends a file again only when size, time, mode or owner changed (BK#4817).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Container, Iterable
from pathlib import Path

from harness.model import Directory, Edit, Entry, File, Link, Tree

NANOSECONDS = 10**9
LONG_AGO = 30 * 24 * 3600


def write(root: Path, tree: Tree, *, modified: int | None = None) -> None:
    """Write every entry of a tree below `root`; `modified` is their time, in ns."""
    for path in sorted(tree):
        put(root, path, tree[path], modified=modified)


def put(root: Path, path: str, entry: Entry, *, modified: int | None = None) -> None:
    """Write one entry, replacing what is there."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(entry, Directory):
        target.mkdir(exist_ok=True)
        target.chmod(entry.mode)
        return
    if target.is_symlink() or (isinstance(entry, Link) and target.exists()):
        remove(target)
    if isinstance(entry, Link):
        target.symlink_to(entry.target)
    else:
        target.write_bytes(entry.content)
        target.chmod(entry.mode)
    if modified is not None:
        os.utime(target, ns=(modified, modified), follow_symlinks=False)


def _replace(root: Path, path: str, entry: Entry, *, modified: int | None) -> None:
    """Write an entry beside what is there, and move it into its place."""
    target = root / path
    if isinstance(entry, Directory) or (target.is_dir() and not target.is_symlink()):
        put(root, path, entry, modified=modified)
        return
    beside = f"{path}~{os.getpid()}"
    put(root, beside, entry, modified=modified)
    (root / beside).replace(target)


def remove(target: Path) -> None:
    """Remove a file, link or directory; one that is gone already is no error."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)


def apply(root: Path, edit: Edit, *, modified: int | None = None) -> None:
    """Make an edit's changes; `modified` is the time of what it writes, None for now.

    With `keep_mtime` a changed file keeps the time that it had. A new file takes the old one's
    place, as most editors have it.
    """
    for path, entry in edit.changes.items():
        target = root / path
        if entry is None:
            remove(target)
            _prune(target.parent, root)
            continue
        kept = target.lstat().st_mtime_ns if edit.keep_mtime and os.path.lexists(target) else None
        _replace(root, path, entry, modified=modified if kept is None else kept)
    for path in edit.touch:
        now = time.time_ns()
        os.utime(root / path, ns=(now, now), follow_symlinks=False)


def read(
    root: Path, *, skip: Iterable[str] = (), only: Container[str] | None = None
) -> dict[str, Entry]:
    """Return a directory as a tree; top-level names in `skip` are left out.

    Where `only` is given, files of other paths are not opened and count as empty.
    """
    left_out = set(skip)
    tree: dict[str, Entry] = {}
    for folder, folders, files in os.walk(root):
        base = Path(folder)
        if base == root:
            folders[:] = [name for name in folders if name not in left_out]
        linked = [name for name in folders if (base / name).is_symlink()]
        if not folders and not files and base != root:
            tree[base.relative_to(root).as_posix()] = Directory(base.stat().st_mode & 0o7777)
        for name in (*files, *linked):
            path = base / name
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                tree[key] = Link(os.readlink(path))  # noqa: PTH115  a Path would normalise it
            elif path.is_file():
                content = path.read_bytes() if only is None or key in only else b""
                tree[key] = File(content, path.stat().st_mode & 0o7777)
    return tree


def _prune(folder: Path, root: Path) -> None:
    """Remove directories that an edit left empty, as a version control system does."""
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
