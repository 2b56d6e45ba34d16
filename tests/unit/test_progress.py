"""progress: rawjson streams of both layouts, as buildx wrote them, become vertices and crates."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import progress
from harness.judging.foundation import worked
from harness.model import Outcome, Vertex

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
START, END = "2026-11-22T22:14:16.100000001Z", "2026-11-22T22:14:18.600000001Z"


def stream(*statuses: dict[str, object], indent: int | None = 2) -> str:
    """Return statuses as buildx writes them: indented in 0.13, one a line later."""
    return "\n".join(json.dumps(status, indent=indent) for status in statuses) + "\n"


def log(digest: str, text: bytes) -> dict[str, object]:
    """Return a log status as the engine sends it."""
    data = base64.b64encode(text).decode()
    return {"logs": [{"vertex": digest, "stream": 2, "data": data, "timestamp": START}]}


def test_the_last_update_of_a_vertex_counts() -> None:
    name = "[build 3/7] RUN cargo build"
    text = stream(
        {"vertexes": [{"digest": A, "name": name}]},
        {"vertexes": [{"digest": A, "name": name, "started": START}]},
        {"vertexes": [{"digest": A, "name": name, "started": START, "completed": END}]},
    )
    assert progress.decode(text) == (
        Vertex(name, Outcome.EXECUTED, stage="build", position=3, seconds=2.5),
    )


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [("16.100007001Z", Outcome.CACHED), ("16.100900001Z", Outcome.EXECUTED)],
    ids=["7 µs", "0.9 ms"],
)
def test_a_step_of_some_microseconds_was_looked_up_and_a_short_copy_was_not(
    ended: str, outcome: Outcome
) -> None:
    seen = {"started": START, "completed": f"2026-11-22T22:14:{ended}"}
    name = "[build 2/3] COPY src ."
    text = stream({"vertexes": [{"digest": A, "name": name, **seen}]})
    assert [vertex.outcome for vertex in progress.decode(text)] == [outcome]


def test_crates_are_found_in_plain_progress_too() -> None:
    assert progress.compiled_in("#13 0.512    Compiling alpha v1.0.0 (/x)\n") == ("alpha 1.0.0",)


def test_plain_progress_tells_what_was_executed_and_what_was_not() -> None:
    text = (
        "#1 [internal] load build definition from Dockerfile\n#1 DONE 0.0s\n"
        "#4 [base 1/2] FROM docker.io/library/rust\n#4 DONE 0.0s\n"
        "#5 [base 2/2] WORKDIR /src\n#5 CACHED\n"
        "#6 [linux/arm64 build 1/2] RUN cargo build\n#6 0.31    Compiling app v0.1.0 (/src)\n"
        "#6 DONE 1.3s\n#7 [build 2/2] RUN false\n#7 ERROR: exit code: 1\n"
        "#8 exporting to image\n#8 DONE 0.1s\n"
    )
    found = progress.decode_plain(text)
    places = [(v.stage, v.position, v.outcome) for v in found]
    assert places == [
        (None, None, Outcome.EXECUTED),
        ("base", 1, Outcome.EXECUTED),
        ("base", 2, Outcome.CACHED),
        ("build", 1, Outcome.EXECUTED),
        ("build", 2, Outcome.NOT_RUN),
    ]
    assert [v.name for v in worked(found)] == ["[linux/arm64 build 1/2] RUN cargo build"]


def test_indented_and_single_line_streams_are_read_alike() -> None:
    statuses: tuple[dict[str, object], ...] = (
        {"vertexes": [{"digest": A, "name": "[a 1/2] FROM x", "started": START}]},
        {"vertexes": [{"digest": B, "name": "[a 2/2] RUN {}", "cached": True}]},
    )
    assert progress.decode(stream(*statuses)) == progress.decode(stream(*statuses, indent=None))


def test_cached_executed_and_never_started_are_told_apart() -> None:
    text = stream(
        {
            "vertexes": [
                {"digest": "1", "name": "a", "cached": True, "started": START, "completed": START},
                {"digest": "2", "name": "b", "started": START},
                {"digest": "3", "name": "c"},
            ]
        }
    )
    outcomes = [vertex.outcome for vertex in progress.decode(text)]
    assert outcomes == [Outcome.CACHED, Outcome.EXECUTED, Outcome.NOT_RUN]


def test_stage_and_position_come_from_every_form_of_name() -> None:
    names = {
        "[build 3/7] RUN x": ("build", 3),
        "[stage-1  2/12] COPY a b": ("stage-1", 2),
        "[2/5] RUN x": ("stage-0", 2),
        "[linux/arm64 build 4/4] RUN x": ("build", 4),
        "[linux/arm/v7 2/4] RUN x": ("stage-0", 2),
        "[internal] load build context": (None, None),
        "exporting to image": (None, None),
    }
    for name, place in names.items():
        (vertex,) = progress.decode(stream({"vertexes": [{"digest": A, "name": name}]}))
        assert (vertex.stage, vertex.position) == place, name


def test_logs_are_joined_before_they_are_decoded() -> None:
    word = "é".encode()
    text = stream(
        {"vertexes": [{"digest": A, "name": "[1/1] RUN x", "started": START}]},
        log(A, b"caf" + word[:1]),
        log(A, word[1:] + b"\xff\n"),
    )
    assert progress.decode(text)[0].log == "café�\n"


def test_crates_are_those_of_executed_vertices_without_colours() -> None:
    text = stream(
        {
            "vertexes": [
                {"digest": A, "name": "[1/2] RUN x", "started": START},
                {"digest": B, "name": "[2/2] RUN y", "started": START, "cached": True},
            ]
        },
        log(
            A, b"\x1b[1m\x1b[32m   Compiling\x1b[0m serde v1.0.1\n   Compiling app v0.1.0 (/src)\n"
        ),
        log(B, b"   Compiling never v9.9.9\n"),
    )
    assert progress.crates_compiled(progress.decode(text)) == ("serde 1.0.1", "app 0.1.0")


def test_the_clients_own_words_are_found_around_the_objects() -> None:
    text = (
        "WARNING: no output {specified}\n"
        + stream({"vertexes": [{"digest": A, "name": "[1/1] RUN x", "error": "exit code: 1"}]})
        + "ERROR: failed to solve: exit code: 1\n"
    )
    assert progress.words(text) == (
        "WARNING: no output {specified}\n\nERROR: failed to solve: exit code: 1"
    )
    (vertex,) = progress.decode(text)
    assert vertex.error == "exit code: 1"


def test_a_stream_cut_short_gives_what_was_whole() -> None:
    whole = stream({"vertexes": [{"digest": A, "name": "[1/1] RUN x", "started": START}]})
    torn = whole + whole[: len(whole) // 2]
    assert progress.decode(torn) == progress.decode(whole)


@given(st.text(alphabet='{}[]":,aé\n \\'))
def test_no_stream_makes_it_fail(text: str) -> None:
    assert progress.decode(text) == ()
    progress.words(text)


def test_a_step_of_microseconds_was_looked_up_and_not_executed() -> None:
    def outcome(nanoseconds: str) -> Outcome:
        vertex = {
            "digest": "d",
            "name": "[s0 4/6] COPY f /",
            "started": "2026-01-01T00:00:00.000000000Z",
            "completed": f"2026-01-01T00:00:00.{nanoseconds}Z",
        }
        return progress.decode(json.dumps({"vertexes": [vertex]}))[0].outcome

    assert outcome("000007000") is Outcome.CACHED
    assert outcome("014000000") is Outcome.EXECUTED
