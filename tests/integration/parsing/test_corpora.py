"""The real frontend and our parser accept the same Dockerfiles, and see the same in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import dockerfile
from harness.errors import DockerfileSyntaxError
from tests.integration.parsing.conftest import Frontend

CORPORA = Path(__file__).parents[3] / "fixtures" / "dockerfiles"
ACCEPTED = sorted((CORPORA / "accepted").iterdir())
REJECTED = sorted((CORPORA / "rejected").iterdir())
DESIGNS = sorted((CORPORA / "designs").iterdir())
CHECK_DIRECTIVE_MAJOR = 27
"""BuildKit 0.14, in engine 27, knows `# check=`; before, it ends the directives."""
ENDS_THE_ENGINE = {"only-args"}
"""A Dockerfile without FROM makes dockerd 26.1.5 panic (`lastTarget`, index -1): not sent."""


def _ids(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", ACCEPTED, ids=_ids)
def test_what_we_accept_the_engine_accepts(frontend: Frontend, path: Path, tmp_path: Path) -> None:
    dockerfile.load(path)
    answer = frontend.ask("outline", path, tmp_path)
    too_old = path.stem == "check-before-escape" and frontend.major < CHECK_DIRECTIVE_MAJOR
    assert answer.accepted is not too_old, answer.error


@pytest.mark.parametrize("path", [p for p in REJECTED if p.stem not in ENDS_THE_ENGINE], ids=_ids)
def test_what_we_refuse_the_engine_refuses(frontend: Frontend, path: Path, tmp_path: Path) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        dockerfile.load(path)
    answer = frontend.ask("outline", path, tmp_path)
    assert not answer.accepted
    assert answer.line in (None, caught.value.line), answer.error


@pytest.mark.parametrize(
    "path", [p for p in (*ACCEPTED, *DESIGNS) if p.stem != "check-before-escape"], ids=_ids
)
def test_stages_are_the_engines_stages(frontend: Frontend, path: Path, tmp_path: Path) -> None:
    answer = frontend.ask("targets", path, tmp_path)
    assert answer.accepted, answer.error
    targets = answer.content["targets"]
    assert isinstance(targets, list)
    parsed = dockerfile.load(path)
    assert [(stage.name, stage.base, stage.line) for stage in parsed.stages] == [
        (t.get("name"), t["base"], t["location"]["ranges"][0]["start"]["line"]) for t in targets
    ]
