"""Negative and positive controls: P1 and P5 reject Dockerfiles that break them, and pass good ones.

Each fixture of `fixtures/dockerfiles/broken` names the property that it must fail in its first
line. A fixed course of edits stands for the generated ones, so that a control takes seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness import scenario, subject
from harness.engine import Engine
from harness.generated import edits
from harness.generated.projects import Blueprint, Dependency, Member, render
from harness.judging.judge import Judge, Tally
from harness.judging.report import PropertyViolation
from harness.model import EditClass
from harness.scenario import Workspace
from harness.strategies import Plan, Step, each_file_in_turn, richest, tree_of
from properties import records
from properties import test_p1_layer_caching as p1
from properties import test_p5_dependency_invalidation as p5

FIXTURES = Path(__file__).parents[3] / "fixtures" / "dockerfiles"
BROKEN = sorted((FIXTURES / "broken").glob("*.Dockerfile"))
GOOD = sorted((FIXTURES / "good").glob("*.Dockerfile"))
MOUNTING = [path for path in GOOD if "--mount" in path.read_text()]
START = Blueprint(
    members=(
        Member(
            "app",
            answer=7,
            modules=(("one", 1),),
            binaries=("app",),
            library=4,
            uses=("alpha", "beta"),
        ),
    ),
    dependencies=(Dependency("alpha"), Dependency("beta")),
    toolchain=1,
)
COURSES = {
    "P1": (EditClass.MTIME, EditClass.README, EditClass.SOURCE, EditClass.IGNORED),
    "P5": (
        EditClass.SOURCE,
        EditClass.SYMLINK,
        EditClass.DEPENDENCY_BUMP,
        EditClass.LOCK,
        EditClass.TOOLCHAIN,
    ),
}
JUDGES: dict[str, Callable[..., None]] = {"P1": p1.judge_plan, "P5": p5.judge_plan}


def course(classes: Sequence[EditClass]) -> Plan[Blueprint]:
    """Return one edit of each class, each on the project as the one before left it."""
    current, steps = START, []
    for edit_class in classes:
        change = edits.apply(edit_class, current, 1)
        assert change is not None
        steps.append(Step(change.edit, change.after, old=bool(change.edit.changes)))
        current = change.after
    return Plan(START, tuple(steps))


def violated(path: Path) -> str:
    """Return the id of the property that a broken fixture says it violates."""
    words = path.read_text().splitlines()[0].split()
    assert words[:3] == ["#", "layerproof-fixture:", "violates"]
    return words[3]


@pytest.fixture
def open_workspace(
    engine: Engine, say: Callable[[str], None]
) -> Iterator[Callable[[Path], Workspace]]:
    """Return how to open a workspace for a fixture; all are closed after the test."""
    opened = []

    def open_one(path: Path) -> Workspace:
        loaded = subject.load(path, scripts=FIXTURES)
        options = replace(loaded.options, network="none")
        bench = scenario.prepare(engine, replace(loaded, options=options), say=say)
        workspace = bench.__enter__().workspace(render(START).tree, options=options, isolated=True)
        opened.append((bench, workspace))
        return workspace.__enter__()

    yield open_one
    for bench, workspace in opened:
        workspace.__exit__(None, None, None)
        bench.__exit__(None, None, None)


def judge_of(path: Path, property_id: str) -> Judge:
    """Return a judge of that property for a fixture."""
    loaded = subject.load(path, scripts=FIXTURES)
    return Judge(records.BY_ID[property_id], loaded.dockerfile, f"pytest --dockerfile {path.name}")


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.name.removesuffix(".Dockerfile"))
def test_a_broken_dockerfile_fails_the_property_that_it_breaks(
    path: Path, open_workspace: Callable[[Path], Workspace]
) -> None:
    """The report names the property, and the Dockerfile as it stands."""
    broken = violated(path)
    with pytest.raises(PropertyViolation) as caught:
        JUDGES[broken](course(COURSES[broken]), open_workspace(path), judge=judge_of(path, broken))
    text = str(caught.value)
    assert text.startswith(records.BY_ID[broken].tag)
    assert "The build failed." not in text or "swallowed" in path.name


@pytest.mark.parametrize("property_id", sorted(JUDGES))
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name.removesuffix(".Dockerfile"))
def test_a_good_dockerfile_passes(
    path: Path, property_id: str, open_workspace: Callable[[Path], Workspace]
) -> None:
    """No false alarm on designs that keep the promise in their own way."""
    workspace = open_workspace(path)
    JUDGES[property_id](course(COURSES[property_id]), workspace, judge=judge_of(path, property_id))
    assert len(workspace.observations) > len(COURSES[property_id])


def restored(path: Path, engine: Engine, say: Callable[[str], None]) -> None:
    """Judge P5's fixed series for a Dockerfile: each kind of source, restored with an old date."""
    loaded = subject.load(path, scripts=FIXTURES)
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    plan = each_file_in_turn(richest(loaded.shape, loaded.binary))
    with (
        scenario.prepare(engine, loaded, say=say) as bench,
        bench.workspace(tree_of(plan.start), isolated=True) as workspace,
    ):
        p5.judge_plan(plan, workspace, judge=judge_of(path, "P5"))
        p5.judge_error(plan.start, workspace, judge=judge_of(path, "P5"))
        p5.judge_removed(plan.start, workspace, judge=judge_of(path, "P5"))
        assert len(workspace.observations) == len(plan.steps) + 3


