"""Tells by its name what a path of the build context is: manifest, source, or neither."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from harness.model import Mount

_MANIFESTS: Final = re.compile(
    r"Cargo\.(toml|lock|\*|\[\w+\]\*?)\*?|\*?\*?/?Cargo\.toml|rust-toolchain(\.toml)?\*?"
    r"|recipe\.json|\.cargo|config(\.toml)?|\*\.(toml|lock)|clippy\.toml|rustfmt\.toml|deny\.toml"
)
_SOURCE: Final = re.compile(r"(src|crates|packages|lib|libs|apps?|services?|members|bin|\w+\.rs)")
_NO_CRATE: Final = re.compile(
    r"README|CHANGELOG|CONTRIBUTING|LICENSE|NOTICE|Makefile|Dockerfile|justfile|docs?|tests?|benches"
    r"|examples|scripts?|assets|static|templates|migrations|deploy|infra|docker|certs?|ci|etc|config"
    r"|proto|\w+\.\w+|.*[*$].*",
    re.IGNORECASE,
)
_NOT_COMPILED: Final = re.compile(
    r"(^|/)(registry|git|\.?cargo|cargo[_-]home|rustup|apt|apk|lists|s?ccache|\.?npm)(/|$)"
)
"""Cache mounts of what is downloaded, or of another cache that cargo does not look into."""
WHOLE: Final = frozenset({".", "./", "", "*", "/", "./*", "**", "./."})


def is_manifest(path: str) -> bool:
    """Return whether a context path names what dependencies are resolved and compiled from."""
    parts = PurePosixPath(named(path.rstrip("/"))).parts
    return bool(parts) and (
        bool(_MANIFESTS.fullmatch(parts[-1]))
        or ".cargo" in parts
        or parts[0] in ("vendor", "patches")
    )


def is_source(path: str, *, inside: bool = True) -> bool:
    """Return whether a context path names the project's source, or more than its manifests.

    `inside` tells that it is copied to a place in the working directory: there an unknown
    directory is taken for one of its crates.
    """
    if path in WHOLE:
        return True
    if is_manifest(path) or named(path).endswith("build.rs"):
        return False
    parts = PurePosixPath(named(path)).parts
    if any(_SOURCE.fullmatch(part) for part in parts):
        return True
    return inside and not _NO_CRATE.fullmatch(parts[-1]) and "." not in parts[-1]


def is_data(path: str) -> bool:
    """Return whether a path that lies in the source names what nobody compiles, as templates."""
    last = PurePosixPath(path)
    if last.suffix:
        return last.suffix not in (".rs", ".*")
    return "*" not in last.name and bool(_NO_CRATE.fullmatch(last.name))


def named(path: str) -> str:
    """Return the path that a pattern such as `Cargo.loc[k]` means: that file, if there is one."""
    return re.sub(r"\[(\w)\]", r"\1", path)


def keeps_compiled_crates(mount: Mount) -> bool:
    """Return whether a mount keeps cargo's target directory, or a part of it, between builds."""
    target = mount.target or ""
    return mount.kind == "cache" and ("target" in target or not _NOT_COMPILED.search(target))
