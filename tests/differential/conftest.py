"""The engines that predictions are compared on: the machine's own version and a newer one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from harness.engine import Engine
from harness.errors import CommandError, EnvironmentLacksError
from harness.running import ground as grounds
from harness.running.ground import Ground


@pytest.fixture(scope="session", params=["own", "newer"])
def ground(request: pytest.FixtureRequest, say: Callable[[str], None]) -> Iterator[Ground]:
    """Provide each of the two engines in turn, with a base image on it."""
    own: Engine = request.getfixturevalue("engine")
    with ExitStack() as stack:
        if request.param == "own":
            yield grounds.on(own, say=say)
            return
        try:
            newer = stack.enter_context(grounds.newer_engine(say))
        except (EnvironmentLacksError, CommandError) as error:
            if request.config.getoption("--require-engine") or os.environ.get("CI"):
                raise
            pytest.skip(error.message)
        yield grounds.on(newer, source=own, say=say)
