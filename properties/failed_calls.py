"""P7 on calls that fail or are interrupted: what they leave, and what they may not touch."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from harness.judging.judge import Judge
from harness.judging.legacy import place
from harness.judging.report import Row
from harness.running.scripted import BUILD_LAMBDA, PACKAGE, ZIP, Promise, Scripted
from properties.common import (
    FITS,
    ROOM,
    WITHIN,
    ctrl_c,
    same_lines,
    slow_script,
    source_path,
    until,
    with_little_room,
)
from properties.legacy_rows import artifacts, source_rows, sources_of
from properties.story import expect_failure, expect_script

LONG = 120
"""Seconds that a build takes which is interrupted."""
EARLIER = b'"0.1.0"', b'"0.0.9"'
"""What makes a lock file that of an earlier version of the package."""
A_MOMENT = 10.0
"""Seconds that a program may take to end when it is told to."""


def judge_interrupted(scripts: Scripted, *, judge: Judge) -> None:
    """Package; then interrupt a build by the host's cargo that takes long.

    The lock file is an earlier version's, where the scripts build with one: cargo writes it anew.
    """
    lock = scripts.project / "Cargo.lock"
    fitting = lock.read_bytes()
    lock.write_bytes(fitting.replace(*EARLIER))
    story = ["build-lambda.sh native, with the lock file of an earlier version"]
    first = scripts.run(BUILD_LAMBDA, "native")
    if first.status != 0:
        lock.write_bytes(fitting)
        story = ["build-lambda.sh native"]
        first = scripts.run(BUILD_LAMBDA, "native")
    judge("It failed.", holds=first.status == 0, scenario=story, log=first.log)
    before, locked = artifacts(scripts.project), lock.read_bytes()
    script = Path(source_path(scripts.bench.subject)).parents[1] / "build.rs"
    (scripts.project / script).write_bytes(slow_script(LONG).content)
    story.append(f"{script} takes long, build-lambda.sh native, interrupted")
    with scripts.beside(BUILD_LAMBDA, "native") as running:
        begun = until(lambda: running.ended or bool(running_in(scripts.project)))
        begun = begun and not running.ended
        running.signal(ctrl_c())
        until(lambda: running.ended)
        gone = until(lambda: not running_in(scripts.project), within=A_MOMENT)
        for pid in running_in(scripts.project):  # it holds the script's output open
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = running.wait(limit=WITHIN)
    same = artifacts(scripts.project) == before
    rows = [
        Row("the build script ran", "True", str(begun)),
        Row("exit status", "not 0", "not 0" if end.status else "0"),
        Row("programs of the project that still run", "none", "none" if gone else "some"),
        Row("package", "as it was", "as it was" if same else "another, or none"),
        Row("Cargo.lock", "as it was", "as it was" if lock.read_bytes() == locked else "another"),
    ]
    judge(
        "A build was interrupted, and left something behind.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=f"{end.out}{end.err}",
    )


def running_in(folder: Path) -> list[int]:
    """Return the processes whose program lies in a folder (Linux; elsewhere none is seen)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "exe").readlink().is_relative_to(folder.resolve()):
                found.append(int(process.name))
    return found


def judge_lock(method: str, scripts: Scripted, *, judge: Judge) -> None:
    """Build a project that does not compile, by that method: it fails, and changes no source."""
    before = sources_of(scripts.project)
    seen = scripts.run(BUILD_LAMBDA, method)
    rows = source_rows(before, sources_of(scripts.project))
    judge(
        "The build changed the source.",
        holds=seen.status != 0 and not rows,
        scenario=["a project that does not compile, its lock file of an earlier version", method],
        rows=[Row("exit status", "not 0", "not 0" if seen.status else "0"), *rows],
        log=seen.log,
    )


def judge_no_image(scripts: Scripted, *, judge: Judge) -> None:
    """Ask for an image under a name that no image can have."""
    finding = "There is no image, and yet all is said to be well."
    expect_failure(finding, scripts, ("--image", "layerproof/no such name", "prod"), [], judge)


def judge_no_room(scripts: Scripted, *, judge: Judge) -> None:
    """Package a program, then another for whose zip there is no room: nothing is half-written, and
    where that is promised the package is the one before.

    Scripts that package nothing but what can be run are not asked.
    """
    story = ["build-lambda.sh docker"]
    expect_script(scripts, ("docker",), story, judge)
    program = scripts.project / place("docker", None, binary=scripts.bench.subject.binary)
    words = (str(scripts.scripts / BUILD_LAMBDA), "--package-only")
    program.write_bytes(os.urandom(FITS))
    if scripts.command(words).status != 0:
        return
    story.append(f"another program in {program.parent.name}/, build-lambda.sh --package-only")
    before, there = artifacts(scripts.project), _around(scripts.project)
    third = os.urandom(FITS)
    program.write_bytes(third)
    seen = scripts.command(with_little_room(words))
    story.append(f"a third one, where files may hold {ROOM} KiB, build-lambda.sh --package-only")
    after = artifacts(scripts.project)
    rows = [Row("exit status", "not 0", "not 0" if seen.status else "0")]
    if Promise.KEEPS_PACKAGE in scripts.promises:
        left = sorted(_around(scripts.project) - there)
        same = {path: after.get(path) == content for path, content in before.items()}
        rows += [Row(str(p), "as before", "as before" if same[p] else "another") for p in before]
        rows.append(Row("left behind", "nothing", ", ".join(left) or "nothing"))
    else:
        whole = {PACKAGE: {before[PACKAGE], third}, ZIP: {before[ZIP]}}
        told = {path: "whole" if after.get(path) in whole[path] else "not" for path in whole}
        rows += [Row(str(path), "whole", told[path]) for path in whole]
    judge(
        "A package that could not be made took the place of the one before, or left parts of it.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
        hint="Make bootstrap and zip beside, and move both into place once both are whole.",
    )


def _around(project: Path) -> set[str]:
    """Return the paths of what lies in the project's root and beside the package."""
    found = (*project.iterdir(), *(project / PACKAGE).parent.rglob("*"))
    return {str(path.relative_to(project)) for path in found}
