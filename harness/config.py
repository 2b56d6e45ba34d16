"""Reads `layerproof.toml`, or `[tool.layerproof]` of a `pyproject.toml`: what cannot be inferred.

Everything is optional. Unknown keys and values of the wrong kind are errors that name the key;
whether a stage or path exists is for those to say who look at it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.errors import UsageError
from harness.structure.roles import Role

FILE: Final = "layerproof.toml"
PYPROJECT: Final = "pyproject.toml"
PROPERTIES: Final = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8")
_ROLES: Final = tuple(role.value for role in Role if role is not Role.OTHER)
_IMAGES: Final = ("build", "runtime")


@dataclass(frozen=True, slots=True)
class Config:
    """What a project says about its build.

    `dockerfile` and `scripts` are paths relative to `directory`. `binary` is the artifact's path in
    the image, `target` the stage to build. `roles` maps role names to stages, `images` the words
    build and runtime to the ARGs that name those base images. `depends_on` maps a stage to what its
    output depends on: globs, `@` sets, `$` arguments. `not_claimed` are properties that are not
    checked, with the reason given; `allowed` ids of structure rules that are not applied.
    `image_files` are shell patterns of what the image holds beside the artifact.
    """

    directory: Path = Path()
    source: str | None = None
    dockerfile: str | None = None
    scripts: str | None = None
    target: str | None = None
    binary: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    not_claimed: Mapping[str, str] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    image_files: tuple[str, ...] = ()


_TEXTS: Final = {
    "dockerfile": "dockerfile",
    "scripts-dir": "scripts",
    "target": "target",
    "binary": "binary",
}
_TABLES: Final[dict[str, tuple[str, tuple[str, ...] | None]]] = {
    "roles": ("roles", _ROLES),
    "images": ("images", _IMAGES),
    "build-args": ("build_args", None),
    "secrets": ("secrets", None),
    "not-claimed": ("not_claimed", PROPERTIES),
}
_KEYS: Final = (*_TEXTS, *_TABLES, "depends-on", "allow", "image-files")


def find(directory: Path) -> Config:
    """Return the configuration of the project in `directory`; an empty one where there is none.

    `layerproof.toml` comes before `pyproject.toml`; they are not merged.
    """
    own = directory / FILE
    if own.is_file():
        return parse(_toml(own), source=str(own), directory=directory)
    shared = directory / PYPROJECT
    if shared.is_file():
        table = _toml(shared).get("tool", {})
        if isinstance(table, dict) and "layerproof" in table:
            source = f"{shared} [tool.layerproof]"
            return parse(table["layerproof"], source=source, directory=directory)
    return Config(directory=directory)


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(
            f"{path.name} is no TOML: {error}", where=str(path), context=("expected valid TOML",)
        ) from error


def parse(table: object, *, source: str, directory: Path = Path()) -> Config:
    """Return the configuration in a table as TOML gives it. Raises UsageError naming the key."""
    reader = _Reader(source)
    top = reader.table(table, "the configuration")
    reader.known(top, "", _KEYS)
    texts = {name: reader.text(top.get(key), key) for key, name in _TEXTS.items()}
    tables = {
        name: reader.texts(top.get(key, {}), key, allowed)
        for key, (name, allowed) in _TABLES.items()
    }
    depends_on = reader.table(top.get("depends-on", {}), "depends-on")
    return Config(
        directory=directory,
        source=source,
        dockerfile=texts["dockerfile"],
        scripts=texts["scripts"],
        target=texts["target"],
        binary=texts["binary"],
        roles=tables["roles"],
        images=tables["images"],
        build_args=tables["build_args"],
        secrets=tables["secrets"],
        not_claimed=tables["not_claimed"],
        depends_on={
            stage: reader.words(value, f"depends-on.{stage}") for stage, value in depends_on.items()
        },
        allowed=reader.words(top.get("allow", []), "allow"),
        image_files=reader.words(top.get("image-files", []), "image-files"),
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns values as TOML has them into typed ones, or says which key is wrong."""

    source: str

    def fail(self, key: str, found: object, expected: str) -> UsageError:
        return UsageError(
            f"configuration key {key!r} is wrong",
            where=self.source,
            context=(f"expected {expected}, found {found!r}",),
        )

    def known(self, table: Mapping[str, object], prefix: str, allowed: tuple[str, ...]) -> None:
        for key in table:
            if key not in allowed:
                close = difflib.get_close_matches(key, allowed, n=1)
                raise UsageError(
                    f"unknown configuration key {prefix + key!r}",
                    where=self.source,
                    context=(f"expected one of: {', '.join(allowed)}",),
                    hint=f"{close[0]} is close" if close else None,
                )

    def table(self, value: object, key: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.fail(key, value, "a table")
        return value

    def text(self, value: object, key: str) -> str | None:
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            raise self.fail(key, value, "a string that is not empty")
        return value

    def texts(self, value: object, key: str, allowed: tuple[str, ...] | None) -> Mapping[str, str]:
        table = self.table(value, key)
        if allowed is not None:
            self.known(table, f"{key}.", allowed)
        for name, each in table.items():
            if not isinstance(each, str):
                raise self.fail(f"{key}.{name}", each, "a string")
        return {name: str(each) for name, each in table.items()}

    def words(self, value: object, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
            raise self.fail(key, value, "a list of strings")
        return tuple(value)
