"""What several properties need of generated projects; judges nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from harness.generated.projects import Blueprint, render
from harness.judging.judge import Tally
from harness.judging.report import Row
from harness.model import Tree
from harness.running.scripted import Scripted, scripted
from harness.scenario import Bench


@contextlib.contextmanager
def scripts_in(tree: Tree, bench: Bench, tally: Tally) -> Iterator[Scripted]:
    """Count a scenario, write its project to disk, and yield the scripts under test in it."""
    with tally.scenario(), bench.workspace(tree) as workspace, scripted(workspace) as scripts:
        yield scripts


def dev_truth(blueprint: Blueprint) -> dict[str, str]:
    """Return what each binary prints when it is compiled with cargo's dev profile.

    That profile has debug assertions, whatever the release profile says.
    """
    binaries = render(blueprint).binaries
    return {name: line.replace("checked=false", "checked=true") for name, line in binaries.items()}


def same_lines(rows: Iterable[Row]) -> bool:
    """Whether every expectation was met."""
    return not any(row.differs for row in rows)
