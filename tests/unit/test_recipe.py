"""A recipe's rendering and the parser agree, for every Dockerfile that the strategies draw."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from harness import dockerfile
from harness.generated.dockerfile_cases import Case, cases
from harness.generated.dockerfile_steps import Dialect
from harness.generated.recipe import NONCE, Recipe, StageRecipe, Step, Style, render, with_nonce
from harness.model import Flag, Heredoc

MODERN = Dialect("base:local", modern=True)
QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@QUICK
@given(cases(MODERN))
def test_the_parser_finds_exactly_what_was_rendered(case: Case) -> None:
    for summary, state in case.states:
        event(summary.split()[0])
        text, expected = render(with_nonce(state.recipe, "n"))
        assert dockerfile.parse(text) == expected


@QUICK
@given(cases(MODERN), st.text(alphabet="abc", min_size=1, max_size=3))
def test_a_nonce_leaves_no_placeholder_behind(case: Case, nonce: str) -> None:
    text, _ = render(with_nonce(case.states[-1][1].recipe, nonce))
    assert NONCE not in text
    assert nonce in text


def test_lines_are_counted_across_continuations_comments_and_heredocs() -> None:
    body = Heredoc("EOF", "one\ntwo\n")
    recipe = Recipe(
        (
            StageRecipe(
                "scratch",
                (
                    Step("RUN", "a b c", breaks=frozenset({0})),
                    Step("COPY", "<<EOF /f", flags=(Flag("link"),), heredocs=(body,)),
                    Step("LABEL", "x=y", comment="why"),
                ),
                depends_on=("src",),
            ),
        ),
        style=Style(banner="generated"),
    )
    text, parsed = render(recipe)
    assert text == (
        "# generated\nFROM scratch\n# layerproof: depends-on src\nRUN a \\\n"
        "# inside a continuation\nb c\nCOPY --link <<EOF /f\none\ntwo\nEOF\n# why\nLABEL x=y\n"
    )
    lines = [(step.line, step.end_line) for step in parsed.stages[0].instructions]
    assert lines == [(4, 6), (7, 10), (12, 12)]
    assert parsed.declarations[0].line == 3


@pytest.mark.parametrize("escape", ["\\", "`"])
def test_style_changes_no_instruction(escape: str) -> None:
    recipe = Recipe((StageRecipe("scratch", (Step("RUN", "a b", breaks=frozenset({0})),), "s"),))
    styled = replace(recipe, style=Style(escape=escape, lower=True, blank_lines=True, indent=" "))
    plain = render(recipe)[1].stages[0].instructions[0]
    other = render(styled)[1].stages[0].instructions[0]
    assert (plain.keyword, plain.value) == (other.keyword, other.value)
