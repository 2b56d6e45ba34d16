"""What the engine's own frontend understands of a Dockerfile, our parser understands too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import dockerfile
from harness.errors import CommandError
from harness.generated.dockerfile_cases import cases
from harness.generated.recipe import render, with_nonce
from harness.model import Dockerfile
from harness.parsing import instructions
from harness.running import frontend
from harness.running.frontend import Target
from harness.running.ground import Ground
from tests.differential.test_generated import EXAMPLES

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "fixtures" / "dockerfiles"
IMAGE = re.compile(rb"(?im)^(FROM )(?:busybox|alpine|debian|rust|base)\S*")
KILLS_THE_ENGINE = {"only-args"}
"""dockerd 26.1.5 ends in a panic when asked for the outline of a Dockerfile without FROM."""
BEYOND_THE_ENGINE = {"check-before-escape"}
"""Before BuildKit 0.14 `# check=` is no directive, but a comment that ends the directives."""


pytestmark = pytest.mark.parametrize("ground", ["newer"], indirect=True)


def agree(ground: Ground, path: Path, context: Path, **given: str) -> None:
    """Compare stages and arguments as the frontend and the parser see them."""
    parsed = dockerfile.load(path)
    assert frontend.targets(ground.engine, path, context) == listed(parsed)
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
    for argument in frontend.arguments(ground.engine, path, context, given):
        if argument.line == 0:  # one that every build has, TARGETARCH and its like
            continue
        assert (argument.name, argument.line) in names
        written = {d for n, d, line in declared if (n, line) == (argument.name, argument.line)}
        plain = {d for d in written if d is not None and "$" not in d}
        assert not plain or argument.value in plain | {given.get(argument.name)}


def listed(parsed: Dockerfile) -> tuple[Target, ...]:
    """Return the stages as the frontend lists them."""
    last = len(parsed.stages) - 1
    return tuple(
        Target(stage.name, stage.base, stage.line, stage.index == last) for stage in parsed.stages
    )


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
    images = {"BUILD_IMAGE": ground.image, "RUNTIME_IMAGE": ground.image}
    agree(ground, ROOT / "Dockerfile.optimized", tmp_path, **images)


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (CORPUS / "accepted").glob("*") if p.stem not in BEYOND_THE_ENGINE),
    ids=lambda p: p.stem,
)
def test_the_frontend_finds_the_stages_of_what_we_accept(
    ground: Ground, path: Path, tmp_path: Path
) -> None:
    assert frontend.targets(ground.engine, path, tmp_path) == listed(dockerfile.load(path))


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (CORPUS / "rejected").glob("*") if p.stem not in KILLS_THE_ENGINE),
    ids=lambda p: p.stem,
)
def test_the_frontend_refuses_what_we_refuse(ground: Ground, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "Dockerfile"
    copy.write_bytes(IMAGE.sub(rf"\1{ground.image}".encode(), path.read_bytes()))
    with pytest.raises(CommandError) as refusal:
        frontend.arguments(ground.engine, copy, tmp_path, {})
    assert "resolve source metadata" not in str(refusal.value)
