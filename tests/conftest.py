"""Fixtures of tests of every kind."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture
def signals_arrive() -> Iterator[None]:
    """Let what is started be told to end.

    Under nohup it would inherit that a hang-up is ignored, and behind a shell's `&` an interrupt.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
