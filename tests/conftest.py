"""Fixtures of tests of every kind."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def hangups_arrive() -> Iterator[None]:
    """Let what is started be told of a hang-up: under nohup it would inherit that it is ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
