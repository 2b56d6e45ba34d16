"""Negative controls of P1 to P7, but for images: scripts with one thing broken fail the property
that promises it, with the words that name it; the scripts as they are pass the same scenarios.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import scenario, subject
from harness.engine import Engine
from harness.generated import edits
from harness.generated.projects import Blueprint, Dependency, Member, render
from harness.judging.judge import Judge, Tally
from harness.judging.legacy import Invocation
from harness.judging.report import PropertyViolation
from harness.model import EditClass, File
from harness.process import host_cargo_works
from harness.running.container_events import ContainerEvent
from harness.running.scripted import BUILD_LAMBDA, DEV_CONTAINER, Promise, Scripted, scripted
from harness.scenario import Bench
from harness.strategies import Plan, Step, richest
from properties import (
    environments,
    failed_calls,
    make_targets,
    mounted_project,
    records,
    scripted_invalidation,
    several_binaries,
)
from properties import test_p1_layer_caching as p1
from properties import test_p2_dev_container_persistence as p2
from properties import test_p3_automatic_lifecycle as p3
from properties import test_p4_source_mount as p4
from properties import test_p6_build_modes as p6
from properties import test_p7_backward_compatibility as p7
from properties.common import with_feature
from tests.integration.harness import regressions
from tests.integration.harness.regressions import Regression

BROKEN = regressions.of_scripts()
DESIGNS = ("any-program", "bind-mounted-context", "cache-mount", "cargo-lambda", "package-only")
"""Those of the good Dockerfiles that differ for scripts: in arguments, stages and what is built."""
PLAIN = regressions.ROOT / "fixtures" / "scripts" / "plain"
AT_ONCE, APART = "two dev builds at once", "two checkouts"
NO_CONTAINER, INTERRUPTED = "no container can be had", "a build is interrupted"
UNKNOWN = "status is asked where it cannot know"
TARGETS, ELSEWHERE = "make runs the tests", "make is called from a path with a blank"
IMAGE = "an image that cannot be made is asked for"
TARGET = "a target that the toolchain lacks is asked for"
BUILD_IMAGE = "an image is to be built in that nobody has"
LATE = "the engine answers late"
NO_CARGO = "the host has no cargo"
CHOICES = "each choice of the menu is made"
NO_ROOM = "there is no room for a zip"
SEVERAL = "there are several binaries"
"""Scenarios that are no moves of a dev container and no calls of the legacy interface."""
SCENARIOS = {AT_ONCE, APART, NO_CONTAINER, INTERRUPTED, UNKNOWN}
PROJECT = Blueprint(
    members=(Member("app", answer=7, binaries=("app",), uses=("alpha",)),),
    dependencies=(Dependency("alpha"),),
)
MOVES = (ContainerEvent.PAUSED, ContainerEvent.DOCKERFILE_CHANGED, ContainerEvent.STOP)
CALLS = (
    Invocation(words=("--bogus", "--validate")),
    Invocation(words=("docker",), cargo_flags="--features extra"),
    Invocation(words=("docker",)),
    Invocation(target="clean"),
)


@pytest.fixture
def open_bench(
    engine: Engine, say: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Regression | None], Bench]]:
    """Return how to get a bench for a copy of the build, broken or not."""
    (tmp_path / "tmp").mkdir(mode=0o777)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    with ExitStack() as opened:

        def open_one(broken: Regression | None) -> Bench:
            home = regressions.copy_build(tmp_path / "build", broken)
            loaded = subject.load(home / "Dockerfile.optimized", scripts=home / "scripts")
            options = replace(loaded.options, network="none")
            return opened.enter_context(
                scenario.prepare(engine, replace(loaded, options=options), say=say)
            )

        (tmp_path / "build").mkdir()
        yield open_one


def judge_of(property_id: str, bench: Bench) -> Judge:
    """Return a judge of that property."""
    return Judge(records.BY_ID[property_id], bench.subject.dockerfile, "pytest properties")


def one_edit(*, old: bool = False) -> Plan[Blueprint]:
    """Return an edit of the project's source; `old` gives what it writes an old date."""
    change = edits.apply(EditClass.SOURCE, PROJECT, 1)
    assert change is not None
    return Plan(PROJECT, (Step(change.edit, change.after, old=old),))


def check_p1(bench: Bench, broken: Regression | None) -> None:
    with bench.workspace(render(PROJECT).tree) as workspace, scripted(workspace) as scripts:
        p1.judge_scripts(PROJECT, scripts, judge=judge_of("P1", bench))


