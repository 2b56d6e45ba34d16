"""P5 of a real project: an edit of any of its sources is seen, and compiles no dependency again."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness import scenario, subject
from harness.engine import Engine
from harness.generated import checkouts
from harness.generated.checkouts import Checkout
from harness.judging.judge import Judge
from harness.judging.report import PropertyViolation
from harness.scenario import Workspace
from harness.strategies import each_file_in_turn
from properties import records
from properties import test_p5_dependency_invalidation as p5

ROOT = Path(__file__).parents[3]
CRATES = "registry+https://github.com/rust-lang/crates.io-index"
LOCK = f"""\
version = 4

[[package]]
name = "alpha"
version = "1.0.0"
source = "{CRATES}"

[[package]]
name = "app"
version = "1.0.0"
dependencies = [
 "alpha",
 "core-of-it",
]

[[package]]
name = "core-of-it"
version = "1.0.0"
"""
PROJECT = {
    "Cargo.toml": '[workspace]\nresolver = "2"\nmembers = ["app", "core"]\n',
    "Cargo.lock": LOCK,
    ".cargo/config.toml": '[source.crates-io]\nreplace-with = "here"\n'
    '[source.here]\ndirectory = "vendor"\n',
    "vendor/alpha/Cargo.toml": '[package]\nname = "alpha"\nversion = "1.0.0"\n',
    "vendor/alpha/src/lib.rs": "",
    "vendor/alpha/.cargo-checksum.json": '{"files": {}}',
    "app/Cargo.toml": '[package]\nname = "app"\nversion = "1.0.0"\nedition = "2021"\n\n'
    '[dependencies]\nalpha = "1"\ncore-of-it = { path = "../core" }\n',
    "app/build.rs": "fn main() {}\n",
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


LAYERS = """\
FROM rust:1.85-slim-bookworm AS dependencies
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY .cargo .cargo
COPY vendor vendor
COPY app/Cargo.toml app/
COPY core/Cargo.toml core/
{early}RUN mkdir -p app/src core/src && echo 'fn main() {{}}' | tee app/src/main.rs >app/build.rs \\
 && touch core/src/lib.rs && cargo build --release --locked
FROM dependencies AS build
COPY . .
RUN find . -name '*.rs' -exec touch {{}} + && cargo build --release --locked
FROM debian:bookworm-slim
COPY --from=build /src/target/release/app /app
USER 1
ENTRYPOINT ["/app"]
"""


IN_A_FOLDER = DOCKERFILE.replace(
    "WORKDIR /src\nCOPY . .\n", "WORKDIR /src/service\nCOPY service .\nCOPY shared ../shared\n"
).replace("target=/src/target", "target=/src/service/target")


Opened = Callable[..., contextlib.AbstractContextManager[tuple[Checkout, Workspace, Judge]]]


@pytest.fixture
def opened(engine: Engine, say: Callable[[str], None], tmp_path: Path) -> Opened:
    """Return what writes a project and a Dockerfile, and yields what of it is read, a workspace
    and a judge.
    """

    @contextlib.contextmanager
    def write_and_open(
        text: str, project: Mapping[str, str] = PROJECT
    ) -> Iterator[tuple[Checkout, Workspace, Judge]]:
        for path, content in project.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        file = tmp_path / "Dockerfile"
        file.write_text(text)
        loaded = subject.load(file, scripts=ROOT / "scripts", project=tmp_path)
        loaded = replace(loaded, options=replace(loaded.options, network="none"))
        start = checkouts.load(tmp_path, folder=loaded.project_folder)
        with (
            scenario.prepare(engine, loaded, say=say) as bench,
            bench.workspace(start.tree) as workspace,
        ):
            yield start, workspace, Judge(records.P5, loaded.dockerfile, "pytest properties")

    return write_and_open


@pytest.mark.parametrize(
    ("touch", "overlooks"),
    [
        ("touch app/src/main.rs", True),
        ("find . -name '*.rs' -exec touch {} +", False),
    ],
)
def test_a_library_that_is_edited_is_compiled(touch: str, overlooks: bool, opened: Opened) -> None:
    text = DOCKERFILE.format(id=f"test-{secrets.token_hex(4)}", touch=touch)
    with opened(text) as (start, workspace, judge):
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


@pytest.mark.parametrize(
    ("early", "edited", "told"),
    [
        ("", None, ""),
        ("COPY core core\n", "core/src/lib.rs: source comment", "crate alpha 1.0.0  kept"),
        ("COPY app/build.rs app/\n", "app/build.rs: build.rs", "`[roles]` in layerproof.toml"),
    ],
)
def test_a_source_beside_the_programs_own_is_none_of_the_dependencies(
    early: str, edited: str | None, told: str, opened: Opened
) -> None:
    with opened(LAYERS.format(early=early)) as (start, workspace, judge):
        found = p5.broken_step(each_file_in_turn(start), workspace, judge=judge)
    if edited is None:
        assert found is None
    else:
        assert found is not None
        assert f"After <{edited}, with an old modification time> " in str(found[1])
        assert told in str(found[1])


@pytest.mark.parametrize(
    ("touch", "overlooks"),
    [
        ("find . -name '*.rs' -exec touch {} +", True),
        ("find . ../shared -name '*.rs' -exec touch {} +", False),
    ],
)
def test_a_project_in_a_folder_is_judged_with_what_lies_beside_it(
    touch: str, overlooks: bool, opened: Opened
) -> None:
    moved = {
        path.replace("core/", "shared/") if path.startswith("core/") else f"service/{path}": (
            content.replace(', "core"', "").replace("../core", "../../shared")
        )
        for path, content in PROJECT.items()
    }
    report = ""
    text = IN_A_FOLDER.format(id=f"test-{secrets.token_hex(4)}", touch=touch)
    with opened(text, moved) as (start, workspace, judge):
        assert start.source == "service/app/src/main.rs"
        try:
            p5.judge_plan(each_file_in_turn(start), workspace, judge=judge)
            p5.judge_library(start, workspace, judge=judge)
        except PropertyViolation as violation:
            report = str(violation)
    assert bool(report) is overlooks
    assert ("shared/src/lib.rs: a comment, with an old modification time" in report) is overlooks
