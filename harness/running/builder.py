"""Runs one buildx build and returns what was observed; judges nothing.

Two witnesses that share nothing: the engine's progress stream, and the layer ids of the image
that came out. A build that fails is an observation; an engine that fails is an error.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker

from harness import commands, process, progress
from harness.engine import Engine
from harness.errors import CommandError
from harness.model import BuildObservation, BuildOptions

BUILD_SECONDS = 900.0


def build(
    engine: Engine,
    *,
    context: Path,
    dockerfile: Path,
    options: BuildOptions,
    tags: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    export_to: Path | None = None,
    limit: float = BUILD_SECONDS,
) -> BuildObservation:
    """Build once. With `export_to` the target's files land there and no image is made.

    Raises CommandError when the limit passes, EnvironmentLacksError when the engine is not there.
    """
    with tempfile.TemporaryDirectory(prefix="layerproof-iid-") as folder:
        iidfile = None if export_to is not None else Path(folder) / "iid"
        argv = commands.buildx_build(
            engine.buildx,
            context=context,
            dockerfile=dockerfile,
            options=options,
            tags=tags,
            labels=labels,
            iidfile=iidfile,
            export_to=export_to,
        )
        started = time.monotonic()
        result = process.run(argv, limit=limit, env=engine.environment)
        seconds = time.monotonic() - started
        image_id = iidfile.read_text().strip() if iidfile and iidfile.exists() else None
    return _observe(engine, result, image_id=image_id or None, seconds=seconds)


def layers(engine: Engine, image_id: str) -> tuple[str, ...]:
    """Return the ids of an image's layers, lowest first."""
    found = engine.client.images.get(image_id).attrs["RootFS"].get("Layers") or ()
    return tuple(str(layer) for layer in found)


def _observe(
    engine: Engine, result: process.Completed, *, image_id: str | None, seconds: float
) -> BuildObservation:
    stream = result.err
    vertices = progress.decode(stream)
    log = "".join(vertex.log for vertex in vertices)
    error = None
    if result.status != 0:
        error = progress.words(stream) or f"buildx ended with status {result.status}"
        engine.expect_answer(error)
        if not vertices and "unknown flag" in error:
            raise CommandError(
                "buildx does not know an option",
                argv=result.argv,
                status=result.status,
                log=error,
                hint="buildx 0.13 or newer is needed; run `scripts/setup.sh buildx`",
            )
    known: tuple[str, ...] = ()
    if image_id is not None and result.status == 0:
        try:
            known = layers(engine, image_id)
        except docker.errors.ImageNotFound:
            image_id = None
    return BuildObservation(
        succeeded=result.status == 0,
        vertices=vertices,
        crates_compiled=progress.crates_compiled(vertices),
        image_id=image_id,
        layers=known,
        seconds=seconds,
        error=error,
        log=log,
    )
