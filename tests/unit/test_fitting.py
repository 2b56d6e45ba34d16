"""fitting: which projects a Dockerfile can build."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from harness import dockerfile, fitting, subject
from harness.fitting import Shape
from harness.generated import edits
from harness.generated.projects import Blueprint, render
from harness.model import EditClass, File
from harness.strategies import blueprints, plainest

ROOT = Path(__file__).parents[2]
STUB = (ROOT / "fixtures/dockerfiles/good/stub-layers.Dockerfile").read_text()
MOUNT = (ROOT / "fixtures/dockerfiles/good/cache-mount.Dockerfile").read_text()
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


def test_a_dockerfile_that_copies_by_name_gets_a_package_of_that_shape() -> None:
    made = subject.describe(dockerfile.parse(STUB), scripts=ROOT)
    assert made.shape == Shape(workspace=False, vendored=False, build_script=False, toolchain=True)
    assert made.binary == "app"


def test_a_dockerfile_that_takes_the_whole_context_gets_anything() -> None:
    assert fitting.shape(dockerfile.parse(MOUNT)) == Shape()
    bound = "FROM rust\nRUN --mount=type=bind,target=/src cargo build\n"
    assert fitting.shape(dockerfile.parse(bound)) == Shape()


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
    assert fitting.shape(dockerfile.parse(picked)) == Shape(vendored=False, toolchain=False)
    speaks = picked.replace("**/Cargo.toml", "**/Cargo.toml vendor rust-toolchain.toml")
    assert fitting.shape(dockerfile.parse(speaks)) == Shape()
    for same in (". && tar --extract --directory /all", "/all && directory=target/release"):
        text = picked.replace("-t /all", same)
        shape = fitting.shape(dockerfile.parse(text))
        assert shape == Shape(vendored=False, toolchain=False)
    fetched = picked.replace("&& cargo build --release --locked", "&& cargo fetch", 1)
    assert fetched != picked
    assert fitting.shape(dockerfile.parse(fetched)) == Shape(vendored=False, toolchain=False)


def test_a_toolchain_file_is_drawn_where_it_is_named_or_comes_with_all_that_is_compiled() -> None:
    without = STUB.replace(" rust-toolchain.tom[l]", "")
    assert not fitting.shape(dockerfile.parse(without)).toolchain
    late = without.replace("COPY src ./src", "COPY . .")  # as where a project has none
    assert not fitting.shape(dockerfile.parse(late)).toolchain
    named = late.replace("COPY . .", "COPY . .\nCOPY rust-toolchain.toml ./")
    assert fitting.shape(dockerfile.parse(named)).toolchain
    chef = (
        "FROM rust AS plan\nCOPY . .\nRUN cargo chef prepare\nFROM rust\n"
        "COPY --from=plan recipe.json .\nRUN cargo chef cook --release\n"
        "COPY . .\nRUN cargo build --release\n"
    )
    assert fitting.shape(dockerfile.parse(chef)).toolchain


@pytest.mark.parametrize(
    ("shipped", "required"),
    [
        ("/app/templates", {"templates/.keep"}),
        ("/app/config/prod.toml", {"config/prod.toml"}),
        ("/app/target/release/app", set()),
        ("/app/bin/app", set()),
        ("/app/made.txt", set()),
        ("/etc/ssl/cert.pem", set()),
        ("/app/*.html", set()),
        ("/app/src/page.html", set()),
    ],
)
def test_what_is_shipped_of_the_whole_context_is_there(shipped: str, required: set[str]) -> None:
    text = (
        "FROM rust AS base\nWORKDIR /app\nFROM base AS build\nCOPY . .\n"
        "RUN cargo build --release && echo x >made.txt\n"
        f"FROM debian\nCOPY --from=build {shipped} /x\n"
    )
    assert set(fitting.required(dockerfile.parse(text))) == required


def test_our_own_build_takes_any_shape() -> None:
    assert subject.load(ROOT / "Dockerfile.optimized", scripts=ROOT).shape == Shape()


def test_what_a_dockerfile_cannot_do_without_is_there_in_every_project() -> None:
    text = (
        "FROM x AS a\nFROM rust AS b\nCOPY Cargo.toml Cargo.lock ./\n"
        "COPY .cargo/ .cargo/\nCOPY .cargo/config.tom[l] .cargo/\nCOPY ./build.rs .\n"
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
    matched = "FROM rust\nCOPY .cargo/config.tom[l] .cargo/\n"
    assert set(fitting.required(dockerfile.parse(matched))) == {".cargo/config.toml"}
    assert fitting.required(dockerfile.parse("FROM rust\nCOPY .carg[o]/config.toml x\n")) == {}
    assert fitting.required(dockerfile.parse(STUB)) == {}
    assert fitting.required(dockerfile.parse(MOUNT)) == {}


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


def test_a_folder_beside_listed_members_that_is_taken_whole_is_one_of_them() -> None:
    early = "COPY crates/core/Cargo.toml crates/core/Cargo.toml\n"
    whole = LISTED.replace(early, f"{early}COPY ./crates/model/ crates/model/\nCOPY assets a\n")
    made = subject.describe(dockerfile.parse(whole), scripts=ROOT)
    assert made.shape.members == ("crates/core", "services/api", "tools", "crates/model")
    later = LISTED.replace("COPY . .", "COPY crates/core crates/core\nCOPY . .")
    members = fitting.listed_members(dockerfile.parse(later))
    assert members == ("crates/core", "services/api", "tools")


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
    ("copies", "folder"),
    [
        ("COPY lambda/Cargo.toml lambda/Cargo.lock ./\nCOPY lambda/src src", "lambda"),
        ("COPY a/b/Cargo.* ./\nCOPY a/b/x/Cargo.toml x/\nCOPY nginx.conf /", "a/b"),
        ("COPY service/ .", "service"),
        ("ADD https://x.invalid/a.pem /\nCOPY config nginx.conf /etc/\nCOPY service .", "service"),
        ("RUN --mount=type=bind,source=service,target=/src cargo build", "service"),
        ("COPY a/Cargo.toml a/\nCOPY b/Cargo.toml b/", ""),
        ("COPY crates/*/Cargo.toml ./", ""),
        ("COPY src src", ""),
        ("COPY service other ./", ""),
        ("COPY . .\nCOPY lambda/Cargo.toml x/", ""),
        ("COPY crates/a/Cargo.toml a/\nCOPY Cargo.toml ./", ""),
    ],
)
def test_a_project_may_lie_in_a_folder_of_the_context(copies: str, folder: str) -> None:
    parsed = dockerfile.parse(f"FROM rust\n{copies}\n")
    assert fitting.project_folder(parsed) == folder
    assert subject.describe(parsed, scripts=ROOT).shape.folder == folder


def test_of_a_folder_what_is_taken_is_told_from_there() -> None:
    text = (
        "FROM rust\nCOPY api/Cargo.toml api/Cargo.lock ./\nCOPY api/.cargo .cargo\n"
        "RUN cargo build\nCOPY api/src src\nCOPY api/build.rs ../etc/motd.txt ./\n"
        "COPY conf/ /conf\n"
    )
    made = subject.describe(dockerfile.parse(text), scripts=ROOT)
    assert made.shape == Shape(workspace=False, vendored=False, toolchain=False, folder="api")
    assert set(made.required) == {
        "api/.cargo/config.toml",
        "api/build.rs",
        "etc/motd.txt",
        "conf/.keep",
    }


@pytest.mark.parametrize(
    ("copies", "elsewhere"),
    [
        ("COPY lambda/Cargo.toml lambda/Cargo.lock ./\nCOPY lambda/src src", None),
        ("COPY a/Cargo.toml a/\nCOPY b/Cargo.toml b/", "a/Cargo.toml"),
        ("COPY src src", "src"),
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
def test_no_project_is_generated_where_no_folder_for_it_can_be_told(
    copies: str, elsewhere: str | None
) -> None:
    assert fitting.project_elsewhere(dockerfile.parse(f"FROM rust\n{copies}\n")) == elsewhere


@pytest.mark.parametrize(
    ("words", "any_shape"),
    [
        ("install --path .", False),
        ("install --path=./ --locked", False),
        ("install --path crates/app", True),
        ("rustc --release --bin app; cp target/app /app -p", False),
        ("rustc --release -p app -- -C strip=symbols", True),
        ("build --release", True),
    ],
)
def test_what_cargo_does_with_a_package_alone_gets_packages(words: str, any_shape: bool) -> None:
    text = f"FROM rust\nCOPY . .\nRUN cargo {words}\n"
    assert fitting.shape(dockerfile.parse(text)).workspace is any_shape


@pytest.mark.parametrize(
    ("command", "any_shape"),
    [
        ("touch src/main.rs && cargo build", False),
        ("find ./src -name '*.rs' -exec touch {} + && cargo build", False),
        ("cp -r src /copy && cargo build", False),
        ("find . -name '*.rs' -exec touch {} + && cargo build", True),
        ("touch crates/app/src/main.rs && cargo build", True),
        ("mkdir -p src && touch src/lib.rs && cargo build", True),
    ],
)
def test_a_source_in_the_root_that_is_touched_is_a_packages(command: str, any_shape: bool) -> None:
    text = f"FROM rust\nCOPY . .\nRUN {command}\n"
    assert fitting.shape(dockerfile.parse(text)) == Shape(workspace=any_shape)


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


def test_where_the_build_takes_crates_alone_a_planner_may_read_all() -> None:
    text = (
        "FROM rust AS plan\nCOPY . .\n"
        "RUN find . -name Cargo.toml -exec cp --parents {} /plan \\;\n"
        "FROM rust AS build\nCOPY --from=plan /plan .\nRUN make-stubs && cargo build --release\n"
        "COPY Cargo.toml Cargo.lock ./\nCOPY crates crates\nRUN cargo build --release\n"
        "FROM debian\nCOPY --from=build /target/release/app /app\n"
    )
    made = fitting.shape(dockerfile.parse(text))
    assert (made.package, made.workspace) == (False, True)
    both = fitting.shape(dockerfile.parse(text.replace("crates crates", "crates src ./")))
    assert both.package


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


@pytest.mark.parametrize(
    ("manifest", "expected", "keeps"),
    [
        ("[profile.release]\nstrip = true\n", True, False),
        ('[profile.release]\nstrip = "symbols"\n', True, False),
        ('[profile.release]\nstrip = "debuginfo"\n', False, True),
        ("[profile.release]\nstrip = false\n", False, True),
        ("[package]\n", False, False),
        ("profile = 1\n", False, False),
        ("no toml", False, False),
    ],
)
def test_generated_projects_strip_where_the_project_does(
    tmp_path: Path, manifest: str, expected: bool, keeps: bool
) -> None:
    (tmp_path / "Dockerfile").write_text(STUB)
    (tmp_path / "Cargo.toml").write_text(manifest)
    loaded = subject.load(tmp_path / "Dockerfile", scripts=ROOT, like=tmp_path)
    assert loaded.shape.strips is expected
    assert loaded.keeps_symbols is keeps
    made = render(plainest(loaded.shape, "app")).tree["Cargo.toml"]
    assert isinstance(made, File)
    assert (b"strip = true" in made.content) is expected


def test_generated_projects_have_a_toolchain_file_where_the_project_has(tmp_path: Path) -> None:
    text = STUB.replace(" rust-toolchain.tom[l]", "").replace("COPY src ./src", "COPY . .")
    (tmp_path / "Dockerfile").write_text(text)
    for there in (False, True):
        if there:
            (tmp_path / "rust-toolchain").write_text("stable\n")
        loaded = subject.load(tmp_path / "Dockerfile", scripts=ROOT, like=tmp_path)
        assert loaded.shape.toolchain is there


def test_where_nobody_speaks_of_stripping_the_symbol_table_may_stay(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(STUB.replace("strip -o", "ln -s"))
    assert subject.load(tmp_path / "Dockerfile", scripts=ROOT).keeps_symbols
    (tmp_path / "Cargo.toml").write_text("[profile.release]\nstrip = true\n")
    loaded = subject.load(tmp_path / "Dockerfile", scripts=ROOT, like=tmp_path)
    assert not loaded.keeps_symbols


@pytest.mark.parametrize(
    ("taken", "workspace", "build_script"),
    [
        ("src src", False, False),
        ("src/ build.rs ./", False, True),
        ("src src\nCOPY build.r[s] ./", False, True),
        (". .", True, True),
        ("src crates ./", True, True),
    ],
)
def test_the_build_may_take_less_than_its_planner(
    taken: str, workspace: bool, build_script: bool
) -> None:
    """A planner that takes all says nothing of what comes to where the project is compiled."""
    text = (
        "FROM rust AS plan\nCOPY . .\nRUN find . -type f ! -name Cargo.toml -delete\n"
        "FROM rust AS deps\nCOPY --from=plan / ./\nRUN cargo build --release\n"
        f"FROM deps AS build\nCOPY {taken}\nRUN cargo build --release\n"
    )
    shape = fitting.shape(dockerfile.parse(text))
    assert (shape.workspace, shape.build_script) == (workspace, build_script)
