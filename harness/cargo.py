"""What the `@`-names of a stage's declaration stand for: sets of paths that cargo's own files name.

Reads manifests and configuration out of a context snapshot and touches no disk. A manifest that
does not parse names nothing; cargo itself will say so.
"""

from __future__ import annotations

import posixpath
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from harness.context import Context
from harness.errors import UsageError

_DEPENDENCIES: Final = ("dependencies", "dev-dependencies", "build-dependencies")
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
        for path in _paths(manifest):
            target = _joined(folder, path)
            if target is not None and target not in members:
                yield target
    yield from _patched_crates(context)


def _patched_crates(context: Context) -> Iterator[str]:
    """Yield the folders that `[patch]` puts in the place of registry crates."""
    for folder, manifest in _manifests(context):
        for crates in _tables(manifest.get("patch")):
            for crate in _tables(crates):
                target = _joined(folder, crate.get("path"))
                if target is not None:
                    yield target


def _directory_sources(context: Context) -> Iterator[str]:
    """Yield what cargo's configuration names: directory sources, local registries, tools."""
    for name in _CONFIGS:
        config = _parsed(context, name)
        if config is None:
            continue
        named: list[object] = []
        for source in _tables(config.get("source")):
            named += (source.get("directory"), source.get("local-registry"))
        for target in _tables(config.get("target")):
            named.append(target.get("linker"))
        build = config.get("build")
        if isinstance(build, Mapping):
            named += (build.get(tool) for tool in _BUILD_TOOLS)
        for each in named:
            path = _joined("", each)
            if path is not None:
                yield path
        return


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


def _paths(manifest: Mapping[str, Any]) -> Iterator[object]:
    tables = [manifest, *_tables(manifest.get("target"))]
    workspace = manifest.get("workspace")
    if isinstance(workspace, Mapping):
        tables.append(workspace)
    for table in tables:
        for kind in _DEPENDENCIES:
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
