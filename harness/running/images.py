"""What an engine has of an image: its configuration, and its files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from docker.models.images import Image as DockerImage

from harness.brief import Brief
from harness.engine import Engine
from harness.judging.image import (
    EVERY_FILE,
    Entry,
    Image,
    Layers,
    read_archive,
    read_layers,
    stacked,
)
from harness.keys.plan import ImageFacts
from harness.running import layer_folders

SPOOL_BYTES = 64 * 1024 * 1024
OF_A_BASE = (".so", "/etc/passwd")
"""What is kept of a base's contents: its libraries, and who has an account there."""


def facts(engine: Engine, image: str) -> ImageFacts:
    """Return what the engine says of an image that FROM may name."""
    attributes = engine.client.images.get(image).attrs
    config = attributes["Config"]
    return ImageFacts(
        identity=str(attributes["Id"]),
        env=tuple(
            (name, value)
            for name, _, value in (entry.partition("=") for entry in config.get("Env") or ())
        ),
        workdir=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        shell=tuple(config.get("Shell") or ()),
        onbuild=tuple(config.get("OnBuild") or ()),
    )


@dataclass(slots=True, repr=False)
class Reader(Brief):
    """Reads images of one engine; what it learnt of a base is kept for the next image upon it."""

    engine: Engine
    _bases: dict[str, tuple[int, dict[str, Entry], dict[str, bytes]]] = field(
        default_factory=dict, repr=False
    )

    def read(self, image_id: str, *, base: str | None) -> Image:
        """Return an image's contents above `base` (a reference, or None for scratch).

        Raises docker.errors.ImageNotFound when the engine has no such image.
        """
        known, files, libraries = self._base(base) if base else (0, {}, {})
        image = self.engine.client.images.get(image_id)
        above = self._layers(image, skip=known)
        settings = image.attrs.get("Config") or {}
        return Image(
            layers=above.entries,
            base=files,
            contents={**libraries, **above.contents},
            hidden=above.hidden,
            user=str(settings.get("User") or ""),
            entrypoint=tuple(settings.get("Entrypoint") or ()),
            command=tuple(settings.get("Cmd") or ()),
            environment=tuple(settings.get("Env") or ()),
            history=tuple(str(h.get("CreatedBy", "")) for h in reversed(image.history())),
        )

    def _base(self, reference: str) -> tuple[int, dict[str, Entry], dict[str, bytes]]:
        image = self.engine.client.images.get(reference)
        identity = str(image.id)
        if identity not in self._bases:
            layers = self._layers(image, only=OF_A_BASE)
            self._bases[identity] = (
                len(layers.entries),
                stacked(layers.entries),
                dict(layers.contents),
            )
        return self._bases[identity]

    def _layers(
        self, image: DockerImage, *, skip: int = 0, only: Sequence[str] = EVERY_FILE
    ) -> Layers:
        """Read an image's layers but the `skip` lowest, where they lie if that can be."""
        there = layer_folders.of(image, self.engine)
        if there is not None:
            return read_layers(_packed(there[skip:]), only=only)
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            for chunk in image.save():
                spool.write(chunk)
            spool.seek(0)
            return read_archive(spool, skip=skip, only=only)


def _packed(folders: Sequence[Path]) -> Iterator[IO[bytes]]:
    """Yield each layer as an archive, which goes when the next one is asked for."""
    for folder in folders:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            layer_folders.pack(folder, spool)
            spool.seek(0)
            yield spool
