"""Resolves the images that a Dockerfile starts from to images that an engine has.

An image that the engine lacks is carried from the found engine, or stood in for by ours of the same
purpose. For generated projects the build image is extended by the registry their crates come from.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import docker

from harness import engine, outside, subject
from harness.engine import Engine
from harness.errors import EnvironmentLacksError, LayerProofError, UsageError
from harness.generated import registry, trees
from harness.model import BuildOptions, Dockerfile
from harness.running import builder
from harness.subject import Subject

REGISTRY_FOLDER = "/opt/layerproof-registry"
STAND_INS = ("layerproof/rust:local", "layerproof/runtime:local")
_LINKING_STATICALLY = (
    "#!/bin/sh",
    'case " $* " in',
    '*" --crate-name build_script_"* | *" --crate-type proc-macro "*) ;;',
    '*" --crate-type bin "*) set -- "$@" -C target-feature=+crt-static ;;',
    "esac",
    'exec /usr/bin/rustc "$@"',
)
"""The stand-in's rustc for programs that need no libc; what runs while they are compiled does."""
_PROMISES = (
    (
        re.compile(r"(^|/)rust(:|@|$)"),
        "ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup"
        " PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        "RUN mkdir -p /usr/local/cargo/bin && chmod -R a+w /usr/local/cargo",
    ),
    (
        re.compile(r"distroless|^cgr\.dev/chainguard/"),
        "RUN echo nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >>/etc/passwd"
        " && echo nonroot:x:65532: >>/etc/group",
    ),
    (re.compile(r":(.*-)?nonroot(-|$)|^cgr\.dev/chainguard/"), "USER 65532:65532"),
    (
        re.compile(r"\blambda\b"),
        "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime\nWORKDIR /var/task",
    ),
    (
        re.compile(r"(^|/)rust:.*alpine"),
        f"RUN printf '%s\\n' {shlex.join(_LINKING_STATICALLY)} >/usr/local/bin/rustc"
        " && chmod +x /usr/local/bin/rustc",
    ),
)
"""Names of images, and what is true of them: Rust's have a home of cargo's that is not root's;
distroless's and Chainguard's have an account `nonroot`, and many run as it; Lambda's have the
variables that its documentation uses (docs.aws.amazon.com/lambda, "Deploy … container images").
What is compiled in Rust's image of Alpine is linked statically, as is the default for musl
(doc.rust-lang.org/reference/linkage.html).
"""
CA_ID = "ca"
"""The id by which a Dockerfile asks for the certificates that this machine trusts."""
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep them; the first is Debian's, and so the stand-ins'."""


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
        builds = wanted in compiling or is_toolchain(wanted)
        image = _available(on, wanted, stand_in=STAND_INS[0 if builds else 1], say=say)
        if image != wanted:
            _expect_no_tools_of(wanted, parsed, index)
            if builds and under_test.options.network != "none":
                image = _trusting(on, image, root=root)
            image = dressed(on, image, wanted, root=root)
        if builds and under_test.project is None:
            image = with_registry(on, image, root=root, say=say)
        chosen[index] = image
    return chosen


def taken(
    on: Engine, under_test: Subject, *, root: Path, say: Callable[[str], None]
) -> dict[str, str]:
    """See to it that the engine has the images that files are taken from; return those in whose
    place others are taken.

    That is what mounts the cargo home of an image of Rust's, as a cache that begins with it. Raises
    EnvironmentLacksError for one that nothing can stand in for.
    """
    parsed = under_test.dockerfile
    replaced: dict[str, str] = {}
    for image, line in outside.images(parsed, under_test.options.target).items():
        if is_toolchain(image) and outside.only_mounted(parsed, image):
            there = _available(on, image, stand_in=STAND_INS[0], say=say)
            if there != image:
                replaced[image] = dressed(on, there, image, root=root)
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


def _expect_no_tools_of(image: str, parsed: Dockerfile, stage: int) -> None:
    """Raise EnvironmentLacksError where what is built upon it needs tools that only it brings."""
    for tool, line in outside.brought_along(parsed, stage).items():
        raise EnvironmentLacksError(
            f"the image {image!r} cannot be had, and what stands in for it has no `{tool}`",
            where=f"{parsed.path}:{line}",
            hint="load the image into the engine, or say --engine for one that has it",
        )


def is_toolchain(image: str) -> bool:
    """Whether an image is one of Rust's own: whatever a stage does upon it, it holds the tools."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0] == "rust"


def with_registry(on: Engine, image: str, *, root: Path, say: Callable[[str], None]) -> str:
    """Return an image like `image` that takes crates.io's crates from a folder of its own."""
    base = str(on.client.images.get(image).id)
    key = hashlib.sha256(f"{base} {sorted(registry.tree().items())}".encode()).hexdigest()[:12]
    tag = f"layerproof/registry:{key}"
    if on.has_image(tag):
        return tag
    say(f"making {tag}: {image} with the crates of generated projects")
    folder = root / f"registry-{key}"
    trees.write(folder / "registry", registry.tree())
    (folder / "config.toml").write_text(registry.source_config(REGISTRY_FOLDER))
    lines = (f"COPY registry {REGISTRY_FOLDER}", "COPY config.toml /.cargo/config.toml")
    return _derived(on, image, lines, tag=tag, folder=folder)


