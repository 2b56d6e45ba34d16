"""scripts/test.sh: what pytest is given."""

from __future__ import annotations

import pytest

from tests.unit.scripts.shell_stubs import Shell


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["-n", "2", "--hypothesis-profile=dev"]),
        ({"CI": "true"}, ["-n", "2", "--hypothesis-profile=dev", "--require-engine"]),
        (
            {"CI": "true", "LAYERPROOF_PROFILE": "ci"},
            ["-n", "2", "--hypothesis-profile=ci", "--require-engine"],
        ),
    ],
)
def test_pytest_is_given_workers_a_profile_and_in_ci_an_engine_it_must_have(
    shell: Shell, given: dict[str, str], expected: list[str]
) -> None:
    done = shell.source("test.sh", "test_arguments", **given)
    assert done.out.splitlines() == expected
