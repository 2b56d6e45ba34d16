"""Hypothesis strategies for small build contexts: files, links, directories, ignore files.

Names and contents are few, so that equal files, names that a pattern nearly matches and paths that
come back are common. `KEEPERS` are never ignored or taken away: a COPY may rely on them.
"""

from __future__ import annotations

import io
import tarfile

from hypothesis import strategies as st

from harness.model import Directory, Entry, File, Link

KEEPERS = ("keep.txt", "data/one.json", "src/main.rs")
OTHERS = (
    "a.txt", "b.txt", "notes.tmp", "build.log", "data/two.json", "data/deep/three.json",
    "src/lib.rs", "src/deep/mod.rs", "docs/read me.md", "docs/ünï.md", "src/.hidden",
)  # fmt: skip
FOLDERS = ("empty", "data/void", "src/deep")
LINKS = {
    "way": ("data", "./data", "src/../data"),
    "link": ("keep.txt", "data/one.json", "data"),
    "src/inner": ("main.rs", "nowhere", "../keep.txt"),
    "data/up": ("..", "../src", "one.json"),
}
"""Links by path, with the targets that each may have; a COPY may name the first two."""
BUNDLE = "bundle.tar"

IGNORE_LINES = (
    "docs", "*.tmp", "**/*.log", "src/deep", "!src/deep/mod.rs", "a.txt", "b*", "# a comment", "",
    "/data/two.json", "**/mod.rs", "Dockerfile", ".dockerignore", "data/deep/", "./src/.hidden",
    "src/l?b.rs", "[an]*.t*p", "docs/../b.txt", "!b.txt", "**/void", "empty", "data/*/*.json",
    "!**/*.md", "src/inner", "Dockerfile*", "  *.log  ", "!docs", "data/up",
)  # fmt: skip
ALL_BUT_KEEPERS = ("*", "!keep.txt", "!data", "!src/*.rs", "!link", "!way", f"!{BUNDLE}")


def files() -> st.SearchStrategy[File]:
    """Draw a small file."""
    content = st.sampled_from((b"1\n", b"2\n", b"", b"22\n", b"\xff\x00\n"))
    return st.builds(File, content, st.sampled_from((0o644, 0o644, 0o755, 0o600)))


def bundles() -> st.SearchStrategy[File]:
    """Draw a tar archive of one file, which ADD unpacks."""
    return st.sampled_from((b"1\n", b"2\n")).map(_bundle)


def _bundle(content: bytes) -> File:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("packed.txt")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return File(sink.getvalue())


def directories() -> st.SearchStrategy[Directory]:
    """Draw a directory that is named for itself."""
    return st.builds(Directory, st.sampled_from((0o755, 0o755, 0o700)))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    """Draw a build context, with the keepers, perhaps with links and a `.dockerignore`."""
    tree: dict[str, Entry] = {path: draw(files()) for path in KEEPERS}
    for path in draw(st.lists(st.sampled_from(OTHERS), max_size=5, unique=True)):
        tree[path] = draw(files())
    for path in draw(st.lists(st.sampled_from(FOLDERS), max_size=2, unique=True)):
        tree[path] = draw(directories())
    for path in draw(st.lists(st.sampled_from(sorted(LINKS)), max_size=2, unique=True)):
        tree[path] = Link(draw(st.sampled_from(LINKS[path])))
    if draw(st.integers(0, 3)) == 0:
        tree[BUNDLE] = draw(bundles())
    if draw(st.booleans()):
        tree[".dockerignore"] = draw(ignore_files())
    return tree


@st.composite
def ignore_files(draw: st.DrawFn) -> File:
    """Draw an ignore file that leaves what a COPY names."""
    lines = draw(st.lists(st.sampled_from(IGNORE_LINES), max_size=4))
    if draw(st.integers(0, 4)) == 0:
        lines = [*ALL_BUT_KEEPERS, *lines]
    return File("".join(f"{line}\n" for line in lines).encode())
