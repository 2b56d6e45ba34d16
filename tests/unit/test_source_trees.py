"""How two listings of a tree are told apart."""

from __future__ import annotations

import pytest

from harness.generated.source_trees import differences

LONG = b"# generated, and the same for a long while " * 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG + b"1", LONG + b"2"),
        (LONG, LONG + b"2"),
        (LONG + b"1", LONG),
        (LONG + b"1" + LONG, LONG + b"2" + LONG),
        (b"1", b"2"),
    ],
)
def test_what_differs_is_shown_however_far_behind_it_stands(one: bytes, other: bytes) -> None:
    before = {"a": ("file", 0o644, one), "b": ("file", 0o644, b"")}
    ((path, expected, found),) = differences(before, {**before, "a": ("file", 0o644, other)})
    assert path == "'a'"
    assert expected != found
    assert max(len(expected), len(found)) < 70


def test_what_is_gone_is_absent() -> None:
    assert differences({"a": ("file", 0o600, b"x")}, {}) == [("'a'", "file 0600 b'x'", "absent")]
