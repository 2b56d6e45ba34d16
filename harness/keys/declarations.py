"""What a stage's output is declared to depend on, and the digest of that in one state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.keys.build_state import BuildState, filter_of, sent
from harness.keys.cargo import computed_set
from harness.keys.context import Context
from harness.keys.plan import Plan, Selector
from harness.keys.records import digest
from harness.keys.selection import select


@dataclass(frozen=True, slots=True)
class Declared:
    """What one part of a stage's output depends on: `below` is that part, `/` all of it."""

    below: str
    paths: frozenset[str]
    digest: bytes


def declaration_for(entries: Sequence[Declared], selectors: Sequence[Selector]) -> Declared | None:
    """Return the narrowest declaration that covers all selectors, or None."""
    covering = [
        each
        for each in entries
        if all(f"{s.path.rstrip('/')}/".startswith(each.below) for s in selectors)
    ]
    return max(covering, key=lambda each: len(each.below), default=None)


def declarations_of(state: BuildState, planned: Plan) -> Mapping[int, tuple[Declared, ...]]:
    """Return, by stage, what its output is declared to depend on."""
    words: dict[tuple[int, str], list[str]] = {}
    for each in state.dockerfile.declarations:
        said = (*each.patterns, *(f"${name.lstrip('$')}" for name in each.arguments))
        below, rest = _part(said)
        words.setdefault((each.stage, below), []).extend(rest)
    for stage, name in planned.stage_names.items():
        if name in state.declared:
            below, rest = _part(state.declared[name])
            words.setdefault((stage, below), []).extend(rest)
    found: dict[int, tuple[Declared, ...]] = {}
    for (stage, below), together in words.items():
        if stage in planned.stage_vertex:
            entry = _declared(state, planned, stage, below, together)
            found[stage] = (*found.get(stage, ()), entry)
    return found


def _part(words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return the part of the output that a declaration speaks of (`/path/:`), and the rest."""
    if words and words[0].startswith("/") and words[0].endswith(":"):
        return words[0].rstrip(":").rstrip("/") + "/", words[1:]
    return "/", words


def _declared(
    state: BuildState, planned: Plan, stage: int, below: str, words: Sequence[str]
) -> Declared:
    files = sent(state)
    patterns = tuple(word for word in words if not word.startswith("$"))
    paths = declared_paths(files, patterns)
    known = files.memo.get(("declared digest", patterns))
    content = known if isinstance(known, bytes) else _content_of(files, paths)
    files.memo["declared digest", patterns] = content
    parts = [content]
    values = planned.stage_values.get(stage, {})
    for name in sorted(word[1:] for word in words if word.startswith("$")):
        value = values.get(name)
        parts += (name.encode(), b"unset" if value is None else b"=" + value.encode())
    return Declared(below, paths, digest(*parts))


def _content_of(files: Context, paths: frozenset[str]) -> bytes:
    """Return the digest of files as a stage that copies them sees them.

    Links are followed, as such a stage does. Of the mode only the executable bits count, because
    a stage whose output is to depend on content alone sets the rest itself.
    """
    parts: list[bytes] = []
    for path in sorted(paths):
        record = files.records[path]
        if record.kind == "dir":
            continue
        parts.append(path.encode(errors="surrogateescape"))
        if record.kind == "link":
            parts.append(select(files, Selector(f"/{path}")).digest or record.token)
        else:
            parts += (record.content, b"x" if record.mode & 0o111 else b"-")
    return digest(*parts)


def declared_paths(files: Context, patterns: Sequence[str]) -> frozenset[str]:
    """Return the paths that a declaration names: by pattern, or by a set that is computed."""
    known = files.memo.get(("declared", tuple(patterns)))
    if isinstance(known, frozenset):
        return known
    plain = [pattern for pattern in patterns if not pattern.startswith("@")]
    paths: set[str] = set()
    if plain:
        matcher = filter_of("\n".join(plain), "declaration")
        paths |= {path for path in files.records if not matcher.keeps(path)}
    for pattern in patterns:
        if pattern.startswith("@"):
            paths |= computed_set(pattern, files)
    result = frozenset(paths)
    files.memo["declared", tuple(patterns)] = result
    return result
