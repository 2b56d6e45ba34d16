"""A real project's build that overlooks an edit of a library is found out by P5."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness import scenario, subject
from harness.engine import Engine
from harness.generated import checkouts
from harness.judging.judge import Judge
from harness.judging.report import PropertyViolation
from properties import records
from properties import test_p5_dependency_invalidation as p5

ROOT = Path(__file__).parents[3]
PROJECT = {
    "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["app", "core"]\n',
    "Cargo.lock": 'version = 4\n\n[[package]]\nname = "app"\nversion = "1.0.0"\n'
    'dependencies = [\n "core-of-it",\n]\n\n[[package]]\nname = "core-of-it"\nversion = "1.0.0"\n',
    "app/Cargo.toml": '[package]\nname = "app"\nversion = "1.0.0"\nedition = "2021"\n\n'
    '[dependencies]\ncore-of-it = { path = "../core" }\n',
    "app/src/main.rs": 'fn main() {\n    println!("{}", core_of_it::value());\n}\n',
    "core/Cargo.toml": '[package]\nname = "core-of-it"\nversion = "1.0.0"\nedition = "2021"\n',
    "core/src/lib.rs": "pub fn value() -> u32 {\n    1\n}\n",
}
DOCKERFILE = """\
FROM rust:1.85-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,id={id},target=/src/target {touch} \\
 && cargo build --release --locked && cp target/release/app /app
FROM debian:bookworm-slim
COPY --from=build /app /app
USER 1
ENTRYPOINT ["/app"]
"""


@pytest.mark.parametrize(
    ("touch", "overlooks"),
    [
        ("touch app/src/main.rs", True),
        ("find . -name '*.rs' -exec touch {} +", False),
    ],
)
def test_a_library_that_is_edited_is_compiled(
    touch: str, overlooks: bool, engine: Engine, say: Callable[[str], None], tmp_path: Path
) -> None:
    for path, text in PROJECT.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    file = tmp_path / "Dockerfile"
    file.write_text(DOCKERFILE.format(id=f"test-{secrets.token_hex(4)}", touch=touch))
    loaded = subject.load(file, scripts=ROOT / "scripts", project=tmp_path)
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    start = checkouts.load(tmp_path)
    judge = Judge(records.P5, loaded.dockerfile, "pytest properties")
    with (
        scenario.prepare(engine, loaded, say=say) as bench,
        bench.workspace(start.tree) as workspace,
    ):
        first = workspace.build()
        assert first.succeeded, first.error
        report = ""
        try:
            p5.judge_library(start, workspace, judge=judge)
        except PropertyViolation as violation:
            report = str(violation)
        seen = workspace.observations[-1].crates_compiled
    edit = "core/src/lib.rs: a comment, with an old modification time"
    assert ("A library of the project was edited" in report) is overlooks
    assert (edit in report) is overlooks
    assert ("core-of-it 1.0.0" in seen) is not overlooks
