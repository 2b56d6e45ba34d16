"""Pairs of timings, their medians and ratios, and how they are shown; measures nothing itself."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, against what, and what it has to reach.

    `ours` and `theirs` are the single samples in `unit`, taken in turn; `theirs` is empty for an
    absolute figure. `limit` bounds `value`; `at_least` turns it into a lower bound.
    """

    name: str
    against: str
    unit: str
    limit: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    at_least: bool = False
    allowance: float = 0.0
    note: str = ""

    @property
    def value(self) -> float:
        """The figure that the bound speaks of: a ratio of medians, or a median.

        With `at_least` it is theirs over ours ("times faster"), else ours over theirs after
        `allowance` (in `unit`) is taken off.
        """
        ours = statistics.median(self.ours)
        if not self.theirs:
            return ours
        theirs = statistics.median(self.theirs)
        return theirs / ours if self.at_least else (ours - self.allowance) / theirs

    @property
    def reached(self) -> bool:
        """Whether the bound is kept."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def to_json(self) -> dict[str, object]:
        """Return the row with its samples, ready for `json.dumps`."""
        return {**asdict(self), "value": round(self.value, 4), "reached": self.reached}


@dataclass(slots=True)
class Samples:
    """Timings taken in turn, by the name of what was timed, in seconds."""

    by_name: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, seconds: float) -> None:
        """Keep one more timing."""
        self.by_name.setdefault(name, []).append(seconds)

    def of(self, name: str) -> tuple[float, ...]:
        """Return all timings of that name."""
        return tuple(self.by_name[name])


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, medians and the bound beside each other."""
    lines = [
        "| | against | ours | theirs | figure | to reach | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        theirs = f"{statistics.median(row.theirs):.2f} {row.unit}" if row.theirs else "–"
        ratio = "×" if row.theirs else f" {row.unit}"
        sign = "≥" if row.at_least else "≤"
        extra = f" + {row.allowance:g} {row.unit}" if row.allowance else ""
        lines.append(
            f"| {row.name} | {row.against} | {statistics.median(row.ours):.2f} {row.unit} "
            f"| {theirs} | {row.value:.2f}{ratio} | {sign} {row.limit:g}{ratio}{extra} "
            f"| {'reached' if row.reached else 'NOT reached'} |"
        )
    return "\n".join(lines)
