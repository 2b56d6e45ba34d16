"""What an image is made of: the files of each layer above its base, and its configuration.

Read from archives of its layers, so that nothing in it has to be run and an image without a shell
is as readable as any. Fetching it is left to `running.images`, judging to `minimality`.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
EVERY_FILE = ("",)
CONTENT_BYTES = 256 * 1024 * 1024
PERMISSIONS = 0o7777
"""What of a mode tells no kind: of that some archives say nothing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer. `kind` is file, directory, link, whiteout or other.

    `path` is absolute; a whiteout's is that of what it hides. `mode` is the permissions alone.
    `target` is a link's. `digest` is the SHA-256 of a file's content.
    """

    path: str
    kind: str
    mode: int
    uid: int
    size: int
    target: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image above its base. `layers` are those it adds, lowest first; `base` the base's files.

    `contents` holds the bytes of the files that the added layers leave in place, and of the
    base's shared libraries and accounts, by path; `hidden` those of files that a later layer took
    away again.
    """

    layers: tuple[tuple[Entry, ...], ...]
    base: Mapping[str, Entry]
    contents: Mapping[str, bytes]
    hidden: Mapping[str, bytes]
    user: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    history: tuple[str, ...]

    def files(self) -> dict[str, Entry]:
        """Return what is there when all layers are stacked, by path."""
        found = dict(self.base)
        for layer in self.layers:
            _stack(found, layer)
        return found

    def added(self) -> dict[str, Entry]:
        """Return the files, links and special files that differ from the base, by path."""
        return {
            path: entry
            for path, entry in self.files().items()
            if entry.kind != "directory" and self.base.get(path) != entry
        }

    def wasted(self) -> dict[str, int]:
        """Return the bytes that the added layers carry in vain, by path.

        A file that a later layer hides or replaces still weighs; one that replaces a file of the
        base makes the base's weigh in vain, which the added layers are to blame for as well.
        """
        lost: dict[str, int] = {}
        seen = dict(self.base)
        for layer in self.layers:
            for entry in layer:
                if entry.kind == "directory":
                    continue
                hidden = [p for p in seen if _hides(entry, p)] if entry.kind == "whiteout" else []
                for path in (entry.path, *hidden):
                    if path in seen and seen[path].size:
                        lost[path] = lost.get(path, 0) + seen[path].size
            _stack(seen, layer)
        return lost


def resolve(files: Mapping[str, Entry], path: str) -> str | None:
    """Return where a path leads when links are followed, or None when it leads nowhere."""
    for _ in range(40):
        head = ""
        for part in [part for part in path.split("/") if part]:
            entry = files.get(f"{head}/{part}")
            if entry is not None and entry.kind == "link":
                rest = path[len(f"{head}/{part}") :]
                path = posixpath.normpath(posixpath.join(head or "/", entry.target) + rest)
                break
            head = f"{head}/{part}"
        else:
            return head if head in files else None
    return None


@dataclass(frozen=True, slots=True)
class Layers:
    """Layers that were read, lowest first, and the contents that were kept of them."""

    entries: tuple[tuple[Entry, ...], ...]
    contents: Mapping[str, bytes]
    hidden: Mapping[str, bytes]


def read_archive(stream: IO[bytes], *, skip: int = 0, only: Sequence[str] = EVERY_FILE) -> Layers:
    """Read an archive as `docker save` writes it, without its `skip` lowest layers.

    Contents are kept of files with one of `only` in their path.
    """
    with tarfile.open(fileobj=stream) as archive:
        manifest = json.load(_member(archive, "manifest.json"))[0]
        return read_layers(
            (_member(archive, name) for name in manifest["Layers"][skip:]), only=only
        )


