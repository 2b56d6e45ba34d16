"""An engine whose frontend tells what it understood of a Dockerfile (BuildKit 0.11 and later)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import commands, process
from harness.engine import Engine
from harness.errors import CommandError, EnvironmentLacksError
from harness.running.ground import MODERN_MAJOR, newer_engine

SECONDS = 120.0


@dataclass(frozen=True)
class Answer:
    """What the frontend says of a Dockerfile: JSON when it accepts, else its error."""

    accepted: bool
    content: dict[str, object]
    error: str

    @property
    def line(self) -> int | None:
        """Return the line that the error names, if it does."""
        found = re.search(r"parse error on line (\d+)", self.error)
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Frontend:
    """A real frontend to ask. `major` is the engine's version."""

    engine: Engine
    option: str

    @property
    def major(self) -> int:
        return int(self.engine.version.split(".")[0])

    def ask(self, request: str, path: Path, context: Path) -> Answer:
        """Return the answer to `outline` (which resolves the stages) or `targets`."""
        argv = (
            str(self.engine.buildx),
            "build",
            f"{self.option}={request},format=json",
            f"--file={path}",
            str(context),
        )
        env = {**self.engine.environment, "BUILDX_EXPERIMENTAL": "1"}
        done = process.run(argv, limit=SECONDS, env=env)
        return Answer(done.status == 0, json.loads(done.out) if done.status == 0 else {}, done.err)


@pytest.fixture(scope="session")
def frontend(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Frontend]:
    """Provide the worker's own engine where it is new enough, else a newer private one."""
    with ExitStack() as stack:
        engine: Engine = request.getfixturevalue("engine")
        if int(engine.version.split(".")[0]) < MODERN_MAJOR:
            try:
                engine = stack.enter_context(newer_engine(say))
            except (EnvironmentLacksError, CommandError) as error:
                if request.config.getoption("--require-engine") or os.environ.get("CI"):
                    raise
                pytest.skip(error.message)
        version = process.run(commands.buildx_version(engine.buildx), limit=SECONDS).out
        found = re.search(r"\b0\.(\d+)\.", version)
        yield Frontend(engine, "--print" if found and int(found[1]) < 15 else "--call")
