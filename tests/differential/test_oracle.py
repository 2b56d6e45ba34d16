"""Named cases with known answers: the engine gives them, and the model predicts them."""

from __future__ import annotations

import pytest

from harness import differential
from harness.ground import BuildFailed, Ground
from harness.model import Outcome
from tests.differential import oracle
from tests.differential.oracle import ORACLES, Oracle

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
        lines = sorted(differential.names(built.inputs.dockerfile))
        letters = "".join(LETTERS[answered[n]] if n in answered else "-" for n in lines)
        expected = build.on_old if build.on_old and not ground.modern else build.expected
        assert letters == expected, f"{case.says} ({case.source}): {built.inputs.summary}"
