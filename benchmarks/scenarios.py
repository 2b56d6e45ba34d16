"""The row about the harness: what a scenario takes beyond what the engine itself does for it."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.builds import ROOT, Bench
from benchmarks.measure import Row, Samples
from harness import scenario, subject
from harness.generated import edits
from harness.generated.projects import Blueprint, Dependency, Member, render
from harness.model import EditClass

START = Blueprint(
    members=(Member("app", binaries=("app",), uses=("alpha",)),),
    dependencies=(Dependency("alpha"),),
)
COURSE = (EditClass.SOURCE, EditClass.README, EditClass.DEPENDENCY_BUMP)


def overhead(bench: Bench) -> list[Row]:
    """Build, edit, build, predict and run, thrice over, against buildx and containers alone."""
    loaded = subject.load(ROOT / "Dockerfile.optimized", scripts=ROOT / "scripts")
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    samples = Samples()
    with scenario.prepare(bench.engine, loaded, say=lambda _: None) as made:
        for _ in range(bench.runs):
            before = replace(made.ledger)
            _scenario(made)
            now = made.ledger
            engine = now.build_seconds + now.run_seconds
            samples.add("scenario", now.seconds - before.seconds)
            samples.add("engine", engine - before.build_seconds - before.run_seconds)
    name, against = "a scenario of the properties", "its builds and containers alone"
    return [Row(name, against, "s", 1.2, samples.of("scenario"), samples.of("engine"))]


def _scenario(made: scenario.Bench) -> None:
    current = START
    with made.workspace(render(START).tree) as workspace:
        workspace.build()
        for edit_class in COURSE:
            change = edits.apply(edit_class, current, 1)
            if change is None:
                raise RuntimeError(f"{edit_class} does not fit {current}")
            workspace.edit(change.edit)
            current = change.after
            seen = workspace.build()
            workspace.predictions()
            if seen.image_id is None:
                raise RuntimeError(f"{change.edit.summary}: {seen.error}")
            workspace.run(seen.image_id)
