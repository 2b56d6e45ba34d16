"""Generated Dockerfiles and edits: what the model predicts of each vertex, the engine does."""

from __future__ import annotations

from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness.generated.dockerfile_cases import cases
from harness.running import workshop
from harness.running.differential import Verdict
from harness.running.ground import Ground

EXAMPLES = max(5, (settings.default.max_examples if settings.default else 10) // 5)
"""A case is three to five builds: a fifth of what the profile asks of a property."""


@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_every_vertex_of_a_drawn_case_does_what_was_predicted(
    ground: Ground, data: st.DataObject
) -> None:
    case = data.draw(cases(ground.dialect))
    seen = ground.check(lambda nonce: workshop.inputs(case, nonce))
    assert len(seen) == len(case.states)
    for built, findings in seen:
        event(built.inputs.summary.split(" ", 1)[0])
        unknown = sum(1 for finding in findings if finding.verdict is Verdict.UNKNOWN)
        event("unknown vertices" if unknown else "all vertices known")
