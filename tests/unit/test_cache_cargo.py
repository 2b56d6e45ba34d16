"""What the `@`-names of a declaration stand for."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.keys.cargo import computed_set
from harness.keys.context import of_tree
from harness.model import Entry, File

TREE: dict[str, Entry] = {
    "Cargo.toml": File(
        b'[workspace]\nmembers = ["crates/*"]\nexclude = ["crates/odd"]\n'
        b'[workspace.dependencies]\nshared = { path = "outside/shared" }\n'
        b'[patch.crates-io]\ntiny = { path = "patched/tiny" }\n'
    ),
    "crates/app/Cargo.toml": File(
        b'[dependencies]\nlib = { path = "../lib" }\nfar = { path = "../../outside/far" }\n'
    ),
    "crates/app/src/main.rs": File(b""),
    "crates/lib/Cargo.toml": File(b"[package]\n"),
    "crates/odd/Cargo.toml": File(b"not toml ["),
    "outside/far/Cargo.toml": File(b"[package]\n"),
    "outside/far/src/lib.rs": File(b""),
    "outside/shared/Cargo.toml": File(b"[package]\n"),
    "patched/tiny/Cargo.toml": File(
        b"[dependencies]\nshared = { workspace = true }\n"
        b'[dev-dependencies]\nx = { path = "../x" }\n'
    ),
    "patched/x/Cargo.toml": File(b"[package]\n"),
    ".cargo/config.toml": File(b'[source.vendored]\ndirectory = "vendor"\n'),
    "vendor/one/Cargo.toml": File(b"[package]\n"),
}


def files(name: str) -> set[str]:
    context = of_tree(TREE)
    return {p for p in computed_set(name, context) if context.records[p].kind == "file"}


def test_path_dependencies_are_those_outside_the_workspace() -> None:
    assert files("@cargo-path-dependencies") >= {"outside/far/Cargo.toml", "outside/far/src/lib.rs"}
    assert not any(path.startswith("crates/") for path in files("@cargo-path-dependencies"))


def test_patched_crates_bring_what_they_are_compiled_with() -> None:
    assert files("@cargo-patched-crates") == {
        "patched/tiny/Cargo.toml",
        "outside/shared/Cargo.toml",
    }


def test_directory_sources_are_those_of_the_configuration() -> None:
    assert files("@cargo-directory-sources") == {"vendor/one/Cargo.toml"}


def test_another_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="@cargo-directory-sources, @cargo-patched-crates"):
        computed_set("@cargo-everything", of_tree(TREE))
