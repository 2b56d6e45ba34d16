"""dev_container: what P3 takes a script's words for."""

from __future__ import annotations

import pytest

from properties.dev_container import in_dockers_words


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
