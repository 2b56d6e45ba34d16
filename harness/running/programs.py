"""Reads the program that an image starts, however its configuration names it."""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

import docker
from docker.models.containers import Container

from harness.structure import shell


def read(container: Container, settings: Mapping[str, Any], *, named: str | None) -> bytes:
    """Return the bytes of a container's program; none where it does not hold it.

    `settings` are the image's: its entry point or command, by a path or by a name on its PATH.
    What is `named` goes before them.
    """
    for path in [named] if named else _places(settings):
        content = _file_of(container, path)
        if content is not None:
            return content
    return b""


def _places(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield where the program may lie that an image's configuration starts."""
    program = shell.started(settings.get("Entrypoint") or settings.get("Cmd") or ())
    if "/" in program:
        yield posixpath.join("/", settings.get("WorkingDir") or "", program)
    elif program:
        for setting in settings.get("Env") or ():
            name, _, value = setting.partition("=")
            if name == "PATH":
                yield from (posixpath.join("/", folder, program) for folder in value.split(":"))


def _file_of(container: Container, path: str) -> bytes | None:
    """Return what a file of a container holds; None where there is no such file.

    The engine hands out links as links; of those that lead to each other it says that it cannot.
    """
    while True:
        try:
            archive, _ = container.get_archive(path)
        except docker.errors.NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as unpacked:
            member = unpacked.getmembers()[0]
            if not member.issym():
                file = unpacked.extractfile(member)
                return file.read() if file is not None else None
            path = posixpath.join(posixpath.dirname(path), member.linkname)
