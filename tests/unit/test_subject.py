"""subject and fitting: what a Dockerfile can be given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from harness import dockerfile, fitting, outside, subject
from harness.errors import ProjectError, UsageError
from harness.fitting import Shape
from harness.generated import edits
from harness.generated.projects import Blueprint, render
from harness.model import EditClass, File
from harness.strategies import blueprints, plainest
from harness.structure import stagegraph

ROOT = Path(__file__).parents[2]
STUB = (ROOT / "fixtures/dockerfiles/good/stub-layers.Dockerfile").read_text()
MOUNT = (ROOT / "fixtures/dockerfiles/good/cache-mount.Dockerfile").read_text()


def test_a_dockerfile_that_copies_by_name_gets_a_package_of_that_shape() -> None:
    made = subject.describe(dockerfile.parse(STUB), scripts=ROOT)
    assert made.shape == Shape(workspace=False, vendored=False, build_script=False, toolchain=True)
    assert made.binary == "app"


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


def test_a_dockerfile_that_takes_the_whole_context_gets_anything() -> None:
    assert fitting.shape(dockerfile.parse(MOUNT)) == Shape()
    bound = "FROM rust\nRUN --mount=type=bind,target=/src cargo build\n"
    assert fitting.shape(dockerfile.parse(bound)) == Shape()


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("ENV PATH=/a", ""),
        ('ENV RUSTFLAGS="-C strip=symbols" OTHER=b', '"-C strip=symbols"'),
        ("ENV CARGO_BUILD_RUSTFLAGS -Copt-level=3", "-Copt-level=3"),
        ("ARG RUSTFLAGS=-Cstrip=symbols", ""),
    ],
)
def test_flags_that_hold_in_a_container_are_those_of_the_environment(text: str, flags: str) -> None:
    assert fitting.compiler_flags(dockerfile.parse(f"FROM rust\n{text}\n")) == flags


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


def test_what_comes_after_the_dependencies_is_no_help_to_them() -> None:
    late = STUB.replace("COPY src ./src", "COPY . .")
    assert fitting.shape(dockerfile.parse(late)) == Shape(workspace=False, vendored=False)
    planned = late.replace(
        "FROM base AS dependencies\nCOPY Cargo.toml Cargo.lock rust-toolchain.tom[l] ./",
        "FROM base AS planner\nCOPY . /all\nFROM base AS dependencies\nCOPY --from=planner /all .",
    )
    assert planned != late
    assert fitting.shape(dockerfile.parse(planned)) == Shape()
    picked = planned.replace("COPY . /all", "COPY . /\nRUN cp --parents -t /all **/Cargo.toml")
    assert fitting.shape(dockerfile.parse(picked)) == Shape(vendored=False)
    speaks = picked.replace("**/Cargo.toml", "**/Cargo.toml vendor")
    assert fitting.shape(dockerfile.parse(speaks)) == Shape()
    for same in (". && tar --extract --directory /all", "/all && directory=target/release"):
        text = picked.replace("-t /all", same)
        assert fitting.shape(dockerfile.parse(text)) == Shape(vendored=False)
    fetched = picked.replace("&& cargo build --release --locked", "&& cargo fetch", 1)
    assert fetched != picked
    assert fitting.shape(dockerfile.parse(fetched)) == Shape(vendored=False)


def test_a_toolchain_file_that_is_never_reached_is_not_drawn() -> None:
    without = STUB.replace(" rust-toolchain.tom[l]", "")
    assert not fitting.shape(dockerfile.parse(without)).toolchain


def test_our_own_build_takes_any_shape() -> None:
    assert subject.load(ROOT / "Dockerfile.optimized", scripts=ROOT).shape == Shape()


def test_what_a_dockerfile_cannot_do_without_is_there_in_every_project() -> None:
    text = (
        "FROM x AS a\nFROM rust AS b\nCOPY Cargo.toml Cargo.lock ./\n"
        "COPY .cargo/ .cargo/\nCOPY ./build.rs .\n"
        "COPY rust-toolchain.tom[l] migrations askama.toml ${MORE} /x/\nCOPY --from=a /etc/a /a\n"
        "ADD https://example.org/a.tar /a\nCOPY src src\n"
        "RUN --mount=type=bind,source=templates,target=/t cargo build\n"
    )
    assert fitting.required(dockerfile.parse(text)) == {
        ".cargo/config.toml": File(b"# nothing is set\n"),
        "build.rs": File(b"fn main() {}\n"),
        "migrations/.keep": File(b""),
        "askama.toml": File(b""),
        "templates/.keep": File(b""),
    }
    assert fitting.required(dockerfile.parse(STUB)) == {}
    assert fitting.required(dockerfile.parse(MOUNT)) == {}


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


def test_a_dockerfiles_own_ignore_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "D").write_text("FROM a\n")
    (tmp_path / "D.dockerignore").write_text("target\n")
    assert subject.load(tmp_path / "D", scripts=tmp_path).ignore == "target\n"


def test_a_project_chooses_its_own_binary(tmp_path: Path) -> None:
    parsed = dockerfile.parse("FROM a\nARG BIN=\n")
    assert subject.describe(parsed, scripts=tmp_path).options.build_args == {"BIN": "app"}
    made = subject.describe(parsed, scripts=tmp_path, project=tmp_path)
    assert made.options.build_args == {}


HEREDOC = "# Syntax = docker/dockerfile:1\nFROM rust\nRUN <<EOF\ncargo build\nEOF\n"


def test_only_what_an_old_frontend_cannot_read_asks_for_a_newer_engine() -> None:
    assert subject.engine_version(dockerfile.parse(HEREDOC)) == 23
    assert subject.engine_version(dockerfile.parse("FROM rust\nCOPY --link a b\n")) == 23
    assert subject.engine_version(dockerfile.parse(STUB)) is None


def test_a_frontend_is_left_out_without_moving_a_line() -> None:
    without = subject.without_frontend(HEREDOC)
    assert without.splitlines()[0] == "# left out: syntax = docker/dockerfile:1"
    assert without.splitlines()[1:] == HEREDOC.splitlines()[1:]
    assert dockerfile.parse(without).syntax is None


def test_what_downloads_is_told_by_the_commands_that_it_runs() -> None:
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN set -e; apt-get update && true\n"))
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN cargo install cargo-chef\n"))
    assert outside.downloads(dockerfile.parse("FROM rust\nRUN <<EOF\ncurl -O https://x.y\nEOF\n"))
    assert not outside.downloads(dockerfile.parse("FROM rust\nRUN echo apt-get; cargo build\n"))
    ours = dockerfile.load(Path(__file__).parents[2] / "Dockerfile.optimized")
    assert not outside.downloads(ours)


LAMBDA_IMAGE = """\
ARG RUNTIME=public.ecr.aws/lambda/provided:al2023
FROM rust AS build
RUN cargo build
FROM ${RUNTIME}
COPY --from=build /target/release/app %s
CMD ["function.handler"]
"""


@pytest.mark.parametrize(
    ("destination", "program"),
    [
        ("${LAMBDA_RUNTIME_DIR}/bootstrap", "/var/runtime/bootstrap"),
        ("$LAMBDA_TASK_ROOT/bootstrap", "/var/task/bootstrap"),
        ("./bootstrap", "/var/task/bootstrap"),
        ("/opt/other", None),
    ],
)
def test_the_program_of_a_lambda_image_is_its_bootstrap(
    destination: str, program: str | None
) -> None:
    parsed = dockerfile.parse(LAMBDA_IMAGE % destination)
    assert fitting.program_of(parsed) == program


def test_the_program_of_another_image_is_what_its_entry_point_names() -> None:
    text = (LAMBDA_IMAGE % "./bootstrap").replace("public.ecr.aws/lambda/provided", "debian")
    assert fitting.program_of(dockerfile.parse(text)) is None


def test_a_build_argument_that_is_given_names_the_binary() -> None:
    text = "FROM rust\nARG BIN=\nARG NAME=one\nCOPY . .\nRUN cargo build --bin $NAME\n"
    parsed = dockerfile.parse(text)
    assert fitting.binary_of(parsed) == "one"
    assert fitting.binary_of(parsed, {"NAME": "two"}) == "two"
    assert fitting.binary_of(parsed, {"BIN": "three"}) == "three"


@pytest.mark.parametrize(
    ("path", "binary"),
    [
        ("target/${PROFILE}/bootstrap", "bootstrap"),
        ("target/$TARGET/$PROFILE/bootstrap", "bootstrap"),
        ("/src/target/$TARGET/release/bootstrap", "bootstrap"),
    ],
)
def test_a_binary_is_named_behind_a_variable_of_its_path(path: str, binary: str) -> None:
    text = f"FROM rust\nCOPY . .\nRUN cargo build && install {path} /out/it\n"
    assert fitting.binary_of(dockerfile.parse(text)) == binary


def test_a_binary_that_cargo_installs_is_called_what_is_copied() -> None:
    text = (
        "FROM rust AS build\nCOPY . .\nRUN cargo install --path . --root /out\n"
        "FROM debian\nCOPY --from=build /out/bin/handler /bootstrap\n"
    )
    assert fitting.binary_of(dockerfile.parse(text)) == "handler"


def test_a_folder_that_is_copied_into_an_image_of_lambda_holds_its_program() -> None:
    text = (
        "FROM public.ecr.aws/lambda/provided:al2023 AS base\nFROM rust AS build\n"
        'FROM base\nCOPY --from=build /out/ /var/runtime/\nCMD ["bootstrap"]\n'
    )
    assert fitting.program_of(dockerfile.parse(text)) == "/var/runtime/bootstrap"
    moved = text.replace("COPY --from=build /out/ /var/runtime/", "{}")
    moved = moved.format("WORKDIR ${LAMBDA_RUNTIME_DIR}\nCOPY --from=build /out/app ./bootstrap")
    assert fitting.program_of(dockerfile.parse(moved)) == "/var/runtime/bootstrap"


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


LISTED = """\
FROM rust AS build
WORKDIR /app
COPY Cargo.toml Cargo.lock ./
COPY crates/core/Cargo.toml crates/core/Cargo.toml
COPY ./services/api/Cargo.toml services/api/
COPY tools/Cargo.toml tools/
RUN mkdir -p crates/core/src services/api/src tools/src && touch crates/core/src/lib.rs \\
 && echo 'fn main() {}' | tee services/api/src/main.rs tools/src/main.rs && cargo build --release
