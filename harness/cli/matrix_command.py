"""The subcommand `matrix`: every kind of edit against every vertex, as text and as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.cli import matrix, svg
from harness.cli.explain_command import add_build_arguments, options, where
from harness.cli.states import load
from harness.errors import UsageError


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "matrix",
        help="which edit runs which vertex again",
        description="Show which kind of edit makes a build run which vertex again.",
    )
    add_build_arguments(parser)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a picture, too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> str:
    """Return the table as text, and write the picture where one is asked for."""
    place = where(arguments)
    table = matrix.matrix(load(place, options(arguments)))
    if arguments.svg is not None:
        title = f"{place.dockerfile.name}: what an edit runs again"
        try:
            arguments.svg.write_text(svg.draw(table, title=title))
        except OSError as error:
            raise UsageError(
                f"the picture cannot be written to {str(arguments.svg)!r}", context=(str(error),)
            ) from error
    return matrix.as_text(table)
