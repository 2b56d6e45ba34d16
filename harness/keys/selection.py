"""What a selector takes from a tree of files, and its digest as BuildKit's checksum gives it.

The rules are those of `cache/contenthash/checksum.go`: links on the way to a source are followed,
the source itself is when it is a link, links below it are not; a wildcard's digest holds the
matched names; a directory's holds all below it.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from harness.errors import UsageError
from harness.keys.context import Context
from harness.keys.plan import Selector
from harness.keys.records import digest
from harness.parsing import dockerignore, patterns

MAX_LINKS: Final = 255


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected: its digest, or why there is none. `roots` are the paths it begins at."""

    digest: bytes
    roots: tuple[str, ...] = ()
    problem: str = ""


def select(context: Context, selector: Selector) -> Selection:
    """Return what `selector` takes from `context`; remembered with the context."""
    known = context.memo.get(selector)
    if not isinstance(known, Selection):
        known = context.memo[selector] = _select(context, selector)
    return known


def _select(context: Context, selector: Selector) -> Selection:
    try:
        found = _select_readable(context, selector)
    except (LookupError, UsageError, patterns.PatternError) as error:
        problem = error.message if isinstance(error, UsageError) else str(error.args[0])
        return Selection(b"", problem=problem)
    blocked = _unreadable_below(context, found.roots)
    if blocked is not None:
        reason = context.records[blocked].reason
        return Selection(b"", found.roots, f"{blocked} cannot be read ({reason})")
    return found


def _select_readable(context: Context, selector: Selector) -> Selection:
    filtered = bool(selector.include or selector.exclude)
    if selector.wildcard:
        roots = tuple(matches(context, selector.path))
    else:
        roots = (resolve(context, selector.path.strip("/"), last=selector.follow),)
    if filtered:
        return Selection(_filtered(context, roots, selector), roots)
    if not selector.wildcard:
        return Selection(context.tree_digest(roots[0]), roots)
    parts: list[bytes] = []
    followed: list[str] = []
    for path in roots:
        target = resolve(context, path, last=selector.follow)
        followed.append(target)
        parts += (os.fsencode(posixpath.basename(path)), context.tree_digest(target))
    return Selection(digest(*parts), tuple(followed))


def _unreadable_below(context: Context, roots: tuple[str, ...]) -> str | None:
    for path in context.unreadable:
        for root in roots:
            if root in ("", path) or path.startswith(f"{root}/"):
                return path
    return None


def resolve(context: Context, path: str, *, last: bool) -> str:
    """Return `path` with the links on its way followed, and the last one too when asked.

    Raises LookupError for what does not exist and for links that lead in a circle.
    """
    pending = [part for part in reversed(path.split("/")) if part]
    here: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del here[-1:]
            continue
        at = "/".join([*here, part])
        record = context.record(at)
        if record is None:
            raise LookupError(f"{path or '.'} does not exist")
        if record.kind != "link" or (not pending and not last):
            here.append(part)
            continue
        links += 1
        if links > MAX_LINKS:
            raise LookupError(f"{path} leads through links in a circle")
        if record.target.startswith("/"):
            here.clear()
        pending += reversed(record.target.split("/"))
    return "/".join(here)


def may_match(pattern: str, path: str) -> bool:
    """Whether a wildcard pattern matches a path, something below it, or one of its parents."""
    parts = [part for part in pattern.split("/") if part]
    return all(
        _compiled(part).matches(name) for part, name in zip(parts, path.split("/"), strict=False)
    )


def matches(context: Context, pattern: str) -> Iterator[str]:
    """Yield the paths that a wildcard pattern matches, in order."""
    parts = [part for part in pattern.split("/") if part]
    fixed: list[str] = []
    while parts and not patterns.has_wildcard(parts[0]):
        fixed.append(parts.pop(0))
    try:
        start = resolve(context, "/".join(fixed), last=True)
    except LookupError:
        return
    yield from _match_below(context, start, tuple(parts))


def _match_below(context: Context, directory: str, parts: tuple[str, ...]) -> Iterator[str]:
    compiled = _compiled(parts[0])
    for name in context.children.get(directory, ()):
        if not compiled.matches(name):
            continue
        path = f"{directory}/{name}" if directory else name
        if len(parts) == 1:
            yield path
        elif path in context.children:
            yield from _match_below(context, path, parts[1:])


@lru_cache(maxsize=1024)
def _compiled(part: str) -> patterns.Pattern:
    return patterns.compile_pattern(part)


def _filtered(context: Context, roots: tuple[str, ...], selector: Selector) -> bytes:
    """Return the digest of what the include and exclude patterns leave below the roots."""
    include = dockerignore.from_patterns(selector.include) if selector.include else None
    exclude = dockerignore.from_patterns(selector.exclude) if selector.exclude else None
    parts: list[bytes] = []
    for root in roots:
        prefix = f"{root}/" if root else ""
        below = sorted(p for p in context.records if p == root or p.startswith(prefix))
        chosen: set[str] = set()
        for path in below:
            relative = "" if path == root else path[len(prefix) :]
            if include is not None and not (relative and include.excludes(relative)):
                continue
            if exclude is not None and relative and exclude.excludes(relative):
                continue
            chosen.add(path)
            parent = path.rpartition("/")[0]
            while parent.startswith(prefix) and parent not in chosen and parent:
                chosen.add(parent)
                parent = parent.rpartition("/")[0]
        for path in sorted(chosen):
            record = context.records[path]
            parts += (os.fsencode(path[len(prefix) :]), record.token)
    return digest(*parts)
