"""Cargo projects written out by hand, as trees: what a manifest can say is the point here.

Registry crates lie in `vendor/`, a directory source. Every crate answers `value()` with a number of
its own plus those of the crates it uses, so that a binary's output tells what was linked into it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.model import Edit, EditClass, Entry, File, Tree

CONFIG = '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n'
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def tree(*parts: Mapping[str, str]) -> Tree:
    """Return the files of all parts; later ones go before earlier ones."""
    return {path: File(text.encode()) for part in parts for path, text in part.items()}


def edit(changes: Mapping[str, str | None]) -> Edit:
    """Return an edit that writes texts, or removes files where the text is None."""
    entries: dict[str, Entry | None] = {
        path: None if text is None else File(text.encode()) for path, text in changes.items()
    }
    return Edit(EditClass.SOURCE, ", ".join(changes), entries)


def manifest(name: str, *, version: str = "0.1.0", more: str = "") -> str:
    """Return a manifest; `more` follows its [package] table's first lines."""
    return f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2021"\n{more}'


def library(number: int, *, uses: Sequence[str] = ()) -> str:
    """Return a lib.rs whose value() is `number` plus the values of the crates it uses."""
    sum_ = "".join(f" + {name}::value()" for name in uses)
    return f"pub fn value() -> i64 {{ {number}{sum_} }}\n"


def program(text: str, *, prints: str = "0") -> str:
    """Return a main.rs that prints `text` and an expression."""
    return f'fn main() {{ println!("{text} {{}}", {prints}); }}\n'


def package(directory: str, files: Mapping[str, str]) -> dict[str, str]:
    """Return files below a directory."""
    return {f"{directory}/{path}": text for path, text in files.items()}


def vendored(
    name: str,
    number: int,
    *,
    version: str = "1.0.0",
    uses: Sequence[str] = (),
    more: str = "",
) -> dict[str, str]:
    """Return a registry crate in vendor/, and the configuration that finds it there."""
    needs = "[dependencies]\n" + "".join(f'{used} = "1"\n' for used in uses) if uses else ""
    files = {
        "Cargo.toml": manifest(name, version=version, more=more + needs),
        ".cargo-checksum.json": '{"files":{}}',
        "src/lib.rs": library(number, uses=uses),
    }
    return {".cargo/config.toml": CONFIG, **package(f"vendor/{name}", files)}


def lock(packages: Mapping[str, Sequence[str]], *, own: Sequence[str] = ("app",)) -> str:
    """Return a lock file: packages by name, `own` ones 0.1.0, those of the registry 1.0.0."""
    text = "version = 3\n"
    for name, needs in sorted(packages.items()):
        text += f'\n[[package]]\nname = "{name}"\n'
        text += (
            'version = "0.1.0"\n' if name in own else f'version = "1.0.0"\nsource = "{REGISTRY}"\n'
        )
        if needs:
            text += "dependencies = [\n" + "".join(f' "{need}",\n' for need in needs) + "]\n"
    return text


def simple() -> dict[str, str]:
    """Return one package, `app`, that prints `app 13` by means of two registry crates."""
    return {
        "Cargo.toml": manifest("app", more='[dependencies]\none = "1"\n'),
        "Cargo.lock": lock({"app": ["one"], "one": ["two"], "two": []}),
        "src/main.rs": program("app", prints="one::value() + 10"),
        **vendored("one", 1, uses=["two"]),
        **vendored("two", 2),
    }
