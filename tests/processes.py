"""Whether a process of a test still runs: what was killed is gone only when the kernel says so."""

from __future__ import annotations

import os
import time
from pathlib import Path

WITHIN = 5.0


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not yet collected does not."""
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def has_ended(pid: int) -> bool:
    """Whether a process ends within `WITHIN` seconds.

    A process that was sent a signal has closed its pipes, which is what its parent waits for,
    before the kernel calls it ended.
    """
    deadline = time.monotonic() + WITHIN
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
