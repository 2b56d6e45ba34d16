"""Finds out on an engine what a prediction cannot know: base images, and what a stage writes.

Of base images the engine is asked for their configuration. For each input that the model knows
nothing of, the files it takes are exported from a build of the state before and of the state after,
and compared. The states come back with what was found in them, and with them the engine's rules.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from harness import engine
from harness.engine import Engine
from harness.errors import CommandError
from harness.keys.context import of_directory
from harness.keys.evaluate import BuildState, evaluate
from harness.keys.plan import Selector
from harness.keys.quirks import Rules
from harness.running import builder, images
from harness.subject import bases

TARGET = "layerproof-resolve"
_TAKEN = "/taken/"
Unknown = tuple[int, tuple[Selector, ...]]


Asked = tuple[BuildState, BuildState, Rules]


def unknown_inputs(state: BuildState, rules: Rules) -> tuple[Unknown, ...]:
    """Return what the vertices of a build take from stages that the model knows nothing of."""
    evaluated = evaluate(state, rules)
    found: dict[Unknown, None] = {}
    for keyed in evaluated.keyed:
        for each, content in zip(keyed.vertex.content_inputs, keyed.inputs, strict=True):
            untold = content.certainty in ("over", "opaque") and not content.image
            if each.source.kind == "vertex" and untold:
                found[int(each.source.name), each.selectors] = None
    return tuple(found)


def probe(state: BuildState, unknown: Unknown) -> str:
    """Return the Dockerfile that exports, as its last stage, what `unknown` takes."""
    stage, selectors = unknown
    lines = [state.dockerfile.text.rstrip("\n"), "", f"FROM scratch AS {TARGET}"]
    for number, selector in enumerate(selectors):
        lines.append(f'COPY --from={stage} ["{selector.path}", "{_TAKEN}{number}/"]')
    return "\n".join([*lines, ""])


def resolved(
    before: BuildState, after: BuildState, project: Path, *, choice: str | None = None
) -> Asked:
    """Return both states with the outputs measured that neither could be predicted.

    Without a `choice` the engine that is found is asked, and none if nothing is unknown: the rules
    are then the newest. Raises CommandError when a build fails, EnvironmentLacksError when there is
    no engine.
    """
    if choice is None and not _unknown_in_both(before, after, Rules()):
        return before, after, Rules()
    with engine.provide(choice or "found", say=_say) as at:
        rules = Rules.of_engine(at.version)
        before, after = _inspected(at, before), _inspected(at, after)
        wanted = _unknown_in_both(before, after, rules)
        before, after = (_measured(at, each, project, wanted) for each in (before, after))
        return before, after, rules


def inspected(before: BuildState, after: BuildState, *, choice: str) -> Asked:
    """Return both states with what an engine has of their base images; nothing is built.

    Raises EnvironmentLacksError when there is no engine.
    """
    with engine.provide(choice, say=_say) as at:
        return _inspected(at, before), _inspected(at, after), Rules.of_engine(at.version)


def _inspected(at: Engine, state: BuildState) -> BuildState:
    names = set(bases(state.dockerfile, state.options.build_args).values())
    found = {name: images.facts(at, name) for name in sorted(names) if at.has_image(name)}
    return replace(state, images={**state.images, **found})


def _unknown_in_both(before: BuildState, after: BuildState, rules: Rules) -> list[Unknown]:
    earlier = unknown_inputs(before, rules)
    return [each for each in unknown_inputs(after, rules) if each in earlier]


def _say(text: str) -> None:
    print(f"[INFO] {text}", file=sys.stderr)


def _measured(at: Engine, state: BuildState, project: Path, wanted: list[Unknown]) -> BuildState:
    outputs: dict[Unknown, bytes] = dict(state.outputs)
    with _on_disk(state, project) as context:
        for unknown in wanted:
            outputs[unknown] = _measure(at, state, context, unknown)
    return replace(state, outputs=outputs)


@contextmanager
def _on_disk(state: BuildState, project: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="layerproof-resolve-") as folder:
        context = Path(folder) / Path(folder).name
        context.mkdir()
        if state.write_to is not None:
            state.write_to(context)
            yield context
        else:
            yield project


def _measure(at: Engine, state: BuildState, context: Path, unknown: Unknown) -> bytes:
    with tempfile.TemporaryDirectory(prefix="layerproof-probe-") as folder:
        dockerfile = Path(folder) / "Dockerfile"
        dockerfile.write_text(probe(state, unknown), errors="surrogateescape")
        if state.ignore:
            dockerfile.with_name("Dockerfile.dockerignore").write_text(
                state.ignore, errors="surrogateescape"
            )
        export = Path(folder) / "out"
        options = replace(state.options, target=TARGET, no_cache=False, no_cache_filter=())
        stage = state.dockerfile.stages[unknown[0]]
        _say(f"building stage {stage.name or stage.index} to see what it writes")
        built = builder.build(
            at, context=context, dockerfile=dockerfile, options=options, export_to=export
        )
        if not built.succeeded:
            bridge = "network bridge" in (built.error or "")
            raise CommandError(
                f"the build of stage {stage.name or stage.index} failed, so nothing is known of it",
                argv=("buildx", "build", "--target", TARGET),
                status=1,
                log=built.error or built.log,
                hint="the engine's default network does not work: try --network host (or none)"
                if bridge
                else None,
            )
        return of_directory(export).tree_digest("")
