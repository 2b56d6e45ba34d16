"""harness/judging/legacy.py: what counts as said."""

from __future__ import annotations

import pytest

from harness.judging.legacy import is_said


@pytest.mark.parametrize(
    "log",
    [
        "[INFO] No build method specified, defaulting to docker",
        "[INFO] no method was given: the default is docker",
        "[INFO] Docker, by default",
    ],
)
def test_a_sentence_may_be_put_in_other_words(log: str) -> None:
    assert is_said("default docker", f"[WARNING] first\n{log}\n")


@pytest.mark.parametrize("log", ["", "[INFO] docker", "by default\n[INFO] docker"])
def test_words_of_two_lines_are_no_sentence(log: str) -> None:
    assert not is_said("default docker", log)


def test_a_tag_is_written_as_it_is() -> None:
    assert is_said("[INFO]", "[INFO] x")
    assert not is_said("[INFO]", "[info] x")


def test_what_has_a_line_break_is_said_as_it_is() -> None:
    assert is_said("a\nb", "no such method: a\nb")