def check_p2(bench: Bench, broken: Regression | None) -> None:
    with bench.workspace(render(PROJECT).tree) as workspace, scripted(workspace) as dev:
        plan = one_edit(old=True)
        p2.judge_plan(plan, dev, at_last=ContainerEvent.REMOVED, judge=judge_of("P2", bench))
    start = richest(bench.subject.shape, bench.subject.binary, workspace=True)
    with bench.workspace(with_feature(start)) as workspace, scripted(workspace) as dev:
        p2.judge_mishaps(start, dev, judge=judge_of("P2", bench))


def check_p3(bench: Bench, broken: Regression | None) -> None:
    asked = set(broken.moves) if broken else {NO_CONTAINER, INTERRUPTED, UNKNOWN, APART}
    named = [move for move in broken.moves if move not in SCENARIOS] if broken else ()
    moves: Sequence[ContainerEvent] = [ContainerEvent(move) for move in named] if broken else MOVES
    judge = judge_of("P3", bench)
    scenarios: list[Callable[[Scripted], None]] = []
    if moves:
        scenarios.append(lambda dev: p3.judge_moves(PROJECT, moves, dev, built=True, judge=judge))
    if AT_ONCE in asked:
        scenarios.append(lambda dev: p3.judge_two_at_once(PROJECT, dev, built=True, judge=judge))
    if NO_CONTAINER in asked:
        scenarios.append(lambda dev: p3.judge_fallback(PROJECT, dev, judge=judge))
    if INTERRUPTED in asked:
        scenarios.append(lambda dev: p3.judge_interrupted(PROJECT, dev, judge=judge))
    if UNKNOWN in asked:
        with (
            bench.workspace(render(PROJECT).tree, called=p3.hard_name(bench)) as workspace,
            scripted(workspace) as dev,
        ):
            p3.judge_elsewhere(PROJECT, dev, judge=judge)
    for check in scenarios:
        with bench.workspace(render(PROJECT).tree) as workspace, scripted(workspace) as dev:
            check(dev)
    if APART in asked:
        with (
            bench.workspace(render(PROJECT).tree) as one,
            bench.workspace(render(PROJECT).tree, called=one.context.name) as two,
            scripted(one) as here,
            scripted(two) as there,
            p3.one_repository(bench.root),
        ):
            p3.judge_two_checkouts((PROJECT, here), (PROJECT, there), judge=judge)


def check_p4(bench: Bench, broken: Regression | None) -> None:
    judge = judge_of("P4", bench)
    with mounted_project.project_of_a_user(bench) as dev:
        p4.judge_trees([{"a": File(b"one")}, {"a": File(b"two")}], b"123", dev, judge=judge)
        p4.judge_lock(p4.LOCK.format(name="app", version="0.0.9"), dev, judge=judge)
        p4.judge_made_anew(dev, judge=judge)
        p4.judge_hidden(dev, judge=judge)
        p4.judge_removed(dev, judge=judge)
        p4.judge_configured(dev, judge=judge)
        p4.judge_commands(dev, judge=judge)


def check_p5(bench: Bench, broken: Regression | None) -> None:
    start = richest(bench.subject.shape, bench.subject.binary)
    with (
        bench.workspace(render(start).tree, isolated=True) as workspace,
        scripted(workspace) as scripts,
    ):
        scripted_invalidation.judge_scripts(start, scripts, judge=judge_of("P5", bench))


def check_p6(bench: Bench, broken: Regression | None) -> None:
    with bench.workspace(render(PROJECT).tree) as workspace, scripted(workspace) as scripts:
        p6.judge_plan(one_edit(), scripts, judge=judge_of("P6", bench))
    start = p6.levelled_project(bench.subject)
    for mode in ("dev", "prod"):
        with bench.workspace(render(start).tree) as workspace, scripted(workspace) as scripts:
            p6.judge_mode(start, mode, scripts, judge=judge_of("P6", bench))
    tree = p6.asking_project(bench.subject)
    with bench.workspace(tree) as workspace, scripted(workspace) as scripts:
        p6.judge_asked(scripts, judge=judge_of("P6", bench))


def check_p7(bench: Bench, broken: Regression | None) -> None:
    tree = p7.project(bench.subject, p7.FIRST_ANSWER)
    with bench.workspace(tree) as workspace, scripted(workspace) as scripts:
        p7.judge_calls(
            broken.calls if broken else CALLS,
            scripts,
            broken=broken is not None and broken.broken,
            leftovers=broken is None or broken.leftovers,
            judge=judge_of("P7", bench),
        )
    for name in broken.moves if broken else OF_P7:
        if name in {INTERRUPTED, TARGETS} and not host_cargo_works():
            if broken is not None:
                pytest.skip("this machine has no cargo")
            continue
        if name == NO_CARGO and broken is not None and environments.without_cargo() is None:
            pytest.skip("cargo cannot be taken away from this machine")
        with bench.workspace(tree) as workspace, scripted(workspace) as scripts:
            if is_asked(name, scripts):
                OF_P7[name](scripts, judge=judge_of("P7", bench))


