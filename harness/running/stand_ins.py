"""Stand-ins for images that nobody has: ours of the same purpose, with what a name promises."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.engine import Engine
from harness.running import derive, promises, tools
from harness.running.promises import Promise

STAND_INS = ("layerproof/rust:local", "layerproof/runtime:local")
CARGO_BIN = "/usr/local/cargo/bin"


def dressed(
    on: Engine, image: str, promise: Promise, *, root: Path, say: Callable[[str], None]
) -> str:
    """Return an image like `image` that keeps what the one it stands in for promises."""
    scripts = {name: (promises.SCRIPTS / name).read_bytes() for name in promise.scripts}
    lines = (*promise.lines, *promise.copied())
    if promise.tools:
        lines += (f"COPY {' '.join(promise.tools)} {CARGO_BIN}/",)
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
    for tool in promise.tools:
        shutil.copy(tools.get(tool, on, STAND_INS[0], root=root, say=say), folder / tool)
    return derive.derive(on, image, lines, tag=tag, folder=folder)
