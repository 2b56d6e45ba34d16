"""Runs a command in a container, and loses nothing of what it says; puts a file there.

docker-py asks the engine to upgrade the connection and then reads the socket beneath its own
buffer, so that output which arrives together with the response's headers is lost: seen with one
short command in a thousand (github.com/docker/docker-py/issues/3332). Without the upgrade the
output is an ordinary body.
"""

from __future__ import annotations

import io
import struct
import tarfile
from collections.abc import Iterator, Sequence

import docker

from harness.engine import Engine

HEADER = struct.Struct(">BxxxL")
"""Before each piece of output: its stream and its length (docs.docker.com/reference/api/engine,
"Attach to a container").
"""
SILENT_SECONDS = 600.0


def execute(
    on: Engine, container_id: str, words: Sequence[str], *, workdir: str | None = None
) -> tuple[int, bytes]:
    """Run a command in a container that is up; return its status and what both streams got.

    Raises docker.errors.APIError where the container is not up, requests.Timeout where nothing is
    said for ten minutes.
    """
    api = on.client.api
    made = str(api.exec_create(container_id, list(words), workdir=workdir)["Id"])
    response = api.post(
        f"{api.base_url}/v{api.api_version}/exec/{made}/start",
        json={"Detach": False, "Tty": False},
        timeout=SILENT_SECONDS,
    )
    if not response.ok:
        raise docker.errors.APIError(response.text, response=response)
    said = b"".join(_pieces(response.content))
    return int(api.exec_inspect(made)["ExitCode"]), said


def _pieces(body: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(body):
        _, length = HEADER.unpack_from(body, at)
        at += HEADER.size
        yield body[at : at + length]
        at += length


def put_empty(on: Engine, container_id: str, name: str) -> bool:
    """Put an empty file into a container's root; return whether that could be done.

    It cannot where the container's file system is read-only.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    try:
        return bool(on.client.api.put_archive(container_id, "/", packed.getvalue()))
    except docker.errors.APIError:
        return False
