"""How predictions are lined up with an engine's report, and that a wrong one is found out."""

from __future__ import annotations

from pathlib import Path

from harness import dockerfile
from harness.cache import PlacedPrediction, PlannedStep
from harness.judging.positions import positions
from harness.keys.plan import Place
from harness.model import Outcome, Vertex, VertexPrediction
from harness.running.differential import Built, Verdict, compare, reported
from harness.running.workshop import Inputs

TEXT = "FROM base AS one\nWORKDIR /w\nRUN x\nFROM scratch\nCOPY --from=one /f /f\n"


def built(text: str, *vertices: Vertex) -> Built:
    inputs = Inputs("first build", dockerfile.parse(text), {})
    return Built(inputs, Path("context"), Path("Dockerfile"), vertices, None)


def predicted(stage: str, position: int, line: int, outcome: Outcome) -> PlacedPrediction:
    place = Place(stage, stage, position, 3, line)
    return PlacedPrediction(
        PlannedStep((place,), "RUN", line, "RUN x"), VertexPrediction(stage, line, "RUN x", outcome)
    )


def seen(stage: str, position: int, outcome: Outcome, name: str = "RUN x") -> Vertex:
    return Vertex(f"[{stage} {position}/3] {name}", outcome, stage, position)


def test_only_an_image_below_a_stage_takes_a_position() -> None:
    assert positions(dockerfile.parse(TEXT)) == {2: ("one", 2), 3: ("one", 3), 5: ("stage-1", 1)}


def test_a_lone_stage_has_no_name() -> None:
    text = "FROM base AS one\nRUN x\n"
    assert positions(dockerfile.parse(text)) == {2: ("stage-0", 2)}
    vertex = seen("one", 2, Outcome.EXECUTED)
    assert reported(built(text, vertex)) == {("stage-0", 2): vertex}


def test_a_workdir_on_scratch_and_one_that_leads_to_the_root_are_left_out() -> None:
    text = "FROM scratch AS a\nWORKDIR /w\nCOPY f /\nFROM base AS b\nWORKDIR /\nRUN x\n"
    assert positions(dockerfile.parse(text)) == {3: ("a", 2), 6: ("b", 2)}


def test_the_triggers_of_a_base_stage_come_first() -> None:
    text = "FROM base AS a\nRUN x\nONBUILD WORKDIR /t\nONBUILD ENV a=b\nFROM a AS b\nRUN x\n"
    assert positions(dockerfile.parse(text)) == {2: ("a", 2), 6: ("b", 2)}


def test_a_vertex_that_did_what_was_predicted_agrees() -> None:
    finding = compare(
        built(TEXT, seen("one", 3, Outcome.CACHED)), [predicted("one", 3, 3, Outcome.CACHED)]
    )
    assert [each.verdict for each in finding] == [Verdict.AGREED]


def test_a_wrong_prediction_disagrees() -> None:
    (finding,) = compare(
        built(TEXT, seen("one", 3, Outcome.EXECUTED)), [predicted("one", 3, 3, Outcome.CACHED)]
    )
    assert finding.verdict is Verdict.DISAGREED
    assert "predicted cached, observed executed" in str(finding)


def test_a_predicted_vertex_that_was_not_reported_disagrees() -> None:
    (finding,) = compare(built(TEXT), [predicted("one", 3, 3, Outcome.CACHED)])
    assert finding.verdict is Verdict.DISAGREED
    assert "observed nothing" in str(finding)


def test_a_reported_vertex_that_was_not_predicted_disagrees() -> None:
    (finding,) = compare(built(TEXT, seen("one", 2, Outcome.CACHED)), [])
    assert finding.verdict is Verdict.DISAGREED
    assert "predicted nothing" in str(finding)


def test_a_step_that_two_stages_share_is_found_under_either_name() -> None:
    text = "FROM base AS a\nRUN x\nFROM base AS b\nRUN x\n"
    places = (Place("a", "a", 2, 2, 2), Place("b", "b", 2, 2, 4))
    shared = PlacedPrediction(
        PlannedStep(places, "RUN", 2, "RUN x"),
        VertexPrediction("a", 2, "RUN x", Outcome.CACHED),
    )
    once = compare(built(text, seen("b", 2, Outcome.CACHED)), [shared])
    assert [each.verdict for each in once] == [Verdict.AGREED]
    twice = compare(
        built(text, seen("a", 2, Outcome.CACHED), seen("b", 2, Outcome.CACHED)), [shared]
    )
    assert [each.verdict for each in twice] == [Verdict.DISAGREED]


def test_what_is_not_known_is_counted_apart() -> None:
    (finding,) = compare(
        built(TEXT, seen("one", 3, Outcome.CACHED)), [predicted("one", 3, 3, Outcome.UNKNOWN)]
    )
    assert finding.verdict is Verdict.UNKNOWN


def test_from_vertices_are_left_out() -> None:
    vertex = seen("one", 1, Outcome.EXECUTED, name="FROM base")
    assert compare(built(TEXT, vertex), []) == ()


def test_a_stage_upon_one_that_a_variable_names_takes_no_position_for_its_base() -> None:
    parsed = dockerfile.parse(
        "ARG BASE=tools\nFROM rust AS tools\nRUN one\nFROM ${BASE} AS deps\nRUN two\n"
    )
    assert positions(parsed) == {3: ("tools", 2), 5: ("deps", 1)}
