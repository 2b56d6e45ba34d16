"""A git revision standing for a directory: its files as a build context would hold them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from harness import process
from harness.errors import UsageError
from harness.model import Entry, File, Link

_SECONDS: Final = 120.0
_LINK: Final = "120000"
_SUBMODULE: Final = "160000"
_MODES: Final = {"100644": 0o644, "100664": 0o664, "100755": 0o755}


def tree_at(revision: str, project: Path) -> dict[str, Entry]:
    """Return the tracked files below `project` at a revision, with the modes of a usual checkout.

    Submodules are left out, as in a clone without them. Raises UsageError when `revision` names
    neither a directory nor a commit of the repository that `project` lies in.
    """
    listing = _git(project, "ls-tree", "-r", "-z", revision, "--", ".")
    if listing is None:
        raise UsageError(
            f"{revision!r} is neither a directory nor a git revision",
            where=str(project),
            hint="give a directory, or a branch, tag or commit of the project's repository",
        )
    found: list[tuple[str, str, str]] = []
    for entry in listing.split(b"\0"):
        if entry:
            head, _, path = entry.partition(b"\t")
            mode, _, name = head.decode().split(" ")
            if mode != _SUBMODULE:
                found.append((path.decode(errors="surrogateescape"), mode, name))
    contents = _blobs(project, [name for _, _, name in found])
    return {
        path: _entry(mode, content)
        for (path, mode, _), content in zip(found, contents, strict=True)
    }


def _entry(mode: str, content: bytes) -> Entry:
    if mode == _LINK:
        return Link(content.decode(errors="surrogateescape"))
    return File(content, _MODES.get(mode, 0o644))


def _blobs(project: Path, names: list[str]) -> Iterator[bytes]:
    """Yield the contents of blobs, all read by one call."""
    output = _git(project, "cat-file", "--batch", stdin="".join(f"{n}\n" for n in names).encode())
    position = 0
    stream = output or b""
    for _ in names:
        end = stream.index(b"\n", position)
        size = int(stream[position:end].rsplit(b" ", 1)[1])
        yield stream[end + 1 : end + 1 + size]
        position = end + 1 + size + 1


def _git(project: Path, *arguments: str, stdin: bytes | None = None) -> bytes | None:
    """Return what git prints, or None when it refuses."""
    argv = ("git", "-C", str(project), *arguments)
    done = process.run(argv, limit=_SECONDS, stdin=stdin)
    return done.stdout if done.status == 0 else None
