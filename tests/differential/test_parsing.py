"""What the engine's own frontend understands of a Dockerfile, our parser understands too."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import dockerfile, frontend, instructions
from harness.dockerfile_cases import cases
from harness.frontend import Target
from harness.ground import Ground
from harness.recipe import render, with_nonce
from tests.differential.test_generated import EXAMPLES

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "dockerfiles" / "accepted"
ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.parametrize("ground", ["newer"], indirect=True)


def agree(ground: Ground, path: Path, context: Path) -> None:
    """Compare stages and arguments as the frontend and the parser see them."""
    parsed = dockerfile.load(path)
    last = len(parsed.stages) - 1
    assert frontend.targets(ground.engine, path, context) == tuple(
        Target(stage.name, stage.base, stage.line, stage.index == last) for stage in parsed.stages
    )
    declared = [
        (name, default, step.line)
        for step in (
            *parsed.global_args,
            *(s for stage in parsed.stages for s in stage.instructions),
        )
        if step.keyword == "ARG"
        for name, default in instructions.assignments(step, escape=parsed.escape)
    ]
    names = {(name, line) for name, _, line in declared}
    for argument in frontend.arguments(ground.engine, path, context):
        if argument.line == 0:
            continue
        assert (argument.name, argument.line) in names
        written = {d for n, d, line in declared if (n, line) == (argument.name, argument.line)}
        plain = {d for d in written if d is not None and "$" not in d}
        assert not plain or argument.value in plain


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_stages_and_arguments_of_a_drawn_dockerfile_are_those_the_frontend_finds(
    ground: Ground, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    case = data.draw(cases(ground.dialect))
    text, _ = render(with_nonce(case.states[-1][1].recipe, "nonce"))
    context = tmp_path_factory.mktemp("parsing")
    path = context / "Dockerfile"
    path.write_text(text)
    agree(ground, path, context)


def test_our_own_dockerfile_is_understood_alike(ground: Ground, tmp_path: Path) -> None:
    agree(ground, ROOT / "Dockerfile.optimized", tmp_path)
