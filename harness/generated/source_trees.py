"""Trees of odd files as Hypothesis strategies, and how a tree looks from inside a container.

Names are bytes on Linux: they are drawn as text that the file system's encoding can carry, those
that are no UTF-8 as surrogate escapes. A tree read by `listed` compares with one by `on_host`.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Collection, Mapping
from pathlib import Path

from hypothesis import strategies as st

from harness.model import Directory, Entry, File, Link

SHOWN = 60
"""How many characters are told of a file."""
ODD_NAMES = (
    "a",
    "lib.rs",
    "with space",
    "-dash",
    "$dollar",
    "quote'\"s",
    "ünïcödé",
    "new\nline",
    "*?[x]",
    "back\\slash",
    ".hidden",
    "tab\there",
    "c" * 120,
    "\udcff\udcfe",
)
NAMES = st.one_of(
    st.sampled_from(ODD_NAMES),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=12
    ).filter(lambda name: name not in {".", ".."}),
)
FILES = st.builds(
    File,
    content=st.one_of(
        st.just(b""), st.binary(max_size=64), st.binary(min_size=4096, max_size=5000)
    ),
    mode=st.sampled_from([0o644, 0o600, 0o755, 0o444, 0o664]),
)
LINKS = st.builds(Link, target=st.sampled_from(["a", "../a", "/etc/hostname", "nowhere", "lib.rs"]))
DIRECTORIES = st.builds(Directory, mode=st.sampled_from([0o755, 0o700, 0o775]))
ENTRIES: st.SearchStrategy[Entry] = st.one_of(FILES, LINKS, DIRECTORIES)


@st.composite
def trees(draw: st.DrawFn, *, most: int = 6) -> dict[str, Entry]:
    """Draw a tree of up to `most` entries, some of them in directories of their own."""
    drawn = draw(st.dictionaries(NAMES, ENTRIES, max_size=most))
    nested = draw(st.dictionaries(NAMES, FILES, max_size=2))
    folders = [name for name, entry in drawn.items() if isinstance(entry, Directory)]
    tree = dict(drawn)
    for folder in folders[:1]:
        tree.update({f"{folder}/{name}": entry for name, entry in nested.items()})
    return tree


def on_host(root: Path, *, skip: Collection[str] = ()) -> dict[str, tuple[object, ...]]:
    """Return what there is below a directory: kind, mode, and content or link target, by path.

    What is called so in the directory itself is skipped.
    """
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root:
            folders[:] = [name for name in folders if name not in skip]
        for name in (*folders, *files):
            path = Path(folder) / name
            facts = path.lstat()
            key = path.relative_to(root).as_posix()
            if key in skip:
                continue
            mode = stat.S_IMODE(facts.st_mode)
            if stat.S_ISLNK(facts.st_mode):
                found[key] = ("link", os.readlink(path))  # noqa: PTH115  not normalised
            elif stat.S_ISDIR(facts.st_mode):
                found[key] = ("directory", mode)
            else:
                found[key] = ("file", mode, path.read_bytes())
    return found


def listed(archive: bytes) -> dict[str, tuple[object, ...]]:
    """Return the same facts from a tar archive that was made inside a container."""
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(archive), errors="surrogateescape") as tar:
        for info in tar:
            key = info.name.removeprefix("./").rstrip("/")
            if key in {"", "."}:
                continue
            if info.issym():
                found[key] = ("link", info.linkname)
            elif info.isdir():
                found[key] = ("directory", info.mode)
            elif info.islnk():
                found[key] = found[info.linkname.removeprefix("./")]
            else:
                opened = tar.extractfile(info)
                found[key] = ("file", info.mode, opened.read() if opened else b"")
    return found


def differences(
    expected: Mapping[str, tuple[object, ...]], found: Mapping[str, tuple[object, ...]]
) -> list[tuple[str, str, str]]:
    """Return path, expected and found where two listings differ, as short words."""
    return [
        (ascii(path), *_apart(_told(expected.get(path)), _told(found.get(path))))
        for path in sorted({*expected, *found})
        if expected.get(path) != found.get(path)
    ]


def _told(facts: tuple[object, ...] | None) -> str:
    if facts is None:
        return "absent"
    words = [f"{fact:04o}" if isinstance(fact, int) else ascii(fact) for fact in facts[1:]]
    return f"{facts[0]} {' '.join(words)}"


def _apart(one: str, other: str) -> tuple[str, str]:
    """Cut two texts short where they differ: at their beginning, or around the first difference."""
    if one[:SHOWN] != other[:SHOWN]:
        return one[:SHOWN], other[:SHOWN]
    pairs = enumerate(zip(one, other, strict=False))
    first = next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
    at = first - SHOWN // 3
    return f"… {one[at : at + SHOWN]}", f"… {other[at : at + SHOWN]}"
