"""What an image is made of: the files of each layer above its base, and its configuration.

Read from an archive of the image, so that nothing in it has to be run and an image without a shell
is as readable as any. Fetching it is left to `running.images`, judging to `minimality`.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
CONTENT_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a layer. `kind` is file, directory, link, whiteout or other.

    `path` is absolute; a whiteout's is that of what it hides. `target` is a link's. `digest` is
    the SHA-256 of a file's content.
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
    base's shared libraries, by path; `hidden` those of files that a later layer took away again.
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
class Archive:
    """An engine's archive of an image: its configuration, layers, and the contents kept of them."""

    config: Mapping[str, Any]
    layers: tuple[tuple[Entry, ...], ...]
    contents: Mapping[str, bytes]
    hidden: Mapping[str, bytes]


def read_archive(stream: IO[bytes], *, skip: int = 0, only: str = "") -> Archive:
    """Read an archive as `docker save` writes it, without its `skip` lowest layers.

    Contents are kept of files with `only` in their path.
    """
    contents: dict[str, bytes] = {}
    hidden: dict[str, bytes] = {}
    layers = []
    with tarfile.open(fileobj=stream) as archive:
        manifest = json.load(_member(archive, "manifest.json"))[0]
        config = json.load(_member(archive, manifest["Config"]))
        for name in manifest["Layers"][skip:]:
            with tarfile.open(fileobj=_member(archive, name)) as layer:
                layers.append(tuple(_entries(layer, contents, hidden, only=only)))
    return Archive(config, tuple(layers), contents, hidden)


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
    layer: tarfile.TarFile, contents: dict[str, bytes], hidden: dict[str, bytes], *, only: str
) -> Iterator[Entry]:
    """Yield a layer's entries; the content of files with `only` in their path is kept.

    What the layer takes away of the contents so far goes to `hidden`.
    """
    for info in layer:
        path = posixpath.normpath(posixpath.join("/", info.name))
        parent, name = posixpath.split(path)
        if name == OPAQUE:
            yield Entry(parent, "whiteout", info.mode, info.uid, 0, target="opaque")
        elif name.startswith(WHITEOUT):
            gone = posixpath.join(parent, name.removeprefix(WHITEOUT))
            for held in [p for p in contents if p == gone or p.startswith(f"{gone}/")]:
                hidden[held] = contents.pop(held)
            yield Entry(gone, "whiteout", info.mode, info.uid, 0)
        elif info.isfile() and info.size <= CONTENT_BYTES:
            opened = layer.extractfile(info)
            content = opened.read() if opened else b""
            if only in path:
                if contents.get(path, content) != content:
                    hidden[path] = contents[path]
                contents[path] = content
            digest = hashlib.sha256(content).hexdigest()
            yield Entry(path, "file", info.mode, info.uid, info.size, digest=digest)
        elif info.isdir():
            yield Entry(path, "directory", info.mode, info.uid, 0)
        elif info.issym():
            yield Entry(path, "link", info.mode, info.uid, 0, target=info.linkname)
        elif info.islnk():
            target = posixpath.normpath(posixpath.join("/", info.linkname))
            content = contents.get(target, b"")
            if target in contents:
                contents[path] = content
            digest = hashlib.sha256(content).hexdigest()
            yield Entry(path, "file", info.mode, info.uid, 0, digest=digest)
        else:
            yield Entry(path, "other", info.mode, info.uid, info.size)


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