@pytest.mark.parametrize("path", MOUNTING, ids=lambda path: path.name.removesuffix(".Dockerfile"))
def test_a_good_dockerfile_sees_restored_sources(
    path: Path, engine: Engine, say: Callable[[str], None]
) -> None:
    """What is mounted keeps what earlier builds made, and dates that are older than that."""
    restored(path, engine, say)


def test_a_build_script_that_is_restored_and_not_touched_is_stale(
    tmp_path: Path, engine: Engine, say: Callable[[str], None]
) -> None:
    path = edited(
        FIXTURES / "good" / "cache-mount.Dockerfile",
        tmp_path / "Dockerfile",
        ("find . -path ./target -prune -o -name '*.rs'", "find src -name '*.rs'"),
    )
    loaded = subject.load(path, scripts=FIXTURES)
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    judge = judge_of(path, "P5")
    with (
        scenario.prepare(engine, loaded, say=say) as bench,
        pytest.raises(PropertyViolation) as caught,
    ):
        p5.test_each_file_that_counts_is_seen_whatever_its_date(bench, loaded, Tally(), judge)
    text = str(caught.value)
    assert "The image's program is not that of the current source." in text
    edit = "<build.rs: passes 1 → 2, with an old modification time>"
    assert f"edits: [{edit}])\n  2. {edit}, build and run\n\n" in text  # no other edit beside it


def edited(path: Path, into: Path, *replaced: tuple[str, str]) -> Path:
    """Write a Dockerfile with some texts replaced, each of which stands in it once."""
    text = path.read_text()
    for old, new in replaced:
        assert text.count(old) == 1
        text = text.replace(old, new)
    into.write_text(text)
    return into


def test_an_error_behind_a_pipe_ships_the_program_before_it(
    tmp_path: Path, engine: Engine, say: Callable[[str], None]
) -> None:
    path = edited(
        FIXTURES / "good" / "cache-mount.Dockerfile",
        tmp_path / "Dockerfile",
        ("--workspace", "--workspace 2>&1 | tee /log"),
    )
    with pytest.raises(PropertyViolation, match="A source that does not compile was built"):
        restored(path, engine, say)


KEPT = """\
FROM rust:1.85-slim-bookworm AS build
RUN --mount=type=bind,target=/context --mount=type=cache,target=/work,sharing=locked \\
    {empty}cp -R /context/. /work/ && cd /work \\
 && find . -path ./target -prune -o -name '*.rs' -exec touch {{}} + \\
 && cargo build --release --locked --workspace && strip -o /app target/release/app

FROM debian:bookworm-slim AS runtime
COPY --from=build /app /usr/local/bin/app
USER 65534
ENTRYPOINT ["/usr/local/bin/app"]
"""


def test_a_copy_that_keeps_what_is_gone_is_made_of_a_removed_source(
    tmp_path: Path, engine: Engine, say: Callable[[str], None]
) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(KEPT.format(empty="rm -rf /work/src && "))
    restored(path, engine, say)
    path.write_text(KEPT.format(empty=""))
    with pytest.raises(PropertyViolation, match="A file was removed, and the program was made"):
        restored(path, engine, say)


def test_each_scenario_compiles_its_own_crates_whatever_a_variable_says_of_the_profile(
    tmp_path: Path, open_workspace: Callable[[Path], Workspace]
) -> None:
    """The same feature in two scenarios that share a cache mount: both times it is compiled."""
    path = edited(
        FIXTURES / "good" / "cache-mount.Dockerfile",
        tmp_path / "Dockerfile",
        ("COPY . .\n", "COPY . .\nENV CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1\n"),
    )
    for _ in range(2):
        p5.judge_plan(
            course((EditClass.FEATURE,)), open_workspace(path), judge=judge_of(path, "P5")
        )


