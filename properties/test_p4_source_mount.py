"""P4, source mount: what the host has, the container sees, at once and byte for byte, and the next
build takes it; nothing in the source tree changes but the declared outputs, which are the caller's.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.generated import trees
from harness.generated.source_trees import differences, listed
from harness.generated.source_trees import trees as odd_trees
from harness.judging.judge import Judge, Tally
from harness.judging.report import Row
from harness.model import Entry, File, Link
from harness.running.scripted import DEV_CONTAINER, Promise, Scripted
from harness.scenario import Bench
from properties.common import on_terminal
from properties.mounted_project import (
    DATA,
    DECLARED,
    PART,
    judge_build,
    judge_output,
    project_of_a_user,
    sources,
)
from properties.story import count

pytestmark = pytest.mark.property("P4")
ROOT = ("", "0", "0:0", "root", "root:root")
"""What the engine says of a container in which root works."""
LOCK_SHARE = 4
"""One of so many scenarios is about the lock file."""
FOLDER = "odd"
REPLACED = ("Cargo.toml", "Cargo.lock")
CONFIGURATION = """\
[build]
rustflags = ["--cfg", "told"]

[env]
TOLD = "{}"
"""
"""A .cargo/config.toml by which the program is told a word."""

LOCK = """\
version = 3

[[package]]
name = "{name}"
version = "{version}"
"""
EARLIER = 1_700_000_000
"""A date of a lock file that any manifest is newer than, as after an edit of that; in seconds."""
MADE_ANEW = (
    "A mount holds a directory, not a path: notice another one by its device and inode, and make "
    "the container again."
)


@pytest.fixture(scope="module")
def dev(bench: Bench) -> Iterator[Scripted]:
    """Keep one dev container for all trees: each scenario has the project to itself."""
    with project_of_a_user(bench) as made:
        yield made


@given(data=st.data())
def test_the_container_sees_what_the_host_has_and_builds_it(
    data: st.DataObject, dev: Scripted, tally: Tally, judge: Judge
) -> None:
    """Two trees in turn in the same place, seen from inside at once; then a build of new data."""
    first, second = data.draw(odd_trees(), "first tree"), data.draw(odd_trees(), "second tree")
    content = data.draw(st.binary(max_size=200), f"content of {DATA}")
    with tally.scenario():
        judge_trees((first, second), content, dev, judge=judge)


@given(version=st.sampled_from(["0.0.9", "0.2.0"]), package=st.sampled_from(["app", "other"]))
@settings(max_examples=max(1, settings().max_examples // LOCK_SHARE))
def test_a_build_never_rewrites_the_lock_file(
    version: str, package: str, dev: Scripted, tally: Tally, judge: Judge
) -> None:
    """A lock file that does not fit the manifest may end the build; it stays as it is."""
    with tally.scenario():
        judge_lock(LOCK.format(name=package, version=version), dev, judge=judge)


def test_a_directory_that_is_made_anew_is_what_the_container_sees(
    dev: Scripted, tally: Tally, judge: Judge
) -> None:
    """The next build takes what lies at the project's path, not what a mount has kept of it."""
    with tally.scenario():
        judge_made_anew(dev, judge=judge)


def test_an_edit_that_hides_is_built(dev: Scripted, tally: Tally, judge: Judge) -> None:
    """An edit that leaves size and date as they were, as a tool that copies with dates does."""
    with tally.scenario():
        judge_hidden(dev, judge=judge)


def test_a_file_that_is_removed_is_gone(dev: Scripted, tally: Tally, judge: Judge) -> None:
    """What the program is made of is not there any more, and no build succeeds without it."""
    with tally.scenario():
        judge_removed(dev, judge=judge)


def test_what_cargo_is_configured_to_do_holds_in_the_container(
    dev: Scripted, tally: Tally, judge: Judge
) -> None:
    """A .cargo/config.toml is as much of the source as the manifest is."""
    with tally.scenario():
        judge_configured(dev, judge=judge)


def test_what_is_run_in_the_container_is_run_as_the_caller(
    dev: Scripted, tally: Tally, judge: Judge
) -> None:
    """What a command in the container writes is the caller's on a terminal, where it is without."""
    with tally.scenario():
        judge_commands(dev, judge=judge)


