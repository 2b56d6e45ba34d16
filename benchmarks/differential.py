"""`python -m benchmarks.differential`: a long comparison of predictions with real builds.

Draws cases (a Dockerfile, a context, a series of edits) from a seed, builds each on an engine of
either version, compares every vertex, and writes the counts, every disagreement with its account
and every build that failed to a JSON file. Exit code 1 where a prediction was wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from harness import commands, engine, process
from harness.errors import LayerProofError
from harness.generated.dockerfile_cases import Case, cases
from harness.running import ground as grounds
from harness.running import workshop
from harness.running.differential import Verdict
from harness.running.ground import BuildFailed, Disagreement, Ground, Seen

OUT = Path(__file__).resolve().parent / "out" / "differential.json"
CASES_AT_ONCE = 60


@dataclass
class Tally:
    """What came out on one engine."""

    cases: int = 0
    builds: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    disagreements: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, seen: Seen) -> None:
        """Count what was seen of one case."""
        self.cases += 1
        for built, findings in seen:
            if built.error is not None:
                continue
            self.builds += 1
            self.edits[built.inputs.summary.split(" ", 1)[0]] += 1
            for finding in findings:
                self.verdicts[finding.verdict.value] += 1
                if finding.observed is not None:
                    self.outcomes[finding.observed.value] += 1
                if finding.verdict is Verdict.UNKNOWN:
                    words = finding.because.removeprefix("; ").split("; ")[0].split()
                    self.unknown[" ".join("N" if w.isdigit() else w for w in words)] += 1

    def as_json(self) -> dict[str, object]:
        """Return the figures, shares included."""
        vertices = sum(self.verdicts.values())
        decided = vertices - self.verdicts["unknown"]
        return {
            "cases": self.cases,
            "builds": self.builds,
            "vertices": vertices,
            "agreed": self.verdicts["agreed"],
            "disagreed": self.verdicts["disagreed"],
            "unknown": self.verdicts["unknown"],
            "unknown_share": self.verdicts["unknown"] / max(1, vertices),
            "agreement": self.verdicts["agreed"] / max(1, decided),
            "observed": dict(self.outcomes),
            "edits": dict(self.edits.most_common()),
            "unknown_because": dict(self.unknown.most_common(10)),
            "builds_that_failed": self.failed,
            "disagreements": self.disagreements,
            "seconds": round(self.seconds, 1),
        }


def main(argv: list[str] | None = None) -> int:
    """Compare on each engine asked for; return 0 when no prediction was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differential", description=__doc__)
    parser.add_argument("--builds", type=int, default=2000, help="builds on each engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=4, help="builds at once")
    parser.add_argument(
        "--engine", action="append", help="private, newer, found or a URL (default: the first two)"
    )
    parser.add_argument("--json", type=Path, default=OUT)
    options = parser.parse_args(argv)
    report: dict[str, object] = {"seed": options.seed, "workers": options.workers}
    wrong = 0
    try:
        for choice in options.engine or ["private", "newer"]:
            with ExitStack() as stack:
                on = _ground(choice, stack)
                _say(f"{choice}: engine {on.engine.version}, base image {on.image}")
                tally = compare(on, options.builds, first=options.seed, workers=options.workers)
                report[on.engine.version] = {"buildx": _buildx(on), **tally.as_json()}
                wrong += tally.verdicts["disagreed"]
    except LayerProofError as error:
        _say(error.render())
        return error.exit_code
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(options.json.read_text(), end="")
    return 1 if wrong else 0


def compare(on: Ground, builds: int, *, first: int, workers: int) -> Tally:
    """Build drawn cases until so many builds are done, several at once."""
    tally = Tally()
    started = time.monotonic()
    numbers = iter(range(first, sys.maxsize))
    with ThreadPoolExecutor(workers) as pool:
        while tally.builds < builds:
            batch = drawn(on, next(numbers))
            pending: list[Future[Seen]] = [pool.submit(_run, on, case, tally) for case in batch]
            for done in as_completed(pending):
                tally.add(done.result())
            tally.seconds = time.monotonic() - started
            _say(f"{tally.builds} builds, {dict(tally.verdicts)}, {tally.seconds:.0f} s")
    return tally


def drawn(on: Ground, number: int) -> Iterator[Case]:
    """Draw a batch of cases from a seed."""
    batch: list[Case] = []

    @seed(number)
    @settings(
        max_examples=CASES_AT_ONCE,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(on.dialect))
    def draw(case: Case) -> None:
        batch.append(case)

    draw()
    return iter(batch)


def _run(on: Ground, case: Case, tally: Tally) -> Seen:
    try:
        return on.check(lambda nonce: workshop.inputs(case, nonce))
    except Disagreement as error:
        tally.disagreements.append(str(error))
        _say(str(error))
        return error.seen
    except BuildFailed as error:
        tally.failed.append(str(error))
        return error.seen


def _ground(choice: str, stack: ExitStack) -> Ground:
    if choice == "newer":
        own = stack.enter_context(engine.provide("auto", say=_say))
        newer = stack.enter_context(grounds.newer_engine(_say))
        return grounds.on(newer, source=own, say=_say)
    return grounds.on(stack.enter_context(engine.provide(choice, say=_say)), say=_say)


def _buildx(on: Ground) -> str:
    argv = commands.buildx_version(on.engine.buildx)
    return process.run(argv, limit=60.0).check("asking buildx for its version").out.split()[1]


def _say(line: str) -> None:
    print(f"[INFO] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
