"""What one path of a context is to BuildKit's checksum: a record, made from data or from disk.

Links are never followed and special files never opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Final, Literal

from harness.model import Directory, Entry, File, Link

Kind = Literal["file", "dir", "link", "special", "unreadable", "either", "untold"]
"""`either`: a file whose place hangs on whether a directory lies beneath; see `copy_rules`."""
DIGEST_SIZE: Final = 16
_CHUNK: Final = 1 << 20
_KEPT_NAMES: Final = frozenset({"Cargo.toml", "config.toml", "config", "layerproof.toml"})
_KEPT_SUFFIX: Final = ".dockerignore"
_CAPABILITY: Final = "security.capability"


def digest(*parts: bytes) -> bytes:
    """Return a digest of `parts`, each delimited by its length."""
    joined = b"".join([b"%d:%b" % (len(part), part) for part in parts])
    return blake2b(joined, digest_size=DIGEST_SIZE).digest()


@dataclass(frozen=True, slots=True)
class Record:
    """What BuildKit's checksum sees of one path: all but its name and its modification time.

    `content` is the digest of a file's bytes, of a link's target, or of a special file's numbers.
    `token` is the whole record's identity. `reason` says why an unreadable path is so. `size` and
    `mtime_ns` are there for the transfer's quirks and no part of the identity.
    """

    kind: Kind
    mode: int
    content: bytes = b""
    target: str = ""
    uid: int = 0
    gid: int = 0
    extended: bytes = b""
    size: int = 0
    mtime_ns: int = 0
    reason: str = ""
    token: bytes = field(init=False, compare=False, default=b"")

    def __post_init__(self) -> None:
        head = f"{self.kind} {self.mode:o} {self.uid} {self.gid}"
        object.__setattr__(self, "token", digest(head.encode(), self.content, self.extended))


ROOT: Final = Record("dir", 0)
"""The context's own directory: BuildKit leaves its mode out of every checksum."""
IMPLIED_DIRECTORY: Final = Record("dir", 0o755)


def token_of(record: Record | None) -> bytes:
    """Return the identity of what lies at a path; nothing where nothing does."""
    return b"" if record is None else record.token


def difference(before: Record | None, after: Record | None) -> str:
    """Return in a word or two how a path differs between two snapshots."""
    if before is None:
        return "added"
    if after is None:
        return "removed"
    if before.kind != after.kind:
        return f"{_KIND_NAMES[before.kind]} became {_KIND_NAMES[after.kind]}"
    if before.content != after.content:
        return "link target" if after.kind == "link" else "content"
    if before.mode != after.mode:
        return f"mode {before.mode:o} → {after.mode:o}"
    return "owner or attributes"


_KIND_NAMES: Final[Mapping[Kind, str]] = {
    "file": "file",
    "dir": "directory",
    "link": "link",
    "special": "special file",
    "unreadable": "unreadable file",
    "either": "file",
    "untold": "file",
}


def record_of(entry: Entry, *, mtime_ns: int = 0) -> Record:
    """Return the record that an entry of a tree makes."""
    match entry:
        case File(content=content, mode=mode):
            size = len(content)
            return Record("file", mode, digest(content), size=size, mtime_ns=mtime_ns)
        case Link(target=target):
            return _link(target, mtime_ns)
        case Directory(mode=mode):
            return Record("dir", mode)


def _link(target: str, mtime_ns: int) -> Record:
    return Record("link", 0o777, digest(os.fsencode(target)), target, mtime_ns=mtime_ns)


def is_kept(path: str) -> bool:
    """Whether the text of a file is kept with the snapshot: other rules read it."""
    return path.rpartition("/")[2] in _KEPT_NAMES or path.endswith(_KEPT_SUFFIX)


def record_on_disk(
    entry: os.DirEntry[str], status: os.stat_result, path: str, texts: dict[str, bytes]
) -> Record:
    """Return the record of what a directory holds; a text that is kept goes into `texts`.

    Raises OSError for what cannot be read.
    """
    mode, mtime_ns = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        return Record("dir", mode, extended=_capability(entry), mtime_ns=mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return _link(str(Path(entry.path).readlink()), mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        numbers = f"{stat.S_IFMT(status.st_mode)} {status.st_rdev}".encode()
        return Record("special", mode, numbers, mtime_ns=mtime_ns)
    state = blake2b(digest_size=DIGEST_SIZE)
    state.update(b"%d:" % status.st_size)
    kept: list[bytes] | None = [] if is_kept(path) else None
    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        while chunk := os.read(descriptor, _CHUNK):
            state.update(chunk)
            if kept is not None:
                kept.append(chunk)
    finally:
        os.close(descriptor)
    if kept is not None:
        texts[path] = b"".join(kept)
    return Record(
        "file",
        mode,
        state.digest(),
        extended=_capability(entry),
        size=status.st_size,
        mtime_ns=mtime_ns,
    )


def _capability(entry: os.DirEntry[str]) -> bytes:
    if not hasattr(os, "getxattr"):
        return b""
    try:
        return os.getxattr(entry.path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return b""
