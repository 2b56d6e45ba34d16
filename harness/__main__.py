"""The `layerproof` command: what would a build run again, and why; needs no engine to say so."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness.cli import check_command as cli_check
from harness.cli import explain_command as cli_explain
from harness.cli import matrix_command as cli_matrix
from harness.errors import LayerProofError

INTERRUPTED = 130


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="layerproof", description="Predict what a Docker build runs again, and say why."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (cli_explain, cli_matrix, cli_check):
        command.add_to(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 usage, 3 lacks something."""
    arguments = parser().parse_args(argv)
    try:
        output: str = arguments.run(arguments)
    except LayerProofError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        print(output)
    except BrokenPipeError:
        sys.stderr.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
