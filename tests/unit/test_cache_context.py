"""Snapshots of a build context: what they hold, what they survive, what edits make of them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import dockerfile
from harness.cache import predict
from harness.errors import ProjectError
from harness.keys.context import Context, of_directory, of_tree
from harness.keys.evaluate import BuildState
from harness.keys.plan import Selector
from harness.keys.records import Record
from harness.keys.selection import select
from harness.model import Directory, Edit, EditClass, Entry, File, Link, Outcome
from harness.parsing import dockerignore

TREE: dict[str, Entry] = {
    "a/file": File(b"content"),
    "a/tool": File(b"#!", 0o755),
    "empty": Directory(0o700),
    "link": Link("a/file"),
}


def write(root: Path, tree: dict[str, Entry]) -> None:
    for path, entry in tree.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, File):
            target.write_bytes(entry.content)
            target.chmod(entry.mode)
        elif isinstance(entry, Link):
            target.symlink_to(entry.target)
        else:
            target.mkdir()
            target.chmod(entry.mode)
    for folder in root.rglob("*"):
        if folder.is_dir() and str(folder.relative_to(root)) not in tree:
            folder.chmod(0o755)


def test_a_tree_and_a_directory_of_the_same_files_are_the_same(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    assert of_directory(tmp_path).differences(of_tree(TREE)) == ()
    assert of_directory(tmp_path).tree_digest("") == of_tree(TREE).tree_digest("")


def test_modification_times_are_no_part_of_the_identity(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    before = of_directory(tmp_path).tree_digest("")
    os.utime(tmp_path / "a/file", (1, 1))
    assert of_directory(tmp_path).tree_digest("") == before


@pytest.mark.parametrize(
    ("path", "entry", "what"),
    [
        ("a/file", File(b"other"), "content"),
        ("a/file", File(b"content", 0o600), "mode 644 → 600"),
        ("a/file", None, "removed"),
        ("a/new", File(b""), "added"),
        ("link", Link("a"), "link target"),
        ("link", File(b"a/file"), "link became file"),
    ],
)
def test_a_difference_is_named(path: str, entry: Entry | None, what: str) -> None:
    before = of_tree(TREE)
    after = before.edited(Edit(EditClass.SOURCE, "", {path: entry}))
    assert before.differences(after) == ((path, what),)


def test_an_edited_snapshot_equals_one_taken_afresh() -> None:
    tree = {**TREE, "a/file": File(b"other")}
    before = of_tree(TREE)
    before.tree_digest("")
    after = before.edited(Edit(EditClass.SOURCE, "", {"a/file": tree["a/file"]}))
    assert after.tree_digest("") == of_tree(tree).tree_digest("")
    assert after.tree_digest("a") != before.tree_digest("a")


def test_special_files_are_recorded_and_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        listener.bind("socket")
        snapshot = of_directory(tmp_path)
    assert {path: record.kind for path, record in snapshot.records.items()} == {
        "fifo": "special",
        "socket": "special",
    }


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "up").symlink_to("..")
    snapshot = of_directory(tmp_path)
    assert sorted(snapshot.records) == ["loop", "up"]
    assert "circle" in select(snapshot, Selector("/loop/x")).problem


def test_an_unreadable_file_makes_what_selects_it_unknown() -> None:
    text = "FROM base\nCOPY b /\nCOPY a /\n"
    records = dict(of_tree({**TREE, "b": File(b"b")}).records)
    records["a/file"] = Record("unreadable", 0, reason="Permission denied")
    state = BuildState(dockerfile.parse(text), Context(records, {}))
    found = predict([state], state).vertices
    assert [v.prediction for v in found[1:]] == [Outcome.CACHED, Outcome.UNKNOWN]
    assert found[2].because[0].text.startswith("a/file cannot be read (Permission denied)")


def test_a_file_that_vanishes_while_walking_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, TREE)
    (tmp_path / "a/file").unlink()
    assert "a/file" not in of_directory(tmp_path).records


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be listed"):
        of_directory(tmp_path / "none")


def test_ignored_directories_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"target/deep/x": File(b""), "src/y": File(b"")})
    ignore = dockerignore.parse("target\n")
    listed: list[str] = []
    real = os.scandir

    def recording(path: Path) -> Iterator[os.DirEntry[str]]:
        listed.append(str(path))
        return iter(real(path))

    monkeypatch.setattr(os, "scandir", recording)
    assert sorted(of_directory(tmp_path, ignore=ignore).records) == ["src", "src/y"]
    assert not any("target" in path for path in listed)


def test_an_exception_below_an_ignored_directory_is_kept(tmp_path: Path) -> None:
    write(tmp_path, {"target/keep": File(b""), "target/x": File(b"")})
    ignore = dockerignore.parse("target\n!target/keep\n")
    assert sorted(of_directory(tmp_path, ignore=ignore).records) == ["target", "target/keep"]


def test_a_hostile_ignore_pattern_ends() -> None:
    name = "a" * 200
    tree: dict[str, Entry] = {name: File(b""), ".dockerignore": File(b"*a" * 60 + b"b\n")}
    state = BuildState(dockerfile.parse("FROM base\nCOPY . /\n"), of_tree(tree))
    assert predict([state], state).vertices[1].prediction is Outcome.CACHED


@pytest.mark.parametrize("own", ["Dockerfile.dockerignore", ".dockerignore"])
def test_an_ignored_change_is_no_change(own: str) -> None:
    tree: dict[str, Entry] = {**TREE, "x.log": File(b"1"), own: File(b"*.log\n")}
    text = "FROM base\nCOPY . /\n"
    before = BuildState(dockerfile.parse(text), of_tree(tree))
    after = BuildState(dockerfile.parse(text), of_tree({**tree, "x.log": File(b"2")}))
    assert predict([before], after).vertices[1].prediction is Outcome.CACHED


def test_the_dockerfiles_own_ignore_file_comes_before_the_contexts() -> None:
    tree: dict[str, Entry] = {
        "x.log": File(b"1"),
        "Dockerfile.dockerignore": File(b"nothing\n"),
        ".dockerignore": File(b"*.log\n"),
    }
    text = "FROM base\nCOPY . /\n"
    before = BuildState(dockerfile.parse(text), of_tree(tree))
    after = BuildState(dockerfile.parse(text), of_tree({**tree, "x.log": File(b"2")}))
    assert predict([before], after).vertices[1].prediction is Outcome.EXECUTED
