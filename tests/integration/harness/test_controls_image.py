"""Negative controls of P8: a Dockerfile with one thing wrong in its image is found out by the rule
that is there for it; good designs pass, and so does the Dockerfile of this repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from harness import scenario, subject
from harness.engine import Engine
from harness.generated.projects import Blueprint, Member, render
from harness.judging.judge import Judge
from harness.judging.minimality import RULES
from harness.judging.report import PropertyViolation
from harness.running.images import Reader
from harness.scenario import Workspace
from harness.strategies import Plan
from properties import records
from properties import test_p8_image_minimality as p8
from tests.integration.harness import regressions
from tests.integration.harness.regressions import ROOT, Regression

GOOD = (
    *sorted((ROOT / "fixtures" / "dockerfiles" / "good").glob("*.Dockerfile")),
    ROOT / "Dockerfile.optimized",
)
DIFFERS = "differs"
PLAN = Plan(Blueprint(members=(Member("app", answer=7, binaries=("app",)),)), ())


@pytest.fixture(scope="module")
def reader(engine: Engine) -> Reader:
    """Read images of this engine, keeping what is known of their bases."""
    return Reader(engine)


@pytest.fixture
def open_workspace(
    engine: Engine, say: Callable[[str], None]
) -> Iterator[Callable[[Path], Workspace]]:
    """Return how to open a workspace for a Dockerfile; all are closed after the test."""
    with ExitStack() as opened:

        def open_one(path: Path) -> Workspace:
            loaded = subject.load(path, scripts=ROOT / "scripts", like=path.parent)
            options = replace(loaded.options, network="none")
            bench = opened.enter_context(
                scenario.prepare(engine, replace(loaded, options=options), say=say)
            )
            return opened.enter_context(bench.workspace(render(PLAN.start).tree))

        yield open_one


def judge_of(workspace: Workspace) -> Judge:
    """Return P8's judge for a workspace's Dockerfile."""
    return Judge(records.P8, workspace.bench.subject.dockerfile, "pytest properties")


@pytest.mark.parametrize("broken", regressions.of_images(), ids=lambda broken: broken.name)
def test_a_broken_image_is_found_out_by_its_rule(
    broken: Regression,
    open_workspace: Callable[[Path], Workspace],
    reader: Reader,
    tmp_path: Path,
) -> None:
    path = tmp_path / "broken.Dockerfile"
    path.write_text(broken.applied((ROOT / broken.file).read_text()))
    workspace = open_workspace(path)
    judge_image = p8.judge_twice if broken.says == DIFFERS else p8.judge_plan
    with pytest.raises(PropertyViolation) as caught:
        judge_image(PLAN, workspace, reader, judge=judge_of(workspace))
    text = str(caught.value)
    assert text.startswith(records.P8.tag)
    assert "The build failed." not in text
    rule = RULES.get(broken.says)
    assert (rule.asks if rule else "Two cold builds of the same project differ.") in text
    first = next((r for r in RULES.values() if f"first: {r.asks}." in text), None)
    assert (first is None) == (rule is None)
    assert first is None or first.hint in text


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_a_good_image_passes(
    path: Path, open_workspace: Callable[[Path], Workspace], reader: Reader
) -> None:
    workspace = open_workspace(path)
    p8.judge_plan(PLAN, workspace, reader, judge=judge_of(workspace))
    p8.judge_twice(PLAN, workspace, reader, judge=judge_of(workspace))
    assert len(workspace.observations) == 3


NEEDS_AN_ACCOUNT = """RUN --mount=type=secret,id=netrc if [ -f /run/secrets/netrc ]; then \\
      grep -q '^machine ' /run/secrets/netrc; fi
RUN find src"""


def test_a_build_that_cannot_do_with_what_stands_for_a_secret_is_judged_without(
    open_workspace: Callable[[Path], Workspace], reader: Reader, tmp_path: Path
) -> None:
    text = (ROOT / "fixtures/dockerfiles/good/stub-layers.Dockerfile").read_text()
    path = tmp_path / "particular.Dockerfile"
    path.write_text(text.replace("RUN find src", NEEDS_AN_ACCOUNT))
    workspace = open_workspace(path)
    p8.judge_plan(PLAN, workspace, reader, judge=judge_of(workspace))
    assert [seen.succeeded for seen in workspace.observations] == [False, True]


def test_most_rules_have_a_negative_control_on_a_real_image() -> None:
    """The rest (size, architecture) have theirs on images written down as data."""
    held = {broken.says for broken in regressions.of_images()}
    assert held == {DIFFERS, *RULES} - {"size", "architecture"}


@pytest.mark.parametrize(
    ("instead", "manifest"),
    [
        ("cp target/release/app /app", "[package]\n"),
        ("cp target/release/app /app # strip", '[profile.release]\nstrip = "debuginfo"\n'),
    ],
)
def test_a_symbol_table_that_nobody_wants_away_may_ship(
    instead: str,
    manifest: str,
    open_workspace: Callable[[Path], Workspace],
    reader: Reader,
    tmp_path: Path,
) -> None:
    """Neither the Dockerfile speaks of stripping nor the project; or that has it kept."""
    text = (ROOT / "fixtures/dockerfiles/good/stub-layers.Dockerfile").read_text()
    path = tmp_path / "kept.Dockerfile"
    path.write_text(text.replace("strip -o /app target/release/app", instead))
    (tmp_path / "Cargo.toml").write_text(manifest)
    workspace = open_workspace(path)
    p8.judge_plan(PLAN, workspace, reader, judge=judge_of(workspace))
    assert workspace.observations[0].succeeded
