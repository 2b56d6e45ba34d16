"""One build as the model is told of it, with what follows at once: its plan, and what is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.keys.context import Context
from harness.keys.dispatch import plan
from harness.keys.plan import ImageFacts, Plan, Selector
from harness.keys.quirks import Rules
from harness.model import BuildOptions, Dockerfile
from harness.parsing import dockerignore

_PLANS: dict[object, Plan] = {}
_MAX_PLANS: Final = 512


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
        known = _kept(state.context, text, filter_of(text, path))
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


def filter_of(text: str, path: str) -> _Filter:
    """Return the filter of an ignore file's text, remembered with its verdicts."""
    known = _FILTERS.get((text, path))
    if known is None:
        if len(_FILTERS) >= _MAX_PLANS:
            _FILTERS.clear()
        known = _FILTERS[text, path] = _Filter(dockerignore.parse(text, path=path))
    return known
