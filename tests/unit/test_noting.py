"""noting: what stands in front of docker and buildx notes each call and changes nothing of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import process, progress
from harness.model import Outcome
from harness.process import Completed
from harness.running import noting

REAL = """#!/bin/sh
echo "to stdout: $*"
echo '#5 [build 1/2] COPY src ./src' >&2
echo '#5 CACHED' >&2
exit 7
"""


@pytest.fixture
def buildx(tmp_path: Path) -> Path:
    """A stand-in for a program that writes to both streams and fails."""
    real = tmp_path / "it's real" / "docker-buildx"
    real.parent.mkdir()
    real.write_text(REAL)
    real.chmod(0o755)
    return noting.stand_in_for_buildx(real, tmp_path / "tools")


@pytest.fixture
def docker_that_echoes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The docker on the PATH says what it is called with."""
    real = tmp_path / "real" / "docker"
    real.parent.mkdir()
    real.write_text('#!/bin/sh\necho "docker $*"\n')
    real.chmod(0o755)
    monkeypatch.setenv("PATH", f"{real.parent}:/usr/bin:/bin")


def call(buildx: Path, folder: Path | None, *words: str) -> Completed:
    """Call the stand-in, with a folder for notes or without."""
    given = dict(noting.environment(folder)) if folder is not None else {noting.FOLDER: None}
    return process.run([str(buildx), *words], limit=30, env=process.environment(given))


@pytest.mark.parametrize("noted", [True, False])
def test_status_and_both_streams_are_those_of_the_real_program(
    buildx: Path, tmp_path: Path, noted: bool
) -> None:
    done = call(buildx, tmp_path / "notes" if noted else None, "build", "a b")
    assert done.status == 7
    assert done.out == "to stdout: build a b\n"
    assert done.err == "#5 [build 1/2] COPY src ./src\n#5 CACHED\n"


def test_calls_and_what_they_said_are_noted_and_forgotten_before_the_next(
    buildx: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    call(buildx, folder, "build", "--file", "two\nlines")
    seen = noting.read(folder)
    assert [words.split() for words in seen.calls] == [["build", "--file", "two", "lines"]]
    (vertex,) = progress.decode_plain(seen.said[0])
    assert (vertex.stage, vertex.position, vertex.outcome) == ("build", 1, Outcome.CACHED)
    noting.environment(folder)
    assert noting.read(folder) == noting.Notes()


def test_docker_on_the_path_of_a_noted_call_notes_and_calls_the_real_one(
    docker_that_echoes: None, tmp_path: Path
) -> None:
    given = dict(noting.environment(tmp_path / "notes"))
    done = process.run(["docker", "info"], limit=30, env=process.environment(given))
    assert done.out == "docker info\n"
    assert noting.read(tmp_path / "notes").calls == ("info ",)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["run", "--rm", "image"], True),
        (["create", "image"], True),
        (["--debug", "container", "create", "image"], True),
        (["start", "name"], True),
        (["compose", "up", "--detach"], True),
        (["volume", "create", "name"], False),
        (["buildx", "build", "."], False),
        (["exec", "name", "run"], False),
        ([], False),
    ],
)
def test_only_the_wish_for_a_container_is_refused(
    docker_that_echoes: None, tmp_path: Path, words: list[str], refused: bool
) -> None:
    given = dict(noting.refusing_containers(tmp_path / "refusing"))
    done = process.run(["docker", *words], limit=30, env=process.environment(given))
    assert (done.status, noting.NO_SPACE in done.err) == ((1, True) if refused else (0, False))
    assert done.out == ("" if refused else f"docker {' '.join(words)}\n")


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        (["version"], True),
        (["image", "inspect", "name"], True),
        (["info"], True),
        (["--version"], False),
        (["buildx", "version"], False),
        (["compose", "version"], False),
        ([], False),
    ],
)
def test_an_engine_that_answers_late_does_so_the_second_time(
    docker_that_echoes: None, tmp_path: Path, words: list[str], asks: bool
) -> None:
    given = dict(noting.answering_late(tmp_path / "late"))
    given["DOCKER_HOST"] = "unix:///somewhere.sock"
    first, second = (
        process.run(["docker", *words], limit=30, env=process.environment(given)) for _ in range(2)
    )
    refused = "Cannot connect to the Docker daemon at unix:///somewhere.sock. Is the"
    assert (first.status, refused in first.err) == ((1, True) if asks else (0, False))
    assert second.out == f"docker {' '.join(words)}\n"
