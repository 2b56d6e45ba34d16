"""Notes what a script calls docker and buildx with, and what its builds say; changes none of it.

Two small programs stand in front of the real ones: `docker` on the PATH of a call that is noted,
and buildx's plugin wherever the scripts look for it. Without a folder for notes they step aside.
Another `docker` passes on everything but the wish for a container, which it refuses; and another
knows no engine the first time that it is asked for one.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import progress
from harness.model import Vertex

FOLDER = "LAYERPROOF_NOTES"
"""The variable that names the folder for the notes of a call."""
_STAND_IN = """#!/bin/sh
if [ -z "${{{folder}:-}}" ]; then exec {real} "$@"; fi
printf '%s ' "$@" | tr '\\n' ' ' >>"${folder}/calls"
echo >>"${folder}/calls"
"""
_JUST_CALL = 'exec {real} "$@"\n'
_KEEP_WORDS = """said="${folder}/said.$$"
mkfifo "$said.pipe"
tee "$said" <"$said.pipe" >&2 &
{real} "$@" 2>"$said.pipe"
status=$?
wait
exit "$status"
"""
NO_SPACE = "no space left on device"
"""What an engine says that cannot make a container."""
_REFUSING = """#!/bin/sh
for word; do
  case "$word" in
    -* | container | compose) ;;
    run | create | start | restart | up)
      echo "Error response from daemon: {no_space}" >&2
      exit 1
      ;;
    *) break ;;
  esac
done
exec {real} "$@"
"""
NO_ENGINE_YET = (
    "Cannot connect to the Docker daemon at ${DOCKER_HOST:-unix:///var/run/docker.sock}. "
)
_LATE = """#!/bin/sh
case "${{1:-}}" in
  '' | -* | buildx | builder | compose | context | help) ;;
  *)
    if mkdir "${{0%/*}}/asked" 2>/dev/null; then
      echo "{no_engine_yet}Is the docker daemon running?" >&2
      exit 1
    fi
    ;;
esac
exec {real} "$@"
"""


@dataclass(frozen=True, slots=True)
class Notes:
    """What was noted: the words of each call, and what each call of buildx wrote on stderr."""

    calls: tuple[str, ...] = ()
    said: tuple[str, ...] = ()

    @property
    def vertices(self) -> tuple[Vertex, ...]:
        """What the builds were made of, by what buildx wrote; empty where it was not called."""
        return tuple(vertex for said in self.said for vertex in progress.decode_plain(said))


def stand_in_for_buildx(buildx: Path, into: Path) -> Path:
    """Write the program that stands in front of buildx; return where it lies."""
    return _write(into / "docker-buildx", buildx, _STAND_IN + _KEEP_WORDS)


def environment(folder: Path) -> Mapping[str, str]:
    """Return the environment of a call that is to be noted in a folder, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    folder.chmod(0o777)  # whoever runs the script notes
    return {FOLDER: str(folder), "PATH": _docker_first(folder / "bin", _STAND_IN + _JUST_CALL)}


def refusing_containers(folder: Path) -> Mapping[str, str]:
    """Return the environment of a call for which no container can be made or started."""
    return {"PATH": _docker_first(folder, _REFUSING)}


def answering_late(folder: Path) -> Mapping[str, str]:
    """Return the environment of calls to whose first question no engine answers."""
    return {"PATH": _docker_first(folder, _LATE)}


def read(folder: Path) -> Notes:
    """Return what was noted in a folder."""
    calls = folder / "calls"
    logs = sorted(folder.glob("said.*[0-9]"), key=lambda path: path.stat().st_mtime_ns)
    return Notes(
        calls=tuple(calls.read_text(errors="replace").splitlines()) if calls.exists() else (),
        said=tuple(path.read_text(errors="replace") for path in logs),
    )


def _docker_first(folder: Path, text: str) -> str:
    """Write the program that stands in front of docker; return the PATH on which it is found."""
    docker, path = shutil.which("docker"), os.environ.get("PATH", os.defpath)
    if docker is None:
        return path
    _write(folder / "docker", Path(docker), text)
    return f"{folder}{os.pathsep}{path}"


def _write(path: Path, real: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        text.format(
            folder=FOLDER,
            real=shlex.quote(str(real)),
            no_space=NO_SPACE,
            no_engine_yet=NO_ENGINE_YET,
        )
    )
    path.chmod(0o755)
    return path
