"""Makes images upon others that an engine has, and asks it what it can build."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.engine import Engine
from harness.errors import LayerProofError
from harness.model import BuildOptions
from harness.running import builder


def derive(on: Engine, image: str, lines: Sequence[str], *, tag: str, folder: Path) -> str:
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


def builds(on: Engine, text: str, *, root: Path) -> bool:
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


def network(on: Engine, *, image: str, root: Path) -> str | None:
    """Return the network for what downloads: `LAYERPROOF_NETWORK`, or the default one where RUN
    works with it, or the host's.
    """
    named = os.environ.get("LAYERPROOF_NETWORK")
    if os.environ.get("LAYERPROOF_OFFLINE") == "1":
        named = "none"
    if not named:
        works = builds(
            on,
            f"FROM {image} AS tried\nRUN echo {uuid.uuid4().hex} >/tried\n"
            "FROM scratch\nCOPY --from=tried /tried /\n",
            root=root,
        )
        named = None if works else "host"
    return named
