"""`pytest properties/` shares its work among two workers unless something else is said, and works
where an option leads into another copy of this project.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import conftest
from harness import process

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


COPIED = ("conftest.py", "harness", "properties", "scripts", "pyproject.toml", "fixtures")
STRUCTURE = "properties/test_structure.py"


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Return the scripts of another copy of this project."""
    for name in (*COPIED, "Dockerfile.optimized"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path / "scripts"


def called(*words: str | Path) -> process.Completed:
    """Call pytest in this copy of the project."""
    argv = (sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n0", *map(str, words))
    return process.run(argv, cwd=ROOT, limit=120)


def test_scripts_of_another_copy_can_be_named(named: Path) -> None:
    for words in ((STRUCTURE, "--scripts-dir", named), (f"--scripts-dir={named}", STRUCTURE)):
        done = called(*words)
        assert done.status == 0, f"{done.out}{done.err}"
        assert "1 passed" in done.out
        assert f"layerproof: {named.parent}/Dockerfile.optimized" in done.out


def test_scripts_of_another_copy_before_the_tests_take_an_equals_sign(named: Path) -> None:
    """Pytest takes an option that it does not know yet for one without a value."""
    done = called("--scripts-dir", named, STRUCTURE)
    assert done.status == pytest.ExitCode.USAGE_ERROR
    assert "write --scripts-dir=PATH" in done.err
