"""What each stage is for is told from the graph and the commands, whatever it is called."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from harness import dockerfile
from harness.errors import UsageError
from harness.model import Dockerfile
from harness.structure import roles
from harness.structure.roles import Role

ROOT = Path(__file__).parents[2]
DESIGNS = ROOT / "fixtures" / "dockerfiles" / "designs"


def _design(name: str) -> Dockerfile:
    return dockerfile.load(DESIGNS / f"{name}.Dockerfile")


def _names(parsed: Dockerfile) -> dict[str, str]:
    found = roles.infer(parsed)
    return {
        stage.name or str(stage.index): " ".join(sorted(r.value for r in found.of(stage)))
        for stage in parsed.stages
    }


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (
            "chef",
            {
                "chef": "base",
                "planner": "planner",
                "builder": "build dependencies",
                "runtime": "runtime",
            },
        ),
        (
            "stubs",
            {"toolchain": "base", "deps": "dependencies", "compile": "build", "3": "runtime"},
        ),
        ("musl", {"builder": "base build dependencies", "1": "runtime"}),
        (
            "cargo-lambda",
            {
                "base": "base",
                "dependencies": "dependencies",
                "build": "build",
                "package": "package",
                "runtime": "runtime",
            },
        ),
        (
            "several-binaries",
            {
                "base": "base",
                "manifests": "planner",
                "dependencies": "dependencies",
                "build": "build",
                "slim": "runtime",
                "api": "runtime",
                "worker": "runtime",
            },
        ),
        (
            "cache-mounts",
            {
                "base": "base",
                "recipe": "planner",
                "cooked": "base dependencies",
                "compiled": "build",
                "4": "runtime",
            },
        ),
    ],
)
def test_each_common_design_is_understood(design: str, expected: dict[str, str]) -> None:
    assert _names(_design(design)) == expected


@pytest.mark.parametrize("path", sorted(DESIGNS.iterdir()), ids=lambda p: p.stem)
def test_names_of_stages_do_not_matter(path: Path) -> None:
    """The roles are the same when every stage is called something meaningless."""
    parsed = dockerfile.load(path)
    text = parsed.text
    for stage in parsed.stages:
        if stage.name:
            text = re.sub(rf"(AS |FROM |from=){stage.name}\b(?![-/:.])", rf"\1x{stage.index}", text)
    renamed = roles.infer(dockerfile.parse(text))
    assert renamed.stages == roles.infer(parsed).stages
    assert renamed.lines == roles.infer(parsed).lines


def test_our_own_dockerfile_has_every_role_under_its_name() -> None:
    parsed = dockerfile.load(ROOT / "Dockerfile.optimized")
    found = roles.infer(parsed)
    for role in (r for r in Role if r is not Role.OTHER):
        stage = found.stage(role)
        assert stage is not None
        assert stage.name == role.value


def test_our_own_stages_hand_on_nothing_from_the_root_of_their_image() -> None:
    """The engine walks the directory beside what is copied: from the root, the whole image."""
    parsed = dockerfile.load(ROOT / "Dockerfile.optimized")
    names = {stage.name for stage in parsed.stages}
    handed_on = [
        (copied.line, source)
        for stage in parsed.stages
        for copied in stage.instructions
        if copied.keyword == "COPY" and copied.flag("from") in names
        for source in copied.value.split()[:-1]
    ]
    assert handed_on
    assert [found for found in handed_on if PurePosixPath(found[1]).parent.name == ""] == []


def test_instructions_of_one_stage_have_roles_of_their_own() -> None:
    found = roles.infer(_design("chef"))
    assert [i.value for i in found.instructions(Role.DEPENDENCIES)] == [
        "/app/recipe.json recipe.json",
        "cargo chef cook --release --recipe-path recipe.json",
    ]
    assert [i.keyword for i in found.instructions(Role.BUILD)] == ["COPY", "RUN"]


def test_a_single_stage_has_no_dependency_layer() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85\nWORKDIR /a\nCOPY . .\nRUN cargo build --release\n"
        'CMD ["/a/target/release/a"]\n'
    )
    found = roles.infer(parsed)
    assert found.of(parsed.stages[0]) == {Role.BASE, Role.BUILD, Role.RUNTIME}
    assert found.stage(Role.DEPENDENCIES) is None


def test_a_cache_mount_alone_is_no_dependency_layer() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS b\nCOPY . /a\n"
        "RUN --mount=type=cache,target=/a/target cargo build -r && cp /a/target/release/a /a.bin\n"
        "FROM debian:12\nCOPY --from=b /a.bin /a\n"
    )
    assert roles.infer(parsed).stage(Role.DEPENDENCIES) is None


def test_dependencies_may_be_compiled_in_a_stage_that_is_only_copied_from() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS a\nCOPY . .\nRUN cargo chef prepare\n"
        "FROM rust:1.85 AS b\nCOPY --from=a /recipe.json .\nRUN cargo chef cook -r\n"
        "FROM rust:1.85 AS c\nCOPY . .\nCOPY --from=b /target target\nRUN cargo build -r\n"
        "FROM debian:12 AS d\nCOPY --from=c /target/release/a /a\n"
    )
    assert _names(parsed) == {"a": "planner", "b": "dependencies", "c": "build", "d": "runtime"}


def test_what_compiles_with_more_of_the_project_than_before_is_the_build() -> None:
    split = (
        "FROM rust AS split\nCOPY . .\nRUN ./split.sh\n"
        "FROM rust AS outline\nCOPY --from=split /outline .\nRUN cargo build --release\n"
        "FROM outline AS members\n"
        "RUN --mount=from=split,source=/members,target=/m cp -r /m/. . && cargo {}\n"
        "FROM members AS whole\nCOPY --from=split /own .\nRUN cargo build --release\n"
        "FROM debian AS run\nCOPY --from=whole /target/release/app /\n"
    )
    expected = {"split": "planner", "outline": "dependencies", "whole": "build", "run": "runtime"}
    built = dockerfile.parse(split.format("build --release"))
    assert _names(built) == {**expected, "members": "build"}
    cooked = dockerfile.parse(split.format("chef cook --release"))
    assert _names(cooked) == {**expected, "members": "dependencies"}


def test_a_planner_may_build_upon_a_stage_that_reads_the_project() -> None:
    text = (
        "FROM rust:1.85 AS tools\nWORKDIR /a\n"
        "FROM tools AS everything\nCOPY . .\n"
        "FROM everything AS plan\nRUN mkdir /plan && cp Cargo.* /plan\n"
        "FROM tools AS deps\n"
        "RUN --mount=type=bind,from=plan,source=/plan,target=/p cargo build -r\n"
        "FROM deps AS build\nCOPY . .\nRUN cargo build -r\n"
        "FROM debian:12\nCOPY --from=build /a/target/release/app /app\n"
    )
    assert _names(dockerfile.parse(text)) == {
        "tools": "base",
        "everything": "planner",
        "plan": "planner",
        "deps": "dependencies",
        "build": "build",
        "5": "runtime",
    }


def test_a_clone_is_a_source() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS b\nRUN git clone https://example.invalid/x /x\nWORKDIR /x\n"
        "RUN cargo build -r\nFROM debian:12 AS r\nCOPY --from=b /x/target/release/x /x\n"
    )
    assert _names(parsed) == {"b": "build", "r": "runtime"}


def test_a_stage_that_only_tests_is_neither_build_nor_runtime() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS b\nCOPY . /a\nRUN cargo build --release\n"
        "FROM b AS check\nRUN cargo test\n"
        "FROM debian:12 AS r\nCOPY --from=b /a/target/release/a /a\n"
    )
    assert _names(parsed) == {"b": "build", "check": "other", "r": "runtime"}


@pytest.mark.parametrize(
    "command",
    [
        "cargo build --release",
        "cargo +1.85 b -r",
        "cargo zigbuild --release",
        "cargo lambda build --release",
        "cargo install --path . --root /out",
        "cargo rustc --release --bin a",
        "cross build --release",
        "xx-cargo build --release",
        "maturin build --release",
        "RUSTFLAGS=-Ctarget-cpu=native cargo build",
        "env A=b cargo build",
        "timeout 900 cargo build --release",
        "sh -c 'set -e; cargo build'",
        "if cargo build; then true; else exit 1; fi",
        "/usr/local/cargo/bin/cargo build",
        "<<EOF\nset -e\ncargo build\nEOF",
    ],
)
def test_a_compiling_call_is_recognised(command: str) -> None:
    parsed = dockerfile.parse(f"FROM rust:1.85\nCOPY . .\nRUN {command}\n")
    assert Role.BUILD in roles.infer(parsed).of(parsed.stages[0])


@pytest.mark.parametrize(
    "command",
    ["cargo install cargo-chef", "cargo fetch", "echo cargo build", "cargo chef prepare", "true"],
)
def test_what_compiles_nothing_of_the_project_is_not_a_build(command: str) -> None:
    parsed = dockerfile.parse(f"FROM rust:1.85\nCOPY . .\nRUN {command}\n")
    assert Role.BUILD not in roles.infer(parsed).of(parsed.stages[0])


def test_what_is_configured_overrides_what_is_inferred() -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS one\nCOPY . .\nRUN make\nFROM debian:12 AS two\nCOPY --from=one /x /x\n"
    )
    assert roles.infer(parsed).stage(Role.BUILD) is None
    found = roles.infer(parsed, {"build": "one", "runtime": "two"})
    build, runtime = found.stage(Role.BUILD), found.stage(Role.RUNTIME)
    assert build is not None
    assert runtime is not None
    assert (build.name, runtime.name) == ("one", "two")


def test_an_override_that_names_no_stage_is_an_error() -> None:
    with pytest.raises(UsageError) as caught:
        roles.infer(_design("chef"), {"build": "compile"})
    assert "chef, planner, builder, runtime" in caught.value.render()
