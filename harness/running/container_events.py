"""What can happen to a dev container: builds, its owner's other commands, the world's moves.

Events are data with a name a person can read; `perform` makes one happen. Judging is left to P3.
"""

from __future__ import annotations

import contextlib
import enum
import io
from collections.abc import Iterator, Mapping, Sequence

import docker

from harness.running import execution, sweep
from harness.running.scripted import DEV_CONTAINER, Container, Scripted, ScriptRun

CHANGED, CHANGED_BASE = "LAYERPROOF_CHANGED", "LAYERPROOF_BASE"


class ContainerEvent(enum.Enum):
    """One move. The values are what reports call it."""

    BUILD = "dev build"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    STATUS = "status"
    CLEAN = "clean"
    EXEC = "exec -- true"
    KILLED = "the container is killed"
    PAUSED = "the container is paused"
    REMOVED = "the container is removed by force"
    VOLUMES_REMOVED = "the container and its volumes are removed"
    IMAGE_REMOVED = "the container and its image are removed"
    RECREATED = "a container of that name is created and never started"
    HALF_MADE = "the container is made again with new volumes, started, and left at that"
    DOCKERFILE_CHANGED = "the Dockerfile changes"
    BASE_IMAGE_CHANGED = "the base image's name comes to mean another image"
    DAMAGED = "what cargo keeps of the dependencies in the container is damaged"


COMMANDS = {
    ContainerEvent.START: ("start",),
    ContainerEvent.STOP: ("stop",),
    ContainerEvent.RESTART: ("restart",),
    ContainerEvent.STATUS: ("status",),
    ContainerEvent.CLEAN: ("clean",),
    ContainerEvent.EXEC: ("exec", "true"),
}


def perform(happening: ContainerEvent, dev: Scripted) -> ScriptRun | None:
    """Make an event happen; return the script's run where it is a command.

    A move of the world that finds no container to move does nothing.
    """
    if happening is ContainerEvent.EXEC:
        return dev.run(DEV_CONTAINER, *dev.executing("true"))
    if happening in COMMANDS:
        return dev.run(DEV_CONTAINER, *COMMANDS[happening])
    if happening is ContainerEvent.DOCKERFILE_CHANGED:
        change_dockerfile(dev)
    if happening is ContainerEvent.BASE_IMAGE_CHANGED:
        change_base_image(dev)
    api = dev.bench.engine.client.api
    for found in dev.containers():
        facts = api.inspect_container(found.id)
        with contextlib.suppress(docker.errors.APIError):
            if happening is ContainerEvent.KILLED and found.state == "running":
                api.kill(found.id)
                api.wait(found.id, timeout=30)
            elif happening is ContainerEvent.PAUSED and found.state == "running":
                api.pause(found.id)
            elif happening is ContainerEvent.DAMAGED and found.state == "running":
                execution.execute(
                    dev.bench.engine, found.id, (*_DAMAGE, *_volumes(facts, "Destination"))
                )
            elif happening in _REMOVALS:
                _remove(happening, dev, found.id, facts)
    return None


def change_dockerfile(dev: Scripted) -> None:
    """Add an environment variable to the stage that the container is made from."""
    file = dev.workspace.dockerfile
    lines = file.read_text().splitlines(keepends=True)
    stages = [n for n, line in enumerate(lines) if line.upper().startswith("FROM ")]
    count = sum(CHANGED in line for line in lines)
    lines.insert(stages[0] + 1, f"ENV {CHANGED}_{count}=1\n")
    file.write_text("".join(lines))


@contextlib.contextmanager
def base_image_of_its_own(dev: Scripted) -> Iterator[None]:
    """Give the build image a name that means it in this block alone, and so may be changed.

    It has no tag: docker takes it for `latest`, and so has everybody to.
    """
    image = dev.environment["DOCKER_IMAGE"]
    if image is None:
        yield
        return
    api = dev.bench.engine.client.api
    name = f"layerproof/base-{dev.project.name.lower()}"
    api.tag(image, name)
    dev.environment["DOCKER_IMAGE"] = name
    file = dev.workspace.dockerfile
    file.write_text(file.read_text().replace(image, name))
    try:
        yield
    finally:
        with contextlib.suppress(docker.errors.APIError):
            api.remove_image(name)


