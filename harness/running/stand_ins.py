"""Stand-ins for images that nobody has: ours of the same purpose, with what a name promises."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from harness import engine
from harness.engine import Engine
from harness.errors import EnvironmentLacksError, UsageError
from harness.model import BuildOptions
from harness.running import builder, derive, promises
from harness.running.promises import Promise

CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep them; the first is Debian's, and so the stand-ins'."""
STAND_INS = ("layerproof/rust:local", "layerproof/runtime:local")
CARGO_BIN = "/usr/local/cargo/bin"


def dressed(
    on: Engine, image: str, promise: Promise, *, root: Path, say: Callable[[str], None]
) -> str:
    """Return an image like `image` that keeps what the one it stands in for promises."""
    scripts = {name: (promises.SCRIPTS / name).read_bytes() for name in promise.scripts}
    lines = (*promise.lines, *promise.copied())
    if promise.chef:
        lines += (f"COPY cargo-chef {CARGO_BIN}/",)
    if not lines:
        return image
    said = f"{on.client.images.get(image).id} {lines} {scripts}"
    tag = f"layerproof/dressed:{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    if on.has_image(tag):
        return tag
    folder = root / tag.rpartition("/")[2].replace(":", "-")
    folder.mkdir()
    for name, content in scripts.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)
    if promise.chef:
        shutil.copy(_cargo_chef(on, root=root, say=say), folder / "cargo-chef")
    return derive.derive(on, image, lines, tag=tag, folder=folder)


def _cargo_chef(on: Engine, *, root: Path, say: Callable[[str], None]) -> Path:
    """Return cargo-chef, compiled on the stand-in for Rust's image: once, then it lies with our
    tools.

    Raises EnvironmentLacksError where that fails, as it does without a network.
    """
    image = STAND_INS[0]
    key = hashlib.sha256(str(on.client.images.get(image).id).encode()).hexdigest()[:12]
    kept = engine.state_home() / "tools" / f"cargo-chef-{promises.CHEF_VERSION}-{key}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_name(f"{kept.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if kept.is_file():
            return kept
        say(f"compiling cargo-chef {promises.CHEF_VERSION}, for the image that has it (a minute)")
        folder = root / f"chef-{key}"
        folder.mkdir()
        upon = trusting(on, image, root=root)
        shutil.copy(promises.SCRIPTS / "cargo", folder)
        (folder / "Dockerfile").write_text(
            f"FROM {upon} AS made\nCOPY cargo /usr/local/bin/\n"
            f"RUN cargo install --locked --root /chef cargo-chef@{promises.CHEF_VERSION}\n"
            "FROM scratch\nCOPY --from=made /chef/bin /\n"
        )
        made = builder.build(
            on,
            context=folder,
            dockerfile=folder / "Dockerfile",
            options=BuildOptions(network=derive.network(on, image=image, root=root)),
            export_to=folder / "out",
        )
        if not made.succeeded:
            raise EnvironmentLacksError(
                "cargo-chef, which an image would bring that cannot be had, cannot be compiled",
                context=(made.error or "").splitlines()[-5:],
                hint="load the image into the engine, or say --engine for one that has it",
            )
        half = kept.with_name(f"{kept.name}.part")
        shutil.copy(folder / "out" / "cargo-chef", half)
        return half.replace(kept)


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


def trusting(on: Engine, image: str, *, root: Path) -> str:
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
    return derive.derive(on, image, (f"COPY ca {CA_BUNDLES[0]}",), tag=tag, folder=folder)
