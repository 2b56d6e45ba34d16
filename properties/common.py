"""What several properties need to know of generated projects; judges nothing."""

from __future__ import annotations

from collections.abc import Iterable

from harness.generated.projects import Blueprint, render
from harness.judging.report import Row


def dev_truth(blueprint: Blueprint) -> dict[str, str]:
    """Return what each binary prints when it is compiled with cargo's dev profile.

    That profile has debug assertions, whatever the release profile says.
    """
    binaries = render(blueprint).binaries
    return {name: line.replace("checked=false", "checked=true") for name, line in binaries.items()}


def same_lines(rows: Iterable[Row]) -> bool:
    """Whether every expectation was met."""
    return not any(row.differs for row in rows)
