"""Gives scripts that are not ours what they look for: their own Dockerfile's place, images, buildx.

Ours are told by their environment which Dockerfile and images to take. Another team's know nothing
of that: they take the Dockerfile that lies beside their folder, the images that it names, and the
buildx that docker's client has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import docker
from docker.utils import parse_repository_tag

from harness import dockerfile
from harness import subject as subjects
from harness.engine import Kind
from harness.scenario import Bench

DOCKERFILE = "Dockerfile.optimized"
_BESIDE = ("Dockerfile*", "Makefile", "*.mk", ".dockerignore")
"""Of what lies beside the folder of the scripts, what they may need."""


def mirror(scripts: Path, under_test: Path, into: Path) -> Path:
    """Copy scripts and what lies beside their folder; return the folder of the copy.

    In the place of their Dockerfile is `under_test` itself: what is written to it, they see.
    """
    folder = into / scripts.name
    shutil.copytree(scripts, folder, symlinks=True)
    for path in (path for pattern in _BESIDE for path in scripts.parent.glob(pattern)):
        if path.is_file():
            shutil.copy(path, into / path.name)
    for name in {DOCKERFILE, under_test.name}:
        (into / name).unlink(missing_ok=True)
        os.link(under_test, into / name)
    return folder


@contextlib.contextmanager
def named_images(bench: Bench) -> Iterator[None]:
    """Let the images that the Dockerfile names mean those of the bench; on our own engine only."""
    arguments = bench.subject.options.build_args
    chosen = subjects.bases(dockerfile.parse(bench.text, path=""), arguments)
    wanted = subjects.bases(bench.subject.dockerfile, arguments)
    api, given = bench.engine.client.api, set()
    for index, name in wanted.items():
        if bench.engine.kind is Kind.PRIVATE and chosen[index] != name and "@" not in name:
            repository, tag = parse_repository_tag(name)  # a registry may have a port
            api.tag(chosen[index], repository, tag or "latest", force=True)
            given.add(name)
    try:
        yield
    finally:
        for name in given:
            with contextlib.suppress(docker.errors.APIError):
                api.remove_image(name, noprune=True)


def client_configuration(buildx: Path, into: Path) -> Path:
    """Make a configuration of docker's client that has this buildx; the rest of it is theirs."""
    theirs = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    plugins = into / "cli-plugins"
    plugins.mkdir(parents=True)
    for path in theirs.glob("*"):
        if path.name != plugins.name:
            (into / path.name).symlink_to(path)
    for path in (theirs / plugins.name).glob("*"):
        if path.name != buildx.name:
            (plugins / path.name).symlink_to(path)
    (plugins / buildx.name).symlink_to(buildx)
    return into
