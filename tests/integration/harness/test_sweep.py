"""What runs leave on an engine: removed when nobody owns it any more, and never before."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from harness import process
from harness.engine import Engine, Kind
from harness.running import sweep
from harness.running.sweep import new_run_id
from harness.scenario import Bench

ROOT = Path(__file__).parents[3]
START_SECONDS = 120.0


def image_of(bench: Bench) -> str:
    """Return an image that the engine is known to have."""
    froms = (line for line in bench.text.splitlines() if line.startswith("FROM layerproof"))
    return next(froms).split()[1]


def container(engine: Engine, image: str, run: str) -> str:
    """Make a container labelled as that run's and return its id."""
    made = engine.client.containers.create(image, ["x"], labels={sweep.LABEL: run})
    return str(made.id)


def dead_run() -> str:
    """Return the id of a run whose process is gone."""
    code = "import os; print(os.getpid())"
    pid = process.run([sys.executable, "-c", code], limit=30).out.strip()
    return f"{sweep.host_id()}-{pid}-1-00000000"


def test_what_a_dead_run_left_is_removed_and_what_lives_stays(engine: Engine, bench: Bench) -> None:
    image = image_of(bench)
    left = container(engine, image, dead_run())
    living = container(engine, image, new_run_id())
    foreign = container(engine, image, f"000000-{os.getpid()}-1-00000000")
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


def test_a_name_that_a_dead_run_gave_an_image_goes_and_the_image_stays(
    engine: Engine, bench: Bench
) -> None:
    image, api = image_of(bench), engine.client.api
    dead, alive = (f"layerproof/base-context-{run}-1" for run in (dead_run(), new_run_id()))
    for name in (dead, alive):
        api.tag(image, name)
    try:
        sweep.abandoned(replace(engine, kind=Kind.FOUND))
        named = engine.client.images.get(image).tags
        assert f"{dead}:latest" not in named
        assert f"{alive}:latest" in named
    finally:
        api.remove_image(alive)
    assert engine.client.images.get(image)


def test_a_run_that_was_killed_leaves_nothing_after_the_next_sweep(engine: Engine) -> None:
    """P2 on this engine, killed while its dev container is up."""
    words = ("properties/test_p2_dev_container_persistence.py", "-n0", "-p", "no:cacheprovider")
    argv = (sys.executable, "-m", "pytest", *words, f"--engine={engine.url}")
    with process.background(argv, cwd=ROOT) as running:
        run = wait_for_container(engine, running)
        os.kill(running.pid, signal.SIGKILL)
        running.end()
    before = left_of(run, engine)
    assert len(before) >= 4, "a container, its image and two volumes"
    assert sweep.abandoned(engine) >= len(before)
    assert left_of(run, engine) == []
    volumes = engine.client.volumes.list(filters={"label": "layerproof.project"})
    assert {str(volume.id) for volume in volumes}.isdisjoint(before)
    assert not sweep.folder_of(run).exists()


def wait_for_container(engine: Engine, running: process.Running) -> str:
    """Return the run of the child, as soon as a container mounts a project of it."""
    prefix = str(sweep.folder_of(f"{sweep.host_id()}-{running.pid}-"))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert not running.ended, "the run ended by itself"
        for summary in engine.client.api.containers():
            for mount in summary["Mounts"]:
                if str(mount.get("Source")).startswith(prefix):
                    inside = Path(mount["Source"]).relative_to(Path(prefix).parent)
                    return inside.parts[0].removeprefix("layerproof-run-")
        time.sleep(0.1)
    raise AssertionError("the run has not started a container")


def left_of(run: str, engine: Engine) -> list[str]:
    """Return what an engine holds of a run: containers, images and volumes."""
    folder, client = str(sweep.folder_of(run)), engine.client
    containers = [
        summary
        for summary in client.api.containers(all=True)
        if any(str(mount.get("Source")).startswith(folder) for mount in summary["Mounts"])
    ]
    images = [
        image
        for image in client.images.list(all=True)
        if image.labels.get("layerproof.path", "").startswith(folder)
        or image.labels.get(sweep.LABEL) == run
    ]
    projects = {image.labels.get("layerproof.project") for image in images}
    volumes = [
        volume
        for volume in client.volumes.list(filters={"label": "layerproof.project"})
        if volume.attrs["Labels"]["layerproof.project"] in projects
    ]
    return [
        *(str(summary["Names"]) for summary in containers),
        *(str(image.id) for image in images),
        *(str(volume.id) for volume in volumes),
    ]


def test_a_run_is_told_by_host_and_process() -> None:
    assert sweep.is_own(new_run_id())
    assert not sweep.is_abandoned(new_run_id())
    assert sweep.is_abandoned(dead_run())
    assert not sweep.is_own(dead_run())
    assert not sweep.is_abandoned("somebody-elses-label")


def test_a_number_that_another_process_has_by_now_owns_nothing() -> None:
    host, pid, started, word = new_run_id().split("-")
    assert sweep.is_abandoned(f"{host}-{pid}-{int(started) + 1}-{word}")


def test_a_process_that_cannot_be_looked_at_may_be_the_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where /proc shows a user no processes of others."""
    host, pid, started, word = new_run_id().split("-")
    monkeypatch.setattr(sweep, "_started", lambda pid: 0)
    assert not sweep.is_abandoned(f"{host}-{pid}-{int(started) + 1}-{word}")


def test_a_stranger_stays_whatever_mounts_a_project(
    engine: Engine, bench: Bench, tmp_path: Path
) -> None:
    """Scripts of another team label nothing; nor does what has nothing to do with them."""
    image = image_of(bench)
    mount = docker.types.Mount("/workspace", str(tmp_path), type="bind")
    theirs = engine.client.containers.create(image, ["x"], mounts=[mount])
    stranger = engine.client.containers.create(image, ["x"])
    try:
        assert sweep.of_project(engine, tmp_path) == 1
        with pytest.raises(docker.errors.NotFound):
            engine.client.containers.get(str(theirs.id))
        assert engine.client.containers.get(str(stranger.id))
    finally:
        stranger.remove()
