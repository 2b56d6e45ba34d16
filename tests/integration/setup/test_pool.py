"""The pool of private engines that the harness takes its own from."""

from __future__ import annotations

import pytest

from harness import engine
from tests.integration.setup.conftest import Engines


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