def change_base_image(dev: Scripted) -> None:
    """Let the name of the build image mean another image, with one more environment variable."""
    name = dev.environment["DOCKER_IMAGE"]
    if name is None:
        return
    client = dev.bench.engine.client
    count = _shown(client.images.get(name).attrs["Config"]["Env"], CHANGED_BASE)
    text = f"FROM {name}\nENV {CHANGED_BASE}_{count}=1\n"
    labels = {sweep.LABEL: dev.bench.run_id}
    client.images.build(fileobj=io.BytesIO(text.encode()), tag=name, labels=labels)


def is_of_an_earlier_base_image(container: Container, dev: Scripted) -> bool:
    """Whether a container lacks a change of the base image that its Dockerfile starts from."""
    name = dev.environment["DOCKER_IMAGE"]
    client = dev.bench.engine.client
    if name is None:
        return False
    facts = client.api.inspect_container(container.id)
    wanted = _shown(client.images.get(name).attrs["Config"]["Env"], CHANGED_BASE)
    return _shown(facts["Config"]["Env"], CHANGED_BASE) < wanted


def _shown(environment: Sequence[str] | None, changed: str) -> int:
    """Return how many changes some variables tell of."""
    return sum(word.startswith(f"{changed}_") for word in environment or ())


def is_of_an_earlier_dockerfile(container: Container, dev: Scripted) -> bool:
    """Whether a container is made from the Dockerfile, and lacks a change that was made to it.

    A container that shows no change at all is made from something else.
    """
    facts = dev.bench.engine.client.api.inspect_container(container.id)
    shown = _shown(facts["Config"]["Env"], CHANGED)
    changes = dev.workspace.dockerfile.read_text().count(f"ENV {CHANGED}_")
    return 0 < shown < changes


def _volumes(facts: Mapping[str, object], told: str) -> list[str]:
    """Return what the engine tells of each volume of a container: its Name, or its Destination."""
    mounts = facts["Mounts"]
    assert isinstance(mounts, list)  # noqa: S101  the engine's own answer
    return [mount[told] for mount in mounts if mount.get("Type") == "volume"]


_DAMAGE = (
    "sh",
    "-c",
    'find "$@" -path "*/deps/lib*.r*" -exec sh -c '
    "'for f; do echo junk >$f.new; touch -r $f $f.new; mv $f.new $f; done' sh {} +",
    "sh",
)
"""Writes junk over compiled libraries, below the folders named; their dates stay as they are."""

_REMOVALS = {
    ContainerEvent.REMOVED,
    ContainerEvent.VOLUMES_REMOVED,
    ContainerEvent.IMAGE_REMOVED,
    ContainerEvent.RECREATED,
    ContainerEvent.HALF_MADE,
}


def _remove(
    happening: ContainerEvent, dev: Scripted, container: str, facts: dict[str, object]
) -> None:
    api = dev.bench.engine.client.api
    api.remove_container(container, force=True)
    if happening in {ContainerEvent.VOLUMES_REMOVED, ContainerEvent.HALF_MADE}:
        for name in _volumes(facts, "Name"):
            api.remove_volume(name, force=True)
    if happening is ContainerEvent.IMAGE_REMOVED:
        others = {image.identity for image in dev.bench.images.values()}
        if facts["Image"] not in others:  # a base image is not the scripts' own to lose
            api.remove_image(str(facts["Image"]), force=True)
    elif happening in {ContainerEvent.RECREATED, ContainerEvent.HALF_MADE}:
        name = str(facts["Name"]).lstrip("/")
        config = facts["Config"]
        assert isinstance(config, dict)  # noqa: S101
        created = {**config, "Image": facts["Image"], "HostConfig": facts["HostConfig"]}
        api.create_container_from_config(created, name=name)  # type: ignore[no-untyped-call]
        if happening is ContainerEvent.HALF_MADE:
            api.start(name)
