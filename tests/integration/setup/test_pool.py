"""The pool of private engines that the harness takes its own from."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from harness import engine
from tests.integration.setup.conftest import Engines
from tests.processes import has_ended


def test_a_slot_that_another_pool_holds_is_left_to_it(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two state directories of one user share the names of sockets."""
    home = engines.home / "other"
    home.mkdir()
    (home / "tools").symlink_to(engine.state_home() / "tools")
    monkeypatch.setenv("LAYERPROOF_HOME", str(home))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(engines.runtime))
    other = engines.start("pool-0")
    with engine.provide("private", say=print) as found:
        assert found.url != other
        assert found.url.endswith("/pool-1.sock")
    assert engines.state("pool-0") == "running"
    engines.run("remove", "pool-1", LAYERPROOF_HOME=str(home)).check("remove")


def test_an_engine_that_died_is_started_again_with_what_it_held() -> None:
    said: list[str] = []
    with engine.provide("private", say=said.append) as own:
        kept = f"layerproof-test/kept:by-{os.getpid()}"
        own.client.images.list()[0].tag(kept)
        try:
            own.start_again_if_dead(say=said.append)
            assert not any("starting it again" in line for line in said)
            pid = int(Path(own.url.removeprefix("unix://")).with_suffix(".pid").read_text())
            os.kill(pid, signal.SIGKILL)
            assert has_ended(pid)
            assert not own.answers()
            own.start_again_if_dead(say=said.append)
            assert said[-1] == f"the private engine at {own.url} has died; starting it again"
            assert own.answers()
            assert own.has_image(kept)
        finally:
            own.client.images.remove(kept)
