"""P3 where the engine itself goes away: on a private engine of the test's own, which is stopped or
killed under the dev container and started again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import commands, process, scenario, subject
from harness import engine as engines
from harness.engine import SCRIPTS, Engine, Kind
from harness.errors import EnvironmentLacksError
from harness.generated.projects import render
from harness.judging.judge import Judge
from harness.running.scripted import DEV_CONTAINER, scripted
from properties import dev_container, records
from properties import test_p3_automatic_lifecycle as p3
from tests.processes import has_ended

ROOT = Path(__file__).parents[3]
SCRIPT = SCRIPTS / "private-engine.sh"
LIMIT = 300.0


@dataclass(frozen=True, slots=True)
class Owned:
    """A private engine that may be stopped and killed."""

    name: str
    engine: Engine

    def start(self) -> None:
        owner = ("--owner-pid", str(os.getpid()))
        call = commands.private_engine(SCRIPT, "start", self.name, *owner)
        process.run(call, limit=LIMIT).check("starting the engine again")

    def stop(self) -> None:
        call = commands.private_engine(SCRIPT, "stop", self.name)
        process.run(call, limit=LIMIT).check("stopping the engine")

    def kill(self) -> None:
        """End dockerd as a machine that loses power does: nothing is told to its containers."""
        socket = Path(self.engine.url.removeprefix("unix://"))
        pid = int(socket.with_suffix(".pid").read_text())
        os.kill(pid, signal.SIGKILL)
        assert has_ended(pid)


@pytest.fixture
def owned(say: Callable[[str], None]) -> Iterator[Owned]:
    name = f"restarted-{os.getpid()}"
    owner = ("--owner-pid", str(os.getpid()))
    start = commands.private_engine(SCRIPT, "start", name, "--images", *owner)
    try:
        started = process.run(start, limit=LIMIT).check("starting a private engine")
        yield Owned(name, engines.connect(started.out.strip(), kind=Kind.PRIVATE, say=say))
    finally:
        process.run(commands.private_engine(SCRIPT, "remove", name), limit=LIMIT)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_dev_build_recovers_when_the_engine_was_restarted(
    end: str, owned: Owned, say: Callable[[str], None]
) -> None:
    loaded = subject.load(ROOT / "Dockerfile.optimized", scripts=SCRIPTS)
    under_test = replace(loaded, options=replace(loaded.options, network="none"))
    judge = Judge(records.P3, loaded.dockerfile, "pytest tests/integration/harness")
    start = p3.project(under_test.binary)
    with (
        scenario.prepare(owned.engine, under_test, say=say) as bench,
        bench.workspace(render(start).tree) as workspace,
        scripted(workspace) as dev,
    ):
        story = ["dev build"]
        dev_container.judge_build(dev, start, story, judge)
        (before,) = dev.containers()
        getattr(owned, end)()
        owned.start()
        story.append(f"the engine is restarted ({end})")
        assert dev_container.judge_status(story[-1], dev, story, judge) == "exited"
        story.append("dev build")
        dev_container.judge_build(dev, start, story, judge)
        (after,) = dev.containers()
        assert after.id == before.id


def test_what_fails_for_want_of_an_engine_is_no_violation(
    owned: Owned, say: Callable[[str], None]
) -> None:
    loaded = subject.load(ROOT / "Dockerfile.optimized", scripts=SCRIPTS)
    under_test = replace(loaded, options=replace(loaded.options, network="none"))
    with (
        scenario.prepare(owned.engine, under_test, say=say) as bench,
        bench.workspace(render(p3.project(under_test.binary)).tree) as workspace,
        scripted(workspace) as dev,
    ):
        owned.kill()
        try:
            with pytest.raises(EnvironmentLacksError, match="does not answer"):
                workspace.build()
            with pytest.raises(EnvironmentLacksError, match="does not answer"):
                dev.run(DEV_CONTAINER, "status")
        finally:
            owned.start()
