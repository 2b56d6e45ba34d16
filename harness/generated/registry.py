"""The registry crates that generated projects depend on: tiny, as data, in a directory source.

Cargo treats crates of a directory source as it treats crates.io's: fixed by name and version,
never looked at again once compiled. Each crate's `value()` says which version and features it was
compiled with, so that a binary's output tells what went into it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness.model import File, Tree

SOURCE = "registry+https://github.com/rust-lang/crates.io-index"
VERSIONS = ("1.0.0", "1.1.0")


@dataclass(frozen=True, slots=True)
class Kind:
    """A crate of the registry. `needs` names the crates it depends on itself.

    `host` says that it is compiled for the compiler's own use (a proc macro), so that the
    profile's settings need not reach it.
    """

    name: str
    needs: tuple[str, ...] = ()
    build_script: bool = False
    host: bool = False


KINDS = (
    Kind("alpha"),
    Kind("beta", needs=("gamma",)),
    Kind("gamma"),
    Kind("delta", build_script=True),
    Kind("epsilon", host=True),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def value(name: str, *, version: str, loud: bool, needs: str = "") -> str:
    """Return what the crate's `value()` returns when compiled so."""
    own = f"{name.upper() if loud else name}-{version}"
    return f"{own}({needs})" if needs else own


def checksum(name: str, version: str) -> str:
    """Return the crate's checksum for lock files: any will do, if both sides agree."""
    return hashlib.sha256(f"layerproof {name} {version}".encode()).hexdigest()


def source_config(directory: str) -> str:
    """Return cargo configuration that takes crates.io's crates from `directory`."""
    return (
        '[source.crates-io]\nreplace-with = "vendored"\n\n'
        f'[source.vendored]\ndirectory = "{directory}"\n'
    )


def tree() -> Tree:
    """Return every version of every crate, as a directory source without a parent folder."""
    files: dict[str, File] = {}
    for kind in KINDS:
        for version in VERSIONS:
            for path, text in _crate(kind, version).items():
                files[f"{kind.name}-{version}/{path}"] = File(text.encode())
    return files


def _crate(kind: Kind, version: str) -> dict[str, str]:
    manifest = (
        f'[package]\nname = "{kind.name}"\nversion = "{version}"\nedition = "2021"\n\n'
        "[features]\nloud = []\n"
    )
    if kind.host:
        manifest += "\n[lib]\nproc-macro = true\n"
    if kind.needs:
        manifest += "\n[dependencies]\n" + "".join(f'{need} = "1"\n' for need in kind.needs)
    files = {
        "Cargo.toml": manifest,
        ".cargo-checksum.json": f'{{"files":{{}},"package":"{checksum(kind.name, version)}"}}',
        "src/lib.rs": _library(kind, version),
    }
    if kind.build_script:
        files["build.rs"] = (
            f'fn main() {{ println!("cargo:rustc-env=BUILT={kind.name}-{version}"); }}\n'
        )
    return files


def _library(kind: Kind, version: str) -> str:
    quiet = f'"{kind.name}-{version}"'
    loud = f'"{kind.name.upper()}-{version}"'
    if kind.host:
        return (
            "use proc_macro::TokenStream;\n\n#[proc_macro]\n"
            "pub fn value(_: TokenStream) -> TokenStream {\n"
            f'    let own = if cfg!(feature = "loud") {{ {loud} }} else {{ {quiet} }};\n'
            '    format!("{own:?}").parse().unwrap()\n}\n'
        )
    if kind.build_script:
        quiet = 'env!("BUILT")'
    own = f'if cfg!(feature = "loud") {{ {loud} }} else {{ {quiet} }}'
    if kind.needs:
        needs = ", ".join(f"{need}::value()" for need in kind.needs)
        holes = ", ".join("{}" for _ in kind.needs)
        return f'pub fn value() -> String {{\n    format!("{{}}({holes})", {own}, {needs})\n}}\n'
    return f"pub fn value() -> String {{\n    String::from({own})\n}}\n"