def is_asked(name: str, scripts: Scripted) -> bool:
    """Whether one of P7's scenarios is asked of these scripts, with this Dockerfile."""
    under_test = scripts.bench.subject
    asked: dict[str, Callable[[], bool]] = {
        IMAGE: lambda: scripts.offers("--image"),
        TARGET: lambda: environments.takes_target(under_test),
        BUILD_IMAGE: lambda: environments.takes_build_image(under_test),
        NO_CARGO: lambda: environments.without_cargo() is not None,
        CHOICES: lambda: p7.has_menu(under_test),
        SEVERAL: lambda: scripts.offers(several_binaries.OPTION),
        LATE: lambda: Promise.WAITS_FOR_ENGINE in scripts.promises,
    }
    return name not in asked or asked[name]()


OF_P7: dict[str, Callable[..., None]] = {
    INTERRUPTED: failed_calls.judge_interrupted,
    TARGETS: make_targets.judge_targets,
    ELSEWHERE: make_targets.judge_make_elsewhere,
    IMAGE: failed_calls.judge_no_image,
    TARGET: environments.judge_target,
    BUILD_IMAGE: environments.judge_build_image,
    LATE: environments.judge_late,
    NO_CARGO: environments.judge_no_cargo,
    CHOICES: p7.judge_menu,
    NO_ROOM: failed_calls.judge_no_room,
    SEVERAL: several_binaries.judge_several,
}


CHECKS: dict[str, Callable[[Bench, Regression | None], None]] = {
    "P1": check_p1,
    "P2": check_p2,
    "P3": check_p3,
    "P4": check_p4,
    "P5": check_p5,
    "P6": check_p6,
    "P7": check_p7,
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: f"{broken.violates}-{broken.name}")
def test_a_broken_script_fails_the_property_that_it_breaks(
    broken: Regression, open_bench: Callable[[Regression | None], Bench]
) -> None:
    with pytest.raises(PropertyViolation) as caught:
        CHECKS[broken.violates](open_bench(broken), broken)
    text = str(caught.value)
    assert text.startswith(records.BY_ID[broken.violates].tag)
    assert broken.says in text


def test_an_accident_is_shown_in_a_project_of_its_own(
    open_bench: Callable[[Regression | None], Bench],
) -> None:
    """Seven others were made and mended before it: none of them is needed to see it."""
    (broken,) = (each for each in BROKEN if each.name == "stale-is-used")
    bench = open_bench(broken)
    with pytest.raises(PropertyViolation) as caught:
        p3.test_each_accident_is_mended_by_the_next_build(bench, Tally(), judge_of("P3", bench))
    scenario_told = str(caught.value).partition("Scenario:\n")[2].partition("\n\n")[0]
    assert scenario_told.splitlines() == [
        "  1. a project without a dev container",
        "  2. dev build",
        "  3. the Dockerfile changes",
        "  4. src/main.rs: answer 1 → 11, dev build",
    ]


@pytest.mark.parametrize("property_id", sorted(CHECKS))
def test_the_scripts_as_they_are_pass(
    property_id: str, open_bench: Callable[[Regression | None], Bench]
) -> None:
    CHECKS[property_id](open_bench(None), None)


@pytest.mark.parametrize("design", DESIGNS)
def test_the_scripts_pass_with_a_dockerfile_of_another_design(
    design: str, engine: Engine, say: Callable[[str], None]
) -> None:
    """It has no arguments of ours, and perhaps neither a stage `base` nor a `package`."""
    path = regressions.ROOT / "fixtures/dockerfiles/good" / f"{design}.Dockerfile"
    loaded = subject.load(path, scripts=regressions.ROOT / "scripts")
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    with scenario.prepare(engine, loaded, say=say) as bench:
        check_p1(bench, None)
        check_p2(bench, None)
        check_p6(bench, None)
        tree = p7.project(bench.subject, p7.FIRST_ANSWER)
        with bench.workspace(tree) as workspace, scripted(workspace) as scripts:
            calls = [Invocation(words=(method,)) for method in ("docker", "prod", "--package-only")]
            judge = judge_of("P7", bench)
            p7.judge_calls(calls, scripts, broken=False, leftovers=True, judge=judge)


