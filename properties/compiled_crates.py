"""P5: of the registry's crates those are compiled that an edit changed, in the versions locked."""

from __future__ import annotations

import re

from harness import progress
from harness.generated import checkouts, projects, registry
from harness.generated.checkouts import Checkout
from harness.generated.projects import Blueprint, Unit, units
from harness.judging.foundation import keeps_compiled_crates, made_of_the_source, worked
from harness.judging.judge import Judge
from harness.judging.report import Row
from harness.model import BuildObservation, EditClass
from harness.scenario import DID_NOT_RUN, Workspace
from harness.strategies import OTHER_EDITS, SOURCE_EDITS, State, Step
from harness.subject import Subject
from properties.story import count, lines_of

INSTALLING = re.compile(r"^\s*Installing ", re.MULTILINE)
"""How cargo begins to install a program, whose crates are its own."""
OTHER_CRATES = (
    "The crates are not those of Cargo.lock as it is now: copy it, keep it out of the ignore file, "
    "and build with --locked."
)

NOT_RUN = "The program could not be run to its end: P8 judges what an image needs to start."
OTHER_PROFILE = (
    "The program was compiled with another profile than the manifest's release: build with "
    "--release and copy from target/release."
)


def is_of_source(step: Step[State], under_test: Subject) -> bool:
    """Whether an edit leaves all that dependencies depend on as it was.

    A new program does not where they are compiled from a skeleton of the source, and neither does a
    link, which what prunes a checkout of its files may leave in it.
    """
    if step.edit.edit_class in {EditClass.BIN_ADD, EditClass.SYMLINK}:
        return not made_of_the_source(under_test.dockerfile, under_test.roles)
    return step.edit.edit_class in {*SOURCE_EDITS, *OTHER_EDITS}


def expect_crates(
    step: Step[State],
    now: BuildObservation,
    *,
    before: set[Unit],
    known: bool,
    workspace: Workspace,
    story: list[str],
    judge: Judge,
) -> None:
    """Of the registry's crates those are compiled that changed, and none that may not be."""
    after = units_of(step.after)
    crates_there = in_lock(step.after)
    compiled = [crate for crate in now.crates_compiled if crate in crates_there]
    fresh = {unit.crate for unit in after if unit not in before}
    hosts = {unit.crate for unit in after if is_for_host(unit)}
    if is_of_source(step, workspace.bench.subject) or known:
        allowed: set[str] = set()
    elif isinstance(step.after, Blueprint) and keeps_compiled_crates(
        workspace.bench.subject.dockerfile
    ):
        allowed = fresh | hosts if step.edit.edit_class is EditClass.PROFILE else fresh
    else:
        allowed = crates_there
    needed = fresh - hosts if not known else set()
    reports = any(seen.crates_compiled for seen in workspace.observations)
    count("cargo names what it compiles" if reports else "cargo is silent")
    crates = sorted({*compiled, *needed})
    expected = needed | (allowed & set(compiled))
    lines = lines_of([v for v in worked(now.vertices) if "Compiling" in v.log], judge)
    holds = set(compiled) <= allowed and (needed <= set(compiled) or not reports)
    judge(
        f"After {step!r} cargo compiled other crates than those that changed.",
        holds=holds,
        scenario=story,
        rows=[
            Row(f"crate {crate}", "compiled" if crate in expected else "kept", happened)
            for crate in crates
            for happened in ["compiled" if crate in compiled else "kept"]
        ],
        lines=lines,
        because=() if holds else workspace.reasons(lines),
        log=now.log,
    )
    again = sorted({crate for crate in compiled if compiled.count(crate) > 1})
    judge(
        f"After {step!r} cargo compiled the same crates twice in one build.",
        holds=not again,
        scenario=story,
        rows=[Row(f"crate {crate}", "compiled once", "compiled twice") for crate in again],
        lines=lines,
        hint="The flags of the two cargo calls differ (profile, features, target, RUSTFLAGS), or "
        "the second does not find what the first compiled.",
    )


def expect_locked(state: State, now: BuildObservation, story: list[str], judge: Judge) -> None:
    """Of the crates that the lock file names, no other versions are compiled for the project."""
    wanted = in_lock(state)
    names = {crate.split()[0] for crate in wanted}
    ours = [v for v in now.vertices if not INSTALLING.search(v.log)]
    compiled = progress.crates_compiled(ours)
    others = sorted({c for c in compiled if c.split()[0] in names} - wanted)
    judge(
        "Other versions were compiled than Cargo.lock names.",
        holds=not others,
        scenario=story,
        rows=[Row(f"crate {crate}", "as in Cargo.lock", "another version") for crate in others],
        lines=lines_of([v for v in worked(ours) if "Compiling" in v.log], judge),
        log=now.log,
        hint=OTHER_CRATES,
    )


def in_lock(state: State) -> set[str]:
    """Return `name version` of each registry crate that the lock file names."""
    if isinstance(state, Checkout):
        return set(checkouts.locked(state))
    return {f"{name} {crate.version}" for name, crate in projects.locked(state).items()}


def units_of(state: State) -> set[Unit]:
    """Return the registry crates that a generated project compiles; of a real one none is known."""
    return set(units(state).values()) if isinstance(state, Blueprint) else set()


def is_for_host(unit: Unit) -> bool:
    """Whether cargo may compile a crate with other settings than the profile's."""
    kind = registry.BY_NAME[unit.name]
    return kind.host or kind.build_script


def hint_for(printed: str, expected: str, *, stale: str) -> str:
    """Return where to look, by the words of a program's line that differ from what is expected.

    `stale` is what to say of a program that is of another source.
    """
    if printed.startswith(DID_NOT_RUN):
        return NOT_RUN
    wanted = expected.split(" ")
    own = (line for line in printed.splitlines() if line.startswith(wanted[0]))
    words = next(own, printed).split(" ")
    differing = [w for n, w in enumerate(wanted) if n >= len(words) or words[n] != w]
    kinds = {re.split(r"\W", word)[0].lower() for word in differing}
    if len(words) == len(wanted) and kinds == {"checked"}:
        return OTHER_PROFILE
    if len(words) == len(wanted) and kinds <= registry.BY_NAME.keys():
        return OTHER_CRATES
    return stale
