"""Resolves the images that a Dockerfile starts from to images that an engine has.

An image that the engine lacks is carried from the found engine, or stood in for by ours of the same
purpose. For generated projects the build image is extended by the registry their crates come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker

from harness import engine, outside, subject
from harness.engine import Engine
from harness.errors import EnvironmentLacksError
from harness.generated import registry, trees
from harness.model import BuildOptions, Dockerfile
from harness.running import derive, promises, stand_ins, trust
from harness.running.promises import Promise
from harness.subject import Subject

REGISTRY_FOLDER = "/opt/layerproof-registry"
PROGRAMS = "/opt/layerproof-programs"
CA_ID = "ca"
"""The id by which a Dockerfile asks for the certificates that this machine trusts."""


def resolve(
    on: Engine, under_test: Subject, *, root: Path, say: Callable[[str], None]
) -> dict[int, str]:
    """Return, for each stage that starts from an image, the image on the engine to take.

    Generated projects get a build image that holds their registry. An image that nobody has is
    stood in for by ours of the same purpose. Raises EnvironmentLacksError for one that nothing can
    stand in for.
    """
    parsed, arguments = under_test.dockerfile, under_test.options.build_args
    named = subject.bases(parsed, arguments)
    compiling = {image for index, image in named.items() if subject.compiles(parsed, index)}
    chosen: dict[int, str] = {}
    for index, wanted in named.items():
        builds = wanted in compiling or promises.is_toolchain(wanted)
        image = _available(on, wanted, stand_in=stand_ins.STAND_INS[0 if builds else 1], say=say)
        if image != wanted:
            promise = _promise(wanted, under_test, index)
            if builds and under_test.options.network != "none":
                image = trust.trusting(on, image, root=root)
            image = stand_ins.dressed(on, image, promise, root=root, say=say)
        if builds and under_test.project is None:
            wrapped = outside.installs_tools(parsed) or outside.vendors(parsed)
            image = with_registry(on, image, root=root, say=say, wrapped=wrapped)
        chosen[index] = image
    return chosen


def taken(
    on: Engine, under_test: Subject, *, root: Path, say: Callable[[str], None]
) -> dict[str, str]:
    """See to it that the engine has the images that files are taken from; return those in whose
    place others are taken.

    That is what mounts the cargo home of an image of Rust's, as a cache that begins with it, and
    what takes cargo-chef. Raises EnvironmentLacksError for one that nothing can stand in for.
    """
    parsed = under_test.dockerfile
    replaced: dict[str, str] = {}
    for image, line in outside.images(parsed, under_test.options.target).items():
        if promises.brings(image) or (
            promises.is_toolchain(image) and outside.only_mounted(parsed, image)
        ):
            there = _available(on, image, stand_in=stand_ins.STAND_INS[0], say=say)
            if there != image:
                promise = promises.of(image, parsed, (), "")
                replaced[image] = stand_ins.dressed(on, there, promise, root=root, say=say)
        else:
            _expect_there(on, image, where=f"{parsed.path}:{line}", say=say)
    return replaced


def _expect_there(on: Engine, image: str, *, where: str, say: Callable[[str], None]) -> None:
    """See to it that the engine has an image that files are taken from."""
    if on.has_image(image) or engine.carry_from_found(on, image, say=say):
        return
    say(f"pulling {image}, which files are taken from")
    try:
        on.client.images.pull(image)
    except docker.errors.APIError as error:
        raise EnvironmentLacksError(
            f"files are taken from the image {image!r}, which cannot be had",
            where=where,
            context=(str(error.explanation or error),),
            hint="load it into the engine, or say --engine for one that has it",
        ) from error


def _promise(wanted: str, under_test: Subject, stage: int) -> Promise:
    """Return what a stand-in for an image has to keep, for what is built upon it.

    Raises EnvironmentLacksError where that needs tools that only the image brings.
    """
    parsed = under_test.dockerfile
    tools = outside.brought_along(parsed, stage)
    for tool, line in tools.items():
        if not promises.keeps(wanted, tool):
            raise EnvironmentLacksError(
                f"the image {wanted!r} cannot be had, and what stands in for it has no `{tool}`",
                where=f"{parsed.path}:{line}",
                hint="load the image into the engine, or say --engine for one that has it",
            )
    return promises.of(wanted, parsed, tools, spoken=subject.said_of_compiling(under_test))


def with_registry(
    on: Engine, image: str, *, root: Path, say: Callable[[str], None], wrapped: bool = False
) -> str:
    """Return an image like `image` that takes crates.io's crates from a folder of its own.

    With `wrapped` that is what `cargo vendor` does as well, and not what `cargo install` does.
    """
    base = str(on.client.images.get(image).id)
    cargo = (promises.SCRIPTS / "cargo-of-registry").read_bytes() if wrapped else None
    said = f"{base} {sorted(registry.tree().items())}{cargo!r}"
    key = hashlib.sha256(said.encode()).hexdigest()[:12]
    tag = f"layerproof/registry:{key}"
    if on.has_image(tag):
        return tag
    say(f"making {tag}: {image} with the crates of generated projects")
    folder = root / f"registry-{key}"
    trees.write(folder / "registry", registry.tree())
    (folder / "config.toml").write_text(registry.source_config(REGISTRY_FOLDER))
    lines = [f"COPY registry {REGISTRY_FOLDER}", "COPY config.toml /.cargo/config.toml"]
    if cargo is not None:
        (folder / "cargo").write_bytes(cargo)
        (folder / "cargo").chmod(0o755)
        lines += [
            f"COPY cargo {PROGRAMS}/",
            f"ENV PATH={PROGRAMS}:$PATH",
            "RUN chmod a+w /.cargo",
        ]
    return derive.derive(on, image, lines, tag=tag, folder=folder)


def readable(
    on: Engine, parsed: Dockerfile, text: str, *, root: Path, say: Callable[[str], None]
) -> str:
    """Return the text of a Dockerfile that the engine can read: without its `# syntax=` line where
    the frontend that it names cannot be had.

    Raises EnvironmentLacksError where the engine's own frontend does not know all that is in it.
    """
    syntax = parsed.syntax
    probe = f"# syntax={syntax}\nFROM scratch\nCOPY Dockerfile /\n"
    if syntax is None or derive.builds(on, probe, root=root):
        return text
    say(f"the frontend {syntax} cannot be had; the engine's own reads the Dockerfile")
    text = subject.without_frontend(text)
    problem = derive.refused(on, text, root=root)
    if problem is not None:
        raise EnvironmentLacksError(
            f"the frontend {syntax} cannot be had, and the engine's own does not read the "
            f"Dockerfile",
            where=parsed.path,
            context=(f"the engine says: {problem}",),
            hint="load the frontend's image into the engine, or say --engine for one that has it",
        )
    return text


def _available(on: Engine, wanted: str, *, stand_in: str, say: Callable[[str], None]) -> str:
    if on.has_image(wanted):
        return wanted
    if engine.carry_from_found(on, wanted, say=say):
        return wanted
    engine.ensure_images(on, (stand_in,), say=say)
    return stand_in


def with_network(on: Engine, under_test: Subject, *, image: str, root: Path) -> BuildOptions:
    """Return the options with what a download needs: a network, and the machine's CAs."""
    options = under_test.options
    bundle = trust.certificates()
    secrets_given = dict(options.secrets)
    if bundle is not None and CA_ID in outside.secrets(under_test.dockerfile):
        secrets_given.setdefault(CA_ID, bundle)
    network = derive.network(on, image=image, root=root)
    return replace(options, network=network, secrets=secrets_given)
