"""Checkouts of a tiny project, and what can be asked of their dev containers; all are removed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from harness import engine as engines
from harness import process
from harness.engine import Engine
from harness.process import Completed, Running

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "dev-container.sh"
LIMIT = 240.0

DOCKERFILE = "ARG BUILD_IMAGE=rust:1.85-slim-bookworm\nFROM ${BUILD_IMAGE} AS base\n"
LOCK = """version = 3

[[package]]
name = "app"
version = "0.1.0"
dependencies = ["tiny"]

[[package]]
name = "tiny"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "{zeros}"
""".format(zeros="0" * 64)
FILES = {
    "Dockerfile.optimized": DOCKERFILE,
    "Cargo.toml": (
        '[package]\nname = "app"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dependencies]\ntiny = "1"\n[profile.dev]\ndebug = 0\n'
    ),
    "Cargo.lock": LOCK,
    ".cargo/config.toml": (
        '[source.crates-io]\nreplace-with = "here"\n[source.here]\ndirectory = "vendor"\n'
    ),
    "vendor/tiny/Cargo.toml": '[package]\nname = "tiny"\nversion = "1.0.0"\nedition = "2021"\n',
    "vendor/tiny/src/lib.rs": "pub fn number() -> u32 { 1 }\n",
    "vendor/tiny/.cargo-checksum.json": json.dumps({"files": {}, "package": "0" * 64}),
}


def main_rs(word: str) -> str:
    """Return a main.rs that prints `word` and the dependency's number."""
    return f'fn main() {{ println!("{word} {{}}", tiny::number()); }}\n'


class Checkout:
    """A project on disk and the script run in it; asserts nothing."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self.path = path
        self.engine = engine
        self.env = {**engine.environment, "LAYERPROOF_OFFLINE": "1", "NO_COLOR": "1"}
        self.env.pop("CARGO_FLAGS", None)
        for name, text in {**FILES, "src/main.rs": main_rs("one")}.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def run(self, *arguments: str, **env: str) -> Completed:
        """Run the script."""
        return process.run(
            (str(SCRIPT), *arguments), limit=LIMIT, cwd=self.path, env={**self.env, **env}
        )

    def start(self, *arguments: str, **env: str) -> AbstractContextManager[Running]:
        """Run the script beside the block."""
        return process.background((str(SCRIPT), *arguments), cwd=self.path, env={**self.env, **env})

    def must(self, *arguments: str, **env: str) -> Completed:
        """Run the script, which is to succeed."""
        return self.run(*arguments, **env).check("dev-container.sh")

    def docker(self, *arguments: str) -> str:
        """Run docker, which is to succeed; return what it prints."""
        return process.run(("docker", *arguments), limit=60, env=self.env).check("docker").out

    def status(self, **env: str) -> dict[str, Any]:
        """Return the script's own account of the container."""
        told: dict[str, Any] = json.loads(self.run("status", "--json", **env).out)
        return told

    @property
    def project(self) -> str:
        """The id that the labels carry."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    def containers(self) -> list[str]:
        """Return the ids of this project's containers, from the engine itself."""
        found = self.engine.client.api.containers(
            all=True,
            filters={"label": [f"layerproof.project={self.project}", "layerproof.role=dev"]},
        )
        return [entry["Id"] for entry in found]

    def container(self) -> dict[str, Any]:
        """Return what the engine says of the one container."""
        (identity,) = self.containers()
        inspected: dict[str, Any] = self.engine.client.api.inspect_container(identity)
        return inspected

    def processes(self) -> str:
        """Return the command lines of all that runs in the container."""
        return self.docker("top", self.containers()[0], "-eo", "pid,args", "-ww")

    def answer(self, binary: str = "target/debug/app") -> str:
        """Return what the artifact prints; it runs in the container, whose libraries it needs."""
        return self.must("exec", "--", f"./{binary}").out.strip()


def is_gone(checkout: Checkout) -> bool:
    """Whether the engine holds nothing of the project."""
    label = {"label": f"layerproof.project={checkout.project}"}
    client = checkout.engine.client
    volumes = client.api.volumes(filters=label)["Volumes"] or []
    return not (checkout.containers() or volumes or client.api.images(filters=label))


@pytest.fixture(scope="session")
def ready_engine(engine: Engine, say: Callable[[str], None]) -> Engine:
    """Return the engine once it has a base image that the script finds by itself."""
    if not engine.has_image("rust:1.85-slim-bookworm"):
        engines.ensure_images(engine, ("layerproof/rust:local",), say=say)
    return engine


@pytest.fixture
def make_checkout(ready_engine: Engine) -> Iterator[Callable[..., Checkout]]:
    """Return a maker of checkouts by name; what they leave on the engine is removed and counted."""
    # Not pytest's own folder: another user has to get into it, too.
    root = Path(tempfile.mkdtemp(prefix="layerproof-")).resolve()
    root.chmod(0o755)
    made: list[Checkout] = []

    def make(name: str = "project") -> Checkout:
        (root / name).mkdir()
        made.append(Checkout(root / name, ready_engine))
        return made[-1]

    yield make
    for checkout in made:
        checkout.path.mkdir(exist_ok=True)
        checkout.write("Dockerfile.optimized", DOCKERFILE)
        checkout.must("clean")
        assert is_gone(checkout)
    shutil.rmtree(root)


@pytest.fixture
def checkout(make_checkout: Callable[..., Checkout]) -> Checkout:
    """Return a fresh checkout without a container."""
    return make_checkout()
