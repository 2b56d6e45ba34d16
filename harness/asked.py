"""What a Dockerfile asks cargo for by name: packages and where they lie, features, profiles.

A generated project has them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.model import Dockerfile
from harness.structure.compiles import compiles, subcommand
from harness.texts import NOTHING_GIVEN, commands, defaults_of

_VARIABLE = re.compile(r"\$\{?(\w+)(?::?-([^}]*))?\}?")
_NAME = re.compile(r"[A-Za-z]\w*(-\w+)*", re.ASCII)
_PROFILES = {"dev", "release", "test", "bench", "debug", "doc"}
"""Those that cargo knows or keeps for itself (doc.rust-lang.org/cargo/reference/profiles.html)."""
_OF_OTHERS = {"", "add", "info", "install", "remove", "search", "tree", "update"}
"""What cargo is called for that may be about packages of others."""


def profiles(parsed: Dockerfile, given: Mapping[str, str] = NOTHING_GIVEN) -> tuple[str, ...]:
    """Return the profiles to compile with that a project has to say what they are."""
    said = {*_given_to(parsed, given, "--profile")} - _PROFILES
    return tuple(sorted(filter(_NAME.fullmatch, said)))


def features(parsed: Dockerfile, given: Mapping[str, str] = NOTHING_GIVEN) -> tuple[str, ...]:
    """Return the features that cargo is asked for, by their names in a project's own packages."""
    said = ",".join(_given_to(parsed, given, "--features", "-F"))
    names = {word.rpartition("/")[2] for word in re.split(r"[,\s]+", said)} - {"default"}
    return tuple(sorted(filter(_NAME.fullmatch, names)))


def packages(parsed: Dockerfile, given: Mapping[str, str] = NOTHING_GIVEN) -> tuple[str, ...]:
    """Return the packages that cargo is asked for by name, those first that it is to compile."""
    said = _given_to(parsed, given, "--package", "-p")
    return tuple(dict.fromkeys(filter(_NAME.fullmatch, said)))


def folders(parsed: Dockerfile, given: Mapping[str, str] = NOTHING_GIVEN) -> tuple[str, ...]:
    """Return the folders of packages that cargo is asked for by their manifests, told from where it
    is called.
    """
    said = _given_to(parsed, given, "--manifest-path")
    found = (re.fullmatch(r"(?:\./)?(\w[\w./-]*)/Cargo\.toml", word) for word in said)
    return tuple(dict.fromkeys(match[1] for match in found if match))


def _given_to(parsed: Dockerfile, given: Mapping[str, str], *options: str) -> list[str]:
    """Return what calls of cargo about the project's packages give to options, those first that
    compile; variables that no instruction gives a value are empty.
    """
    values = {**defaults_of(parsed), **given}
    called = sorted(commands(parsed), key=lambda command: not compiles(command))
    found = (
        word
        for command in called
        for verb, said, _ in [subcommand(command)]
        if compiles(command) or verb not in _OF_OTHERS
        for option in options
        for word in said.get(option, ())
    )
    return [_VARIABLE.sub(lambda m: values.get(m[1]) or m[2] or "", word) for word in found]
