"""dev_container: what P3 takes a script's words for."""

from __future__ import annotations

import pytest

from properties.dev_container import in_dockers_words


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("running", "running"),
        ("paused", "paused"),
        ("stopped", "exited"),
        ("absent", "absent"),
        ("missing", "absent"),
        ("none", "absent"),
    ],
)
def test_a_state_is_told_in_dockers_words_or_there_is_no_container(said: str, meant: str) -> None:
    assert in_dockers_words(said) == meant
