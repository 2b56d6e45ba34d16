"""Programs that an image brings beside Rust's own, for the stand-in of an image that nobody has."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path

from harness import engine
from harness.engine import Engine
from harness.errors import EnvironmentLacksError
from harness.model import BuildOptions
from harness.running import builder, derive, promises, trust


def get(tool: str, on: Engine, image: str, *, root: Path, say: Callable[[str], None]) -> Path:
    """Return a program that runs on the stand-in for Rust's image, `image`.

    Raises EnvironmentLacksError where it cannot be had.
    """
    return _cargo_lambda() if tool == "cargo-lambda" else _cargo_chef(on, image, root=root, say=say)


def _cargo_lambda() -> Path:
    """Return cargo-lambda as PyPI has it, for it takes many minutes to compile."""
    beside = Path(sysconfig.get_path("scripts")) / "cargo-lambda"
    found = beside if beside.is_file() else shutil.which("cargo-lambda")
    if found is None:
        raise EnvironmentLacksError(
            "cargo-lambda, which an image would bring that cannot be had, is not installed",
            hint="pip install cargo-lambda, or say --engine for an engine that has the image",
        )
    return Path(found)


def _cargo_chef(on: Engine, image: str, *, root: Path, say: Callable[[str], None]) -> Path:
    """Return cargo-chef, compiled once; then it lies with our tools."""
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
        upon = trust.trusting(on, image, root=root)
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
