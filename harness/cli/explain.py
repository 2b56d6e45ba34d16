"""Renders a prediction: as a table for people, as JSON for programs. Predicts nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from harness.model import Outcome, Prediction, VertexPrediction

MAX_INSTRUCTION: Final = 48
_ELLIPSIS: Final = "…"


def as_json(prediction: Prediction) -> str:
    """Return `{"vertices": [{"stage", "line", "instruction", "prediction", "because"}]}`."""
    return json.dumps({"vertices": [_plain(each) for each in prediction.vertices]}, indent=2)


def _plain(vertex: VertexPrediction) -> dict[str, Any]:
    return {
        "stage": vertex.stage,
        "line": vertex.line,
        "instruction": vertex.instruction,
        "prediction": vertex.prediction.value,
        "because": [
            {"text": cause.text, "line": cause.line, "path": cause.path} for cause in vertex.because
        ],
    }


def as_text(prediction: Prediction) -> str:
    """Return a table of vertices with the first cause beside, and the others below."""
    rows = [("line", "stage", "vertex", "prediction", "because")]
    for vertex in prediction.vertices:
        causes = [cause.text for cause in vertex.because] or [""]
        rows.append(
            (
                str(vertex.line),
                vertex.stage,
                short(vertex.instruction),
                vertex.prediction.value,
                causes[0],
            )
        )
        rows += [("", "", "", "", cause) for cause in causes[1:]]
    return "\n".join([summary(prediction), "", *_table(rows)])


def summary(prediction: Prediction) -> str:
    """Return how many vertices run again, in one sentence."""
    total = len(prediction.vertices)
    count = {
        outcome: sum(1 for each in prediction.vertices if each.prediction is outcome)
        for outcome in Outcome
    }
    sentence = f"{count[Outcome.EXECUTED]} of {total} vertices run again"
    if count[Outcome.UNKNOWN]:
        sentence += f", of {count[Outcome.UNKNOWN]} it cannot be known"
    return f"{sentence}."


def short(instruction: str, limit: int = MAX_INSTRUCTION) -> str:
    """Return an instruction on one line of at most `limit` characters."""
    line = " ".join(instruction.split())
    return line if len(line) <= limit else line[: limit - 1] + _ELLIPSIS


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        first = row[0].rjust(widths[0])
        cells = [cell.ljust(width) for cell, width in zip(row[1:-1], widths[1:], strict=True)]
        lines.append("  ".join([first, *cells, row[-1]]).rstrip())
    return lines
