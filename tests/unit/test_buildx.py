"""engine.find_buildx: where the scripts find it too, and never one that is too old."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import engine
from harness.errors import EnvironmentLacksError, UsageError

NOWHERE = Path("/nonexistent")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no buildx, whose user's files lie in a folder of the test's."""
    for name in ("DOCKER_CONFIG", "LAYERPROOF_BUILDX", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LAYERPROOF_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(engine, "PLUGIN_FOLDERS", (str(tmp_path / "system"),))
    return tmp_path


def plugin(folder: Path, version: str) -> Path:
    """Write a plugin that says its version as buildx does."""
    path = folder / "docker-buildx"
    folder.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'github.com/docker/buildx {version} 788433953af1'\n")
    path.chmod(0o755)
    return path


def found() -> Path:
    """Return the plugin that is taken where set-up provides none."""
    return engine.find_buildx(say=print, scripts=NOWHERE)


def test_the_users_plugin_goes_before_ours_and_ours_before_the_systems(home: Path) -> None:
    system = plugin(home / "system", "v0.20.0")
    assert found() == system
    ours = plugin(home / "state" / "tools", "v0.13.1")
    assert found() == ours
    theirs = plugin(home / ".docker" / "cli-plugins", "v0.14.0")
    assert found() == theirs


@pytest.mark.parametrize("version", ["v0.10.5", "0.12.1+dfsg"])
def test_one_that_is_too_old_is_passed_over(home: Path, version: str) -> None:
    plugin(home / ".docker" / "cli-plugins", version)
    with pytest.raises(EnvironmentLacksError, match="missing, or older than"):
        found()
    assert plugin(home / "state" / "tools", "0.13.1+ds1-3") == found()


def test_the_one_that_is_named_is_taken_or_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin(home / "system", "v0.20.0")
    monkeypatch.setenv("LAYERPROOF_BUILDX", str(plugin(home / "mine", "v0.1.0")))
    assert found() == home / "mine" / "docker-buildx"
    monkeypatch.setenv("LAYERPROOF_BUILDX", str(home / "mine" / "none"))
    with pytest.raises(UsageError, match="LAYERPROOF_BUILDX cannot be run"):
        found()
