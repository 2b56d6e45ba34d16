"""What the names of images promise, and which programs a stand-in needs to keep it."""

from __future__ import annotations

import pytest

from harness import dockerfile
from harness.running import promises

MUSL = "RUN cargo build --target x86_64-unknown-linux-musl"
CHEF = "lukemathwalker/cargo-chef:latest-rust-1"


@pytest.mark.parametrize(
    ("image", "builds"),
    [
        ("rust", True),
        ("rust:1.85-slim", True),
        ("rust:1.85@sha256:0f", True),
        ("docker.io/rustlang/rust@sha256:0f", True),
        ("mirror.local:5000/library/rust:1", True),
        (CHEF, True),
        ("mirror.local:5000/library/debian:12", False),
        ("ghcr.io/team/rust-service:2", False),
    ],
)
def test_an_image_of_rusts_is_known_by_its_name(image: str, builds: bool) -> None:
    assert promises.is_toolchain(image) is builds


@pytest.mark.parametrize(
    ("image", "tools", "text", "scripts"),
    [
        ("rust:1.85", (), "RUN cargo build", ()),
        ("rust:1.85", ("rustup",), MUSL, ("rustc", "rustup")),
        ("rust:1.85", (), "ENV CARGO_PROFILE_RELEASE_LTO=fat", ("rustc",)),
        ("rust:1.85", (), "RUN cargo install cargo-chef", ("cargo",)),
        ("rust:1-alpine3.21", ("apk",), "RUN apk add git", ("addgroup", "adduser", "apk", "rustc")),
        ("alpine", (), MUSL, ("addgroup", "adduser")),
        ("debian:12", (), MUSL, ()),
    ],
)
def test_a_stand_in_gets_the_programs_that_are_called(
    image: str, tools: tuple[str, ...], text: str, scripts: tuple[str, ...]
) -> None:
    parsed = dockerfile.parse(f"FROM {image}\n{text}\n")
    assert promises.of(image, parsed, tools, parsed.text).scripts == scripts
    assert all((promises.SCRIPTS / name).is_file() for name in scripts)


@pytest.mark.parametrize(
    ("image", "tool", "kept"),
    [
        ("alpine:3", "apk", True),
        ("fedora", "dnf", False),
        ("debian", "apk", False),
        ("rust:1", "rustup", True),
        (CHEF, "cargo chef", True),
        ("rust:1", "cargo chef", False),
        ("ghcr.io/cargo-lambda/cargo-lambda", "cargo lambda", False),
    ],
)
def test_tools_that_a_stand_in_has_are_those_that_the_name_promises(
    image: str, tool: str, kept: bool
) -> None:
    assert promises.keeps(image, tool) is kept
