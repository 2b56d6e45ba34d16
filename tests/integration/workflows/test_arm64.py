"""Packages for Graviton, cross-compiled, and run under emulation."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.engine import Engine
from harness.model import BuildOptions
from harness.running import builder, sweep
from tests.integration.workflows.conftest import REAL, STAND_INS, Lambda, says

AARCH64 = 183
"""EM_AARCH64 of the ELF specification."""
CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
TOOLS = """\
FROM {image}
RUN --mount=type=secret,id=ca,target=/run/ca \\
    if [ -s /run/ca ]; then export SSL_CERT_FILE=/run/ca CURL_CA_BUNDLE=/run/ca; fi; \\
    standard=''; \\
    if command -v rustup; then rustup target add aarch64-unknown-linux-gnu; \\
    else dpkg --add-architecture arm64; standard=libstd-rust-dev:arm64; fi \\
 && apt-get update && apt-get install --yes --no-install-recommends \\
        $standard gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
"""


@pytest.fixture(scope="module")
def tools(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image that compiles for aarch64 and can run what it made."""
    image = REAL["rust"] if engine.has_image(REAL["rust"]) else STAND_INS["rust"]
    folder = tmp_path_factory.mktemp("tools")
    (folder / "Dockerfile").write_text(TOOLS.format(image=image))
    tag = f"layerproof/cross:{uuid.uuid4().hex[:8]}"
    secrets = {"ca": str(CA_BUNDLE)} if CA_BUNDLE.is_file() else {}
    made = builder.build(
        engine,
        context=folder,
        dockerfile=folder / "Dockerfile",
        options=BuildOptions(network="host", secrets=secrets),
        tags=(tag,),
        labels={sweep.LABEL: tag},
    )
    assert made.succeeded, made.error
    yield tag
    engine.client.images.remove(tag, force=True)


def answer(project: Lambda, tools: str) -> str:
    """Return what the package prints under emulation; it must be for aarch64."""
    content = (project.path / "lambda-package" / "bootstrap").read_bytes()
    assert struct.unpack_from("<H", content, 18) == (AARCH64,)
    words = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", "/it"]
    made = project.engine.client.containers.create(tools, words, network_disabled=True)
    try:
        project.run("docker", "cp", "lambda-package/bootstrap", f"{made.id}:/it").check("docker cp")
        made.start()
        made.wait(timeout=60)
        return str(made.logs().decode().strip())
    finally:
        made.remove(force=True)


@pytest.mark.parametrize("method", ["prod", "dev"])
def test_a_package_for_arm64_is_one_and_runs(tiny: Lambda, tools: str, method: str) -> None:
    tiny.env["DOCKER_IMAGE"] = tools
    for word in ("one", "two"):
        tiny.write("src/main.rs", says(word))
        tiny.must_build(method, "--arch", "arm64")
        assert answer(tiny, tools) == word
