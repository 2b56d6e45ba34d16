"""A real project as something to edit: its files, and edits that need no knowledge of it.

What a generated project's output tells, a marker tells here: a word that an edit of the source puts
into the program, in a section that linkers keep, so that the artifact can be searched for it. The
working tree is read once and never written. Pure, but for `load`.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import ProjectError
from harness.generated import trees
from harness.generated.edits import ODD_NAMES
from harness.generated.projects import WORD
from harness.model import Edit, EditClass, Entry, File, Tree

LEFT_OUT = ("target", ".git", ".venv", "node_modules")
CLASSES = (
    EditClass.SOURCE,
    EditClass.SOURCE_COMMENT,
    EditClass.NOTHING,
    EditClass.MTIME,
    EditClass.MODE,
    EditClass.ODD_NAME,
    EditClass.README,
    EditClass.BUILD_SCRIPT,
    EditClass.MANIFEST_COMMENT,
    EditClass.PROFILE,
    EditClass.REVERT,
)
MARKER = "layerproof-marker-"
_MAIN = re.compile(rb"^(?:pub )?(?:async )?fn main\s*\([^)]*\)[^{;]*\{(?!\s*#!)", re.MULTILINE)
"""How the function begins that a program starts with; what comes first in it may be more of it."""
_SOURCE = re.compile(r"src/(main|bin/(?P<name>[^/]+)|bin/(?P<folder>[^/]+)/main)\.rs")
_COMPILED_IN = re.compile(
    r"\binclude_(?:str|bytes)!\s*\(\s*"
    r'(?P<of_package>concat!\s*\(\s*env!\s*\(\s*"CARGO_MANIFEST_DIR"\s*\)\s*,\s*)?"(?P<path>[^"]+)"'
)
_MARKED_MAIN = """
    let _ = std::hint::black_box("{marker}"); // """
_MARKED = """
#[used]
#[{attribute}]
static LAYERPROOF: extern "C" fn() = {{
    extern "C" fn keep() {{
        std::hint::black_box("{marker}");
    }}
    keep
}};
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A state of a real project: what was read, and the edits made since, by path.

    `source` is the file that edits of the source go to, `others` the other sources that something
    can be added to, libraries and files that are compiled in, `build_script` that of the program's
    package, `marker` the word that a program made of this state contains, None before the first
    such edit. What edits write holds WORD, so that an edited state is its scenario's own while all
    share what the project's first state compiled. `folder` is where in the tree cargo's root is,
    empty for the tree's own.
    """

    files: tuple[tuple[str, Entry], ...]
    source: str
    folder: str = ""
    others: tuple[str, ...] = ()
    build_script: str | None = None
    edited: tuple[tuple[str, Entry], ...] = ()
    marker: str | None = None

    @property
    def tree(self) -> Tree:
        """The whole tree of this state."""
        return {**dict(self.files), **dict(self.edited)}


def load(project: Path, *, binary: str | None = None, folder: str = "") -> Checkout:
    """Read a project, whose manifest lies in `folder`; edits of the source are of `binary`, or of
    the first one there where none has that name.

    Raises ProjectError when it has no binary's source to edit.
    """
    files = trees.read(project, skip=LEFT_OUT)
    programs = {path: name for path, name in _programs(files).items() if _within(folder, path)}
    if not programs:
        raise ProjectError(
            f"no binary to edit in {str(project)!r}",
            context=("expected src/main.rs, src/bin/, or a [[bin]] with a path",),
        )
    source = min(programs, key=lambda path: (programs[path] != binary, path.count("/"), path))
    manifests = _manifests(files)
    own = _package(source, manifests)
    beside = (f for f in sorted(manifests) if f != own and _is_member(f, manifests, folder))
    members = [own, *beside]
    roots = (_library_of(member, manifests.get(member, {})) for member in members)
    libraries = [path for path in roots if path in files and path != source]
    said = manifests.get(own, {}).get("package", {}).get("build", "build.rs")
    script = posixpath.normpath(posixpath.join(own, str(said)))
    return Checkout(
        tuple(sorted(files.items())),
        source,
        folder=folder,
        others=(*libraries[:1], *_compiled_in(members, manifests, files)[:1], *libraries[1:]),
        build_script=script if script in files else None,
    )


def _programs(files: Tree) -> dict[str, str]:
    """Return what cargo calls each program, by the path of its first source.

    Those are targets that a manifest names with their path, and what cargo finds by itself
    (doc.rust-lang.org/cargo/reference/cargo-targets.html#target-auto-discovery).
    """
    found: dict[str, str] = {}
    for folder, manifest in _manifests(files).items():
        found |= _programs_of(folder, manifest, files)
    return found


