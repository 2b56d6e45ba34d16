"""What runs leave on an engine: removed when nobody owns it any more, and never before."""

from __future__ import annotations

import os
import sys

import docker
import pytest

from harness import process
from harness.engine import Engine
from harness.running import sweep
from harness.scenario import Bench, new_run_id


def container(engine: Engine, image: str, run: str) -> str:
    """Make a container labelled as that run's and return its id."""
    made = engine.client.containers.create(image, ["x"], labels={sweep.LABEL: run})
    return str(made.id)


def dead_run() -> str:
    """Return the id of a run whose process is gone."""
    code = "import os; print(os.getpid())"
    pid = process.run([sys.executable, "-c", code], limit=30).out.strip()
    return f"{sweep.host_id()}-{pid}-00000000"


def test_what_a_dead_run_left_is_removed_and_what_lives_stays(engine: Engine, bench: Bench) -> None:
    image = next(
        line.split()[1] for line in bench.text.splitlines() if line.startswith("FROM layerproof")
    )
    left = container(engine, image, dead_run())
    living = container(engine, image, new_run_id())
    foreign = container(engine, image, f"000000-{os.getpid()}-00000000")
    folder, own = sweep.folder_of(dead_run()), sweep.folder_of(new_run_id())
    (folder / "sub").mkdir(parents=True)
    own.mkdir()
    volume = engine.client.volumes.create(labels={sweep.LABEL: dead_run()})
    try:
        assert sweep.abandoned(engine) >= 2
        with pytest.raises(docker.errors.NotFound):
            engine.client.containers.get(left)
        with pytest.raises(docker.errors.NotFound):
            engine.client.volumes.get(str(volume.id))
        assert not folder.exists()
        assert own.exists()
        assert engine.client.containers.get(living)
        assert engine.client.containers.get(foreign)
    finally:
        own.rmdir()
        engine.client.containers.get(foreign).remove()
        sweep.own(engine)
    with pytest.raises(docker.errors.NotFound):
        engine.client.containers.get(living)


def test_a_run_is_told_by_host_and_process() -> None:
    assert sweep.is_own(new_run_id())
    assert not sweep.is_abandoned(new_run_id())
    assert sweep.is_abandoned(dead_run())
    assert not sweep.is_abandoned("somebody-elses-label")
