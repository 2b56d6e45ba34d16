"""subject: what a Dockerfile and a project bring with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from harness import dockerfile, subject
from harness.config import Config
from harness.errors import ProjectError, UsageError
from harness.model import EditClass
from harness.structure import stagegraph
from properties.story import any_plan

ROOT = Path(__file__).parents[2]
STUB = (ROOT / "fixtures/dockerfiles/good/stub-layers.Dockerfile").read_text()
MOUNT = (ROOT / "fixtures/dockerfiles/good/cache-mount.Dockerfile").read_text()
HEREDOC = "# Syntax = docker/dockerfile:1\nFROM rust\nRUN <<EOF\ncargo build\nEOF\n"


@pytest.mark.parametrize(
    ("text", "binary", "arguments"),
    [
        ("RUN cargo build && cp target/release/api /x", "api", {}),
        ("# cp target/release/old /x\nRUN cargo build", "app", {}),
        ("COPY --from=rust /w/target/release/deps/x /y", "app", {}),
        ("RUN cargo install --path .\nCOPY --from=rust /usr/local/cargo/bin/job /job", "job", {}),
        ("RUN cargo build --release --bin worker", "worker", {}),
        ("COPY --from=rust /home/lambda/target/release/bootstrap /", "bootstrap", {}),
        ("RUN cargo lambda build && cp -r target/lambda/job/. /out", "job", {}),
        ("RUN cargo lambda build && cp target/lambda/job/bootstrap /", "job", {}),
        ("RUN cargo lambda build\nCOPY --from=rust /w/target/lambda/api/bootstrap /", "api", {}),
        ("ARG APP_NAME=hello\nRUN cp ./target/release/$APP_NAME /bin/server", "hello", {}),
        ("ENV APP=one\nRUN cp /t/release/${APP} /one", "one", {}),
        ("ARG NAME\nRUN cp target/release/${NAME} /x", "app", {"NAME": "app"}),
        ("ARG BIN=\nRUN cargo build --bin ${BIN}", "app", {"BIN": "app"}),
        ("RUN for name in a b; do cargo build --bin $name; done", "app", {}),
    ],
)
def test_the_binary_is_called_what_the_dockerfile_calls_it(
    text: str, binary: str, arguments: dict[str, str]
) -> None:
    made = subject.describe(dockerfile.parse(f"FROM rust\n{text}\n"), scripts=ROOT)
    assert (made.binary, made.options.build_args) == (binary, arguments)


def test_the_ignore_file_of_the_dockerfile_goes_before_that_of_the_project(tmp_path: Path) -> None:
    described = subject.describe(dockerfile.parse(MOUNT), scripts=ROOT)
    assert subject.ignored(described) is None
    (tmp_path / ".dockerignore").write_text("a\n")
    of_project = subject.ignored(replace(described, project=tmp_path))
    assert of_project is not None
    assert (of_project.excludes("a"), of_project.excludes("b")) == (True, False)
    own = subject.ignored(replace(described, project=tmp_path, ignore="b\n"))
    assert own is not None
    assert (own.excludes("a"), own.excludes("b")) == (False, True)


def test_a_target_that_is_no_stage_is_named_with_those_there_are(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM a AS build\nFROM b\n")
    said = Config(source="layerproof.toml", target="nosuch")
    with pytest.raises(UsageError) as caught:
        subject.load(file, scripts=ROOT / "scripts", config=said)
    assert str(caught.value).splitlines() == [
        f"error: there is no stage 'nosuch' in {file}",
        "  --> layerproof.toml",
        "  stages: build",
    ]
    subject.load(file, scripts=ROOT / "scripts", config=replace(said, target="BUILD"))


def test_what_changes_with_every_commit_is_told_by_its_name() -> None:
    text = "ARG GIT_SHA\nFROM a\nARG BUILD_DATE\nARG PROFILE=release\nARG BUILD_IMAGE\nARG DATE\n"
    assert subject.volatile(dockerfile.parse(text)) == ("BUILD_DATE", "DATE", "GIT_SHA")


def test_bases_are_expanded_and_stages_are_none() -> None:
    text = (
        "ARG V=1.85\nARG IMAGE=rust:${V}-slim\nFROM ${IMAGE} AS base\nFROM base AS build\n"
        "FROM scratch AS package\nFROM debian AS runtime\n"
    )
    parsed = dockerfile.parse(text)
    assert subject.bases(parsed, {}) == {0: "rust:1.85-slim", 3: "debian"}
    assert subject.bases(parsed, {"V": "2"}) == {0: "rust:2-slim", 3: "debian"}


def test_images_are_replaced_line_for_line() -> None:
    text = "ARG I=a\nFROM ${I} AS base\nFROM base\nFROM debian\n"
    parsed = dockerfile.parse(text)
    assert subject.with_bases(parsed, {0: "x:1", 2: "y:2"}) == (
        "ARG I=a\nFROM x:1 AS base\nFROM base\nFROM y:2\n"
    )
    text = (
        "FROM a\nRUN --mount=type=cache,target=/c,from=rust:1,source=/c \\\n"
        "    --mount=type=bind,target=/d,from=rust:1 echo from=rust:1.2\n"
    )
    replaced = text.replace("from=rust:1,", "from=z:3,").replace("from=rust:1 ", "from=z:3 ")
    assert subject.with_bases(dockerfile.parse(text), {}, {"rust:1": "z:3"}) == replaced
    text = "FROM a\nCOPY --from=chef:1 /c /\nCOPY --from=chef:1.2 /c /\n"
    replaced = text.replace("chef:1 ", "z:3 ")
    assert subject.with_bases(dockerfile.parse(text), {}, {"chef:1": "z:3"}) == replaced


def test_a_stage_compiles_when_one_built_upon_it_does() -> None:
    parsed = dockerfile.parse("FROM a AS base\nFROM base AS b\nRUN cargo build\nFROM d\nRUN x\n")
    assert [subject.compiles(parsed, index) for index in (0, 1, 2)] == [True, True, False]


def test_bad_paths_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such Dockerfile: '/nowhere'"):
        subject.load(Path("/nowhere"), scripts=tmp_path)
    there = tmp_path / "Dockerfile"
    there.write_text("FROM a\n")
    with pytest.raises(UsageError, match="no such scripts directory"):
        subject.load(there, scripts=tmp_path / "none")
    with pytest.raises(ProjectError, match="is not a cargo project"):
        subject.load(there, scripts=tmp_path, project=tmp_path)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Cargo.toml").write_text("[package]\n")
    with pytest.raises(ProjectError, match=r"found app/Cargo.toml\nhint: --project is the context"):
        subject.load(there, scripts=tmp_path, project=tmp_path)


@pytest.mark.parametrize(
    ("manifests", "locked", "dockerfile_says", "folder"),
    [
        ([".", "app"], ["app"], "COPY . .", ""),
        (["app"], [], "COPY app/Cargo.toml .", "app"),
        (["services/api", "services/shared"], ["services/api"], "COPY . .", "services/api"),
        (["api", "worker"], ["api", "worker"], "COPY worker/Cargo.* .", "worker"),
        (["api", "worker"], ["api", "worker"], "COPY . .", None),
        (["a/b/c"], ["a/b/c"], "COPY . .", "a/b/c"),
    ],
)
def test_a_project_may_lie_below_its_context(
    manifests: list[str],
    locked: list[str],
    dockerfile_says: str,
    folder: str | None,
    tmp_path: Path,
) -> None:
    for names, name in ((manifests, "Cargo.toml"), (locked, "Cargo.lock")):
        for path in (tmp_path / place / name for place in names):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("[profile.release]\nstrip = true\n")
    parsed = dockerfile.parse(f"FROM a\n{dockerfile_says}\n")
    if folder is None:
        with pytest.raises(ProjectError, match=r"found api/Cargo.toml\n  found worker/Cargo.toml"):
            subject.project_folder(tmp_path, parsed)
    else:
        assert subject.project_folder(tmp_path, parsed) == folder


def test_a_dockerfiles_own_ignore_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "D").write_text("FROM a\n")
    (tmp_path / "D.dockerignore").write_text("target\n")
    assert subject.load(tmp_path / "D", scripts=tmp_path).ignore == "target\n"


def test_a_project_chooses_its_own_binary(tmp_path: Path) -> None:
    parsed = dockerfile.parse("FROM a\nARG BIN=\n")
    assert subject.describe(parsed, scripts=tmp_path).options.build_args == {"BIN": "app"}
    made = subject.describe(parsed, scripts=tmp_path, project=tmp_path)
    assert made.options.build_args == {}


@given(data=st.data())
def test_a_second_program_is_none_of_a_dockerfile_that_takes_what_there_is(
    data: st.DataObject,
) -> None:
    text = (ROOT / "fixtures/dockerfiles/good/any-program.Dockerfile").read_text()
    takes_any = subject.describe(dockerfile.parse(text), scripts=ROOT)
    takes_one = subject.describe(dockerfile.parse(STUB), scripts=ROOT)
    assert (takes_any.takes_by_name, takes_one.takes_by_name) == (False, True)
    classes = (EditClass.SOURCE, EditClass.BIN_ADD)
    drawn = data.draw(any_plan(takes_any, classes))
    assert {step.edit.edit_class for step in drawn.steps} == {EditClass.SOURCE}


def test_a_second_program_is_added_where_one_is_taken_by_name() -> None:
    takes_one = subject.describe(dockerfile.parse(STUB), scripts=ROOT)
    plan = any_plan(takes_one, (EditClass.SOURCE, EditClass.BIN_ADD))
    find(plan, lambda drawn: any(s.edit.edit_class is EditClass.BIN_ADD for s in drawn.steps))


def test_only_what_an_old_frontend_cannot_read_asks_for_a_newer_engine() -> None:
    assert subject.engine_version(dockerfile.parse(HEREDOC)) == 23
    assert subject.engine_version(dockerfile.parse("FROM rust\nCOPY --link a b\n")) == 23
    assert subject.engine_version(dockerfile.parse(STUB)) is None


def test_a_frontend_is_left_out_without_moving_a_line() -> None:
    without = subject.without_frontend(HEREDOC)
    assert without.splitlines()[0] == "# left out: syntax = docker/dockerfile:1"
    assert without.splitlines()[1:] == HEREDOC.splitlines()[1:]
    assert dockerfile.parse(without).syntax is None


@pytest.mark.parametrize(
    "name", ["GITHUB_SHA", "CI_COMMIT_SHORT_SHA", "GIT_SHA", "BUILD_DATE", "SOURCE_DATE_EPOCH"]
)
def test_an_argument_that_stands_for_a_commit_is_known_by_its_name(name: str) -> None:
    assert subject.volatile(dockerfile.parse(f"FROM rust\nARG {name}=\n")) == (name,)


@pytest.mark.parametrize(
    ("command", "calls"),
    [
        ("cargo build", True),
        ("/usr/local/cargo/bin/cargo build", True),
        ("rustc --version", True),
        ("cat /run/secrets/cargo-credentials", False),
        ("rm -rf /root/.cargo", False),
    ],
)
def test_a_stage_compiles_where_it_calls_the_compiler(command: str, calls: bool) -> None:
    assert subject.compiles(dockerfile.parse(f"FROM debian\nRUN {command}\n"), 0) is calls


def test_a_stage_that_an_argument_chooses_is_no_image_of_its_own() -> None:
    text = (
        "ARG KIND=lambda\nFROM debian:12 AS run-server\nFROM provided:al2023 AS run-lambda\n"
        "FROM run-${KIND} AS final\nUSER 65534\n"
    )
    parsed = dockerfile.parse(text)
    assert subject.bases(parsed, {}) == {0: "debian:12", 1: "provided:al2023"}
    assert subject.started_from(parsed, {"KIND": "server"})[2] == "run-server"
    graph = stagegraph.of(parsed)
    assert [s.name for s in graph.derived(0)] == [s.name for s in graph.derived(1)] == ["final"]


def test_what_a_stage_leaves_to_those_upon_it_is_theirs() -> None:
    text = (
        "FROM debian:12 AS run-base\nONBUILD USER 65534\nONBUILD WORKDIR /var/task\n"
        "FROM run-base AS runtime\nCOPY bootstrap ./\n"
    )
    graph = stagegraph.of(dockerfile.parse(text))
    assert [step.instruction.keyword for step in graph.steps[1]] == ["USER", "WORKDIR", "COPY"]
    assert graph.steps[1][2].destination == "/var/task"
