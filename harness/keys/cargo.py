"""What the `@`-names of a stage's declaration stand for: sets of paths that cargo's own files name.

Reads manifests and configuration out of a context snapshot and touches no disk. A manifest that
does not parse names nothing; cargo itself will say so.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from harness.errors import UsageError
from harness.keys.context import Context

_COMPILED: Final = ("dependencies", "build-dependencies")
_DEPENDENCIES: Final = (*_COMPILED, "dev-dependencies")
_CONFIGS: Final = (".cargo/config.toml", ".cargo/config")
_BUILD_TOOLS: Final = ("rustc", "rustc-wrapper", "rustc-workspace-wrapper")


def computed_set(name: str, context: Context) -> frozenset[str]:
    """Return the paths of the context that `@name` stands for.

    Raises UsageError for a name that means nothing.
    """
    find = _SETS.get(name)
    if find is None:
        raise UsageError(
            f"a declaration names {name!r}", context=[f"expected one of {', '.join(sorted(_SETS))}"]
        )
    return frozenset(_below(context, find(context)))


def _path_dependencies(context: Context) -> Iterator[str]:
    """Yield the folders of path dependencies that are not members of the root workspace."""
    members = _members(context)
    for folder, manifest in _manifests(context):
        for path in _paths(manifest, _DEPENDENCIES):
            target = _joined(folder, path)
            if target is not None and target not in members:
                yield target
    yield from _patched_crates(context)


def _patched_crates(context: Context) -> Iterator[str]:
    """Yield the crates of the tree that replace registry ones, and what they depend on by path.

    Crates of a registry are compiled against these, so they count as dependencies.
    """
    manifests = dict(_manifests(context))
    pending = list(_replacements(context, manifests))
    found: set[str] = set()
    while pending:
        folder = pending.pop()
        if folder in found:
            continue
        found.add(folder)
        for path in _paths(manifests.get(folder, {}), _COMPILED):
            target = _joined(folder, path)
            if target is not None:
                pending.append(target)
        pending += _inherited(context, manifests.get(folder, {}))
    yield from found


def _replacements(context: Context, manifests: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the folders that `[patch]`, `[replace]` and the configuration's `paths` name."""
    for folder, manifest in manifests.items():
        crates = [crate for source in _tables(manifest.get("patch")) for crate in _tables(source)]
        crates += _tables(manifest.get("replace"))
        for crate in crates:
            target = _joined(folder, crate.get("path"))
            if target is not None:
                yield target
    for name in _CONFIGS:
        for path in _strings((_parsed(context, name) or {}).get("paths")):
            target = _joined("", path)
            if target is not None:
                yield target


def _inherited(context: Context, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield the folders of path dependencies that a crate takes over from its workspace."""
    workspace = (_parsed(context, "Cargo.toml") or {}).get("workspace")
    shared = workspace.get("dependencies") if isinstance(workspace, Mapping) else None
    if not isinstance(shared, Mapping):
        return
    for table in (manifest, *_tables(manifest.get("target"))):
        for kind in _COMPILED:
            named = table.get(kind)
            for name, dependency in named.items() if isinstance(named, Mapping) else ():
                entry = shared.get(name)
                inherits = isinstance(dependency, Mapping) and dependency.get("workspace")
                if inherits and isinstance(entry, Mapping):
                    target = _joined("", entry.get("path"))
                    if target is not None:
                        yield target


def _directory_sources(context: Context) -> Iterator[str]:
    """Yield what cargo's configuration names: directory sources, local registries, tools."""
    for name in _CONFIGS:
        config = _parsed(context, name) or {}
        named: list[object] = []
        for source in _tables(config.get("source")):
            named += (source.get("directory"), source.get("local-registry"))
        named += (target.get("linker") for target in _tables(config.get("target")))
        build = config.get("build")
        if isinstance(build, Mapping):
            named += (build.get(tool) for tool in _BUILD_TOOLS)
        for each in named:
            path = _joined("", each)
            if path:
                yield path


_SETS: Final[Mapping[str, Callable[[Context], Iterable[str]]]] = {
    "@cargo-path-dependencies": _path_dependencies,
    "@cargo-patched-crates": _patched_crates,
    "@cargo-directory-sources": _directory_sources,
}


def _members(context: Context) -> frozenset[str]:
    """Return the folders of the root workspace: listed, matched by glob, or the root alone."""
    root = _parsed(context, "Cargo.toml") or {}
    workspace = root.get("workspace")
    members = {""}
    if not isinstance(workspace, Mapping):
        return frozenset(members)
    folders = [folder for folder, _ in _manifests(context)]
    for pattern in _strings(workspace.get("members")):
        members |= {each for each in folders if _matches(each, pattern)}
    for pattern in _strings(workspace.get("exclude")):
        members = {each for each in members if not each or not _is_below(each, pattern)}
    return frozenset(members)


def _matches(folder: str, pattern: str) -> bool:
    parts, wanted = folder.split("/"), posixpath.normpath(pattern).split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _is_below(folder: str, parent: str) -> bool:
    parent = posixpath.normpath(parent)
    return folder == parent or folder.startswith(f"{parent}/")


def _manifests(context: Context) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for path in sorted(context.texts):
        if path.rpartition("/")[2] == "Cargo.toml":
            parsed = _parsed(context, path)
            if parsed is not None:
                yield path.rpartition("/")[0], parsed


def _parsed(context: Context, path: str) -> Mapping[str, Any] | None:
    content = context.texts.get(path)
    if content is None:
        return None
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return None


def _paths(manifest: Mapping[str, Any], kinds: Sequence[str]) -> Iterator[object]:
    tables = [manifest, *_tables(manifest.get("target"))]
    workspace = manifest.get("workspace")
    if isinstance(workspace, Mapping):
        tables.append(workspace)
    for table in tables:
        for kind in kinds:
            for dependency in _tables(table.get(kind)):
                yield dependency.get("path")


def _tables(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, Mapping):
        yield from (each for each in value.values() if isinstance(each, Mapping))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, str))


def _joined(folder: str, path: object) -> str | None:
    """Return `path` against `folder`, or None when it is no path inside the context."""
    if not isinstance(path, str) or path.startswith("/"):
        return None
    joined = posixpath.normpath(posixpath.join(folder, path))
    return None if joined == ".." or joined.startswith("../") else joined.removeprefix(".")


def _below(context: Context, folders: Iterable[str]) -> Iterator[str]:
    for folder in set(folders):
        for path in context.records:
            if path == folder or path.startswith(f"{folder}/") or not folder:
                yield path
