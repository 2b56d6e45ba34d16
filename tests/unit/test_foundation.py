"""foundation: which steps of a Dockerfile are whose, and what dependencies are compiled from."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import dockerfile
from harness.judging import foundation
from harness.model import Outcome, Vertex

GOOD = Path(__file__).parents[2] / "fixtures" / "dockerfiles" / "good"
STUB = (GOOD / "stub-layers.Dockerfile").read_text()
MOUNT = (GOOD / "cache-mount.Dockerfile").read_text()
SKELETON = """\
FROM rust:1.85 AS plan
COPY . .
RUN find . -name Cargo.toml -exec cp --parents {} /plan +
FROM rust:1.85 AS build
COPY --from=plan /plan ./
RUN cargo build --release --locked
COPY . .
RUN cargo build --release --locked
"""


def test_every_step_of_a_stage_called_base_is_the_bases_even_where_it_copies_sources() -> None:
    text = "FROM rust AS base\nWORKDIR /src\nCOPY . .\nRUN tools\nFROM base AS build\nRUN cargo b\n"
    places = foundation.foundation(dockerfile.parse(text))
    assert {("base", 2), ("base", 3), ("base", 4)} <= places
    assert ("build", 2) not in places


def test_the_dependencies_of_the_stub_design_are_its_copy_and_its_run() -> None:
    places = foundation.dependencies(dockerfile.parse(STUB))
    assert places == {("dependencies", 1), ("dependencies", 2)}
    assert not any(stage in {"build", "runtime", "base"} for stage, _ in places)


def test_only_a_mount_of_compiled_crates_keeps_them() -> None:
    assert foundation.keeps_compiled_crates(dockerfile.parse(MOUNT))
    assert not foundation.keeps_compiled_crates(dockerfile.parse(STUB))
    for folder in ("/cargo/registry", "/usr/local/cargo/git/db", "/root/.cargo", "/sccache"):
        other = f"FROM a\nRUN --mount=type=cache,target={folder} cargo build\n"
        assert not foundation.keeps_compiled_crates(dockerfile.parse(other))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (SKELETON, True),
        (SKELETON.replace("COPY . .\nRUN find", "COPY Cargo.toml .\nRUN find"), False),
        (f"# layerproof: depends-on **/Cargo.toml\n{SKELETON}", False),
        (STUB, False),
    ],
)
def test_what_dependencies_are_compiled_from_may_be_made_of_the_source(
    text: str, made: bool
) -> None:
    assert foundation.made_of_the_source(dockerfile.parse(text)) is made


def test_work_is_what_executed_vertices_of_stages_did() -> None:
    vertices = (
        Vertex("[a 1/3] FROM x", Outcome.EXECUTED, stage="a", position=1),
        Vertex("[a 2/3] COPY . .", Outcome.EXECUTED, stage="a", position=2),
        Vertex("[a 3/3] RUN x", Outcome.CACHED, stage="a", position=3),
        Vertex("[internal] load build context", Outcome.EXECUTED),
    )
    assert foundation.worked(vertices) == [vertices[1]]
