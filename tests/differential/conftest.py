"""The engines that predictions are compared on: the machine's own version and a newer one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import commands, differential, process
from harness import engine as engines
from harness.differential import Built, Finding, Inputs, Verdict, Workshop
from harness.dockerfile_steps import Dialect
from harness.engine import Engine, Kind
from harness.errors import CommandError, EnvironmentLacksError
from harness.plan import ImageFacts

BASE_IMAGES = ("amazon/aws-lambda-provided:al2023", "layerproof/runtime:local")
"""Any image with a shell and coreutils will do; the last is what set-up makes."""
NEWER_MAJOR = 23
START_SECONDS = 300.0


@dataclass(frozen=True)
class Ground:
    """An engine with a base image, and what its frontend understands."""

    engine: Engine
    image: str
    images: Mapping[str, ImageFacts]

    @property
    def modern(self) -> bool:
        """Whether the frontend is that of engine 23 or later."""
        return int(self.engine.version.split(".")[0]) >= NEWER_MAJOR

    @property
    def dialect(self) -> Dialect:
        """Return what cases drawn for this engine may hold."""
        return Dialect(self.image, modern=self.modern)

    def check(self, plan: Callable[[str], Sequence[Inputs]]) -> list[tuple[Built, list[Finding]]]:
        """Build what `plan` makes of a nonce, and fail where the model and the engine disagree."""
        seen: list[tuple[Built, list[Finding]]] = []
        with tempfile.TemporaryDirectory(prefix="layerproof-differential-") as folder:
            workshop = Workshop(Path(folder))
            steps = plan(workshop.nonce)
            for built, findings in differential.judge(self.engine, steps, workshop, self.images):
                seen.append((built, list(findings)))
                assert built.error is None, report(seen, built.error)
                wrong = [f for f in findings if f.verdict is Verdict.DISAGREED]
                assert not wrong, report(seen, "\n".join(map(str, wrong)))
        return seen


def report(seen: Sequence[tuple[Built, Sequence[Finding]]], what: str) -> str:
    """Return the smallest account from which a disagreement can be repeated by hand."""
    inputs = seen[-1][0].inputs
    lines = inputs.dockerfile.text.splitlines()
    return "\n".join(
        (
            what,
            "after: " + ", ".join(built.inputs.summary for built, _ in seen),
            f"options: {inputs.options}",
            f"context: {dict(inputs.tree)}",
            *(f"{number:3} {line}" for number, line in enumerate(lines, 1)),
        )
    )


@contextmanager
def newer_engine(say: Callable[[str], None]) -> Iterator[Engine]:
    """Start an engine of the newer version that set-up provides, gone again afterwards."""
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
        yield engines.connect(url.removeprefix("DOCKER_HOST="), kind=Kind.PRIVATE, say=say)
    finally:
        process.run(commands.private_engine(script, "remove", name), limit=START_SECONDS)


@pytest.fixture(scope="session", params=["own", "newer"])
def ground(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Ground]:
    """Provide each of the two engines in turn, with a base image on it."""
    with ExitStack() as stack:
        own: Engine = request.getfixturevalue("engine")
        image = next((name for name in BASE_IMAGES if own.has_image(name)), BASE_IMAGES[-1])
        engines.ensure_images(own, (image,), say=say)
        on = own
        if request.param == "newer":
            try:
                on = stack.enter_context(newer_engine(say))
            except (EnvironmentLacksError, CommandError) as error:
                if request.config.getoption("--require-engine") or os.environ.get("CI"):
                    raise
                pytest.skip(error.message)
            engines.carry(own.client, on, image, say=say)
        yield Ground(on, image, {image: differential.facts(on, image)})
