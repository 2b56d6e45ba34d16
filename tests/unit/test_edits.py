"""edits: every class changes what it says and no more, and the truth of a project follows."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.fitting import Shape
from harness.generated import edits, registry
from harness.generated.projects import Blueprint, Dependency, Member, locked, render, units
from harness.model import EditClass, File, Link
from harness.strategies import (
    DEPENDENCY_EDITS,
    IDLE_EDITS,
    OTHER_EDITS,
    SOURCE_EDITS,
    Plan,
    Step,
    blueprints,
    plans,
)

ALL = (*SOURCE_EDITS, *DEPENDENCY_EDITS, *IDLE_EDITS, *OTHER_EDITS)
APP = Member(
    "app",
    answer=7,
    modules=(("one", 1),),
    binaries=("app",),
    build_script=3,
    library=4,
    uses=("alpha", "beta"),
)
PACKAGE = Blueprint(
    members=(APP,), dependencies=(Dependency("alpha"), Dependency("beta")), toolchain=1
)
WORKSPACE = Blueprint(
    members=(
        Member("app", answer=7, binaries=("app",), uses=("alpha",), libraries=("core1",)),
        Member("core1", answer=2, modules=(("one", 1),)),
    ),
    dependencies=(Dependency("alpha"),),
    workspace=True,
)
STARTS = blueprints(shape=Shape(), binary="app")


def change(edit_class: EditClass, blueprint: Blueprint = PACKAGE, choice: int = 0) -> edits.Change:
    """Apply an edit that must apply."""
    made = edits.apply(edit_class, blueprint, choice)
    assert made is not None
    return made


def test_what_a_package_prints_is_written_down_here_by_hand() -> None:
    assert render(PACKAGE).binaries == {
        "app": "app answer=7 one=1 script=3 lib=4 alpha-1.0.0 beta-1.0.0(gamma-1.0.0) checked=false"
    }
    assert render(WORKSPACE).binaries == {"app": "app answer=7 core1=3 alpha-1.0.0 checked=false"}


@pytest.mark.parametrize(
    ("edit_class", "paths"),
    [
        (EditClass.SOURCE, {"src/main.rs"}),
        (EditClass.SOURCE_SAME_SIZE, {"src/main.rs"}),
        (EditClass.SOURCE_COMMENT, {"src/main.rs"}),
        (EditClass.MODULE_ADD, {"src/main.rs", "src/part0.rs"}),
        (EditClass.SOURCE_RENAME, {"src/main.rs", "src/one.rs", "src/moved0.rs"}),
        (EditClass.SOURCE_DELETE, {"src/main.rs", "src/one.rs"}),
        (EditClass.MODE, {"src/main.rs"}),
        (EditClass.SYMLINK, {"src/link.txt"}),
        (EditClass.ODD_NAME, {"src/with space.txt"}),
        (EditClass.BUILD_SCRIPT, {"build.rs"}),
        (EditClass.BIN_ADD, {"src/bin/tool0.rs"}),
        (EditClass.IGNORED, {"target/notes.txt"}),
        (EditClass.README, {"README.md"}),
        (EditClass.DEPENDENCY_ADD, {"Cargo.toml", "Cargo.lock", "src/main.rs"}),
        (EditClass.DEPENDENCY_BUMP, {"Cargo.toml", "Cargo.lock"}),
        (EditClass.DEPENDENCY_REMOVE, {"Cargo.toml", "Cargo.lock", "src/main.rs"}),
        (EditClass.FEATURE, {"Cargo.toml"}),
        (EditClass.LOCK, {"Cargo.lock"}),
        (EditClass.OWN_VERSION, {"Cargo.toml", "Cargo.lock"}),
        (EditClass.MANIFEST_COMMENT, {"Cargo.toml"}),
        (EditClass.PROFILE, {"Cargo.toml"}),
        (EditClass.TOOLCHAIN, {"rust-toolchain.toml"}),
    ],
)
def test_an_edit_touches_the_files_it_is_about(edit_class: EditClass, paths: set[str]) -> None:
    assert set(change(edit_class).edit.changes) == paths


def test_a_new_member_comes_with_its_manifest_and_its_place_in_the_lock() -> None:
    made = change(EditClass.MEMBER_ADD, WORKSPACE)
    assert set(made.edit.changes) == {
        "crates/app/Cargo.toml",
        "crates/app/src/main.rs",
        "crates/extra0/Cargo.toml",
        "crates/extra0/src/lib.rs",
        "Cargo.lock",
    }
    assert " extra0=3 " in render(made.after).binaries["app"]


def test_a_same_size_edit_keeps_the_size_and_changes_the_content() -> None:
    before, made = render(PACKAGE).tree["src/main.rs"], change(EditClass.SOURCE_SAME_SIZE)
    after = made.edit.changes["src/main.rs"]
    assert isinstance(before, File)
    assert isinstance(after, File)
    assert len(before.content) == len(after.content)
    assert before != after


def test_mode_and_link_edits_are_what_they_say() -> None:
    mode = change(EditClass.MODE).edit.changes["src/main.rs"]
    assert isinstance(mode, File)
    assert mode.mode == 0o755
    assert change(EditClass.SYMLINK).edit.changes["src/link.txt"] == Link("main.rs")


def test_a_touch_changes_nothing_but_names_a_file_that_is_there() -> None:
    made = change(EditClass.MTIME, choice=3)
    assert made.edit.changes == {}
    assert set(made.edit.touch) <= set(render(PACKAGE).tree)
    assert made.after == PACKAGE


@pytest.mark.parametrize("edit_class", ALL)
def test_every_class_applies_to_one_of_the_sample_projects(edit_class: EditClass) -> None:
    made = edits.apply(edit_class, PACKAGE) or edits.apply(edit_class, WORKSPACE)
    assert made is not None
    assert made.edit.edit_class is edit_class
    assert made.edit.summary


@given(plan=plans(start=STARTS, classes=(*ALL, EditClass.REVERT)))
def test_edits_lead_from_one_tree_to_the_next(plan: Plan[Blueprint]) -> None:
    tree = render(plan.start).tree
    for step in plan.steps:
        tree = edits.applied(tree, step.edit)
        assert tree == render(step.after).tree


@given(plan=plans(start=STARTS, classes=SOURCE_EDITS))
def test_source_edits_leave_every_dependency_as_it_was(plan: Plan[Blueprint]) -> None:
    for step in plan.steps:
        assert units(step.after) == units(plan.start)
        assert not any(path.endswith((".toml", ".lock")) for path in step.edit.changes)


@given(plan=plans(start=STARTS, classes=IDLE_EDITS))
def test_idle_edits_change_no_file_that_a_build_sees(plan: Plan[Blueprint]) -> None:
    changed = {path for step in plan.steps for path in step.edit.changes}
    assert all(path.startswith("target/") for path in changed)


@given(blueprint=STARTS, choice=st.integers(0, 3))
def test_a_bump_makes_one_crate_another_unit_and_those_that_need_it(
    blueprint: Blueprint, choice: int
) -> None:
    made = edits.apply(EditClass.DEPENDENCY_BUMP, blueprint, choice)
    assume(made is not None)
    assert made is not None
    before, after = units(blueprint), units(made.after)
    changed = {name for name in after if after[name] != before.get(name)}
    bumped = {n for n, d in locked(made.after).items() if d.version != locked(blueprint)[n].version}
    assert len(bumped) == 1
    needing = {k.name for k in registry.KINDS if bumped & set(k.needs)} & set(after)
    assert changed == (bumped & set(after)) | needing


@given(plan=plans(start=STARTS, classes=(*ALL, EditClass.REVERT)))
def test_a_counterexample_prints_in_words(plan: Plan[Blueprint]) -> None:
    assert repr(plan).startswith(("Plan(package", "Plan(workspace"))
    assert "Blueprint(" not in repr(plan)


@given(plan=plans(start=STARTS, classes=DEPENDENCY_EDITS))
def test_the_lock_holds_exactly_the_crates_that_are_used(plan: Plan[Blueprint]) -> None:
    for blueprint in (plan.start, *(step.after for step in plan.steps)):
        listed = {dependency.name for dependency in blueprint.dependencies}
        assert listed == {name for member in blueprint.members for name in member.uses}


EVERY_EDIT = (*ALL, EditClass.REVERT)


@given(plan=plans(start=STARTS, classes=EVERY_EDIT, most=6))
def test_the_earliest_state_that_a_build_cannot_tell_from_another_is_one_of_its_own(
    plan: Plan[Blueprint],
) -> None:
    assert len(plan.same_as) == len(plan.steps) + 1
    for number, same in enumerate(plan.same_as):
        assert same <= number
        assert plan.same_as[same] == same


def test_going_back_to_a_state_that_an_idle_edit_made_is_going_back_to_the_one_before() -> None:
    ignored = change(EditClass.IGNORED)
    source = edits.apply(EditClass.SOURCE, ignored.after, 0)
    assert source is not None
    back = edits.revert(source.after, ignored.after)
    plan = Plan(
        PACKAGE,
        (
            Step(ignored.edit, ignored.after),
            Step(source.edit, source.after),
            Step(back.edit, back.after, back_to=1),
        ),
    )
    assert plan.same_as == (0, 0, 2, 0)