COPY . .
RUN touch crates/core/src/lib.rs services/api/src/main.rs && cargo build --release
FROM debian
COPY --from=build /app/target/release/api /api
CMD ["/api"]
"""


def test_members_that_a_dockerfile_lists_are_those_of_the_generated_workspace() -> None:
    made = subject.describe(dockerfile.parse(LISTED), scripts=ROOT)
    assert made.binary == "api"
    assert made.shape.members == ("crates/core", "services/api", "tools")
    assert made.shape.programs == ("services/api", "tools")
    assert made.required == {}
    plain = plainest(made.shape, made.binary)
    assert [(m.name, m.place, m.binaries) for m in plain.members] == [
        ("api", "services/api", ("api",)),
        ("core", "crates/core", ()),
        ("tools", "tools", ("tools",)),
    ]
    tree = render(plain).tree
    assert {"services/api/src/main.rs", "crates/core/src/lib.rs", "tools/Cargo.toml"} <= set(tree)
    root = tree["Cargo.toml"]
    assert isinstance(root, File)
    assert b'members = ["services/api", "crates/core", "tools"]' in root.content


def test_a_listed_member_is_depended_on_by_its_path_and_none_is_added() -> None:
    made = subject.describe(dockerfile.parse(LISTED), scripts=ROOT)

    @settings(max_examples=20, database=None)
    @given(start=blueprints(shape=made.shape, binary=made.binary))
    def check(start: Blueprint) -> None:
        manifest = render(start).tree["services/api/Cargo.toml"]
        assert isinstance(manifest, File)
        assert b'core = { path = "../../crates/core" }' in manifest.content
        assert edits.apply(EditClass.MEMBER_ADD, start) is None

    check()


def test_an_ignore_file_that_lets_little_through_leaves_little_to_draw() -> None:
    text = MOUNT
    only = "*\n!Cargo.toml\n!Cargo.lock\n!src/**\n"
    made = subject.describe(dockerfile.parse(text), scripts=ROOT, ignore=only)
    assert made.shape == Shape(workspace=False, vendored=False, build_script=False, toolchain=False)
    crates = "*\n!Cargo.toml\n!Cargo.lock\n!crates\n"
    made = subject.describe(dockerfile.parse(text), scripts=ROOT, ignore=crates)
    assert (made.shape.package, made.shape.workspace) == (False, True)
    more = only + "!build.rs\n!rust-toolchain.toml\n!crates/**\n"
    made = subject.describe(dockerfile.parse(text), scripts=ROOT, ignore=more)
    assert made.shape == Shape(vendored=False)


@pytest.mark.parametrize(
    ("copies", "elsewhere"),
    [
        ("COPY lambda/Cargo.toml lambda/Cargo.lock ./\nCOPY lambda/src src", "lambda/Cargo.toml"),
        ("COPY service .", "service"),
        ("COPY . .", None),
        ("COPY ./Cargo.* ./", None),
        ("COPY /Cargo.toml /Cargo.lock /src ./", None),
        ("COPY ?argo.toml ./", None),
        ("COPY *.toml *.lock ./", None),
        ("COPY crates/a/Cargo.toml a/\nCOPY Cargo.toml ./", None),
        ("COPY ${PART}/Cargo.toml ./", None),
        ("RUN --mount=type=bind,target=/src cargo build", None),
        ("RUN git clone https://x.invalid/y && cargo build", None),
    ],
)
def test_a_project_in_a_folder_of_the_context_is_none_that_is_generated(
    copies: str, elsewhere: str | None
) -> None:
    assert fitting.project_elsewhere(dockerfile.parse(f"FROM rust\n{copies}\n")) == elsewhere


def test_what_has_to_come_with_an_image_is_named_with_its_line() -> None:
    text = "FROM chef AS plan\nCOPY . .\nRUN cargo chef prepare && cargo build\n"
    assert outside.brought_along(dockerfile.parse(text), 0) == {"cargo chef": 3}
    other = "FROM rust AS b\nRUN cargo build\n" + text
    assert outside.brought_along(dockerfile.parse(other), 0) == {}
    fetched = text.replace("COPY . .", "RUN curl -L https://x.invalid/chef.tgz | tar xz")
    assert outside.brought_along(dockerfile.parse(fetched), 0) == {}
    installed = text.replace("COPY . .", "RUN cargo install cargo-chef")
    assert outside.brought_along(dockerfile.parse(installed), 0) == {}
    taken = (
        "FROM a AS one\nFROM a\nCOPY --from=one /x /\nCOPY --from=0 /x /\n"
        "COPY --from=r.invalid/i:1 /x /\n"
        "RUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c true\n"
    )
    assert outside.images(dockerfile.parse(taken)) == {"r.invalid/i:1": 5, "tools": 6}
    assert outside.images(dockerfile.parse(taken), "one") == {}


def test_a_context_that_is_only_looked_into_brings_no_source() -> None:
    looks = (
        "RUN --mount=type=bind,target=/c if [ -f /c/x ]; then cp /c/x .; fi && rustc --version\n"
    )
    text = STUB.replace("FROM base AS dependencies\n", f"FROM base AS dependencies\n{looks}")
    assert text != STUB
    assert fitting.shape(dockerfile.parse(text)) == fitting.shape(dockerfile.parse(STUB))
    takes = text.replace("cp /c/x .", "cp -a /c/. .")
    assert fitting.shape(dockerfile.parse(takes)) == Shape()


def test_a_crate_beside_the_package_is_no_member_and_yet_there() -> None:
    text = STUB.replace("COPY src", "COPY fuzz/Cargo.toml fuzz/\nCOPY src")
    made = subject.describe(dockerfile.parse(text), scripts=ROOT)
    assert made.shape.members == ()
    assert set(made.required) == {"fuzz/Cargo.toml", "fuzz/src/lib.rs"}
    stand_in = LISTED.replace(
        "touch crates/core", "echo 'fn main() {}' >src/main.rs && touch crates/core"
    )
    assert subject.describe(dockerfile.parse(stand_in), scripts=ROOT).shape.members == ()


def test_members_whose_directories_share_a_name_are_called_by_their_paths() -> None:
    shape = Shape(members=("a/handler", "b/handler"), programs=("a/handler", "b/handler"))
    names = [member.name for member in plainest(shape, "handler").members]
    assert names == ["a-handler", "b-handler"]


def test_a_dockerfile_that_takes_crates_and_no_source_of_the_root_gets_workspaces_alone() -> None:
    both = STUB.replace("COPY Cargo.toml", "COPY crates crates\nCOPY Cargo.toml", 1)
    assert not subject.describe(dockerfile.parse(both), scripts=ROOT).shape.workspace
    text = both.replace("COPY src ./src", "COPY crates crates")
    made = subject.describe(dockerfile.parse(text), scripts=ROOT)
    assert (made.shape.package, made.shape.workspace) == (False, True)
    plain = plainest(made.shape, made.binary)
    assert plain.workspace
    assert "crates/app/src/main.rs" in render(plain).tree


TWO_SERVICES = """\
FROM rust:1 AS build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY services services
COPY migrations migrations
RUN cargo build --release --locked
FROM debian:bookworm-slim AS run
FROM run AS worker
COPY --from=build /target/release/worker /worker
FROM run AS api
COPY --from=build /target/release/api /api
"""


def test_the_binary_is_that_of_the_stage_that_is_built() -> None:
    parsed = dockerfile.parse(TWO_SERVICES)
    assert fitting.binary_of(parsed) == "api"
    assert fitting.binary_of(parsed, target="worker") == "worker"


def test_a_workspace_lies_in_the_folders_that_are_copied() -> None:
    made = fitting.shape(dockerfile.parse(TWO_SERVICES), binary="api")
    assert (made.package, made.workspace) == (False, True)
    assert made.members == ("services/api", "crates/core1")
    assert made.program_member("api") == "services/api"
    start = plainest(made, "api")
    assert {"services/api/src/main.rs", "crates/core1/src/lib.rs"} <= render(start).tree.keys()


def test_a_folder_with_a_source_of_its_own_is_a_member_itself() -> None:
    text = TWO_SERVICES.replace("RUN cargo", "RUN touch services/src/main.rs && cargo")
    made = fitting.shape(dockerfile.parse(text), binary="api")
    assert made.members == ("services", "crates/core1")


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


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("mkdir src && cargo vendor --locked vendor >config", 2),
        ("cargo vendor --respect-source-config", None),
        ("cargo build --release", None),
    ],
)
def test_crates_that_are_vendored_come_from_crates_io_itself(call: str, line: int | None) -> None:
    assert outside.vendoring(dockerfile.parse(f"FROM rust:1\nRUN {call}\n")) == line


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ("[profile.release]\nstrip = true\n", True),
        ('[profile.release]\nstrip = "symbols"\n', True),
        ('[profile.release]\nstrip = "debuginfo"\n', False),
        ("[package]\n", False),
        ("profile = 1\n", False),
        ("no toml", False),
    ],
)
def test_generated_projects_strip_where_the_project_does(
    tmp_path: Path, manifest: str, expected: bool
) -> None:
    (tmp_path / "Dockerfile").write_text(STUB)
    (tmp_path / "Cargo.toml").write_text(manifest)
    loaded = subject.load(tmp_path / "Dockerfile", scripts=ROOT, like=tmp_path)
    assert loaded.shape.strips is expected
    made = render(plainest(loaded.shape, "app")).tree["Cargo.toml"]
    assert isinstance(made, File)
    assert (b"strip = true" in made.content) is expected


def test_what_a_stage_leaves_to_those_upon_it_is_theirs() -> None:
    text = (
        "FROM debian:12 AS run-base\nONBUILD USER 65534\nONBUILD WORKDIR /var/task\n"
        "FROM run-base AS runtime\nCOPY bootstrap ./\n"
    )
    graph = stagegraph.of(dockerfile.parse(text))
    assert [step.instruction.keyword for step in graph.steps[1]] == ["USER", "WORKDIR", "COPY"]
    assert graph.steps[1][2].destination == "/var/task"