def judge_trees(
    odd: Sequence[dict[str, Entry]], content: bytes, dev: Scripted, *, judge: Judge
) -> None:
    """Put each tree in the same place and look at it from inside; then build with new data.

    Manifest and lock file change and change back, each time as other files of these names.
    """
    story = ["a project with a dev container"]
    fitting = {path: (dev.project / path).read_bytes() for path in REPLACED}
    try:
        for number, tree in enumerate(odd):
            count(f"entries: {len(tree)}")
            folder = dev.project / FOLDER
            trees.remove(folder)
            folder.mkdir()
            trees.write(folder, tree)
            dev.hand_over(folder)
            put_anew(dev, fitting, b"" if number else b"# edited\n")
            edited = "" if number else f", and a comment in {' and '.join(REPLACED)}"
            story.append(f"{FOLDER}/ on the host: {summary(tree)}{edited}")
            judge_view(dev, story, judge)
    finally:
        put_anew(dev, fitting)
    trees.put(dev.project, DATA, File(content))
    dev.hand_over(dev.project / "src")
    story.append(f"{DATA}: {len(content)} bytes, dev build")
    judge_build(dev, content, story, judge)


def put_anew(dev: Scripted, contents: Mapping[str, bytes], added: bytes = b"") -> None:
    """Put other files in the place of those that are there, as editors do."""
    for path, content in contents.items():
        trees.remove(dev.project / path)  # or the content changes, and the file is the same
        trees.put(dev.project, path, File(content + added))
        dev.hand_over(dev.project / path)


def judge_made_anew(dev: Scripted, *, judge: Judge) -> None:
    """Build; put another directory in the place of the project's, as a fresh clone is; build."""
    story = ["a project, dev build"]
    judge_build(dev, (dev.project / DATA).read_bytes(), story, judge)
    away = dev.project.with_name(f"{dev.project.name}-away")
    dev.project.rename(away)
    shutil.copytree(away, dev.project, symlinks=True)
    content = b"of another directory"
    trees.put(dev.project, DATA, File(content))
    dev.hand_over(dev.project)
    story.append("the directory is moved away, another put in its place, dev build")
    try:  # a container that still mounts the one that was moved finds a whole project there
        judge_build(dev, content, story, judge, hint=MADE_ANEW)
    finally:
        shutil.rmtree(away)


def judge_hidden(dev: Scripted, *, judge: Judge) -> None:
    """Build; write as much again with the date of before; link to another file of that date.

    The dates are old where the scripts say that they see such edits: cargo itself does not, nor
    that a link goes on to a third file.
    """
    story = ["a project, dev build"]
    date = (dev.project / DATA).stat().st_mtime_ns
    sees_all = Promise.SEES_OLD_DATES in dev.promises
    others = [Path(DATA).with_name(name) for name in ("another", "a third")[: 1 + sees_all]]
    for other in others:
        put_dated(dev, str(other), other.name.encode(), date)
    for content in (b"one", b"two"):
        put_dated(dev, DATA, content, date)
        story.append(f"{DATA}: {content!r}, dated as it was, dev build")
        judge_build(dev, content, story, judge)
    for other in others:
        if not sees_all:
            put_dated(dev, str(other), other.name.encode(), date)
        trees.put(dev.project, DATA, Link(other.name))
        dev.hand_over(dev.project / "src")
        story.append(f"{DATA}: a link to {other.name} file, as old as it was, dev build")
        judge_build(dev, other.name.encode(), story, judge)


def judge_removed(dev: Scripted, *, judge: Judge) -> None:
    """Build; take away a source of the program, which ends the build; put it back.

    It is not the data: of what is linked to, cargo itself does not see that the link is gone.
    """
    story = ["a project, dev build"]
    file, away = dev.project / PART, dev.project.with_name("taken-away")
    judge_build(dev, (dev.project / DATA).read_bytes(), story, judge)
    story.append(f"{PART} is removed, dev build")
    file.rename(away)
    try:
        seen = dev.run(DEV_CONTAINER, "build")
    finally:
        away.rename(file)
    judge(
        "A file was removed, and the program was made of it all the same.",
        holds=seen.status != 0,
        scenario=story,
        log=seen.log,
        hint="Build in the mounted source; or remove from a copy what is gone from the source.",
    )


def put_dated(dev: Scripted, path: str, content: bytes, date: int) -> None:
    """Write a file, and give it that date if the scripts make up for what cargo overlooks."""
    trees.put(dev.project, path, File(content))
    if Promise.SEES_OLD_DATES in dev.promises:
        os.utime(dev.project / path, ns=(date, date))
    dev.hand_over(dev.project / "src")


