"""What property tests judge with: a Judge that raises reports, a Tally that counts scenarios."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.brief import Brief
from harness.judging import report
from harness.judging.report import PropertyViolation, Row, Violation
from harness.model import Dockerfile


class Promise(Protocol):
    """What a judge needs to know of a property."""

    @property
    def tag(self) -> str:
        """The line that names the property."""

    @property
    def hint(self) -> str:
        """Where to look first when it does not hold."""


@dataclass(slots=True, repr=False)
class Tally(Brief):
    """How much a test did."""

    scenarios: int = 0

    @contextlib.contextmanager
    def scenario(self) -> Iterator[None]:
        """Count the block as one scenario, once it has begun."""
        self.scenarios += 1
        yield


@dataclass(frozen=True, slots=True, repr=False)
class Judge(Brief):
    """Judges for one property, on one Dockerfile; `repeat` is the command to see it again."""

    promise: Promise
    dockerfile: Dockerfile
    repeat: str

    def __call__(
        self,
        finding: str,
        *,
        holds: bool,
        scenario: Sequence[str],
        rows: Sequence[Row] = (),
        lines: Sequence[int] = (),
        because: Sequence[str] = (),
        log: str = "",
        hint: str | None = None,
    ) -> None:
        """Raise the report of a violation unless `holds`."""
        if holds:
            return
        violation = Violation(
            promise=self.promise.tag,
            finding=finding,
            scenario=scenario,
            hint=hint or self.promise.hint,
            repeat=self.repeat,
            rows=rows,
            lines=lines,
            because=because,
            log=log,
            dockerfile=self.dockerfile,
        )
        raise PropertyViolation(report.render(violation)) from None
