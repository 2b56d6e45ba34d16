"""`python -m benchmarks [GROUP …]`: measures, prints the table, and keeps the samples as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from benchmarks import builds, scenarios
from benchmarks.measure import Row, table
from harness import engine
from harness.errors import LayerProofError

OUT = Path(__file__).resolve().parent / "out"
GROUPS = {**builds.ROWS, "scenario": scenarios.overhead}


def main(argv: list[str] | None = None) -> int:
    """Measure the groups named (all by default); return 0 when all could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--runs", type=int, default=5, help="samples of each figure (default 5)")
    parser.add_argument("--json", type=Path, default=OUT / "builds.json", help="where to write")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.groups) - set(GROUPS))
    if unknown or not 1 <= options.runs <= len(builds.ADDED):
        parser.error(
            f"no such group: {', '.join(unknown)}"
            if unknown
            else f"--runs takes 1 to {len(builds.ADDED)}, not {options.runs}"
        )
    rows: list[Row] = []
    try:
        with engine.provide("private", say=_say) as found:
            rows = _measure(found, options.groups or list(GROUPS), options.runs)
    except LayerProofError as error:
        _say(error.render())
        return error.exit_code
    options.json.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "runs": options.runs}
    report = {"machine": machine, "rows": [row.to_json() for row in rows]}
    options.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.write(table(rows) + "\n")
    return 0


def _measure(found: engine.Engine, groups: list[str], runs: int) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="layerproof-bench-") as folder:
        bench = builds.Bench(
            engine=found,
            folder=Path(folder),
            build_image=_image(found, builds.BUILD_IMAGES),
            runtime_image=_image(found, builds.RUNTIME_IMAGES),
            ca=next((Path(path) for path in builds.CA_BUNDLES if Path(path).exists()), None),
            runs=runs,
        )
        rows: list[Row] = []
        for group in groups:
            _say(f"measuring {group} ({runs} runs)")
            rows += GROUPS[group](bench)
        return rows


def _image(found: engine.Engine, names: tuple[str, ...]) -> str:
    for _ in range(2):
        for name in names:
            if found.has_image(name):
                return name
        engine.setup("images", say=_say, url=found.url)
    engine.ensure_images(found, names[:1], say=_say)
    return names[0]


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    raise SystemExit(main())
