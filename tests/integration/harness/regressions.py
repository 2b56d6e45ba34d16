"""Broken builds as data: one named edit of a good file each, and who must reject it.

An edit whose `old` does not stand exactly once in its file is an error: then the good file has
moved on, and the broken one would be no longer broken.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from harness.judging.legacy import Invocation

ROOT = Path(__file__).parents[3]
SCRIPTS = ROOT / "fixtures" / "scripts" / "regressions.toml"
IMAGES = ROOT / "fixtures" / "dockerfiles" / "image-regressions.toml"
PARTS = ("scripts", "Makefile", "Dockerfile.optimized", "Dockerfile.optimized.dockerignore")
"""What a build consists of, as its user copies it into a project."""


@dataclass(frozen=True, slots=True)
class Regression:
    """One edit that breaks a promise. `says` is what the report must name."""

    name: str
    violates: str
    file: Path
    old: str
    new: str
    says: str
    moves: tuple[str, ...] = ()
    calls: tuple[Invocation, ...] = ()
    broken: bool = False
    leftovers: bool = False

    def applied(self, text: str) -> str:
        """Return the text with the edit made to it."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(
                f"regression {self.name!r}: expected its old text once in {self.file}, "
                f"found it {found} times: {self.old!r}"
            )
        return text.replace(self.old, self.new)


def of_scripts() -> list[Regression]:
    """Return the regressions of the scripts and of what they are used with."""
    return [
        Regression(
            name=record["name"],
            violates=record["violates"],
            file=Path(record["file"]),
            old=record["old"],
            new=record["new"],
            says=record["says"],
            moves=tuple(record.get("moves", ())),
            calls=tuple(
                Invocation(
                    words=tuple(call["words"]),
                    cargo_flags=call.get("cargo-flags"),
                    engine=call.get("engine", True),
                    umask=call.get("umask"),
                )
                for call in record.get("calls", ())
            ),
            broken=record.get("broken", False),
            leftovers=record.get("leftovers", False),
        )
        for record in tomllib.loads(SCRIPTS.read_text())["broken"]
    ]


def of_images() -> list[Regression]:
    """Return the regressions of the image; `says` is the rule that must find it."""
    good = Path("fixtures/dockerfiles/good/stub-layers.Dockerfile")
    return [
        Regression(r["name"], "P8", good, r["old"], r["new"], r["rule"])
        for r in tomllib.loads(IMAGES.read_text())["broken"]
    ]


def copy_build(to: Path, broken: Regression | None = None) -> Path:
    """Copy the build under test and break the copy; return its folder."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, to / part)
        else:
            shutil.copy2(source, to / part)
    if broken is not None:
        file = to / broken.file
        file.write_text(broken.applied(file.read_text()))
    return to
