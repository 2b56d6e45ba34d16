"""Gives each vertex of a plan its key for one state of the files; compares nothing.

A key is made of what BuildKit would hash: the operation, the identity of the file system it works
on, and the content of what it takes from elsewhere. Content that cannot be known (what a RUN wrote)
is stood for by where it comes from.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from harness import dockerignore
from harness.cargo import computed_set
from harness.context import Context, Record, digest
from harness.copy_rules import (
    EMPTY,
    Layered,
    explicit,
    inline_files,
    known_below,
    make_directory,
    mark,
    opaque,
    write,
)
from harness.dispatch import plan
from harness.model import BuildOptions, Dockerfile
from harness.plan import ImageFacts, Input, Plan, PlannedVertex, Selector, Write
from harness.quirks import Rules
from harness.selection import select

Certainty = Literal["known", "declared", "over", "opaque", "problem"]
_PLANS: dict[object, Plan] = {}
_MAX_PLANS: Final = 512
_ROOT: Final = Selector("/", follow=False)


@dataclass(frozen=True, eq=False, slots=True)
class BuildState:
    """One build: Dockerfile, context and options, and what is known of the world beyond them.

    `images` describes base images by the name the Dockerfile uses. `contexts` holds the named
    contexts that are directories. `outputs` holds measured digests of what a selector takes from a
    stage's result. `declared` holds, by stage name, what `layerproof.toml` says it depends on.
    `ignore` is the text of the ignore file where that does not lie in the context.
    """

    dockerfile: Dockerfile
    context: Context
    options: BuildOptions = field(default_factory=BuildOptions)
    images: Mapping[str, ImageFacts] = field(default_factory=dict)
    contexts: Mapping[str, Context] = field(default_factory=dict)
    outputs: Mapping[tuple[int, tuple[Selector, ...]], bytes] = field(default_factory=dict)
    declared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ignore: str | None = None
    write_to: Callable[[Path], None] | None = None
    """Writes the context into a directory, where a build of it is asked for."""


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


def plan_of(state: BuildState, rules: Rules) -> Plan:
    """Return the plan of a state; plans are remembered by what they are made from."""
    options = state.options
    made_from = (
        state.dockerfile.text,
        state.dockerfile.path,
        options.target,
        tuple(options.build_args.items()),
        options.platform,
        options.no_cache,
        options.no_cache_filter,
        options.network,
        tuple(options.named_contexts.items()),
        tuple(state.images.items()),
        rules,
    )
    known = _PLANS.get(made_from)
    if known is None:
        if len(_PLANS) >= _MAX_PLANS:
            _PLANS.clear()
        known = _PLANS[made_from] = plan(state.dockerfile, options, state.images, rules)
    return known


def sent(state: BuildState) -> Context:
    """Return what of the context is sent to the engine: all that the ignore file leaves."""
    text = state.ignore
    path = dockerignore.DEFAULT_NAME
    if text is None:
        name = state.dockerfile.path
        names = (*dockerignore.candidates(name), *dockerignore.candidates(name.rpartition("/")[2]))
        for path in names:
            content = state.context.texts.get(path)
            if content is not None:
                text = content.decode(errors="surrogateescape")
                break
    if not text:
        return state.context
    known = state.context.memo.get(("sent", text))
    if not isinstance(known, Context):
        known = _kept(state.context, text, _filter(text, path))
        state.context.memo["sent", text] = known
    return known


def _kept(context: Context, text: str, ignore: _Filter) -> Context:
    """Return what an ignore file leaves of a snapshot, from its predecessor's where that is known.

    An edit that brings no name and takes none away changes no verdict.
    """
    if context.changed_from is not None:
        before, edit = context.changed_from
        known = before.memo.get(("sent", text))
        if isinstance(known, Context):
            paths = [*edit.changes, *edit.touch]
            mine = {path: context.records[path] for path in paths if path in known.records}
            texts = {path: context.texts[path] for path in mine if path in context.texts}
            return known.replaced(mine, texts)
    return context.kept(ignore.keeps)


class _Filter:
    """An ignore file with the verdicts it has given so far."""

    def __init__(self, ignore: dockerignore.Ignore) -> None:
        self.ignore = ignore
        self.verdicts: dict[str, dockerignore.Verdict] = {}

    def judge(self, path: str) -> dockerignore.Verdict:
        verdict = self.verdicts.get(path)
        if verdict is None:
            parent = path.rpartition("/")[0]
            verdict = self.ignore.judge(path, self.judge(parent) if parent else None)
            self.verdicts[path] = verdict
        return verdict

    def keeps(self, path: str) -> bool:
        return not self.judge(path).excluded


_FILTERS: dict[tuple[str, str], _Filter] = {}


def _filter(text: str, path: str) -> _Filter:
    known = _FILTERS.get((text, path))
    if known is None:
        if len(_FILTERS) >= _MAX_PLANS:
            _FILTERS.clear()
        known = _FILTERS[text, path] = _Filter(dockerignore.parse(text, path=path))
    return known


def evaluate(state: BuildState, rules: Rules) -> Evaluated:
    """Return the keys of all vertices of a build. Raises UsageError as `dispatch.plan` does."""
    planned = plan_of(state, rules)
    files = sent(state)
    return _Evaluator(state, planned, files).run()


class _Evaluator:
    def __init__(self, state: BuildState, planned: Plan, files: Context) -> None:
        self.state = state
        self.plan = planned
        self.files = files
        self.keyed: list[Keyed] = []
        self.layers: dict[int, Layered] = {}
        self.declarations = _declarations(state, planned)

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
        if layered.lower is None:
            return _selected(layered.top, selectors)
        ordered = sorted(selectors, key=lambda each: each.path)
        paths = [path for each in ordered if (path := known_below(layered, each)) is not None]
        if len(paths) == len(ordered):
            return Content("known", digest(*(layered.top.records[at].token for at in paths)))
        return _over(layered, selectors)

    def _root(self, index: int) -> Content:
        """Return the content of a whole file system."""
        layered = self.layered(index)
        if layered.lower is None:
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
        """Return the result of one write of a COPY or ADD, or None when it cannot be told."""
        each = vertex.inputs[action.input]
        if each.source.kind == "vertex" and int(each.source.name) in self.declarations:
            content = self._content(each)
            if content.certainty != "declared":
                return None
            said = (action.selector, action.chmod, action.chown)
            return mark(below, action.destination, digest(content.identity, repr(said).encode()))
        source = self._source_files(each)
        return None if source is None else write(below, source, action)

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
    files = {at: record.token for at, record in found.items() if record.kind != "dir"}
    identity = digest(group, *parts)
    return Content("over", identity, group, files, layered.image, origin=layered.vertex)


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


def _declarations(state: BuildState, planned: Plan) -> Mapping[int, tuple[Declared, ...]]:
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
        matcher = _filter("\n".join(plain), "declaration")
        paths |= {path for path in files.records if not matcher.keeps(path)}
    for pattern in patterns:
        if pattern.startswith("@"):
            paths |= computed_set(pattern, files)
    result = frozenset(paths)
    files.memo["declared", tuple(patterns)] = result
    return result


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
