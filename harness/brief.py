"""`Brief`: what a class prints as where its fields would drown a report."""

from __future__ import annotations

from typing import Protocol


class Printer(Protocol):
    """The part of Hypothesis's pretty printer that is used."""

    def text(self, text: str) -> None:
        """Print a text as it is."""


class Brief:
    """Prints as its class's name, or as `__repr__` says where a class defines its own.

    Hypothesis prints the arguments of a failing test, and a dataclass field by field, unless told
    otherwise; the report of the failure names what matters of them.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the name of the class."""
        return f"<{type(self).__name__}>"

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(repr(self))
