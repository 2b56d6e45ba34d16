"""The commands `explain` and `matrix`: what they print and how they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from harness import process
from harness.__main__ import main
from harness.cli.matrix import matrix
from harness.cli.states import Where, load
from harness.keys.plan import Selector
from harness.keys.quirks import Rules
from harness.model import BuildOptions, Outcome
from harness.running.resolve import probe, unknown_inputs

ROOT = Path(__file__).parents[2]
DOCKERFILE = """\
ARG TAG=1
FROM base:$TAG AS build
ARG BUILD_DATE=today
COPY Cargo.toml ./
RUN fetch
COPY src src
RUN build
FROM scratch
COPY --from=build /out /
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "a project"
    (root / "src").mkdir(parents=True)
    (root / "Dockerfile").write_text(DOCKERFILE)
    (root / "Cargo.toml").write_text("[package]\n")
    (root / "src/main.rs").write_text("fn main() {}\n")
    (root / "README.md").write_text("read me\n")
    (root / ".dockerignore").write_text("README.md\n")
    return root


def explain(project: Path, *arguments: str) -> int:
    return main(["explain", "--project", str(project), *arguments])


def test_an_edit_is_explained_by_line_and_path(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(project, "--edit", "src/main.rs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 6 vertices run again, of 1 it cannot be known."
    table = {line.split()[0]: line for line in lines[3:]}
    assert "cached" in table["5"]
    assert table["6"].endswith("src/main.rs (content) is selected by COPY at line 6")
    assert table["7"].endswith("inherits the miss of line 6")
    assert "unknown" in table["9"]


def test_json_has_the_documented_shape(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(project, "--edit", "src/main.rs", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["vertices"][3] == {
        "stage": "build",
        "line": 6,
        "instruction": "COPY src src",
        "prediction": "executed",
        "because": [
            {
                "text": "src/main.rs (content) is selected by COPY at line 6",
                "line": 6,
                "path": "src/main.rs",
            }
        ],
    }


def test_a_build_argument_is_named_with_its_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = ["--before-build-arg", "BUILD_DATE=1", "--build-arg", "BUILD_DATE=2"]
    assert explain(project, *changed) == 0
    assert "ARG BUILD_DATE changed at line 3" in capsys.readouterr().out


def test_the_other_arguments_were_as_they_are(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Given for both states, an argument did not change; so it does where the project names it."""
    (project / "layerproof.toml").write_text('[build-args]\nBUILD_DATE = "1"\n')
    changed = ["--before-build-arg", "OTHER=1", "--build-arg", "OTHER=2"]
    assert explain(project, *changed) == 0
    assert capsys.readouterr().out.startswith("0 of 6 vertices run again.")


def test_a_configured_dockerfile_that_is_not_there_is_no_other(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "layerproof.toml").write_text('dockerfile = "Dockerfile.mistyped"\n')
    assert main(["explain", "--project", str(project)]) == 2
    assert "Dockerfile.mistyped" in capsys.readouterr().err


def test_an_ignored_edit_runs_nothing(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(project, "--edit", "README.md") == 0
    assert capsys.readouterr().out.startswith("0 of 6 vertices run again.")


def test_two_directories_are_compared(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(project, other)
    (other / "Cargo.toml").write_text("[workspace]\n")
    assert explain(project, "--before", str(project), "--after", str(other)) == 0
    assert "Cargo.toml (content) is selected by COPY at line 4" in capsys.readouterr().out


def test_two_dockerfiles_are_compared(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = project.parent / "Dockerfile.old"
    old.write_text(DOCKERFILE.replace("RUN build", "RUN make"))
    assert explain(project, "--before-dockerfile", str(old)) == 0
    assert "the command changed at line 7" in capsys.readouterr().out


def git(project: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    process.run(("git", "-C", str(project), *identity, *arguments), limit=30).check("git")


def test_a_revision_stands_for_a_directory(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(project, "init", "--quiet")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "one")
    (project / "src/main.rs").write_text("fn main() { other() }\n")
    git(project, "commit", "--quiet", "-a", "-m", "two")
    assert explain(project, "--before", "HEAD~1", "--after", "HEAD") == 0
    assert "src/main.rs (content) is selected by COPY at line 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--before", "no-such-thing"], "neither a directory nor a git revision"),
        (["--target", "nothing"], "there is no stage 'nothing'"),
        (["--dockerfile", "gone"], "cannot be read"),
        (["--build-arg", "novalue"], "expected --build-arg NAME=VALUE"),
        (["--edit", "src"], "is a directory"),
        (["--edit", "../elsewhere"], "lies outside the project"),
    ],
)
def test_wrong_usage_is_refused_with_2(
    project: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain(project, *arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_a_malformed_dockerfile_is_refused_with_its_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Dockerfile").write_text("FROM base\nRUN x\nCOPPY a b\n")
    assert explain(project, "--edit", "src/main.rs") == 2
    said = capsys.readouterr().err
    assert "Dockerfile:3" in said
    assert "expected COPY" in said


def test_layerproof_toml_may_declare_a_stage(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "layerproof.toml").write_text('[depends-on]\nbuild = ["Cargo.toml"]\n')
    assert explain(project, "--edit", "src/main.rs") == 0
    assert "unknown" not in capsys.readouterr().out


def test_the_matrix_is_printed_and_drawn(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "matrix.svg"
    assert main(["matrix", "--project", str(project), "--svg", str(picture)]) == 0
    rows = {line[:26].strip(): line[27:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["nothing changed"][:6] == ["·"] * 6
    assert rows["source content"][:6] == ["·", "·", "·", "█", "█", "?"]
    assert rows["manifest comment"][:6] == ["·", "█", "█", "█", "█", "?"]
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")  # noqa: S314 - our own


def test_what_is_unknown_is_asked_for_by_a_stage_of_its_own(project: Path) -> None:
    state = load(Where(project, project / "Dockerfile"), BuildOptions())
    (unknown,) = unknown_inputs(state, Rules())
    assert unknown == (0, (Selector("/out"),))
    assert probe(state, unknown).endswith(
        'FROM scratch AS layerproof-resolve\nCOPY --from=0 ["/out", "/taken/0/"]\n'
    )


@pytest.mark.parametrize("target", ["package", "runtime"])
@pytest.mark.parametrize("sample", ["hello-lambda", "hello-offline"])
def test_of_our_own_build_nothing_is_unknown(sample: str, target: str) -> None:
    """Every class of edit, whichever of the two targets is built."""
    ours, project = ROOT / "Dockerfile.optimized", ROOT / "fixtures" / sample
    state = load(Where(project, ours), BuildOptions(target=target))
    rows = matrix(state).rows
    assert len(rows) >= 10
    assert [row for row in rows if Outcome.UNKNOWN in row.outcomes] == []


def test_a_manifest_edit_of_our_own_build_leaves_the_toolchain(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, project = ROOT / "Dockerfile.optimized", ROOT / "fixtures" / "hello-offline"
    words = ("--dockerfile", str(ours), "--edit", "Cargo.toml", "--json")
    assert explain(project, *words) == 0
    vertices = json.loads(capsys.readouterr().out)["vertices"]
    copied = [each for each in vertices if each["stage"] == "dependencies"]
    assert [each["prediction"] for each in copied] == ["cached", "cached", "executed", "executed"]
