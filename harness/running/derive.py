"""Makes images upon others that an engine has, and asks it what it can build."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from pathlib import Path

from harness.engine import Engine
from harness.errors import LayerProofError
from harness.model import BuildObservation, BuildOptions
from harness.running import builder

_REFUSED = re.compile(r"dockerfile parse error.*", re.IGNORECASE)


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
    return _tried(on, text, root=root).succeeded


def refused(on: Engine, text: str, *, root: Path) -> str | None:
    """Return what the engine says of a Dockerfile that it cannot read; None where it can.

    It is asked for a stage that is not there, which it looks for when all has been read.
    """
    said = _tried(on, text, root=root, target=f"none-{uuid.uuid4().hex}").error or ""
    found = _REFUSED.search(said)
    return found and found.group()


def _tried(on: Engine, text: str, *, root: Path, target: str | None = None) -> BuildObservation:
    folder = root / f"probe-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    (folder / "Dockerfile").write_text(text)
    return builder.build(
        on,
        context=folder,
        dockerfile=folder / "Dockerfile",
        options=BuildOptions(target=target),
        export_to=folder / "out",
    )


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
