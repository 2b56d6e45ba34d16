"""Writes the text of a property's failure: what was promised, what was seen, where, why, and how
to see it again. Pure; the texts are tested verbatim.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from harness.judging.positions import positions, stage_name
from harness.model import BuildObservation, Dockerfile, Outcome, Vertex

CONTEXT_LINES = 2
LOG_LINES = 15
BROKEN_OFF = "context canceled"
"""What BuildKit ends the error of a step with that another's failure has ended."""
_SIGN = {
    Outcome.CACHED: "cached",
    Outcome.EXECUTED: "executed",
    Outcome.NOT_RUN: "not run",
    Outcome.UNKNOWN: "unknown",
}


class PropertyViolation(AssertionError):
    """A property does not hold. Its text is the whole report."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of expectations: a vertex or fact, expected against observed."""

    subject: str
    expected: str
    observed: str

    @property
    def differs(self) -> bool:
        """Whether this is what broke the promise."""
        return self.expected != self.observed


@dataclass(frozen=True, slots=True)
class Violation:
    """What a report is made from.

    `promise` is the property's tag, `finding` one sentence on what happened, `scenario` the
    smallest series of actions, one a line; `lines` the Dockerfile lines to point at; `because`
    the model's explanation where there is one; `repeat` the command that shows it again.
    """

    promise: str
    finding: str
    scenario: Sequence[str]
    hint: str
    repeat: str
    rows: Sequence[Row] = ()
    lines: Sequence[int] = ()
    because: Sequence[str] = ()
    log: str = ""
    dockerfile: Dockerfile | None = field(default=None)


def render(violation: Violation) -> str:
    """Return the report of a violation, without a newline at its end."""
    out = [violation.promise, "", violation.finding, "", "Scenario:"]
    out += [f"  {number}. {line}" for number, line in enumerate(violation.scenario, 1)]
    if violation.dockerfile is not None and violation.lines:
        out += ["", *excerpt(violation.dockerfile, violation.lines)]
    if violation.rows:
        out += ["", *table(violation.rows)]
    if violation.because:
        out += ["", "Why:", *(f"  {sentence}" for sentence in violation.because)]
    if violation.log.strip():
        tail = violation.log.rstrip().splitlines()[-LOG_LINES:]
        out += ["", "End of the log:", *(f"  | {line}" for line in tail)]
    out += ["", f"Hint: {violation.hint}", f"Again: {violation.repeat}"]
    return "\n".join(out)


def excerpt(dockerfile: Dockerfile, lines: Iterable[int]) -> list[str]:
    """Return the Dockerfile around some lines, those marked with an arrow; gaps become `...`."""
    text = dockerfile.text.splitlines()
    marked = {line for line in lines if 1 <= line <= len(text)}
    shown = sorted(
        {
            near
            for line in marked
            for near in range(line - CONTEXT_LINES, line + CONTEXT_LINES + 1)
            if 1 <= near <= len(text)
        }
    )
    width = len(str(shown[-1])) if shown else 1
    out = [f"{dockerfile.path}:"]
    for before, line in zip([shown[0] - 1 if shown else 0, *shown], shown, strict=False):
        if line != before + 1:
            out.append("  ...")
        out.append(
            f"{'->' if line in marked else '  '} {line:>{width}} | {text[line - 1]}".rstrip()
        )
    return out


def table(rows: Sequence[Row]) -> list[str]:
    """Return expectations against observations, those that differ marked."""
    names = [row.subject for row in rows]
    wide = min(max(len(name) for name in names), 72)
    second = max(len("expected"), *(len(row.expected) for row in rows))
    out = [f"   {'':<{wide}}  {'expected':<{second}}  observed"]
    for row in rows:
        name = row.subject if len(row.subject) <= wide else row.subject[: wide - 1] + "…"
        sign = "->" if row.differs else "  "
        out.append(f"{sign} {name:<{wide}}  {row.expected:<{second}}  {row.observed}".rstrip())
    return out


def line_of(dockerfile: Dockerfile, vertex: Vertex) -> int | None:
    """Return the line of the instruction that a vertex ran, None for internal ones."""
    if vertex.stage is None or vertex.position is None:
        return None
    place = (vertex.stage.lower(), vertex.position)
    for line, (stage, position) in positions(dockerfile).items():
        if (stage.lower(), position) == place:
            return line
    named = (s for s in dockerfile.stages if stage_name(s, dockerfile).lower() == place[0])
    return next((s.line for s in named), None) if vertex.position == 1 else None


def shown(outcome: Outcome) -> str:
    """Return the word that reports use for an outcome."""
    return _SIGN[outcome]


def failed(observation: BuildObservation) -> list[Vertex]:
    """Return the vertices that failed by themselves; what ran beside them was broken off."""
    return [v for v in observation.vertices if v.error and not v.error.endswith(BROKEN_OFF)]


def why_it_failed(observation: BuildObservation) -> str:
    """Return the log of the vertex that failed, or the client's error."""
    logs = [vertex.log or vertex.error or "" for vertex in failed(observation)]
    return next((log for log in logs if log.strip()), observation.error or "")
