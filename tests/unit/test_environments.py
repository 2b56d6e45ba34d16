"""environments: of which builds it is asked that DOCKER_IMAGE is what is built in."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import subject
from properties.environments import takes_build_image

KNOWN, UNKNOWN = "docker build --build-arg IMAGE=rust .", "docker build ."


@pytest.mark.parametrize(
    ("base", "beside", "call", "taken"),
    [
        ("${IMAGE}", True, UNKNOWN, True),
        ("$IMAGE", True, UNKNOWN, True),
        ("${IMAGE:-rust:1.85}", True, UNKNOWN, True),
        ("rust:1.85", True, KNOWN, False),
        ("rust:${IMAGE}", True, KNOWN, False),
        ("${IMAGE}", False, KNOWN, True),
        ("${IMAGE}", False, UNKNOWN, False),
    ],
)
def test_the_image_is_named_by_an_argument_that_the_scripts_know(
    tmp_path: Path, base: str, beside: bool, call: str, taken: bool
) -> None:
    scripts = tmp_path / "build" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "build-lambda.sh").write_text(f"#!/bin/sh\n{call}\n")
    file = (scripts.parent if beside else tmp_path) / "Dockerfile"
    file.write_text(
        f"ARG IMAGE=rust:1.85\nFROM {base} AS build\nWORKDIR /src\nCOPY . .\n"
        "RUN cargo build --release\n"
        "FROM debian:bookworm-slim\nCOPY --from=build /src/target/release/app /app\n"
        'ENTRYPOINT ["/app"]\n'
    )
    assert takes_build_image(subject.load(file, scripts=scripts)) is taken
