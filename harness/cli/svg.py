"""Draws the matrix as an SVG picture that stands in a pull request: no script, no font, no link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape

from harness.cli.explain import short
from harness.cli.matrix import SYMBOLS, Matrix
from harness.model import Outcome

CELL: Final = 26
_LABELS: Final = 250
_HEAD: Final = 230
_FOOT: Final = 40
_SLANT: Final = 150
_CHARACTERS: Final = 34
_COLOURS: Final[Mapping[Outcome, tuple[str, str]]] = {
    Outcome.CACHED: ("#d9f0e1", "#1a7f4b"),
    Outcome.EXECUTED: ("#f3a683", "#7a2e0e"),
    Outcome.UNKNOWN: ("#fff0b3", "#7a5c00"),
}
_FONT: Final = "font-family='system-ui, sans-serif' font-size='12' fill='#1f2328'"


def draw(table: Matrix, *, title: str) -> str:
    """Return the picture of a matrix as SVG text; colours are doubled by symbols."""
    width = _LABELS + CELL * len(table.columns) + _SLANT
    height = _HEAD + CELL * len(table.rows) + _FOOT
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' "
        f"viewBox='0 0 {width} {height}' role='img'>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{width}' height='{height}' fill='#ffffff'/>",
        f"<text x='12' y='24' {_FONT} font-weight='600'>{escape(title)}</text>",
    ]
    for column, (step, stage) in enumerate(zip(table.columns, table.stages, strict=True)):
        x, y = _LABELS + CELL * column + CELL // 2, _HEAD - 8
        label = short(f"{step.line} {stage}: {step.instruction}", _CHARACTERS)
        parts.append(
            f"<text x='{x}' y='{y}' {_FONT} transform='rotate(-50 {x} {y})'>{escape(label)}</text>"
        )
    for line, row in enumerate(table.rows):
        y = _HEAD + CELL * line
        name = escape(row.edit.edit_class.value)
        parts.append(
            f"<text x='{_LABELS - 10}' y='{y + 17}' {_FONT} text-anchor='end'>{name}"
            f"<title>{escape(row.edit.summary)}</title></text>"
        )
        for column, outcome in enumerate(row.outcomes):
            parts.append(_cell(_LABELS + CELL * column, y, outcome))
    legend = "   ".join(f"{SYMBOLS[each]} {each.value}" for each in _COLOURS)
    parts.append(f"<text x='{_LABELS}' y='{height - 14}' {_FONT}>{legend}</text>")
    return "\n".join([*parts, "</svg>", ""])


def _cell(x: int, y: int, outcome: Outcome) -> str:
    fill, ink = _COLOURS[outcome]
    return (
        f"<rect x='{x + 1}' y='{y + 1}' width='{CELL - 2}' height='{CELL - 2}' rx='3' "
        f"fill='{fill}'/><text x='{x + CELL // 2}' y='{y + 17}' font-size='11' "
        f"text-anchor='middle' fill='{ink}'>{SYMBOLS[outcome]}</text>"
    )
