"""Which images hold Rust's tools, by their names."""

from __future__ import annotations

import pytest

from harness.running import bases


@pytest.mark.parametrize(
    ("image", "builds"),
    [
        ("rust", True),
        ("rust:1.85-slim", True),
        ("rust:1.85@sha256:0f", True),
        ("docker.io/rustlang/rust@sha256:0f", True),
        ("mirror.local:5000/library/rust:1", True),
        ("mirror.local:5000/library/debian:12", False),
        ("ghcr.io/team/rust-service:2", False),
    ],
)
def test_an_image_of_rusts_is_known_by_its_name(image: str, builds: bool) -> None:
    assert bases.is_toolchain(image) is builds
