"""Which edit runs which stage, and which crates are compiled where."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout, compiled, executed

Open = Callable[..., AbstractContextManager[Checkout]]


def test_dependencies_are_compiled_in_their_layer_and_the_project_in_the_build(
    checkout: Open,
) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        seen = project.build()
        assert project.answer(seen) == "app 13"
        assert compiled(seen, "dependencies") == ("app", "one", "two")
        assert compiled(seen, "build") == ("app",)


def test_nothing_changed_executes_nothing(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        first, second = project.build(), project.build()
        assert executed(second) == ()
        assert second.image_id == first.image_id


def test_a_source_edit_compiles_the_project_alone_however_old_the_file(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        project.build()
        word = secrets.token_hex(4)  # an engine that has built the same program would reuse it
        source = cargo.program(word, prints="one::value()")
        project.edit(cargo.edit({"src/main.rs": source}), old=True)
        seen = project.build()
        assert project.answer(seen) == f"{word} 3"
        assert executed(seen) == ("planner", "build", "runnable", "runtime")
        assert compiled(seen, "build") == ("app",)


def test_the_build_stage_finds_what_the_compiler_said_of_itself(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        file = project.workspace.dockerfile
        told = "ENV CARGO_LOG=cargo::util::rustc=debug\nWORKDIR /src\n"
        file.write_text(file.read_text().replace("WORKDIR /src\n", told, 1))
        seen = project.build()
        logs = {
            vertex.stage: vertex.log for vertex in seen.vertices if "cargo build" in vertex.name
        }
        assert "rustc info cache miss" in logs["dependencies"]
        assert "rustc info cache hit" in logs["build"]
        assert "rustc info cache miss" not in logs["build"]


@pytest.mark.parametrize(
    "files",
    [
        {"src/bin/other.rs": cargo.program("other")},
        {"examples/show.rs": cargo.program("show")},
        {"benches/fast.rs": cargo.program("fast")},
        {"tests/all.rs": "#[test]\nfn passes() {}\n"},
        {"build.rs": "fn main() {}\n"},
        {"src/lib.rs": cargo.library(1)},
        {"src/target/mod.rs": cargo.library(1)},
        {"docs/Cargo.toml.md": "no manifest\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_a_new_target_reuses_the_dependencies(checkout: Open, files: dict[str, str]) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        project.build()
        project.edit(cargo.edit(files))
        seen = project.build(BIN="app")
        assert project.answer(seen) == "app 13"
        assert "dependencies" not in executed(seen)
        assert compiled(seen, "build") == ("app",)


@pytest.mark.parametrize(
    "more",
    ["# a comment\n", "[profile.dev]\nopt-level = 1\n", "[features]\nnew = []\n"],
)
def test_a_manifest_edit_rebuilds_the_layer_but_no_dependency(checkout: Open, more: str) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        project.build()
        project.edit(cargo.edit({"Cargo.toml": files["Cargo.toml"] + more}))
        seen = project.build()
        assert project.answer(seen) == "app 13"
        assert "dependencies" in executed(seen)
        assert {"one", "two"}.isdisjoint(compiled(seen, "dependencies") + compiled(seen, "build"))


def test_a_bump_of_the_own_version_compiles_no_dependency(checkout: Open) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        project.build()
        bumped = {
            "Cargo.toml": files["Cargo.toml"].replace("0.1.0", "0.2.0"),
            "src/main.rs": cargo.program("v", prints='env!("CARGO_PKG_VERSION")'),
        }
        project.edit(cargo.edit(bumped))
        seen = project.build()
        assert project.answer(seen) == "v 0.2.0"
        assert {"one", "two"}.isdisjoint(compiled(seen, "dependencies") + compiled(seen, "build"))


def test_an_added_dependency_compiles_that_one_alone(checkout: Open) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        project.build()
        added = {
            "Cargo.toml": files["Cargo.toml"] + 'three = "1"\n',
            "Cargo.lock": cargo.lock(
                {"app": ["one", "three"], "one": ["two"], "three": [], "two": []}
            ),
            "src/main.rs": cargo.program("app", prints="one::value() + three::value()"),
            **cargo.vendored("three", 3),
        }
        project.edit(cargo.edit(added))
        seen = project.build()
        assert project.answer(seen) == "app 6"
        assert compiled(seen, "dependencies") == ("app", "three")
        assert compiled(seen, "build") == ("app",)


def test_a_vendored_crate_that_changed_under_its_version_is_compiled_again(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        project.build()
        project.edit(cargo.edit({"vendor/two/src/lib.rs": cargo.library(20)}), old=True)
        seen = project.build()
        assert project.answer(seen) == "app 31"
        assert {"one", "two"} <= set(compiled(seen, "dependencies"))
        assert compiled(seen, "build") == ("app",)


def test_a_profile_edit_compiles_the_dependencies_again_once(checkout: Open) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        project.build()
        profile = files["Cargo.toml"] + "[profile.release]\nopt-level = 1\n"
        project.edit(cargo.edit({"Cargo.toml": profile}))
        seen = project.build()
        assert {"one", "two"} <= set(compiled(seen, "dependencies"))
        assert compiled(seen, "build") == ("app",)


@pytest.mark.parametrize(
    ("arguments", "lto"),
    [
        ({}, "true"),
        ({"PROFILE": "dev"}, "false"),
        ({"PROFILE": "lean"}, '"thin"'),
        ({"FEATURES": "loud quiet"}, '"thin"'),
        ({"CARGO_FLAGS": "--all-features --release --config profile.release.lto=true"}, "false"),
        ({"TARGET": "x86_64-unknown-linux-gnu"}, "true"),
    ],
    ids=str,
)
def test_both_stages_compile_by_the_same_arguments(
    checkout: Open, arguments: dict[str, str], lto: str
) -> None:
    files = cargo.simple()
    files["Cargo.toml"] += (
        "[features]\nloud = []\nquiet = []\n"
        f"[profile.release]\nlto = {lto}\n[profile.lean]\ninherits = 'release'\nstrip = true\n"
        '[lib]\ncrate-type = ["cdylib", "rlib"]\n'
    )
    files["src/lib.rs"] = cargo.library(4, uses=["one"])
    files["src/main.rs"] = cargo.program("app", prints="app::value()")
    with checkout(cargo.tree(files)) as project:
        seen = project.build(**arguments)
        assert project.answer(seen) == "app 7"
        assert {"one", "two"} <= set(compiled(seen, "dependencies"))
        assert compiled(seen, "build") == ("app",)


def test_flags_of_the_cargo_configuration_reach_both_stages(checkout: Open) -> None:
    files = cargo.simple()
    files[".cargo/config.toml"] += '[build]\nrustflags = ["--cfg", "configured"]\n'
    files["src/main.rs"] = cargo.program("app", prints="cfg!(configured)")
    files["vendor/one/src/lib.rs"] = "#[cfg(configured)]\npub fn value() -> i64 { 1 }\n"
    with checkout(cargo.tree(files)) as project:
        seen = project.build()
        assert project.answer(seen) == "app true"
        assert compiled(seen, "build") == ("app",)
