"""What an engine has of an image: its configuration, and its files by its own archives."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

from harness.brief import Brief
from harness.engine import Engine
from harness.judging.image import Archive, Entry, Image, read_archive, stacked
from harness.keys.plan import ImageFacts

SPOOL_BYTES = 64 * 1024 * 1024


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
        archive = self._archive(image_id, skip=known)
        settings = archive.config.get("config") or {}
        return Image(
            layers=archive.layers,
            base=files,
            contents={**libraries, **archive.contents},
            hidden=archive.hidden,
            user=str(settings.get("User") or ""),
            entrypoint=tuple(settings.get("Entrypoint") or ()),
            command=tuple(settings.get("Cmd") or ()),
            environment=tuple(settings.get("Env") or ()),
            history=tuple(
                str(h.get("created_by", "")) for h in archive.config.get("history") or ()
            ),
        )

    def _base(self, reference: str) -> tuple[int, dict[str, Entry], dict[str, bytes]]:
        identity = str(self.engine.client.images.get(reference).id)
        if identity not in self._bases:
            archive = self._archive(identity, only=".so")
            count = len(archive.config["rootfs"]["diff_ids"])
            self._bases[identity] = (count, stacked(archive.layers), dict(archive.contents))
        return self._bases[identity]

    def _archive(self, identity: str, *, skip: int = 0, only: str = "") -> Archive:
        with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES) as spool:
            for chunk in self.engine.client.images.get(identity).save():
                spool.write(chunk)
            spool.seek(0)
            return read_archive(spool, skip=skip, only=only)
