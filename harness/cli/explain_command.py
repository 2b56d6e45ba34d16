"""The subcommand `explain`: what a change makes a build run again, vertex by vertex."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness import config
from harness.cache import Cache
from harness.cli import explain
from harness.cli.states import Where, edit_of, edited, load, of_name, without_git
from harness.errors import UsageError
from harness.keys.evaluate import BuildState
from harness.keys.quirks import Rules
from harness.model import BuildOptions, Prediction
from harness.running import resolve

DESCRIPTION = """\
Say what a build runs again after a change, and why, without building.
A git revision may stand for a directory. With --edit the change is an edit of those files."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "explain",
        help="what a change makes a build run again",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_build_arguments(parser)
    parser.add_argument("--before", metavar="DIR|REV", help="what was built (default: the project)")
    parser.add_argument("--after", metavar="DIR|REV", help="what will be (default: the project)")
    parser.add_argument("--before-dockerfile", type=Path, metavar="FILE")
    parser.add_argument(
        "--before-build-arg",
        action="append",
        default=[],
        metavar="K=V",
        help="what it was before; every other argument was as it is now",
    )
    parser.add_argument("--edit", action="append", default=[], metavar="PATH")
    parser.add_argument("--no-cache", action="store_true")
    parser.add_argument("--no-cache-filter", action="append", default=[], metavar="STAGE")
    parser.add_argument("--build-context", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--network", metavar="MODE", help="the network of RUN, as given to buildx")
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    parser.add_argument(
        "--resolve", action="store_true", help="build what is unknown, twice, to find out"
    )
    parser.add_argument(
        "--engine",
        metavar="found|private|URL",
        help="ask this engine about base images, and predict by its version's rules; "
        "with --resolve, build there (default: found)",
    )
    parser.set_defaults(run=run)


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is built."""
    parser.add_argument("--project", type=Path, default=Path(), metavar="DIR")
    parser.add_argument("--dockerfile", type=Path, metavar="FILE")
    parser.add_argument("--build-arg", action="append", default=[], metavar="K=V")
    parser.add_argument("--target", metavar="STAGE")
    parser.add_argument("--platform", metavar="OS/ARCH")


def where(arguments: argparse.Namespace) -> Where:
    """Return what is built; the Dockerfile is looked for in the project."""
    project: Path = arguments.project
    if arguments.dockerfile is not None:
        return Where(project, arguments.dockerfile)
    configured = config.find(project)
    if configured.dockerfile is not None:
        return Where(project, configured.directory / configured.dockerfile)
    for name in ("Dockerfile.optimized", "Dockerfile"):
        if (project / name).is_file():
            return Where(project, project / name)
    raise UsageError(f"no Dockerfile in {str(project)!r}", hint="name one with --dockerfile")


def pairs(words: Sequence[str], option: str) -> dict[str, str]:
    """Return `K=V` words as a mapping."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"{option} {word!r}", context=(f"expected {option} NAME=VALUE",))
        found[name] = value
    return found


def options(arguments: argparse.Namespace) -> BuildOptions:
    """Return the build options that both states share."""
    configured = config.find(arguments.project)
    given = pairs(arguments.build_arg, "--build-arg")
    return BuildOptions(
        target=arguments.target or configured.target,
        platform=arguments.platform,
        network=getattr(arguments, "network", None),
        build_args={**configured.build_args, **given},
        named_contexts=pairs(getattr(arguments, "build_context", []), "--build-context"),
    )


def run(arguments: argparse.Namespace) -> str:
    """Return the explanation as text or JSON."""
    before, after = states(arguments)
    rules = Rules()
    if arguments.resolve:
        before, after, rules = resolve.resolved(
            before, after, where(arguments).project, choice=arguments.engine
        )
    elif arguments.engine is not None:
        before, after, rules = resolve.inspected(before, after, choice=arguments.engine)
    cache = Cache(rules=rules)
    cache.build(before)
    prediction = Prediction(tuple(each.prediction for each in cache.predict(after)))
    return explain.as_json(prediction) if arguments.json else explain.as_text(prediction)


def states(arguments: argparse.Namespace) -> tuple[BuildState, BuildState]:
    """Return the states before and after the change that the command line describes."""
    place = where(arguments)
    shared = options(arguments)
    given = pairs(arguments.before_build_arg, "--before-build-arg")
    earlier = replace(shared, build_args={**shared.build_args, **given})
    changed = replace(
        shared, no_cache=arguments.no_cache, no_cache_filter=tuple(arguments.no_cache_filter)
    )
    old_file: Path | None = arguments.before_dockerfile
    if arguments.before is not None:
        before = of_name(place, arguments.before, earlier, dockerfile=old_file)
    else:
        before = load(place, earlier, dockerfile=old_file)
    if arguments.after is not None:
        after = of_name(place, arguments.after, changed)
    elif arguments.before is None and old_file is None:
        after = replace(before, options=changed)
    else:
        after = load(place, changed)
    if _is_revision(arguments.before) != _is_revision(arguments.after):
        before, after = without_git(before), without_git(after)
    if arguments.edit:
        if arguments.before is None and arguments.after is not None:
            raise UsageError("--edit and --after are two changes", hint="give one of them")
        after = edited(after, edit_of(place.project, arguments.edit))
    return before, after


def _is_revision(name: str | None) -> bool:
    return name is not None and not Path(name).is_dir()
