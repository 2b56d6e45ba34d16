"""Engines to compare predictions on: the machine's own version, and a newer one beside it.

A ground is an engine with a base image, and what its frontend understands. `check` is how a test
or a long run uses one: it raises `Disagreement`, with all that is needed to repeat it by hand.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import commands, process
from harness import engine as engines
from harness.engine import Engine, Kind, Say
from harness.errors import EnvironmentLacksError, LayerProofError
from harness.generated.dockerfile_steps import Dialect
from harness.keys import quirks as quirk_layer
from harness.keys.plan import ImageFacts
from harness.keys.quirks import Quirks
from harness.running import differential, images
from harness.running.differential import Built, Finding, Verdict
from harness.running.workshop import Inputs, Workshop

BASE_IMAGES = ("amazon/aws-lambda-provided:al2023", "layerproof/runtime:local")
"""Any image with a shell and coreutils will do; the last is what set-up makes."""
MODERN_MAJOR = 23
START_SECONDS = 600.0

Seen = list[tuple[Built, tuple[Finding, ...]]]


class BuildFailed(LayerProofError):
    """A build that was to succeed and did not; `seen` are the builds up to it."""

    def __init__(self, message: str, seen: Seen) -> None:
        super().__init__(message, context=account(seen))
        self.seen = seen


class Disagreement(LayerProofError):
    """A build that did not do what was predicted; `seen` are the builds up to it."""

    def __init__(self, message: str, seen: Seen) -> None:
        super().__init__(message, context=account(seen))
        self.seen = seen


@dataclass(frozen=True, slots=True)
class Ground:
    """An engine with a base image, `images` being what the model is told of it."""

    engine: Engine
    image: str
    images: Mapping[str, ImageFacts]

    @property
    def modern(self) -> bool:
        """Whether the frontend is that of engine 23 or later."""
        return int(self.engine.version.split(".")[0]) >= MODERN_MAJOR

    @property
    def dialect(self) -> Dialect:
        """Return what cases drawn for this engine may hold."""
        return Dialect(self.image, modern=self.modern)

    def check(
        self, plan: Callable[[str], Sequence[Inputs]], *, quirks: Quirks = quirk_layer.ALL
    ) -> Seen:
        """Build what `plan` makes of a nonce and return what was seen.

        Raises BuildFailed at the first build that fails, Disagreement at the first that does not
        do what was predicted.
        """
        seen: Seen = []
        with tempfile.TemporaryDirectory(prefix="layerproof-differential-") as folder:
            workshop = Workshop(Path(folder))
            steps = plan(workshop.nonce)
            for built, findings in differential.judge(
                self.engine, steps, workshop, self.images, quirks=quirks
            ):
                seen.append((built, findings))
                if built.error is not None:
                    raise BuildFailed(built.error, seen)
                wrong = [f for f in findings if f.verdict is Verdict.DISAGREED]
                if wrong:
                    raise Disagreement("\n".join(map(str, wrong)), seen)
        return seen


def account(seen: Seen) -> tuple[str, ...]:
    """Return the smallest account from which the last build can be repeated by hand."""
    last = seen[-1][0].inputs
    lines = last.dockerfile.text.splitlines()
    return (
        "after: " + ", ".join(built.inputs.summary for built, _ in seen),
        f"options: {last.options}",
        f"context: {dict(last.tree)}",
        *(f"{number:3} {line}" for number, line in enumerate(lines, 1)),
    )


def on(engine: Engine, *, source: Engine | None = None, say: Say) -> Ground:
    """Return `engine` with a base image on it, carried from `source` where that has one."""
    for image in BASE_IMAGES:
        if engine.has_image(image):
            break
        if source is not None and engines.carry(source.client, engine, image, say=say):
            break
    else:
        engines.ensure_images(engine, (image,), say=say)
    return Ground(engine, image, {image: images.facts(engine, image)})


@contextmanager
def newer_engine(say: Say) -> Iterator[Engine]:
    """Start an engine of the newer version that set-up provides; it is gone afterwards.

    Raises EnvironmentLacksError where none can be had, CommandError where it does not start.
    """
    script = engines.SCRIPTS / "private-engine.sh"
    name = f"newer-{os.getpid()}"
    options = ("--dockerd", "newer", "--owner-pid", str(os.getpid()), "--ephemeral")
    say(f"starting private engine {name} of the newer version")
    started = process.run(
        commands.private_engine(script, "start", name, *options), limit=START_SECONDS
    )
    if started.status == 3:
        raise EnvironmentLacksError("no newer engine", context=started.err.splitlines()[-5:])
    try:
        url = started.check("starting the newer engine").out.strip()
        yield engines.connect(url, kind=Kind.PRIVATE, say=say)
    finally:
        process.run(commands.private_engine(script, "remove", name), limit=START_SECONDS)