def read_layers(streams: Iterable[IO[bytes]], *, only: Sequence[str] = EVERY_FILE) -> Layers:
    """Read layers, lowest first; contents are kept as `read_archive` does."""
    contents: dict[str, bytes] = {}
    hidden: dict[str, bytes] = {}
    layers = []
    for stream in streams:
        with tarfile.open(fileobj=stream) as layer:
            layers.append(tuple(_entries(layer, contents, hidden, only=only)))
    return Layers(tuple(layers), contents, hidden)


def stacked(layers: Sequence[Sequence[Entry]]) -> dict[str, Entry]:
    """Return what is there when layers are stacked, by path."""
    found: dict[str, Entry] = {}
    for layer in layers:
        _stack(found, layer)
    return found


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    info = archive.getmember(name)
    for _ in range(8):  # equal layers are links to one another in docker's archives
        if not (info.issym() or info.islnk()):
            break
        path = posixpath.join(posixpath.dirname(info.name), info.linkname)
        info = archive.getmember(posixpath.normpath(path if info.issym() else info.linkname))
    opened = archive.extractfile(info)
    if opened is None:
        raise KeyError(name)
    return opened


def _entries(
    layer: tarfile.TarFile,
    contents: dict[str, bytes],
    hidden: dict[str, bytes],
    *,
    only: Sequence[str],
) -> Iterator[Entry]:
    """Yield a layer's entries, what it takes away first; the content of files with one of `only`
    in their path is kept.

    What the layer takes away of the contents so far goes to `hidden`.
    """
    members = layer.getmembers()
    for gone in filter(None, map(_taken_away, members)):
        for held in [path for path in contents if path == gone.path or _hides(gone, path)]:
            hidden[held] = contents.pop(held)
        yield gone
    digests: dict[str, str] = {}
    for info in members:
        path = _path(info.name)
        if path == "/" or _taken_away(info):
            continue
        kind = _kind(info)
        if kind == "file" and info.islnk():
            target = _path(info.linkname)
            digests[path] = digests.get(target, "")
            if target in contents:
                contents[path] = contents[target]
        elif kind == "file":
            opened = layer.extractfile(info)
            content = opened.read() if opened else b""
            digests[path] = hashlib.sha256(content).hexdigest()
            if any(part in path for part in only):
                if contents.get(path, content) != content:
                    hidden[path] = contents[path]
                contents[path] = content
        yield Entry(
            path,
            kind,
            info.mode & PERMISSIONS,
            info.uid,
            info.size,
            target=info.linkname if kind == "link" else "",
            digest=digests.get(path, ""),
        )


def _path(name: str) -> str:
    """Return the absolute path that a name in a layer's archive stands for."""
    return posixpath.normpath(posixpath.join("/", name))


def _kind(info: tarfile.TarInfo) -> str:
    """Return what a member is, as `Entry` has it; a file that is too large to be read is other."""
    if info.islnk() or (info.isfile() and info.size <= CONTENT_BYTES):
        return "file"
    return "directory" if info.isdir() else "link" if info.issym() else "other"


def _taken_away(info: tarfile.TarInfo) -> Entry | None:
    """Return the whiteout that a member of a layer is; None for any other."""
    parent, name = posixpath.split(_path(info.name))
    if name == OPAQUE:
        return Entry(parent, "whiteout", 0, 0, 0, target="opaque")
    if name.startswith(WHITEOUT):
        gone = posixpath.join(parent, name.removeprefix(WHITEOUT))
        return Entry(gone, "whiteout", 0, 0, 0)
    return None


def _hides(entry: Entry, path: str) -> bool:
    return entry.kind == "whiteout" and path.startswith(f"{entry.path}/")


def _stack(found: dict[str, Entry], layer: Sequence[Entry]) -> None:
    for entry in layer:
        if entry.kind != "whiteout":
            continue
        for path in [p for p in found if _hides(entry, p)]:
            del found[path]
        if entry.target != "opaque":
            found.pop(entry.path, None)
    found.update({entry.path: entry for entry in layer if entry.kind != "whiteout"})
