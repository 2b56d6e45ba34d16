"""report: the whole text of a failure, verbatim."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import dockerfile
from harness.judging import report
from harness.judging.report import Row, Violation
from harness.model import BuildObservation, Outcome, Vertex
from properties import compiled_crates
from properties import test_p5_dependency_invalidation as p5
from properties import test_p6_build_modes as p6

TEXT = """\
FROM rust AS base
WORKDIR /src
COPY . .
RUN install tools

FROM base
RUN cargo build
"""
PARSED = dockerfile.parse(TEXT, path="Dockerfile")


def test_a_violation_reads_from_promise_to_command() -> None:
    violation = Violation(
        promise="Feature: f, Property 1: layer caching consistency",
        finding="After <README.md: changed> the base stage was executed again.",
        scenario=["build Plan(package app)", "<README.md: changed>, build"],
        hint="Look for a COPY that selects more than it needs.",
        repeat="pytest properties/test_p1.py --hypothesis-seed=7",
        rows=[
            Row("[base 3/4] COPY . .", "cached", "executed"),
            Row("[base 2/4] WORKDIR /src", "cached", "cached"),
        ],
        lines=[3],
        because=["line 3: README.md (content) is selected by COPY"],
        log="one\ntwo\n",
        dockerfile=PARSED,
    )
    assert (
        report.render(violation)
        == """\
Feature: f, Property 1: layer caching consistency

After <README.md: changed> the base stage was executed again.

Scenario:
  1. build Plan(package app)
  2. <README.md: changed>, build

Dockerfile:
   1 | FROM rust AS base
   2 | WORKDIR /src
-> 3 | COPY . .
   4 | RUN install tools
   5 |

                            expected  observed
-> [base 3/4] COPY . .      cached    executed
   [base 2/4] WORKDIR /src  cached    cached

Why:
  line 3: README.md (content) is selected by COPY

End of the log:
  | one
  | two

Hint: Look for a COPY that selects more than it needs.
Again: pytest properties/test_p1.py --hypothesis-seed=7"""
    )


def test_what_is_not_known_leaves_no_empty_heading() -> None:
    violation = Violation("P", "It broke.", ["build"], hint="Look.", repeat="pytest")
    assert report.render(violation) == (
        "P\n\nIt broke.\n\nScenario:\n  1. build\n\nHint: Look.\nAgain: pytest"
    )


def test_an_excerpt_shows_gaps_and_ignores_lines_that_are_not_there() -> None:
    parsed = dockerfile.parse("FROM a\n" * 12, path="D")
    assert report.excerpt(parsed, [1, 11, 99]) == [
        "D:",
        "->  1 | FROM a",
        "    2 | FROM a",
        "    3 | FROM a",
        "  ...",
        "    9 | FROM a",
        "   10 | FROM a",
        "-> 11 | FROM a",
        "   12 | FROM a",
    ]


def test_a_vertex_is_found_at_its_line_whatever_its_stage_is_called() -> None:
    def line(stage: str | None, position: int | None) -> int | None:
        vertex = Vertex("x", Outcome.EXECUTED, stage=stage, position=position)
        return report.line_of(PARSED, vertex)

    assert [line("base", n) for n in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, None]
    assert [line("stage-1", n) for n in (1, 2)] == [7, None]
    assert line(None, None) is None
    assert line("gone", 2) is None


def test_why_a_build_failed_is_the_failed_vertexs_log() -> None:
    failed = Vertex("r", Outcome.EXECUTED, error="exit code: 1", log="error[E0425]\n")
    fine = Vertex("q", Outcome.EXECUTED, log="fine")
    seen = BuildObservation(succeeded=False, vertices=(fine, failed), error="failed to solve")
    assert report.why_it_failed(seen) == "error[E0425]\n"
    beside = Vertex(
        "b", Outcome.EXECUTED, error="exit code: 137: context canceled", log="Compiling …\n"
    )
    both = replace(seen, vertices=(fine, beside, failed))
    assert report.failed(both) == [failed]
    assert report.why_it_failed(both) == "error[E0425]\n"
    bare = BuildObservation(succeeded=False, vertices=(), error="failed to solve")
    assert report.why_it_failed(bare) == "failed to solve"


def test_a_stage_upon_a_stage_is_numbered_from_its_first_instruction() -> None:
    text = "FROM rust AS base\nRUN a\n\nFROM base AS build\nCOPY a b\nRUN c\n"
    parsed = dockerfile.parse(text)
    seen = [Vertex("x", Outcome.EXECUTED, stage="build", position=n) for n in (1, 2, 3)]
    assert [report.line_of(parsed, vertex) for vertex in seen] == [5, 6, None]


@pytest.mark.parametrize(
    ("printed", "hint"),
    [
        ("app answer=7 ALPHA-1.0.0 checked=true", compiled_crates.OTHER_PROFILE),
        ("app answer=7 ALPHA-1.1.0 checked=false", compiled_crates.OTHER_CRATES),
        ("starting\napp answer=7 ALPHA-1.0.0 checked=true", compiled_crates.OTHER_PROFILE),
        ("app answer=6 ALPHA-1.0.0 checked=false", p5.STALE),
        ("app answer=6 ALPHA-1.1.0 checked=true", p5.STALE),
        ("", p5.STALE),
        ("(the container did not start: permission denied)", compiled_crates.NOT_RUN),
    ],
)
def test_a_program_of_another_source_is_told_from_other_crates_and_another_profile(
    printed: str, hint: str
) -> None:
    expected = "app answer=7 ALPHA-1.0.0 checked=false"
    assert compiled_crates.hint_for(printed, expected, stale=p5.STALE) == hint


@pytest.mark.parametrize(
    ("words", "builds"),
    [
        ("build .", True),
        ("buildx build --quiet --load .", True),
        ("--context here buildx bake", True),
        ("-H tcp://x image build .", True),
        ("compose -f dev.yml build dev", True),
        ("compose up --detach --build", True),
        ("compose -f dev.yml exec dev cargo build", False),
        ("compose run dev cargo build", False),
        ("compose run --rm dev cmake --build .", False),
        ("compose run --rm --build dev true", True),
        ("exec box cargo build --locked", False),
        ("--debug exec box cargo build", False),
        ("image inspect build", False),
        ("ps --filter name=build", False),
    ],
)
def test_a_call_of_docker_that_builds_an_image_is_told_by_its_words(
    words: str, builds: bool
) -> None:
    assert (p6.IMAGE_BUILD_CALL.match(words) is not None) is builds