def test_a_touch_that_is_cached_makes_a_commit_that_goes_back_stale(
    tmp_path: Path, open_workspace: Callable[[Path], Workspace]
) -> None:
    """The layer that touches comes from the cache, with its old dates; what compiles runs."""
    touch = "find . -path ./target -prune -o -name '*.rs' -exec touch {} +"
    path = edited(
        FIXTURES / "good" / "cache-mount.Dockerfile",
        tmp_path / "Dockerfile",
        (f"    {touch} \\\n && cargo build", '    echo "$GIT_SHA" && cargo build'),
        ("COPY . .\n", f"COPY . .\nRUN {touch}\nARG GIT_SHA\n"),
    )
    change = edits.apply(EditClass.SOURCE, START)
    assert change is not None
    back = edits.revert(change.after, START)
    plan = Plan(START, (Step(change.edit, change.after), Step(back.edit, back.after, back_to=0)))
    with pytest.raises(PropertyViolation, match="is not that of the current source"):
        p5.judge_plan(plan, open_workspace(path), judge=judge_of(path, "P5"))


MEMBERS = """\
FROM rust:1.85-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock rust-toolchain.tom[l] ./
COPY crates/app/Cargo.toml crates/app/
COPY crates/model{manifest} crates/model/
RUN mkdir -p crates/app/src crates/model/src \\
 && echo 'fn main() {{}}' > crates/app/src/main.rs && touch crates/model/src/lib.rs \\
 && cargo build --release --locked
COPY . .
RUN find crates -name '*.rs' -exec touch {{}} + && cargo build --release --locked \\
 && strip -o /app target/release/app

FROM debian:bookworm-slim AS runtime
COPY --from=build /app /usr/local/bin/app
USER 65534
ENTRYPOINT ["/usr/local/bin/app"]
"""


def test_a_member_that_is_copied_whole_above_the_dependencies_compiles_them_again(
    tmp_path: Path, engine: Engine, say: Callable[[str], None]
) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(MEMBERS.format(manifest="/Cargo.toml"))
    restored(path, engine, say)
    path.write_text(MEMBERS.format(manifest=""))
    with pytest.raises(PropertyViolation, match="cargo compiled other crates than those") as caught:
        restored(path, engine, say)
    assert "crates/model/src/lib.rs" in str(caught.value)


def test_every_property_judged_here_has_a_negative_control() -> None:
    """A property that nothing fails proves nothing."""
    assert {violated(path) for path in BROKEN} >= set(JUDGES)


PLANNED = """\
FROM rust:1.85-slim-bookworm AS base
WORKDIR /src

# layerproof: depends-on Cargo.toml Cargo.lock rust-toolchain.toml
FROM base AS planner
COPY . /in
RUN mkdir /plan && cd /in && for f in {plan}; do [ ! -e "$f" ] || cp "$f" /plan/; done

FROM base AS dependencies
COPY --from=planner /plan/ ./
RUN rm -f main.rs && mkdir -p src && echo 'fn main() {{}}' > src/main.rs && touch src/lib.rs \\
 && cargo build --release --locked && rm -rf src

FROM dependencies AS build
COPY src ./src
RUN find src -name '*.rs' -exec touch {{}} + && cargo build --release --locked \\
 && strip -o /app target/release/app

FROM debian:bookworm-slim AS runtime
COPY --from=build /app /usr/local/bin/app
USER 65534
ENTRYPOINT ["/usr/local/bin/app"]
"""
DECLARED = "Cargo.toml Cargo.lock rust-toolchain.toml"


def test_a_false_declaration_is_refuted_by_the_edit_that_it_leaves_out(
    tmp_path: Path, open_workspace: Callable[[Path], Workspace]
) -> None:
    """The plan also holds src/main.rs, and says that it does not."""
    path = tmp_path / "false.Dockerfile"
    path.write_text(PLANNED.format(plan=f"{DECLARED} src/main.rs"))
    with pytest.raises(PropertyViolation) as caught:
        p1.judge_plan(
            course((EditClass.README, EditClass.SOURCE_COMMENT)),
            open_workspace(path),
            judge=judge_of(path, "P1"),
        )
    text = str(caught.value)
    assert "The engine executed what the cache model predicts to be cached." in text
    assert "-> 4 | # layerproof: depends-on Cargo.toml" in text.replace("->  4", "-> 4")
    assert "src/main.rs: comment changed" in text


def test_a_true_declaration_is_believed_and_kept(
    tmp_path: Path, open_workspace: Callable[[Path], Workspace]
) -> None:
    """Nothing below the planner is executed after edits of what it does not depend on."""
    path = tmp_path / "true.Dockerfile"
    path.write_text(PLANNED.format(plan=DECLARED))
    plan = course((EditClass.README, EditClass.SOURCE_COMMENT))
    p1.judge_plan(plan, open_workspace(path), judge=judge_of(path, "P1"))
