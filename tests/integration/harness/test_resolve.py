"""`explain --resolve`: what no prediction can know is found out by building it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.engine import Engine
from harness.model import BuildOptions
from harness.running import builder
from harness.running import ground as grounds

TEXT = """\
FROM {image} AS planner
COPY . /in
RUN mkdir /plan && cp /in/Cargo.toml /plan/

FROM {image}
COPY --from=planner /plan/ /plan/
RUN cat /plan/Cargo.toml
"""


@pytest.fixture
def project(tmp_path: Path, engine: Engine, say: Callable[[str], None]) -> Path:
    """Write a project, as it was and with two edits, in directories side by side."""
    image = grounds.on(engine, say=say).image
    for name in ("before", "manifest", "source"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "Cargo.toml").write_text(f"# {uuid.uuid5(uuid.NAMESPACE_OID, str(tmp_path))}\n")
        (folder / "main.rs").write_text("fn main() {}\n")
        (folder / "Dockerfile").write_text(TEXT.format(image=image))
    with (tmp_path / "manifest" / "Cargo.toml").open("a") as manifest:
        manifest.write("# a comment\n")
    (tmp_path / "source" / "main.rs").write_text("fn main() { main() }\n")
    return tmp_path


def command(project: Path, after: str, *options: str) -> list[str]:
    """Return the command line that explains one of the edits."""
    before = project / "before"
    places = {"project": before, "dockerfile": before / "Dockerfile", "before": before}
    named = [f"--{name}={path}" for name, path in places.items()]
    return ["explain", *named, f"--after={project / after}", "--network=none", *options]


def explained(
    project: Path, after: str, *options: str, capsys: pytest.CaptureFixture[str]
) -> dict[int, str]:
    """Return the prediction of each line of the Dockerfile."""
    status = main(command(project, after, "--json", *options))
    out = capsys.readouterr().out
    assert status == 0, out
    return {each["line"]: each["prediction"] for each in json.loads(out)["vertices"]}


@pytest.mark.parametrize(("edited", "found"), [("source", "cached"), ("manifest", "executed")])
def test_a_stage_that_nothing_is_declared_of_is_built_to_find_out(
    project: Path, engine: Engine, capsys: pytest.CaptureFixture[str], edited: str, found: str
) -> None:
    guess = explained(project, edited, capsys=capsys)
    assert (guess[2], guess[6], guess[7]) == ("executed", "unknown", "unknown")
    told = explained(project, edited, "--resolve", f"--engine={engine.url}", capsys=capsys)
    assert (told[2], told[6], told[7]) == ("executed", found, found)


def test_a_stage_that_does_not_build_is_named(
    project: Path, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile = project / "before" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("cp /in/Cargo.toml", "cp /in/none"))
    status = main(command(project, "source", "--resolve", f"--engine={engine.url}"))
    assert status == 1
    assert "the build of stage planner failed, so nothing is known of it" in capsys.readouterr().err


def test_an_engine_is_asked_for_the_triggers_of_a_base_image(
    tmp_path: Path, engine: Engine, say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the image itself says that a build upon it copies the source."""
    parent = grounds.on(engine, say=say).image
    tag = f"layerproof/onbuild:{uuid.uuid4().hex[:12]}"
    (tmp_path / "main.rs").write_text("fn main() {}\n")
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {parent}\nONBUILD COPY main.rs /\n")
    options = BuildOptions(network="none")
    seen = builder.build(
        engine, context=tmp_path, dockerfile=dockerfile, options=options, tags=(tag,)
    )
    assert seen.succeeded, seen.error
    try:
        dockerfile.write_text(f"FROM {tag}\nRUN true\n")
        words = ["explain", f"--project={tmp_path}", "--edit=main.rs", "--json"]
        guess, told = (
            _predictions(main([*words, *asked]), capsys)
            for asked in ([], [f"--engine={engine.url}"])
        )
    finally:
        engine.client.images.remove(tag, force=True)
    assert guess == ["cached", "cached"]
    assert told == ["cached", "executed", "executed"]


def _predictions(status: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    out = capsys.readouterr().out
    assert status == 0, out
    return [each["prediction"] for each in json.loads(out)["vertices"]]
