"""`pytest properties/` shares its work among two workers unless something else is said."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

import conftest

ROOT = Path(__file__).parents[2]


def workers(*arguments: str, **options: object) -> object:
    """Return how many workers a call ends up with, as `-n` has it."""
    said: dict[str, object] = {"numprocesses": None, "tx": [], "usepdb": False}
    said |= {"capture": "fd", "collectonly": False, **options}
    config = SimpleNamespace(option=SimpleNamespace(**said), args=list(arguments))
    conftest.pytest_cmdline_main(config)  # type: ignore[arg-type]
    return config.option.numprocesses


@pytest.fixture(autouse=True)
def outside_of_any_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


@pytest.mark.parametrize(
    "arguments",
    [
        (str(ROOT / "properties"),),
        (f"{ROOT}/properties/test_structure.py::test_x", f"{ROOT}/properties"),
    ],
)
def test_the_properties_alone_get_two(arguments: tuple[str, ...]) -> None:
    assert workers(*arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "options", "expected"),
    [
        (("tests",), {}, None),
        (("properties", "tests/unit"), {}, None),
        (("properties",), {"numprocesses": 0}, 0),
        (("properties",), {"numprocesses": 5}, 5),
        (("properties",), {"usepdb": True}, None),
        (("properties",), {"capture": "no"}, None),
        (("properties",), {"collectonly": True}, None),
        (("properties",), {"tx": ["popen"]}, None),
    ],
)
def test_what_is_said_is_done(
    arguments: tuple[str, ...], options: dict[str, object], expected: object
) -> None:
    assert workers(*(str(ROOT / name) for name in arguments), **options) == expected


def test_a_worker_starts_none_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert workers(str(ROOT / "properties")) is None


def test_one_core_is_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert workers(str(ROOT / "properties")) is None
