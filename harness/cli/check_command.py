"""The subcommand `check`: the structure of a Dockerfile, judged without an engine."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import config, dockerfile
from harness.errors import CheckFailed, ProjectError, UsageError
from harness.generated import trees
from harness.generated.checkouts import LEFT_OUT
from harness.model import Tree
from harness.parsing import dockerignore
from harness.structure import checks as structure
from harness.structure.rules import LOOKED_INTO


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "check",
        help="what in a Dockerfile keeps its layers from being reused",
        description="Check the structure of a Dockerfile; no engine is needed.",
    )
    parser.add_argument("dockerfile", type=Path, nargs="?", default=Path("Dockerfile"))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> str:
    """Return a line that nothing was found, or advice. Raises CheckFailed with findings that break
    a promise, and the advice among them.
    """
    path: Path = arguments.dockerfile
    if not path.is_file():
        raise UsageError(f"no such Dockerfile: {str(path)!r}")
    parsed = dockerfile.load(path)
    said = config.find(path.parent)
    beside = path.with_name(f"{path.name}.dockerignore")
    ignore = beside if beside.is_file() else path.with_name(".dockerignore")
    found = structure.check(
        parsed,
        files=_project_in(path.parent),
        ignore=dockerignore.parse(ignore.read_text()) if ignore.is_file() else None,
        overrides=said.roles,
        allowed=said.allowed,
    )
    faults = sum(not finding.advice for finding in found)
    texts = "\n\n".join(structure.render(parsed, finding) for finding in found)
    if faults:
        raise CheckFailed(texts, count=faults, path=str(path))
    return f"{texts}\n\n{path}: nothing found but advice" if found else f"{path}: nothing found"


def _project_in(folder: Path) -> Tree | None:
    """Return the project that lies in a folder, with the content of what rules look into."""
    if not (folder / "Cargo.toml").is_file():
        return None
    try:
        return trees.read(folder, skip=LEFT_OUT, only=LOOKED_INTO)
    except OSError as error:
        raise ProjectError(
            "the project beside the Dockerfile cannot be read", context=(str(error),)
        ) from error