def dressed(on: Engine, image: str, wanted: str, *, root: Path) -> str:
    """Return an image like `image` that has what the name of the one it stands in for promises."""
    lines = tuple(line for name, line in _PROMISES if name.search(wanted))
    if not lines:
        return image
    said = f"{on.client.images.get(image).id} {lines}"
    key = hashlib.sha256(said.encode()).hexdigest()[:12]
    tag = f"layerproof/dressed:{key}"
    if on.has_image(tag):
        return tag
    folder = root / f"dressed-{key}"
    folder.mkdir()
    return _derived(on, image, lines, tag=tag, folder=folder)


def _derived(on: Engine, image: str, lines: Sequence[str], *, tag: str, folder: Path) -> str:
    """Build an image upon another, with the folder as context, and tag it."""
    (folder / "Dockerfile").write_text("\n".join((f"FROM {image}", *lines, "")))
    made = builder.build(
        on,
        context=folder,
        dockerfile=folder / "Dockerfile",
        options=BuildOptions(network="none"),
        tags=(tag,),
    )
    if not made.succeeded:
        raise LayerProofError(f"could not make {tag}", context=(made.error or "").splitlines())
    return tag


def loads_frontend(on: Engine, syntax: str, *, root: Path) -> bool:
    """Whether the engine can get the frontend that a `# syntax=` line names."""
    return _builds(on, f"# syntax={syntax}\nFROM scratch\nCOPY Dockerfile /\n", root=root)


def _builds(on: Engine, text: str, *, root: Path) -> bool:
    """Whether a Dockerfile builds; no image is left of it."""
    folder = root / f"probe-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    (folder / "Dockerfile").write_text(text)
    tried = builder.build(
        on,
        context=folder,
        dockerfile=folder / "Dockerfile",
        options=BuildOptions(),
        export_to=folder / "out",
    )
    return tried.succeeded


def _available(on: Engine, wanted: str, *, stand_in: str, say: Callable[[str], None]) -> str:
    if on.has_image(wanted):
        return wanted
    if engine.carry_from_found(on, wanted, say=say):
        return wanted
    engine.ensure_images(on, (stand_in,), say=say)
    return stand_in


def certificates() -> str | None:
    """Return the file of the certificates that this machine trusts, None for none.

    By the scripts' rules: `LAYERPROOF_CA_BUNDLE` names it, and means none where it is empty.
    Raises UsageError for one that is named and cannot be read.
    """
    named = os.environ.get("LAYERPROOF_CA_BUNDLE")
    if named == "":
        return None
    if named is not None and not os.access(named, os.R_OK):
        raise UsageError(f"LAYERPROOF_CA_BUNDLE cannot be read: {named!r}")
    places = (named,) if named else (os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES)
    return next((path for path in places if path and os.access(path, os.R_OK)), None)


def _trusting(on: Engine, image: str, *, root: Path) -> str:
    """Return an image like a stand-in that trusts whom this machine trusts.

    A machine without a registry is behind a proxy, more often than not, and crates.io with it; a
    Dockerfile that knows nothing of that has to reach it nevertheless.
    """
    bundle = certificates()
    if bundle is None:
        return image
    content = Path(bundle).read_bytes()
    said = f"{on.client.images.get(image).id} ".encode() + content
    tag = f"layerproof/trusting:{hashlib.sha256(said).hexdigest()[:12]}"
    if on.has_image(tag):
        return tag
    folder = root / tag.rpartition("/")[2].replace(":", "-")
    folder.mkdir()
    (folder / "ca").write_bytes(content)
    return _derived(on, image, (f"COPY ca {CA_BUNDLES[0]}",), tag=tag, folder=folder)


def with_network(on: Engine, under_test: Subject, *, image: str, root: Path) -> BuildOptions:
    """Return the options with what a download needs: a network, and the machine's CAs.

    The network is `LAYERPROOF_NETWORK`, or the default one where RUN works with it, or the
    host's.
    """
    options = under_test.options
    network = os.environ.get("LAYERPROOF_NETWORK")
    if os.environ.get("LAYERPROOF_OFFLINE") == "1":
        network = "none"
    if not network:
        works = _builds(
            on,
            f"FROM {image} AS tried\nRUN echo {uuid.uuid4().hex} >/tried\n"
            "FROM scratch\nCOPY --from=tried /tried /\n",
            root=root,
        )
        network = None if works else "host"
    bundle = certificates()
    secrets_given = dict(options.secrets)
    if bundle is not None and CA_ID in outside.secrets(under_test.dockerfile):
        secrets_given.setdefault(CA_ID, bundle)
    return replace(options, network=network, secrets=secrets_given)