def _compiled_in(
    members: Sequence[str], manifests: Mapping[str, Mapping[str, Any]], files: Tree
) -> list[str]:
    """Return the files that the packages in these folders compile into their crates as they are."""
    found = []
    begins = {
        member: (
            *_programs_of(member, manifests[member], files),
            _library_of(member, manifests[member]),
        )
        for member in members
    }
    for path, entry in sorted(files.items()):
        package = _package(path, manifests)
        if package not in begins or not path.endswith(".rs") or not isinstance(entry, File):
            continue
        if not any(_within(posixpath.dirname(first) or path, path) for first in begins[package]):
            continue
        for match in _COMPILED_IN.finditer(entry.content.decode(errors="replace")):
            base = package if match["of_package"] else posixpath.dirname(path)
            there = posixpath.normpath(posixpath.join(base, match["path"].lstrip("/")))
            if there not in found and isinstance(files.get(there), File):
                found.append(there)
    return found


def _programs_of(folder: str, manifest: Mapping[str, Any], files: Tree) -> dict[str, str]:
    """Return the programs of the package in a folder."""
    before = f"{folder}/" if folder else ""
    package = manifest.get("package", {})
    found = {}
    for path in files:
        inside = _SOURCE.fullmatch(path.removeprefix(before)) if path.startswith(before) else None
        if inside is not None and package:
            found[path] = inside["name"] or inside["folder"] or str(package.get("name", ""))
    for target in manifest.get("bin", []):
        path = posixpath.normpath(f"{before}{target.get('path', '')}")
        if path in files:
            found[path] = str(target.get("name"))
    return found


def _manifests(files: Tree) -> dict[str, Mapping[str, Any]]:
    """Return what each manifest says, by its folder; nothing where it is not to be read."""
    found: dict[str, Mapping[str, Any]] = {}
    for path, entry in files.items():
        folder, _, name = path.rpartition("/")
        if name == "Cargo.toml" and isinstance(entry, File):
            try:
                found[folder] = tomllib.loads(entry.content.decode())
            except ValueError:
                found[folder] = {}
    return found


def edit_of_a_library(now: Checkout) -> tuple[Edit, str] | None:
    """Return an edit of a library that the program cannot do without, and its package's name; None
    where none lies in another package of the tree.

    No other edit writes the same: what has it was not compiled before.
    """
    found = _library(now)
    if found is None:
        return None
    path, package = found
    entry = now.tree[path]
    if not isinstance(entry, File):
        return None
    changed = replace(entry, content=entry.content + b"// a library: " + WORD + b"\n")
    return Edit(EditClass.SOURCE_COMMENT, f"{path}: a comment", changes={path: changed}), package


def _library(now: Checkout) -> tuple[str, str] | None:
    """Return the source of the first library by path of the program's package, and its package."""
    manifests = _manifests(dict(now.files))
    folder = _package(now.source, manifests)
    shared = manifests.get(now.folder, {}).get("workspace", {}).get("dependencies", {})
    for name, asked in sorted(manifests.get(folder, {}).get("dependencies", {}).items()):
        if not isinstance(asked, dict) or asked.get("optional"):
            continue
        whole, base = (shared.get(name), now.folder) if asked.get("workspace") else (asked, folder)
        if isinstance(whole, dict) and "path" in whole:
            place = posixpath.normpath(posixpath.join(base, whole["path"]))
            manifest = manifests.get(place, {})
            source, package = _library_of(place, manifest), manifest.get("package", {})
            if source in now.tree and "name" in package:
                return source, str(package["name"])
    return None


def _library_of(folder: str, manifest: Mapping[str, Any]) -> str:
    """Return where the library of the package in a folder begins, if it has one."""
    path = manifest.get("lib", {}).get("path", "src/lib.rs")
    return posixpath.normpath(posixpath.join(folder, str(path)))


