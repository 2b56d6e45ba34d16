"""What a build refuses: in words that say what was expected, what was found and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytest

from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout, executed

Open = Callable[..., AbstractContextManager[Checkout]]


@dataclass(frozen=True)
class Refusal:
    """A project that is not built, and lines of what is said about it."""

    name: str
    files: Mapping[str, str]
    says: tuple[str, ...]
    arguments: Mapping[str, str] = field(default_factory=dict)


APP = {"Cargo.toml": cargo.manifest("app"), "src/main.rs": cargo.program("app")}
TWO = {**APP, "src/bin/other.rs": cargo.program("other")}
NEWER = {
    **APP,
    "src/main.rs": (
        'unsafe extern "C" { fn arc4random() -> u32; }\n'
        'fn main() { println!("{}", unsafe { arc4random() }); }\n'
    ),
}
REFUSALS = [
    Refusal(
        "no cargo project",
        {"README.md": "nothing\n"},
        (
            "[ERROR] The build context is not a cargo project.",
            "  expected: Cargo.toml in the root of the context",
            "  hint: build in the root of the project",
        ),
    ),
    Refusal(
        "a manifest that does not parse",
        {**APP, "Cargo.toml": "[package\n"},
        ("[ERROR] The dependencies cannot be resolved; cargo says why above.", "Cargo.toml:1:"),
    ),
    Refusal(
        "a compile error",
        {**APP, "src/main.rs": "fn main() { missing(); }\n"},
        (
            "error[E0425]: cannot find function `missing` in this scope",
            "[ERROR] The project does not compile; cargo says why above.",
        ),
    ),
    Refusal(
        "a dependency that does not compile",
        {
            **cargo.simple(),
            "vendor/two/src/lib.rs": 'compile_error!("two is broken");\n',
        },
        (
            "two is broken",
            "[ERROR] The dependencies do not compile; cargo says why above.",
        ),
    ),
    Refusal(
        "a dependency that is nowhere",
        {
            **cargo.simple(),
            "Cargo.toml": cargo.manifest("app", more='[dependencies]\nnone = "1"\n'),
        },
        (
            "`none`",
            "[WARNING] The dependencies cannot be resolved: clearing the dependency cache",
            "[ERROR] The dependencies cannot be resolved; cargo says why above.",
        ),
    ),
    Refusal(
        "no binary target",
        {"Cargo.toml": cargo.manifest("app"), "src/lib.rs": ""},
        (
            "[ERROR] The project has no binary target, so there is nothing to deploy.",
            "  found: lib app,",
        ),
    ),
    Refusal(
        "a binary that is not there",
        TWO,
        (
            "[ERROR] The project has no binary called nobody.",
            "  expected: one of: app other",
            "  found: BIN=nobody",
        ),
        {"BIN": "nobody"},
    ),
    Refusal(
        "several binaries in one image",
        TWO,
        (
            "[ERROR] The project has several binaries, and the image runs one.",
            "  found: app other",
            "  hint: name one: --build-arg BIN=NAME",
        ),
    ),
    Refusal(
        "two packages with a binary of one name",
        {
            "Cargo.toml": '[workspace]\nmembers = ["a", "b"]\nresolver = "2"\n',
            "a/Cargo.toml": cargo.manifest("a", more='[[bin]]\nname = "same"\npath = "main.rs"\n'),
            "a/main.rs": cargo.program("a"),
            "b/Cargo.toml": cargo.manifest("b", more='[[bin]]\nname = "same"\npath = "main.rs"\n'),
            "b/main.rs": cargo.program("b"),
        },
        (
            "[ERROR] Several packages have a binary of the same name",
            "  found: same",
        ),
    ),
    Refusal(
        "a glibc that the runtime does not have",
        NEWER,
        (
            "[ERROR] app needs a newer glibc than the runtime has: it would not start.",
            "  expected: GLIBC_2.34 at most (GLIBC_MAX)",
            "  found: GLIBC_2.36 for arc4random@GLIBC_2.36",
        ),
    ),
    Refusal(
        "a runtime that is older than the default",
        APP,
        ("  expected: GLIBC_2.26 at most (GLIBC_MAX)",),
        {"GLIBC_MAX": "2.26"},
    ),
    Refusal(
        "a target that the build image lacks",
        APP,
        (
            "[ERROR] The build image cannot compile for the target aarch64-unknown-linux-gnu.",
            "  hint: install the target in the build image: "
            "rustup target add aarch64-unknown-linux-gnu",
        ),
        {"TARGET": "aarch64-unknown-linux-gnu"},
    ),
    Refusal(
        "another architecture than asked for",
        APP,
        (
            "[ERROR] app is of another architecture than asked for.",
            "  expected: AArch64 (arm64)",
            "  found: Advanced Micro Devices X86-64",
        ),
        {"TARGETARCH": "arm64"},
    ),
    Refusal(
        "a library that the runtime image lacks",
        {
            **APP,
            "build.rs": (
                "use std::process::Command;\nfn main() {\n"
                '    let out = std::env::var("OUT_DIR").unwrap();\n'
                '    let source = format!("{out}/own.c");\n'
                '    std::fs::write(&source, "int own(void) { return 7; }").unwrap();\n'
                '    let name = format!("{out}/libown.so");\n'
                '    let args = ["-shared", "-Wl,-soname,libown.so", "-o", &name, &source];\n'
                '    assert!(Command::new("cc").args(args).status().unwrap().success());\n'
                '    println!("cargo:rustc-link-search={out}");\n'
                '    println!("cargo:rustc-link-lib=dylib=own");\n}\n'
            ),
            "src/main.rs": (
                'unsafe extern "C" { fn own() -> i32; }\n'
                'fn main() { println!("{}", unsafe { own() }); }\n'
            ),
        },
        (
            "[ERROR] The runtime image lacks a library that the binary needs: it would not start.",
            "  expected: libown.so",
        ),
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_build_that_cannot_succeed_says_why(checkout: Open, refusal: Refusal) -> None:
    with checkout(cargo.tree(refusal.files)) as project:
        seen = project.build(**refusal.arguments)
        assert not seen.succeeded
        for line in refusal.says:
            assert line in seen.log


def test_after_an_error_is_mended_only_the_project_is_compiled(checkout: Open) -> None:
    files = cargo.simple()
    with checkout(cargo.tree({**files, "src/main.rs": "fn main() { no }\n"})) as project:
        assert not project.build().succeeded
        project.edit(cargo.edit({"src/main.rs": files["src/main.rs"]}))
        seen = project.build()
        assert project.answer(seen) == "app 13"
        assert "dependencies" not in executed(seen)


def test_a_higher_limit_lets_a_newer_glibc_pass_and_compiles_no_dependency(checkout: Open) -> None:
    with checkout(cargo.tree(NEWER)) as project:
        assert not project.build(target="build").succeeded
        seen = project.build(target="build", GLIBC_MAX="2.36")
        assert seen.succeeded
        assert "dependencies" not in executed(seen)
