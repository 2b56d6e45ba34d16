"""outside: what only the world outside can bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import dockerfile, outside


def test_what_downloads_is_told_by_the_commands_that_it_runs() -> None:
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN set -e; apt-get update && true\n"))
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN cargo install cargo-chef\n"))
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN <<EOF\ncurl -O https://x.y\nEOF\n"))
    assert not outside.downloads(dockerfile.parse("FROM rust\nRUN echo apt-get; cargo build\n"))
    ours = dockerfile.load(Path(__file__).parents[2] / "Dockerfile.optimized")
    assert not outside.downloads(ours)


def test_what_has_to_come_with_an_image_is_named_with_its_line() -> None:
    text = "FROM chef AS plan\nCOPY . .\nRUN cargo chef prepare && cargo build\n"
    assert outside.brought_along(dockerfile.parse(text), 0) == {"cargo chef": 3}
    other = "FROM rust AS b\nRUN cargo build\n" + text
    assert outside.brought_along(dockerfile.parse(other), 0) == {}
    fetched = text.replace("COPY . .", "RUN curl -L https://x.invalid/chef.tgz | tar xz")
    assert outside.brought_along(dockerfile.parse(fetched), 0) == {}
    target = "FROM rust\nRUN rustup target add x86_64-unknown-linux-musl\n"
    assert outside.brought_along(dockerfile.parse(target), 0) == {"rustup": 2}
    asked = target.replace("rustup target", "! command -v rustup || rustup target")
    assert outside.brought_along(dockerfile.parse(asked), 0) == {}
    installed = text.replace("COPY . .", "RUN cargo install cargo-chef")
    assert outside.brought_along(dockerfile.parse(installed), 0) == {}
    alpine = "FROM rust:1-alpine AS b\nRUN cargo build\nFROM alpine\nRUN apk add --no-cache tini\n"
    assert outside.brought_along(dockerfile.parse(alpine), 0) == {}
    assert outside.brought_along(dockerfile.parse(alpine), 1) == {"apk": 4}
    either = "FROM rust\nRUN if command -v yum; then yum install x; else apt-get install x; fi\n"
    assert outside.brought_along(dockerfile.parse(either), 0) == {}
    taken = (
        "FROM a AS one\nFROM a\nCOPY --from=one /x /\nCOPY --from=0 /x /\n"
        "COPY --from=r.invalid/i:1 /x /\n"
        "RUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c true\n"
    )
    assert outside.images(dockerfile.parse(taken)) == {"r.invalid/i:1": 5, "tools": 6}
    assert outside.images(dockerfile.parse(taken), "one") == {}
    assert outside.only_mounted(dockerfile.parse(taken), "tools")
    assert not outside.only_mounted(dockerfile.parse(taken), "r.invalid/i:1")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("cargo install cargo-chef --locked", "installs"),
        ("cargo install --locked --version 0.1.71 cargo-chef", "installs"),
        ("cargo install --locked --path crates/app --root /out", ""),
        ("mkdir src && cargo vendor --locked vendor >config", "vendors"),
        ("cargo build --release", ""),
    ],
)
def test_tools_that_are_installed_and_crates_that_are_vendored_are_told(
    call: str, told: str
) -> None:
    parsed = dockerfile.parse(f"FROM rust:1\nRUN {call}\n")
    assert outside.installs_tools(parsed) == (told == "installs")
    assert outside.vendors(parsed) == (told == "vendors")
