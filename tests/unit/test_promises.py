"""What the names of images promise, and which programs a stand-in needs to keep it."""

from __future__ import annotations

import pytest

from harness import dockerfile
from harness.running import promises

MUSL = "RUN cargo build --target x86_64-unknown-linux-musl"
CHEF = "lukemathwalker/cargo-chef:latest-rust-1"
LAMBDA = "ghcr.io/cargo-lambda/cargo-lambda:1.8"


@pytest.mark.parametrize(
    ("image", "builds"),
    [
        ("rust", True),
        ("rust:1.85-slim", True),
        ("rust:1.85@sha256:0f", True),
        ("docker.io/rustlang/rust@sha256:0f", True),
        ("mirror.local:5000/library/rust:1", True),
        (CHEF, True),
        (LAMBDA, True),
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
        (LAMBDA, (), "RUN cargo lambda build --release", ("rustc",)),
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
        (LAMBDA, "cargo lambda", True),
        (LAMBDA, "cargo chef", False),
        ("cargo-lambda", "cargo lambda", True),
    ],
)
def test_tools_that_a_stand_in_has_are_those_that_the_name_promises(
    image: str, tool: str, kept: bool
) -> None:
    assert promises.keeps(image, tool) is kept


def test_what_an_image_is_made_for_is_not_taken_for_lambdas_own() -> None:
    parsed = dockerfile.parse(f"FROM {LAMBDA}\n")
    promise = promises.of(LAMBDA, parsed, (), "")
    assert promise.tools == ("cargo-lambda",)
    assert "ENV CARGO_LAMBDA_COMPILER=cargo" in promise.lines
    assert not any("/var/task" in line for line in promise.lines)


@pytest.mark.parametrize(
    ("line", "tools"),
    [
        ("cargo install --locked cargo-lambda", ("cargo-lambda",)),
        ("cargo install cargo-lambda@1.8 cargo-chef", ("cargo-lambda",)),
        ("cargo install cargo-chef", ()),
        ("cargo install --path cargo-lambda", ()),
    ],
)
def test_a_tool_that_takes_long_to_compile_is_there_where_it_is_installed(
    line: str, tools: tuple[str, ...]
) -> None:
    parsed = dockerfile.parse(f"FROM rust:1.85\nRUN {line}\n")
    assert promises.of("rust:1.85", parsed, (), "").tools == tools
    assert promises.of("debian:12", parsed, (), "").tools == ()


@pytest.mark.parametrize(
    ("image", "has", "has_not"),
    [
        ("gcr.io/distroless/cc-debian12:nonroot", "libgcc_s.so.1", "libz.so.1"),
        ("gcr.io/distroless/base-debian12", "libssl.so.3", "libgcc_s.so.1"),
        ("mirror.local/distroless/base-nossl-debian12@sha256:0f", "libc.so.6", "libssl.so.3"),
        ("gcr.io/distroless/static-debian12", None, "libc.so.6"),
    ],
)
def test_the_libraries_of_an_image_that_has_few_are_known(
    image: str, has: str | None, has_not: str
) -> None:
    known = promises.libraries(image)
    assert known is not None
    assert has is None or has in known
    assert has_not not in known


@pytest.mark.parametrize("image", ["", "debian:12", "gcr.io/distroless/cc", "x/cc-debian12"])
def test_of_other_images_no_library_is_known_to_be_missing(image: str) -> None:
    assert promises.libraries(image) is None
