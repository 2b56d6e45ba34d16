"""Removes what runs left on an engine: this run's own at its end, that of killed runs at a start.

Everything we make on an engine carries the label `layerproof.run=<run>`; the run's id names the
host, the process and when that began, so that only what nobody owns any more is abandoned.
What the scripts under test made is known by the project in the run's folder that it is for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import docker

from harness.engine import Engine, Kind

LABEL = "layerproof.run"
_FOLDER = "layerproof-run-"
_PROJECT, _PATH = "layerproof.project", "layerproof.path"
"""What our scripts label with the project that a container, volume or image is for."""
_RUN = re.compile(r"(?P<host>[0-9a-f]{6})-(?P<pid>\d+)-(?P<started>\d+)-[0-9a-f]+")


def new_run_id() -> str:
    """Return a word for a run of this process that says whose it is."""
    pid = os.getpid()
    return f"{host_id()}-{pid}-{_started(pid)}-{uuid.uuid4().hex[:8]}"


def host_id() -> str:
    """Return a short word for this machine, as far as its processes are seen from here.

    Containers that share an engine and the name of a host count processes each for itself.
    """
    try:
        seen_from = str(Path("/proc/self/ns/pid").readlink())
    except OSError:  # macOS
        seen_from = ""
    return hashlib.sha256(f"{socket.gethostname()} {seen_from}".encode()).hexdigest()[:6]


def _started(pid: int) -> int:
    """Return when a process began, in the kernel's ticks; 0 where that cannot be told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[19])


def is_abandoned(run: str) -> bool:
    """Whether a run was this machine's and its process is gone, or another has its number.

    A process of which that cannot be told is taken for the run's.
    """
    found = _RUN.fullmatch(run)
    if found is None or found["host"] != host_id():
        return False
    pid = int(found["pid"])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        pass
    return _started(pid) not in {0, int(found["started"])}


def is_own(run: str) -> bool:
    """Whether a run is this process's."""
    found = _RUN.fullmatch(run)
    return found is not None and found["host"] == host_id() and int(found["pid"]) == os.getpid()


def folder_of(run: str) -> Path:
    """Return where a run keeps its files, named so that another can tell whose they are."""
    return Path(tempfile.gettempdir()) / f"{_FOLDER}{run}"


def abandoned(engine: Engine) -> int:
    """Remove what killed runs left on the engine and on disk; return how many objects."""
    removed = _remove(engine, is_abandoned)
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        if is_abandoned(folder.name.removeprefix(_FOLDER)):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


def own(engine: Engine) -> int:
    """Remove what this process made on the engine; return how many objects that were."""
    return _remove(engine, is_own)


def _remove(engine: Engine, wanted: Callable[[str], bool]) -> int:
    """Remove containers before the images, volumes and networks that they hold.

    On a private engine images stay: they are its cache, and go with its data when that has grown.
    """
    client = engine.client
    only: dict[str, str | list[str] | bool] = {"label": LABEL}
    removed = _remove_of_scripts(client, lambda path: wanted(_run_of(path)))
    for container in client.containers.list(all=True, filters=only, ignore_removed=True):
        if wanted(container.labels.get(LABEL, "")):
            with contextlib.suppress(docker.errors.APIError):
                container.remove(force=True, v=True)
                removed += 1
    images = client.api.images(filters=only, all=True) if engine.kind is not Kind.PRIVATE else ()
    for image in images:
        if wanted(image["Labels"].get(LABEL, "")):
            with contextlib.suppress(docker.errors.APIError):
                client.api.remove_image(image["Id"], force=True)
                removed += 1
    if engine.kind is not Kind.PRIVATE:
        removed += _remove_names(client, wanted)
    for volume in client.volumes.list(filters=only):
        if wanted(_label(volume.attrs)):
            with contextlib.suppress(docker.errors.APIError):
                volume.remove(force=True)
                removed += 1
    for network in client.networks.list(filters=only):
        if wanted(_label(network.attrs)):
            with contextlib.suppress(docker.errors.APIError):
                network.remove()
                removed += 1
    return removed


def _remove_names(client: docker.DockerClient, wanted: Callable[[str], bool]) -> int:
    """Remove the names of images in which a run's id stands; an image with others stays."""
    removed = 0
    for image in client.api.images():
        for name in image["RepoTags"] or ():
            run = _RUN.search(name)
            if run is not None and wanted(run[0]):
                with contextlib.suppress(docker.errors.APIError):
                    client.api.remove_image(name)
                    removed += 1
    return removed


def of_project(engine: Engine, project: Path) -> int:
    """Remove what scripts made on the engine for one project; return how many objects."""
    return _remove_of_scripts(engine.client, lambda path: path == str(project))


def _remove_of_scripts(client: docker.DockerClient, concerns: Callable[[str], bool]) -> int:
    """Remove what scripts made for some projects: ours by label, any container by its mounts.

    A named volume that carries no label of ours may be anybody's, and stays.
    """
    api = client.api
    images = api.images(filters={"label": _PATH}, all=True)
    projects = {i["Labels"].get(_PROJECT) for i in images if concerns(i["Labels"][_PATH])} - {None}
    removed = 0
    for summary in api.containers(all=True):
        labels = summary.get("Labels") or {}
        places = [labels.get(_PATH, ""), *(m.get("Source", "") for m in summary["Mounts"])]
        project = labels.get(_PROJECT)  # scripts of another team label nothing
        if any(map(concerns, places)) or (project is not None and project in projects):
            projects |= {project} - {None}
            with contextlib.suppress(docker.errors.APIError):
                api.remove_container(summary["Id"], force=True, v=True)
                removed += 1
    for project in projects:
        only = {"label": f"{_PROJECT}={project}"}
        for image in api.images(filters=only):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_image(image["Id"], force=True)
                removed += 1
        for volume in api.volumes(filters=only)["Volumes"] or ():
            with contextlib.suppress(docker.errors.APIError):
                api.remove_volume(volume["Name"], force=True)
                removed += 1
    return removed


def _run_of(path: str) -> str:
    """Return the run whose folder a path lies in, or an empty word."""
    inside = path.removeprefix(str(folder_of("")))
    return "" if inside == path else inside.partition("/")[0]


def _label(attrs: Mapping[str, Any] | None) -> str:
    return str(((attrs or {}).get("Labels") or {}).get(LABEL, ""))
