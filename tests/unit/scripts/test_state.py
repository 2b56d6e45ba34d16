"""scripts/lib/state.sh: the context's name, hidden edits, the dependency cache's name."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import Shell

SYNCED = 'open_state; choose_context; mark_sync_begun; mark_synced; echo "$CONTEXT"'


def link(shell: Shell, **changes: str) -> str:
    """Do as a build does, and return the name that the context went by."""
    done = shell.call("eval", SYNCED, **changes)
    assert done.status == 0, done.err
    return done.out.strip()


@pytest.fixture
def synced(shell: Shell) -> str:
    shell.cargo_project()
    first = link(shell)
    time.sleep(0.02)
    return first


def test_the_context_goes_by_a_name_of_its_own(shell: Shell, synced: str) -> None:
    assert Path(synced).resolve() == shell.project.resolve()
    assert shell.project.name not in Path(synced).name


def test_an_unchanged_project_keeps_its_name(shell: Shell, synced: str) -> None:
    assert link(shell) == synced


def test_an_ordinary_edit_keeps_the_name(shell: Shell, synced: str) -> None:
    shell.write("src/main.rs", "fn main() { println!(); }\n")
    assert link(shell) == synced


def test_an_edit_that_hides_behind_its_old_mtime_gets_a_new_name(shell: Shell, synced: str) -> None:
    file = shell.project / "src/main.rs"
    before = file.stat()
    file.write_text("fn niam() {}\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = link(shell)
    assert second != synced
    assert Path(synced).exists(), "another build may be using it"
    time.sleep(0.02)
    assert link(shell) == second


def test_names_of_old_go_when_a_new_one_is_made(shell: Shell, synced: str) -> None:
    os.utime(synced, (1, 1), follow_symlinks=False)
    Path(synced + ".synced").unlink()
    assert link(shell) != synced
    assert not Path(synced).is_symlink()


def test_what_is_built_is_no_hidden_edit(shell: Shell, synced: str) -> None:
    for name in ("target/release/x", "lambda-package/bootstrap", ".git/index"):
        os.utime(shell.write(name), (1, 1))
    os.utime(shell.project, None)
    assert link(shell) == synced


def test_each_engine_has_a_name_of_its_own(shell: Shell, synced: str) -> None:
    assert link(shell, DOCKER_HOST="unix:///a") != link(shell, DOCKER_HOST="unix:///b")


def test_two_checkouts_never_share_a_name(shell: Shell, synced: str) -> None:
    shell.project = shell.root / "elsewhere" / shell.project.name
    shell.project.mkdir(parents=True)
    assert Path(link(shell)).name != Path(synced).name


def test_without_a_place_for_state_builds_go_on(shell: Shell) -> None:
    (shell.root / "file").touch()
    done = shell.call("eval", SYNCED + "; close_state", LAYERPROOF_HOME=str(shell.root / "file/x"))
    assert done.status == 0
    assert list((shell.root / "tmp").iterdir()) == []


def test_the_dependency_cache_is_the_projects_own(shell: Shell) -> None:
    identity = shell.call("project_id").out.strip()
    assert shell.call("open_state", after="cache_id").out == f"layerproof-{identity}\n"


def test_a_renewed_cache_stays_renewed_once_it_has_proved_good(shell: Shell) -> None:
    renewed = shell.call("open_state", after="renew_cache_id; cache_id; keep_cache_id").out
    assert shell.call("open_state", after="cache_id").out == renewed


def test_a_renewed_cache_that_did_not_help_is_forgotten(shell: Shell) -> None:
    first = shell.call("open_state", after="cache_id").out
    done = shell.call("open_state", after="renew_cache_id; restore_cache_id; cache_id")
    assert done.out == first
    assert shell.call("open_state", after="cache_id").out == first