def judge_configured(dev: Scripted, *, judge: Judge) -> None:
    """Configure cargo and build; where that builds without a lock file, take both away, and put
    another configuration there: it is seen as it comes and goes.
    """
    story = ["a project"]
    lock = dev.project / "Cargo.lock"
    content, fitting = (dev.project / DATA).read_bytes(), lock.read_bytes()
    try:
        configure(dev, "once")
        story.append(".cargo/config.toml tells 'once', dev build")
        judge_build(dev, content, story, judge, told="once")
        lock.unlink()
        for word in ("", "twice"):
            configure(dev, word)
            what = f"a .cargo/config.toml that tells {word!r}" if word else "no .cargo"
            story.append(f"no Cargo.lock, {what}, dev build")
            seen = dev.run(DEV_CONTAINER, "build")
            if seen.status == 0:
                judge_output(dev, content, seen, story, judge, told=word)
    finally:
        shutil.rmtree(dev.project / ".cargo", ignore_errors=True)
        lock.write_bytes(fitting)
        dev.hand_over(dev.project)


def configure(dev: Scripted, word: str) -> None:
    """Have cargo configured to tell the program a word; without one, not at all."""
    folder = dev.project / ".cargo"
    if not word:
        shutil.rmtree(folder)
        return
    trees.put(dev.project, ".cargo/config.toml", File(CONFIGURATION.format(word).encode()))
    dev.hand_over(folder)


def judge_commands(dev: Scripted, *, judge: Judge) -> None:
    """Let commands write in the source: it is the caller's, but where the container is root's.

    Where the source is mounted to be read alone there is nothing to be written.
    """
    found = dev.containers()
    if found and not any(container.writable for container in found):
        count("the source is mounted to be read alone")
        return
    words = (str(dev.scripts / DEV_CONTAINER), *dev.executing("touch"))
    calls: dict[str, tuple[str, ...]] = {"src/written": (*words, "src/written")}
    typed = on_terminal((*words, "src/typed"))
    if typed is not None:
        calls["src/typed"] = typed
    expected = None
    roots_own = any(container.user in ROOT for container in found)
    for path, call in calls.items():
        story = ["a project with a dev container", shlex.join(call)]
        seen = dev.command(call)
        file = dev.project / path
        owner = str(file.lstat().st_uid) if file.exists() else "nobody: it is not there"
        file.unlink(missing_ok=True)
        expected = expected or ("0" if owner == "0" and roots_own else str(dev.uid))
        judge(
            "What a command in the container wrote is not the caller's.",
            holds=owner == expected,
            scenario=story,
            rows=[Row(f"{path}: owner", expected, owner)],
            log=seen.log,
        )


def judge_lock(lock: str, dev: Scripted, *, judge: Judge) -> None:
    """Build with that lock file: whatever comes of it, the source tree is as it was."""
    file = dev.project / "Cargo.lock"
    fitting = file.read_bytes()
    try:
        file.write_text(lock)
        os.utime(file, (EARLIER, EARLIER))
        before = sources(dev.project)
        seen = dev.run(DEV_CONTAINER, "build")
        count(f"status with a lock file that does not fit: {seen.status}")
        rows = [Row(*words) for words in differences(before, sources(dev.project))]
        judge(
            "The build changed the source tree.",
            holds=not rows,
            scenario=[f"Cargo.lock that does not fit: {lock!r}", "dev build"],
            rows=rows,
            log=seen.log,
        )
    finally:
        file.write_bytes(fitting)


def summary(tree: dict[str, Entry]) -> str:
    """Name the entries of a tree."""
    return ", ".join(f"{path!a} ({type(tree[path]).__name__})" for path in tree) or "nothing"


def judge_view(dev: Scripted, story: Sequence[str], judge: Judge) -> None:
    """The container lists the same names, kinds, modes, contents and link targets."""
    here = sorted(f"./{path.name}" for path in dev.project.iterdir() if path.name not in DECLARED)
    seen = dev.run(DEV_CONTAINER, *dev.executing("tar", "-cf", "-", *here))
    judge(
        "The container cannot read the tree.", holds=seen.status == 0, scenario=story, log=seen.err
    )
    try:
        there = listed(seen.stdout)
    except tarfile.TarError:
        judge(
            "`exec` wrote something else to its output than the command did.",
            holds=False,
            scenario=[*story, "exec tar -cf - …"],
            log=seen.stdout[:1000].decode(errors="replace"),
            hint="Write messages to stderr: what `exec` prints is for whoever reads the command's "
            "output.",
        )
        return
    rows = [Row(*words) for words in differences(sources(dev.project), there)]
    judge(
        "The container does not see what the host has.",
        holds=not rows,
        scenario=story,
        rows=rows,
    )
