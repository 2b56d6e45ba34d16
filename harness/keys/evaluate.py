"""Gives each vertex of a plan its key for one state of the files; compares nothing.

A key is made of what BuildKit would hash: the operation, the identity of the file system it works
on, and the content of what it takes from elsewhere. Content that cannot be known (what a RUN wrote)
is stood for by where it comes from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from harness.keys.build_state import BuildState, plan_of, sent
from harness.keys.context import Context
from harness.keys.copy_rules import (
    EMPTY,
    Layered,
    explicit,
    inline_files,
    is_free,
    known_below,
    make_directory,
    mark,
    opaque,
    takes_untold,
    write,
)
from harness.keys.declarations import declaration_for, declarations_of
from harness.keys.plan import Input, Plan, PlannedVertex, Selector, Write
from harness.keys.quirks import Rules
from harness.keys.records import Record, digest
from harness.keys.selection import select

Certainty = Literal["known", "declared", "over", "opaque", "problem"]
_ROOT: Final = Selector("/", follow=False)


@dataclass(frozen=True, slots=True)
class Content:
    """The identity of what an input holds, and how certain it is.

    `known`: two are the same exactly when `identity` is. `declared`: so too, within one `group`.
    `over`: known `files` over something of identity `group`. `opaque`: the same when `identity` is,
    otherwise anything. `problem`: not to be had, `reason` says why.
    """

    certainty: Certainty
    identity: bytes
    group: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    image: bool = False
    reason: str = ""
    origin: int | None = None
    """The vertex that the content comes from."""
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Keyed:
    """A vertex with its key: `base` is the key of the vertex it works on, None for scratch."""

    vertex: PlannedVertex
    base: bytes | None
    inputs: tuple[Content, ...]
    key: bytes
    root: Content | None = None
    """What it works on, where that may match by content."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """All vertices of one build, with the files that were sent."""

    plan: Plan
    keyed: tuple[Keyed, ...]
    sent: Context
    state: BuildState
    declared: Mapping[int, frozenset[str]]
    """By stage, the paths that its output is declared to depend on."""


def evaluate(state: BuildState, rules: Rules) -> Evaluated:
    """Return the keys of all vertices of a build. Raises UsageError as `dispatch.plan` does."""
    planned = plan_of(state, rules)
    files = sent(state)
    return _Evaluator(state, planned, files, rules).run()


class _Evaluator:
    def __init__(self, state: BuildState, planned: Plan, files: Context, rules: Rules) -> None:
        self.state = state
        self.rules = rules
        self.plan = planned
        self.files = files
        self.keyed: list[Keyed] = []
        self.layers: dict[int, Layered] = {}
        self.declarations = declarations_of(state, planned)

    def run(self) -> Evaluated:
        for vertex in self.plan.vertices:
            base = None if vertex.base is None else self.keyed[vertex.base].key
            inputs = tuple([self._content(each) for each in vertex.content_inputs])
            key = digest(
                vertex.operation, base or b"", *(part for c in inputs for part in _bytes(c))
            )
            root = None
            if vertex.root_by_content and vertex.base is not None:
                root = self._root(vertex.base)
            self.keyed.append(Keyed(vertex, base, inputs, key, root))
        paths = {
            stage: frozenset(path for each in entries for path in each.paths)
            for stage, entries in self.declarations.items()
        }
        return Evaluated(self.plan, tuple(self.keyed), self.files, self.state, paths)

    def _content(self, each: Input) -> Content:
        source = each.source
        match source.kind:
            case "context":
                files = self.files if not source.name else self.state.contexts.get(source.name)
                if files is None:
                    return Content("problem", b"", reason=f"context {source.name!r} is not at hand")
                return _selected(files, each.selectors)
            case "inline":
                content = repr(each.inline).encode(errors="surrogateescape")
                return Content("known", digest(content))
            case "image":
                name = source.name.encode()
                return Content("opaque", digest(name, _selector_bytes(each.selectors)), name)
            case "vertex":
                return self._from_vertex(source.vertex, int(source.name), each.selectors)
            case "remote":
                return _remote(source.name)

    def _from_vertex(self, index: int, stage: int, selectors: tuple[Selector, ...]) -> Content:
        taken = _selector_bytes(selectors)
        measured = self.state.outputs.get((stage, selectors))
        if measured is not None:
            return Content("known", measured)
        entry = declaration_for(self.declarations.get(stage, ()), selectors)
        if entry is not None:
            group = digest(_stage_static(self.plan, index), taken)
            return Content("declared", digest(group, entry.digest), group, origin=index)
        layered = self.layered(index)
        if layered.lower is None and not takes_untold(layered, selectors):
            return _selected(layered.top, selectors)
        ordered = sorted(selectors, key=lambda each: each.path)
        paths = [path for each in ordered if (path := known_below(layered, each)) is not None]
        if len(paths) == len(ordered):
            return Content("known", digest(*(layered.top.records[at].token for at in paths)))
        return _over(layered, selectors)

    def _root(self, index: int) -> Content:
        """Return the content of a whole file system."""
        layered = self.layered(index)
        if layered.lower is None and not takes_untold(layered, (_ROOT,)):
            return _selected(layered.top, (_ROOT,))
        return _over(layered, (_ROOT,))

    def layered(self, index: int | None) -> Layered:
        """Return what is known of the files that a vertex leaves."""
        if index is None:
            return EMPTY
        known = self.layers.get(index)
        if known is None:
            known = self.layers[index] = self._layered(self.plan.vertices[index])
        return known

    def _layered(self, vertex: PlannedVertex) -> Layered:
        key = self.keyed[vertex.index].key
        if vertex.kind in ("FROM", "RUN"):
            return opaque(key, vertex.index, image=vertex.kind == "FROM")
        result: Layered | None = self.layered(vertex.base)
        if vertex.kind == "WORKDIR" and result is not None:
            if any(part == "user" and value for part, value in vertex.parts):
                return opaque(key, vertex.index)
            result = make_directory(result, vertex.makes)
        else:
            for action in vertex.writes:
                result = None if result is None else self._written(vertex, action, result)
        return result if result is not None else opaque(key, vertex.index)

    def _written(self, vertex: PlannedVertex, action: Write, below: Layered) -> Layered | None:
        """Return the result of one write of a COPY or ADD, or None when it cannot be told.

        What an image holds, or what a wildcard takes, is not told file by file, but where it went.
        """
        each = vertex.inputs[action.input]
        if not self.rules.owners_count:
            action = replace(action, chown=None)
        if each.source.kind == "vertex" and int(each.source.name) in self.declarations:
            content = self._content(each)
            if content.certainty != "declared":
                return None
            said = (action.selector, action.chmod, action.chown)
            return mark(below, action.destination, digest(content.identity, repr(said).encode()))
        source = self._source_files(each)
        told = None if source is None else write(below, source, action)
        if told is not None or each.source.kind == "vertex":
            return told
        content = self._content(each)
        if content.certainty not in {"known", "opaque"} or not is_free(below, action.destination):
            return None
        identity = digest(content.identity, repr(action).encode())
        return mark(below, action.destination, identity, told=False)

    def _source_files(self, each: Input) -> Layered | None:
        source = each.source
        if source.kind == "context":
            files = self.files if not source.name else self.state.contexts.get(source.name)
            return None if files is None else Layered(files, None)
        if source.kind == "inline":
            return Layered(inline_files(each.inline), None)
        if source.kind == "vertex":
            return self.layered(source.vertex)
        return None


def _over(layered: Layered, selectors: tuple[Selector, ...]) -> Content:
    """Return the content of known files over something known by its identity."""
    group = digest(layered.lower or b"", _selector_bytes(selectors))
    found: dict[str, Record] = {}
    for each in selectors:
        found.update(explicit(layered, each))
    parts = [part for at in sorted(found) for part in (os.fsencode(at), found[at].token)]
    told = {at: record for at, record in found.items() if record.kind not in ("dir", "untold")}
    files = {at: record.token for at, record in told.items()}
    identity = digest(group, *parts)
    image = layered.image and all(record.kind != "untold" for record in found.values())
    return Content("over", identity, group, files, image, origin=layered.vertex)


def _bytes(content: Content) -> tuple[bytes, bytes]:
    return content.certainty.encode(), content.identity


def _selector_bytes(selectors: tuple[Selector, ...]) -> bytes:
    return repr(selectors).encode(errors="surrogateescape")


def _selected(files: Context, selectors: tuple[Selector, ...]) -> Content:
    digests = []
    for selector in sorted(selectors, key=lambda each: each.path):
        selection = select(files, selector)
        if selection.problem:
            return Content("problem", b"", reason=selection.problem)
        digests.append(selection.digest)
    return Content("known", digest(*digests))


def _remote(url: str) -> Content:
    reason = f"what {url} answers is not known without asking it"
    return Content("problem", b"", reason=reason, remote=True)


def _stage_static(planned: Plan, index: int) -> bytes:
    """Return the identity of what a stage's instructions say, whatever files they read."""
    parts: list[bytes] = []
    at: int | None = index
    while at is not None:
        vertex = planned.vertices[at]
        kept = tuple((name, value) for name, value in vertex.parts if name != "env")
        fixed = tuple((n, v.value) for n, v in vertex.env.items() if v.keyword != "ARG")
        parts.append(repr((kept, fixed)).encode(errors="replace"))
        at = vertex.base
    return digest(*parts)


__all__ = ["BuildState", "Content", "Evaluated", "Keyed", "evaluate", "plan_of"]