def _package(source: str, manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the folder of the package that a source is of."""
    around = [f for f in manifests if not f or source.startswith(f"{f}/")]
    return max(around, key=len, default="")


def _within(folder: str, path: str) -> bool:
    """Whether a path is a folder of the tree or lies below it; all do so below the tree's own."""
    return not folder or f"{path}/".startswith(f"{folder}/")


def _is_member(folder: str, manifests: Mapping[str, Mapping[str, Any]], root: str) -> bool:
    """Whether the workspace in `root` names a folder by its patterns; the root is a member, too
    (doc.rust-lang.org/cargo/reference/workspaces.html, "The members and exclude fields").

    A package in a folder of the project that is no member of its workspace is a dependency.
    """
    workspace = manifests.get(root, {}).get("workspace", {})
    if folder == root or not _within(root, folder):
        return folder == root and bool(workspace)
    inside = posixpath.relpath(folder, root or ".")
    parts = inside.split("/")
    if any(_within(posixpath.normpath(path), inside) for path in workspace.get("exclude", [])):
        return False
    for pattern in workspace.get("members", []):
        wanted = posixpath.normpath(pattern).split("/")
        if len(wanted) == len(parts) and all(map(fnmatch.fnmatchcase, parts, wanted)):
            return True
    return False


def locked(now: Checkout) -> frozenset[str]:
    """Return `name version` of each crate that the lock file takes from elsewhere."""
    lock = now.tree.get(posixpath.join(now.folder, "Cargo.lock"))
    if not isinstance(lock, File):
        return frozenset()
    packages = tomllib.loads(lock.content.decode(errors="replace")).get("package", [])
    return frozenset(f"{p['name']} {p['version']}" for p in packages if "source" in p)


def apply(edit_class: EditClass, now: Checkout, choice: int) -> tuple[Edit, Checkout] | None:
    """Return an edit of the class and the state after it; None where it does not apply."""
    if edit_class not in CLASSES:
        return None
    if edit_class is EditClass.NOTHING:
        return Edit(edit_class, "nothing"), now
    if edit_class is EditClass.MTIME:
        return Edit(edit_class, f"{now.source}: touched", touch=(now.source,)), now
    made = _change(edit_class, now, choice)
    if made is None:
        return None
    path, entry, marker = made
    after = replace(
        now,
        edited=tuple(sorted({**dict(now.edited), path: entry}.items())),
        marker=marker or now.marker,
    )
    return Edit(edit_class, f"{path}: {edit_class.value}", changes={path: entry}), after


def back(now: Checkout, earlier: Checkout) -> tuple[Edit, Checkout]:
    """Return the edit that leads back to an earlier state."""
    there: Mapping[str, Entry] = earlier.tree
    changes = {
        path: there.get(path)
        for path in {*now.tree, *there}
        if now.tree.get(path) != there.get(path)
    }
    return Edit(EditClass.REVERT, "back to an earlier state", changes=changes), earlier


def _change(
    edit_class: EditClass, now: Checkout, choice: int
) -> tuple[str, Entry, str | None] | None:
    """Return the path an edit writes, what it writes, and the marker it brings."""
    path: str | None = now.source
    if edit_class is EditClass.ODD_NAME:
        path = f"{now.source.rpartition('/')[0]}/{ODD_NAMES[choice % len(ODD_NAMES)]}"
        return path, File(f"odd {len(now.edited)} ".encode() + WORD + b"\n"), None
    if edit_class is EditClass.README:
        path = "README.md"
    elif edit_class in {EditClass.MANIFEST_COMMENT, EditClass.PROFILE}:
        path = posixpath.join(now.folder, "Cargo.toml")
    elif edit_class is EditClass.SOURCE_COMMENT:
        path = dict(enumerate((now.source, *now.others))).get(choice)
    elif edit_class is EditClass.BUILD_SCRIPT:
        path = now.build_script
    entry = now.tree.get(path, File(b"")) if path is not None else None
    if path is None or not isinstance(entry, File):
        return None
    marker = None
    if edit_class is EditClass.SOURCE:
        marker = f"{MARKER}{int((now.marker or f'{MARKER}0').removeprefix(MARKER)) + 1}"
    changed = _rewritten(edit_class, path, entry, marker, now)
    return None if changed is None else (path, changed, marker)


def _rewritten(
    edit_class: EditClass, path: str, entry: File, marker: str | None, now: Checkout
) -> File | None:
    """Return a file as an edit leaves it."""
    content = entry.content
    if marker is not None:
        first = dict(now.files)[now.source]
        body = first.content if isinstance(first, File) else b""
        return replace(entry, content=_marked(body, marker, now))
    if edit_class is EditClass.MODE:
        return replace(entry, mode=entry.mode ^ 0o111)
    if edit_class in {EditClass.SOURCE_COMMENT, EditClass.BUILD_SCRIPT}:
        comment = b"// " if path.endswith(".rs") else b""
        return replace(entry, content=content + comment + WORD + b"\n")
    if edit_class is EditClass.PROFILE:
        if b"overflow-checks" in content:
            return None
        head, setting = b"[profile.release]", b"[profile.release]\noverflow-checks = true # " + WORD
        there = head in content
        changed = content.replace(head, setting, 1) if there else content + b"\n" + setting + b"\n"
        return replace(entry, content=changed)
    return replace(entry, content=content + b"\n# " + WORD + b"\n")


def _marked(body: bytes, marker: str, now: Checkout) -> bytes:
    """Return a source that puts the marker into the program: by its `main` function.

    Where that is not to be found (a macro may write it) by what runs before it, which a source that
    forbids unsafe code does not allow; edition 2024 asks for `unsafe(…)`.
    """
    main = _MAIN.search(body)
    if main is not None:
        line = _MARKED_MAIN.format(marker=marker).encode() + WORD
        return body[: main.end()] + line + b"\n" + body[main.end() :]
    manifests = (
        e.content for p, e in now.files if p.endswith("Cargo.toml") and isinstance(e, File)
    )
    attribute = 'link_section = ".init_array"'
    if any(b'"2024"' in content for content in manifests):
        attribute = f"unsafe({attribute})"
    text = _MARKED.format(marker=marker, attribute=attribute).encode()
    return body + text + b"// " + WORD + b"\n"
