"""What can happen to a dev container: builds, its owner's other commands, the world's moves.

Events are data with a name a person can read; `perform` makes one happen. Judging is left to P3.
"""

from __future__ import annotations

import contextlib
import enum

import docker

from harness.running.scripted import DEV_CONTAINER, Container, Scripted, ScriptRun

CHANGED = "LAYERPROOF_CHANGED"


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
    DOCKERFILE_CHANGED = "the Dockerfile changes"


COMMANDS = {
    ContainerEvent.START: ("start",),
    ContainerEvent.STOP: ("stop",),
    ContainerEvent.RESTART: ("restart",),
    ContainerEvent.STATUS: ("status",),
    ContainerEvent.CLEAN: ("clean",),
    ContainerEvent.EXEC: ("exec", "--", "true"),
}


def perform(happening: ContainerEvent, dev: Scripted) -> ScriptRun | None:
    """Make an event happen; return the script's run where it is a command.

    A move of the world that finds no container to move does nothing.
    """
    if happening in COMMANDS:
        return dev.run(DEV_CONTAINER, *COMMANDS[happening])
    if happening is ContainerEvent.DOCKERFILE_CHANGED:
        change_dockerfile(dev)
        return None
    api = dev.bench.engine.client.api
    for found in dev.containers():
        facts = api.inspect_container(found.id)
        with contextlib.suppress(docker.errors.APIError):
            if happening is ContainerEvent.KILLED and found.state == "running":
                api.kill(found.id)
                api.wait(found.id, timeout=30)
            elif happening is ContainerEvent.PAUSED and found.state == "running":
                api.pause(found.id)
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


def is_of_an_earlier_dockerfile(container: Container, dev: Scripted) -> bool:
    """Whether a container is made from the Dockerfile, and lacks a change that was made to it.

    A container that shows no change at all is made from something else.
    """
    facts = dev.bench.engine.client.api.inspect_container(container.id)
    shown: int = sum(word.startswith(f"{CHANGED}_") for word in facts["Config"]["Env"] or ())
    changes = dev.workspace.dockerfile.read_text().count(f"ENV {CHANGED}_")
    return bool(0 < shown < changes)


_REMOVALS = {
    ContainerEvent.REMOVED,
    ContainerEvent.VOLUMES_REMOVED,
    ContainerEvent.IMAGE_REMOVED,
    ContainerEvent.RECREATED,
}


def _remove(
    happening: ContainerEvent, dev: Scripted, container: str, facts: dict[str, object]
) -> None:
    api = dev.bench.engine.client.api
    api.remove_container(container, force=True)
    if happening is ContainerEvent.VOLUMES_REMOVED:
        mounts = facts["Mounts"]
        assert isinstance(mounts, list)  # noqa: S101  the engine's own answer
        for mount in mounts:
            if mount.get("Type") == "volume":
                api.remove_volume(mount["Name"], force=True)
    elif happening is ContainerEvent.IMAGE_REMOVED:
        others = {image.identity for image in dev.bench.images.values()}
        if facts["Image"] not in others:  # a base image is not the scripts' own to lose
            api.remove_image(str(facts["Image"]), force=True)
    elif happening is ContainerEvent.RECREATED:
        name = str(facts["Name"]).lstrip("/")
        config = facts["Config"]
        assert isinstance(config, dict)  # noqa: S101
        created = {**config, "Image": facts["Image"], "HostConfig": facts["HostConfig"]}
        api.create_container_from_config(created, name=name)  # type: ignore[no-untyped-call]
