"""Asks an engine's own Dockerfile frontend what it understood: a ground truth for our parser.

Engines from 23 on answer `targets` and `outline`. buildx calls the option `--call` from 0.15 on;
before that it is `--print`, and experimental. Nothing is built.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import process, progress
from harness.engine import Engine
from harness.errors import CommandError

CALL_SECONDS = 60.0
UNKNOWN_FLAG = "unknown flag"

Method = Literal["targets", "outline"]


@dataclass(frozen=True, slots=True)
class Target:
    """A stage as the frontend lists it; `base` as written, `is_default` for the last one."""

    name: str | None
    base: str
    line: int
    is_default: bool


@dataclass(frozen=True, slots=True)
class Argument:
    """A build argument that a target takes, with the value it would have."""

    name: str
    value: str | None
    line: int


def targets(engine: Engine, dockerfile: Path, context: Path) -> tuple[Target, ...]:
    """Return the stages of a Dockerfile, in order."""
    answer = _ask(engine, "targets", dockerfile, context, {})
    return tuple(
        Target(
            each.get("name") or None,
            str(each.get("base") or ""),
            _line(each),
            bool(each.get("default")),
        )
        for each in answer.get("targets") or ()
    )


def arguments(
    engine: Engine, dockerfile: Path, context: Path, given: Mapping[str, str]
) -> tuple[Argument, ...]:
    """Return the build arguments of a Dockerfile's default target, some of them `given`.

    The frontend wants to see the base images: those must be at hand.
    """
    answer = _ask(engine, "outline", dockerfile, context, given)
    return tuple(
        Argument(str(each["name"]), each.get("value"), _line(each))
        for each in answer.get("args") or ()
    )


def command(
    buildx: Path,
    option: str,
    method: Method,
    dockerfile: Path,
    *,
    context: Path,
    given: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the call that asks for `method`; `option` is `--call` or `--print`."""
    asked = f"{option}={method},format=json"
    arguments = (f"--build-arg={name}={value}" for name, value in given.items())
    return (str(buildx), "build", asked, *arguments, f"--file={dockerfile}", "--", str(context))


def _ask(
    engine: Engine, method: Method, dockerfile: Path, context: Path, given: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the frontend's answer. Raises CommandError where it has none."""
    environment = {**engine.environment, "BUILDX_EXPERIMENTAL": "1"}
    for option in ("--call", "--print"):
        argv = command(engine.buildx, option, method, dockerfile, context=context, given=given)
        result = process.run(argv, limit=CALL_SECONDS, env=environment)
        if result.status != 0 and UNKNOWN_FLAG in result.err:
            continue
        result.check(f"asking the frontend for its {method}")
        answer = next(iter(progress.objects(result.out)), None)
        if answer is not None:
            return answer
        break
    raise CommandError(
        f"the frontend did not answer {method}",
        argv=result.argv,
        status=result.status,
        log=result.err or json.dumps(result.out),
    )


def _line(each: Mapping[str, Any]) -> int:
    ranges = (each.get("location") or {}).get("ranges") or ()
    return int(ranges[0]["start"]["line"]) if ranges else 0
