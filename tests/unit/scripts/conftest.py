"""The fixture `shell`: a place to call shell code in, with recording stubs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import COREUTILS, Shell


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with links to coreutils and nothing else."""
    directory = tmp_path_factory.mktemp("tools")
    for name in COREUTILS:
        found = shutil.which(name)
        assert found, f"{name} is needed by the tests of the scripts"
        (directory / name).symlink_to(found)
    return directory


@pytest.fixture
def shell(tmp_path: Path, tools: Path) -> Iterator[Shell]:
    """A fresh place to call shell code in."""
    for name in ("stubs", "home", "run", "tmp", "project"):
        (tmp_path / name).mkdir()
    (tmp_path / "tools").symlink_to(tools)
    made = Shell(tmp_path, tmp_path / "project")
    yield made
    made.verify_stubs()


@pytest.fixture
def project(shell: Shell) -> Shell:
    """The same place, with a cargo project in it."""
    shell.cargo_project()
    return shell
