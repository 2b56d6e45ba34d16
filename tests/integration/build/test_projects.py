"""What a cargo project can be: each is built, its dependencies once, and its own sources win."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest

from harness.model import BuildObservation
from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout, compiled, executed

Open = Callable[..., AbstractContextManager[Checkout]]
ONE = '[dependencies]\none = "1"\n'
VENDORED = {**cargo.vendored("one", 1, uses=["two"]), **cargo.vendored("two", 2)}
MACRO = (
    "use proc_macro::TokenStream;\n#[proc_macro]\n"
    "pub fn value(_: TokenStream) -> TokenStream { one::value().to_string().parse().unwrap() }\n"
)


@dataclass(frozen=True)
class Case:
    """A project, what its program prints, and which crates its build stage compiles."""

    name: str
    files: Mapping[str, str]
    prints: str = "app 3"
    own: tuple[str, ...] = ("app",)
    arguments: Mapping[str, str] = field(default_factory=dict)


MAIN = {"src/main.rs": cargo.program("app", prints="one::value()")}
SHAPES = [
    Case(
        "workspace with globs, a library member and inherited dependencies",
        {
            "Cargo.toml": (
                '[workspace]\nmembers = ["crates/*"]\nresolver = "2"\n'
                '[workspace.package]\nversion = "0.1.0"\nedition = "2021"\n'
                '[workspace.dependencies]\none = "1"\nshared = { path = "crates/shared" }\n'
            ),
            **cargo.package(
                "crates/app",
                {
                    "Cargo.toml": (
                        '[package]\nname = "app"\nversion.workspace = true\n'
                        "edition.workspace = true\n[dependencies]\nshared.workspace = true\n"
                    ),
                    "src/main.rs": cargo.program("app", prints="shared::value()"),
                },
            ),
            **cargo.package(
                "crates/shared",
                {
                    "Cargo.toml": cargo.manifest(
                        "shared", more="[dependencies]\none = { workspace = true }\n"
                    ),
                    "src/lib.rs": cargo.library(0, uses=["one"]),
                },
            ),
        },
        own=("app", "shared"),
    ),
    Case(
        "named targets without a path, and such as lie elsewhere",
        {
            "Cargo.toml": cargo.manifest(
                "app",
                more=(
                    'default-run = "app"\nbuild = "tools/script.rs"\n'
                    '[lib]\nname = "core_of_it"\npath = "lib/core.rs"\n'
                    '[[bin]]\nname = "app"\npath = "programs/app.rs"\n'
                    '[[bin]]\nname = "second"\nrequired-features = ["never"]\n'
                    '[[example]]\nname = "shown"\n[[test]]\nname = "checked"\n'
                    '[[bench]]\nname = "timed"\nharness = false\n'
                    f"[features]\nnever = []\n{ONE}"
                ),
            ),
            "tools/script.rs": "fn main() {}\n",
            "lib/core.rs": cargo.library(0, uses=["one"]),
            "programs/app.rs": cargo.program("app", prints="core_of_it::value()"),
            "src/bin/second/main.rs": 'compile_error!("not asked for");\n',
            "examples/shown.rs": "fn main() {}\n",
            "tests/checked.rs": "",
            "benches/timed.rs": "fn main() {}\n",
        },
    ),
    Case(
        "build script with build-dependencies, which writes beside the source",
        {
            "Cargo.toml": cargo.manifest("app", more='[build-dependencies]\none = "1"\n'),
            "build.rs": (
                "fn main() {\n"
                '    std::fs::write("src/made.rs", format!("{}", one::value())).unwrap();\n}\n'
            ),
            "src/main.rs": cargo.program("app", prints='include!("made.rs")'),
        },
    ),
    Case(
        "procedural macro of the workspace",
        {
            "Cargo.toml": cargo.manifest(
                "app",
                more=(
                    '[workspace]\nmembers = ["macros"]\n'
                    '[dependencies]\nmacros = { path = "macros" }\n'
                ),
            ),
            "src/main.rs": cargo.program("app", prints="macros::value!()"),
            **cargo.package(
                "macros",
                {
                    "Cargo.toml": cargo.manifest("macros", more=f"[lib]\nproc-macro = true\n{ONE}"),
                    "src/lib.rs": MACRO,
                },
            ),
        },
        own=("app", "macros"),
    ),
    Case(
        "path dependencies without a workspace, one of them nested",
        {
            "Cargo.toml": cargo.manifest(
                "app", more='[dependencies]\nhelper = { path = "libs/helper" }\n'
            ),
            "src/main.rs": cargo.program("app", prints="helper::value()"),
            **cargo.package(
                "libs/helper",
                {
                    "Cargo.toml": cargo.manifest(
                        "helper", more=f'{ONE}[dependencies.inner]\npath = "inner"\n'
                    ),
                    "src/lib.rs": cargo.library(0, uses=["one", "inner"]),
                    "inner/Cargo.toml": cargo.manifest("inner"),
                    "inner/src/lib.rs": cargo.library(0),
                },
            ),
        },
        own=("app", "helper", "inner"),
    ),
    Case(
        "dependencies that only tests, or only other platforms, have",
        {
            "Cargo.toml": cargo.manifest(
                "app",
                more=(
                    f'{ONE}[dev-dependencies]\ntester = {{ path = "tester" }}\n'
                    "[target.'cfg(windows)'.dependencies]\nabsent = \"1\"\n"
                ),
            ),
            **MAIN,
            **cargo.vendored("absent", 9),
            **cargo.package(
                "tester",
                {"Cargo.toml": cargo.manifest("tester"), "src/lib.rs": 'compile_error!("no");\n'},
            ),
        },
    ),
    Case(
        "lints that deny what a stand-in might do",
        {
            "Cargo.toml": cargo.manifest(
                "app",
                more=(
                    f'{ONE}[lints.rust]\nmissing_docs = "deny"\ndead_code = "forbid"\n'
                    'unused_crate_dependencies = "forbid"\n'
                ),
            ),
            "src/main.rs": "//! Documented.\n" + MAIN["src/main.rs"],
        },
    ),
    Case(
        "manifest in the less common spellings",
        {
            "Cargo.toml": (
                'package = { name = "app", version = "0.1.0", edition = "2021" }\n'
                "dependencies.one = '1'\n"
                "lib = { path = 'lib.rs' }\n"
                'bin = [{ name = "app", path = "app.rs" }]\n'
            ),
            "lib.rs": cargo.library(0, uses=["one"]),
            "app.rs": cargo.program("app", prints="app::value()"),
        },
    ),
    Case(
        "description over many lines that looks like a manifest",
        {
            "Cargo.toml": cargo.manifest(
                "app",
                more=(
                    'description = """\n[lib]\npath = "nowhere.rs"\n[[bin]]\nname = "no"\n"""\n'
                    f'keywords = [\n  "a", # [lib]\n  "b",\n]\n{ONE}'
                ),
            ),
            **MAIN,
        },
    ),
    Case(
        "binary of a member that cargo does not build unasked",
        {
            "Cargo.toml": cargo.manifest("root", more='[workspace]\nmembers = ["app"]\n'),
            "src/lib.rs": "",
            **cargo.package("app", {"Cargo.toml": cargo.manifest("app", more=ONE), **MAIN}),
        },
        arguments={"BIN": "app"},
    ),
    Case(
        "one of several binaries, asked for by a flag of cargo's",
        {
            "Cargo.toml": cargo.manifest("app", more=ONE),
            **MAIN,
            "src/bin/other.rs": 'compile_error!("not asked for");\n',
        },
        arguments={"CARGO_FLAGS": "--release --bin app"},
    ),
    Case(
        "one of several binaries, which is the one that cargo runs by default",
        {
            "Cargo.toml": cargo.manifest("root", more=f'default-run = "app"\n{ONE}'),
            "src/bin/app.rs": MAIN["src/main.rs"],
            "src/bin/other.rs": cargo.program("other"),
        },
        own=("root",),
    ),
    Case(
        "package and source with names that need care",
        {
            "Cargo.toml": '[workspace]\nmembers = ["some crates/*"]\nresolver = "2"\n',
            **cargo.package(
                "some crates/it's app", {"Cargo.toml": cargo.manifest("app", more=ONE), **MAIN}
            ),
        },
    ),
]


def once(seen: BuildObservation, own: tuple[str, ...]) -> None:
    """Assert that dependencies were compiled in their stage and the own crates in the build."""
    assert seen.succeeded, f"{seen.error}\n{seen.log}"
    assert {"one", "two"} <= set(compiled(seen, "dependencies"))
    assert compiled(seen, "build") == own


@pytest.mark.parametrize("case", SHAPES, ids=lambda case: case.name)
def test_a_project_is_built_and_each_dependency_once(checkout: Open, case: Case) -> None:
    with checkout(cargo.tree(VENDORED, case.files)) as project:
        seen = project.build(**case.arguments)
        once(seen, case.own)
        assert project.answer(seen) == case.prints


def test_an_edit_of_a_path_dependency_reuses_the_dependencies(checkout: Open) -> None:
    case = next(case for case in SHAPES if case.name.startswith("path dependencies"))
    with checkout(cargo.tree(VENDORED, case.files)) as project:
        project.build()
        changed = {"libs/helper/inner/src/lib.rs": cargo.library(40)}
        project.edit(cargo.edit(changed), old=True)
        seen = project.build()
        assert project.answer(seen) == "app 43"
        assert "dependencies" not in executed(seen)


@pytest.mark.parametrize("member", [True, False], ids=["of the workspace", "beside it"])
def test_a_patched_crate_is_compiled_for_the_crates_that_use_it(
    checkout: Open, member: bool
) -> None:
    workspace = '[workspace]\nmembers = ["patched"]\n' if member else ""
    patch = '[patch.crates-io]\ntwo = { path = "patched" }\n'
    files = {
        "Cargo.toml": cargo.manifest("app", more=ONE + workspace + patch),
        **MAIN,
        **cargo.package(
            "patched",
            {
                "Cargo.toml": cargo.manifest(
                    "two", version="1.0.9", more='[dependencies]\nbelow = { path = "below" }\n'
                ),
                "src/lib.rs": cargo.library(20, uses=["below"]),
                "below/Cargo.toml": cargo.manifest("below"),
                "below/src/lib.rs": cargo.library(300),
            },
        ),
    }
    with checkout(cargo.tree(VENDORED, files)) as project:
        seen = project.build()
        once(seen, ("app",))
        assert project.answer(seen) == "app 321"
        project.edit(cargo.edit({"src/main.rs": cargo.program("v", prints="one::value()")}))
        seen = project.build()
        assert project.answer(seen) == "v 321"
        assert "dependencies" not in executed(seen)
        project.edit(cargo.edit({"patched/below/src/lib.rs": cargo.library(400)}), old=True)
        seen = project.build()
        once(seen, ("app",))
        assert project.answer(seen) == "v 421"


def test_without_a_lock_file_the_build_says_so_and_writes_none(checkout: Open) -> None:
    files = {"Cargo.toml": cargo.manifest("app", more=ONE), **MAIN}
    with checkout(cargo.tree(VENDORED, files)) as project:
        seen = project.build()
        assert "[WARNING] There is no Cargo.lock" in seen.log
        assert not (project.workspace.context / "Cargo.lock").exists()


def test_a_lock_file_that_lags_behind_is_completed_for_the_build_alone(checkout: Open) -> None:
    files = cargo.simple()
    files["Cargo.lock"] = cargo.lock({"app": []})
    with checkout(cargo.tree(files)) as project:
        seen = project.build()
        assert project.answer(seen) == "app 13"
        assert "[WARNING] Cargo.lock does not fit Cargo.toml" in seen.log
        assert (project.workspace.context / "Cargo.lock").read_text() == files["Cargo.lock"]


def test_a_lock_file_that_fits_is_not_remarked_upon(checkout: Open) -> None:
    with checkout(cargo.tree(cargo.simple())) as project:
        assert "WARNING" not in project.build().log


def test_a_branch_switch_and_back_gives_each_branch_its_own_program(checkout: Open) -> None:
    files = cargo.simple()
    with checkout(cargo.tree(files)) as project:
        first = project.build()
        other = {
            "Cargo.toml": files["Cargo.toml"].replace("one", "two"),
            "src/main.rs": cargo.program("branch", prints="two::value()"),
        }
        project.edit(cargo.edit(other), old=True)
        assert project.answer(project.build()) == "branch 2"
        back = {path: files[path] for path in other}
        project.edit(cargo.edit(back), old=True)
        again = project.build()
        assert project.answer(again) == "app 13"
        assert again.image_id == first.image_id
