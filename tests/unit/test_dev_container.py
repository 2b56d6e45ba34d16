"""dev_container: what P3 takes a script's words for."""

from __future__ import annotations

import pytest

from harness.judging.states import in_dockers_words, told


@pytest.mark.parametrize(
    ("said", "truth", "meant"),
    [
        ("running", "exited", "running"),
        ("paused", "paused", "paused"),
        ("stopped", "exited", "exited"),
        ("stopped", "created", "created"),
        ("stopped", "running", "exited"),
        ("absent", "running", "absent"),
        ("missing", "absent", "absent"),
        ("none", "exited", "absent"),
    ],
)
def test_a_state_is_told_in_dockers_words_or_there_is_no_container(
    said: str, truth: str, meant: str
) -> None:
    assert in_dockers_words(said, truth) == meant


@pytest.mark.parametrize(
    ("text", "status", "state"),
    [
        ("[INFO] dev container: running\n  current  yes\n", 0, "running"),
        ("The container is Paused.\n", 1, "paused"),
        ("lambda-dev is stopped\n", 1, "stopped"),
        ("Not running (exited)\n", 1, "exited"),
        ("It isn't running.\n", 0, None),
        ("dev container: none\n", 1, None),
        ("no dev container; `start` gets it running\n", 1, None),
        ("Up for 3 minutes\n", 0, None),
        ("app, created an hour ago: running\n", 0, "running"),
        ("app is created\n", 1, "created"),
    ],
)
def test_a_state_is_read_out_of_what_is_said_for_people(
    text: str, status: int, state: str | None
) -> None:
    assert told(text, status) == state