@pytest.mark.parametrize("property_id", sorted(CHECKS))
def test_scripts_of_another_team_pass(
    property_id: str, engine: Engine, say: Callable[[str], None]
) -> None:
    """They know nothing of ours: they take the Dockerfile beside them, and docker's own buildx."""
    with plain_bench(PLAIN, engine, say) as bench:
        CHECKS[property_id](bench, None)


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of the other team's scripts, and what the report has to say of it."""

    violates: str
    old: str
    new: str
    says: str
    script: str = DEV_CONTAINER


OF_ANOTHER_TEAM = [
    Edit("P2", "up() {", 'up() {\n  docker rm --force "$name" || :\n', "Another container"),
    Edit(
        "P2",
        'docker exec "$name" cargo build',
        'docker run --rm --network host --volumes-from "$name" --workdir /app '
        '--env CARGO_TARGET_DIR=/cache/target "$image" cargo build',
        "The build did not run in the container that is up.",
    ),
    Edit("P2", '$(cksum <"$dockerfile"', '$(cat "$dockerfile" Cargo.* | cksum', "a comment in"),
    Edit("P3", '[ "$(state)" = running ] ||', "true ||", "The dev build failed"),
    Edit("P3", "! is_current", "false", "of the Dockerfile as it is"),
    Edit("P3", "|| echo absent", "| sed s/exited/running/ || echo absent", "how things are"),
    Edit("P3", 'if [ "${2:-}" = --json ]', 'echo "$name is running"; if false', "how things are"),
    Edit("P4", 'chown -R "$1" /app/target', ":", "is not the caller's"),
    Edit("P4", "-$(stat -c %d-%i .)", "", "another put in its place, dev build"),
    Edit(
        "P4",
        'docker exec "$name" cargo build --locked',
        'docker exec "$name" sh -c "mkdir -p /copy && cp -au /app/. /copy/ && cd /copy '
        '&& cargo build --locked"',
        "A file was removed, and the program was made of it all the same.",
    ),
    Edit("P6", "up() {", "up() {\n  build_image 2>/dev/null\n", "image build in dev"),
    Edit(
        "P6",
        "cargo build --locked",
        "cargo build --locked --release",
        "`build-lambda.sh dev` failed",
    ),
    Edit(
        "P3",
        'clean)\n    docker rm --force "$name"',
        "clean)\n    docker rm --force $(docker ps --all --quiet)",
        "reached the container of the other",
    ),
    Edit(
        "P4",
        'exec docker exec --interactive "$name"',
        "echo '[INFO] running'; exec docker exec --interactive \"$name\"",
        "wrote something else",
    ),
    Edit(
        "P7",
        "  zip_package\n  echo",
        "  zip_package || say ERROR 'there is no zip'\n  echo",
        "A package that could not be made",
        BUILD_LAMBDA,
    ),
]


@pytest.mark.parametrize("edit", OF_ANOTHER_TEAM, ids=lambda edit: f"{edit.violates}-{edit.new}")
def test_scripts_of_another_team_fail_the_property_that_they_break(
    edit: Edit, engine: Engine, say: Callable[[str], None], tmp_path: Path
) -> None:
    build = shutil.copytree(PLAIN, tmp_path / "build")
    script = build / "scripts" / edit.script
    assert script.read_text().count(edit.old) == 1
    script.write_text(script.read_text().replace(edit.old, edit.new))
    with (
        plain_bench(build, engine, say) as bench,
        pytest.raises(PropertyViolation) as caught,
    ):
        CHECKS[edit.violates](bench, None)
    assert str(caught.value).startswith(records.BY_ID[edit.violates].tag)
    assert edit.says in str(caught.value)


def plain_bench(
    build: Path, engine: Engine, say: Callable[[str], None]
) -> AbstractContextManager[Bench]:
    """Return a bench for the other team's build."""
    loaded = subject.load(build / "Dockerfile.optimized", scripts=build / "scripts")
    loaded = replace(loaded, options=replace(loaded.options, network="none"))
    return scenario.prepare(engine, loaded, say=say)


def test_every_property_judged_here_has_several_negative_controls() -> None:
    """P5's others are Dockerfiles."""
    counted = {id: sum(b.violates == id for b in BROKEN) for id in CHECKS if id != "P5"}
    assert min(counted.values()) >= 4, counted


def test_an_edit_whose_text_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected its old text once in Makefile, found it 0"):
        regressions.copy_build(
            tmp_path, Regression("x", "P2", Path("Makefile"), "never written", "", "")
        )
