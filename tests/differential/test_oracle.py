"""Named cases with known answers: the engine gives them, and the model predicts them."""

from __future__ import annotations

import pytest

from harness.judging.positions import positions
from harness.keys import quirks
from harness.model import Outcome
from harness.running.ground import BuildFailed, Disagreement, Ground
from tests.differential import oracle
from tests.differential.oracle import ORACLES, Oracle

QUIRKS = tuple(case for case in ORACLES if case.source.startswith(("BK#4817", "BK#7176")))
LETTERS = {Outcome.EXECUTED: "X", Outcome.CACHED: "C"}


@pytest.mark.parametrize("case", ORACLES, ids=lambda case: case.name)
def test_the_engine_answers_as_written_and_the_model_predicts_it(
    ground: Ground, case: Oracle
) -> None:
    if case.modern and not ground.modern:
        with pytest.raises(BuildFailed, match="failed to solve"):
            ground.check(lambda nonce: oracle.inputs(case, nonce, ground.image))
        return
    seen = ground.check(lambda nonce: oracle.inputs(case, nonce, ground.image))
    for build, (built, findings) in zip(case.builds, seen, strict=True):
        answered = {
            line: outcome
            for finding in findings
            for line, outcome in [(finding.line, finding.observed)]
            if outcome is not None
        }
        lines = sorted(positions(built.inputs.dockerfile))
        letters = "".join(LETTERS[answered[n]] if n in answered else "-" for n in lines)
        expected = build.on_old if build.on_old and not ground.modern else build.expected
        assert letters == expected, f"{case.says} ({case.source}): {built.inputs.summary}"


@pytest.mark.parametrize("case", QUIRKS, ids=lambda case: case.name)
def test_a_model_that_ignores_the_engines_bugs_is_found_out(ground: Ground, case: Oracle) -> None:
    with pytest.raises(Disagreement, match="predicted executed, observed cached"):
        ground.check(lambda nonce: oracle.inputs(case, nonce, ground.image), quirks=quirks.NONE)
