"""P6, build modes: dev does less work per edit than prod, prod's package is smaller and optimised,
and both behave alike on the same event.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import strategies
from harness.generated import edits
from harness.generated.projects import LEVEL, UNOPTIMISED, Blueprint, folder, render, root_source
from harness.judging import elf
from harness.judging.elf import Elf
from harness.judging.judge import Judge, Tally
from harness.judging.report import Row
from harness.model import EditClass, Entry, File
from harness.running.scripted import BUILD_LAMBDA, PACKAGE, ZIP, Promise, Scripted, ScriptRun
from harness.scenario import Bench
from harness.strategies import Plan
from harness.subject import Subject
from harness.texts import compiler_flags, declared_arguments
from properties.common import dev_truth, same_lines, scripts_in, with_feature
from properties.story import count, expect_script

pytestmark = pytest.mark.property("P6")
IMAGE_BUILD = re.compile(r"^(#\d+ \S|Step \d+/\d+ :)|load build definition", re.MULTILINE)
"""What builders of images say, whichever they are and however little of it is shown."""
IMAGE_BUILD_CALL = re.compile(
    r"(-\S+ ([^-\s]\S* )?)*?(((buildx|builder|image) )?(build|bake)\b"
    r"|compose (-\S+ ([^-\s]\S* )?)*?(build\b|((create|up) (.* )?|run (-\S+ )*)--build\b))"
)
"""What docker is called with to build an image, whatever is shown of it."""
ASKED = b"""fn main() {
    print!("it is");
    if cfg!(configured) {
        print!(" configured");
    }
    if cfg!(feature = "extra") {
        print!(" extra");
    }
    println!();
}
"""
EDITS = (EditClass.SOURCE, EditClass.SOURCE_SAME_SIZE, EditClass.MODULE_ADD)


@dataclass(frozen=True, slots=True)
class Package:
    """What a mode made: the zip's and the binary's size in bytes, what the binary is and prints.

    Of a dev mode that packages nothing it is the program that it left in target/. `optimised` tells
    that it was compiled at a level above 0 and, where a build script was told the level, above 1.
    `printed` is what the packaged program prints in the dev container, `built` what the one does
    that the mode left in target/.
    """

    zipped: int
    size: int
    optimised: bool
    facts: Elf | None
    printed: str
    built: str


@given(data=st.data())
def test_dev_works_less_and_prod_ships_less_and_both_answer_alike(
    data: st.DataObject, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """The same project and the same edit in both modes, packaged by the script, run, compared."""
    start = strategies.blueprints(
        shape=bench.subject.shape, binary=bench.subject.binary, dependencies=1
    )
    plan = data.draw(strategies.plans(start=start, classes=EDITS, most=1))
    with scripts_in(render(plan.start).tree, bench, tally) as scripts:
        judge_plan(plan, scripts, judge=judge)


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_each_mode_packages_what_it_built_itself_and_nothing_when_it_fails(
    mode: str, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """What the other mode built before is not packaged; after an error, neither is anything."""
    start = levelled_project(bench.subject)
    with scripts_in(render(start).tree, bench, tally) as scripts:
        judge_mode(start, mode, scripts, judge=judge)


def test_what_is_asked_of_cargo_holds_in_both_modes(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Flags of the call and of the project's configuration, with one binary and with two."""
    with scripts_in(asking_project(bench.subject), bench, tally) as scripts:
        judge_asked(scripts, judge=judge)


def levelled_project(subject: Subject) -> Blueprint:
    """Return a plain project that knows its level of optimisation, where a build script may be."""
    start = strategies.plainest(subject.shape, subject.binary)
    first = replace(start.members[0], build_script=1 if subject.shape.build_script else None)
    return replace(start, members=(first, *start.members[1:]))


def asking_project(subject: Subject) -> dict[str, Entry]:
    """Return a project whose program tells what cargo was asked for."""
    start = strategies.plainest(subject.shape, subject.binary)
    tree, member = with_feature(start), start.members[0]
    path = f"{folder(start, member)}Cargo.toml"
    manifest = tree[path]
    assert isinstance(manifest, File)
    named = f'[package]\ndefault-run = "{subject.binary}"\n'.encode()
    return {
        **tree,
        path: File(manifest.content.replace(b"[package]\n", named)),
        root_source(start, member): File(ASKED),
        ".cargo/config.toml": File(b'[build]\nrustflags = ["--cfg", "configured"]\n'),
    }


def judge_asked(scripts: Scripted, *, judge: Judge) -> None:
    """Build in dev mode with flags, without, with them again; add a second binary, build in both
    modes: the answers are the same.

    Only what a mode does with one binary is expected of it with two, and what dev does of prod
    where the Dockerfile takes cargo's configuration along.
    """
    subject = scripts.bench.subject
    start = strategies.plainest(subject.shape, subject.binary)
    flags = {"CARGO_FLAGS": "--features extra"}
    story = ["CARGO_FLAGS='--features extra' build-lambda.sh dev"]
    one = asked(scripts, "dev", flags, story, judge)
    told = {"it is"} if compiler_flags(subject.dockerfile) else {"it is configured"}
    told |= {f"{words} extra" for words in told}  # with flags by ENV, configured ones do not hold
    expected = one if one in told else min(told)
    rows = [Row("dev: configured", expected, one)]
    story += ["build-lambda.sh dev", story[0]]
    rows.append(
        Row(
            "dev, no flags",
            expected.removesuffix(" extra"),
            asked(scripts, "dev", {}, story, judge),
        )
    )
    rows.append(Row("dev, flags again", expected, asked(scripts, "dev", flags, story, judge)))
    other = scripts.project / folder(start, start.members[0]) / "src" / "bin" / "other.rs"
    other.parent.mkdir()
    other.write_bytes(b'fn main() { println!("the other one"); }\n')
    story.append("src/bin/other.rs added; default-run names the first; the same call")
    rows.append(Row("dev, two binaries", expected, asked(scripts, "dev", flags, story, judge)))
    if subject.shape.vendored and "CARGO_FLAGS" in declared_arguments(subject.dockerfile):
        story.append("CARGO_FLAGS='--features extra' build-lambda.sh prod")
        rows.append(Row("prod", expected, asked(scripts, "prod", flags, story, judge)))
        story.append("build-lambda.sh prod")
        plain = asked(scripts, "prod", {}, story, judge)
        rows.append(Row("prod, no flags", expected.removesuffix(" extra"), plain))
    judge(
        "What was asked of cargo does not hold in every build.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        hint="Pass on CARGO_FLAGS whatever else is passed, and set no RUSTFLAGS: they take the "
        "place of what the project configures.",
    )


def asked(
    scripts: Scripted,
    mode: str,
    environment: Mapping[str, str],
    story: Sequence[str],
    judge: Judge,
) -> str:
    """Build in a mode; return what the program tells that it made."""
    forget_package(scripts)
    seen = scripts.run(BUILD_LAMBDA, mode, environment=environment)
    finding = f"`build-lambda.sh {mode}` failed."
    judge(finding, holds=seen.status == 0, scenario=story, log=seen.log)
    return scripts.programs(f"./{made_by(mode, scripts)}")[0]


def judge_mode(start: Blueprint, mode: str, scripts: Scripted, *, judge: Judge) -> None:
    """Build in the other mode, edit, build in this one; break the source, and build once more."""
    other, profile = ("prod", "debug") if mode == "dev" else ("dev", "release")
    change = edits.apply(EditClass.SOURCE, start)
    assert change is not None
    story = [f"a project built in {other} mode"]
    expect_script(scripts, (other,), story, judge)
    if mode == "dev":
        forget_package(scripts)
    scripts.workspace.edit(change.edit)
    story.append(f"{change.edit.summary}, {mode} build")
    expect_script(scripts, (mode,), story, judge)
    program = made_by(mode, scripts)
    made = package(scripts, program, profile, story, judge)
    truth = dev_truth(change.after) if mode == "dev" else render(change.after).binaries
    binary = start.members[0].binaries[0]
    row = Row(f"{mode}'s package prints", truth[binary], made.printed)
    judge(
        "The package is not what this mode built from the current source.",
        holds=not row.differs,
        scenario=story,
        rows=[row],
        hint="Package what this call has built, never what happens to lie in target/.",
    )
    judge(
        "The package of prod is hardly optimised.",
        holds=mode == "dev" or made.optimised,
        scenario=story,
        rows=[Row("optimisation level", "2, 3, s or z", "0 or 1")],
        hint="Leave the level to the project's profile: CARGO_PROFILE_RELEASE_OPT_LEVEL replaces "
        "it.",
    )
    if program == PACKAGE and (mode == "prod" or Promise.PACKAGES_DEV in scripts.promises):
        judge_package_only(scripts, story, judge=judge)
    judge_error(start, mode, scripts, story, judge=judge)


def judge_package_only(scripts: Scripted, story: list[str], *, judge: Judge) -> None:
    """Package once more: it is what was built last, not what another mode left."""
    before = (scripts.project / PACKAGE).read_bytes()
    story.append("build-lambda.sh --package-only")
    seen = scripts.run(BUILD_LAMBDA, "--package-only")
    same = (scripts.project / PACKAGE).read_bytes() == before
    rows = [
        Row("exit status", "0", str(seen.status)),
        Row(str(PACKAGE), "what was built last", "what was built last" if same else "another"),
    ]
    judge(
        "`--package-only` did not package what was built last.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
        hint="Note what each build leaves, and package that; do not search target/.",
    )


def judge_error(
    start: Blueprint, mode: str, scripts: Scripted, story: list[str], *, judge: Judge
) -> None:
    """Break the source and build: it fails, and changes nothing."""
    before = [content_of(scripts, path) for path in (PACKAGE, ZIP)]
    edit = strategies.an_error(start)
    assert edit is not None
    scripts.workspace.edit(edit)
    story.append(f"{edit.summary}, {mode} build")
    seen = scripts.run_noting(BUILD_LAMBDA, mode)
    rows = [Row("exit status", "not 0", "not 0" if seen.status else "0")]
    if mode == "dev":
        rows.append(Row("image build in dev", "none", image_build_in(seen)))
    for output, content in zip((PACKAGE, ZIP), before, strict=True):
        same = content_of(scripts, output) == content
        rows.append(Row(str(output), "as before", "as before" if same else "another or none"))
    judge(
        "A source that does not compile was built, or took the package with it.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=seen.log,
        hint="Let the status of cargo, or of the image build, be that of the script; package "
        "only what this call has built.",
    )


def judge_plan(plan: Plan[Blueprint], scripts: Scripted, *, judge: Judge) -> None:
    """Build the plan's start in dev mode, make its first edit, build in both modes, and compare.

    Prod's work for an edit is judged by P1 and P5; here it compiles what no other scenario shares.
    """
    step = plan.steps[0]
    count(f"edit: {step.edit.edit_class.value}")
    story = [f"{plan.start.members[0].name} built in dev mode"]
    expect_script(scripts, ("dev",), story, judge)
    scripts.workspace.edit(step.edit)
    story.append(f"{step!r}, dev build, prod build")
    dev_run = expect_script(scripts, ("dev",), story, judge)
    dev = package(scripts, made_by("dev", scripts), "debug", story, judge)
    prod_run = expect_script(scripts, ("prod",), story, judge)
    prod = package(scripts, PACKAGE, "release", story, judge)
    judge_work(plan.start, dev_run, prod_run, story, judge)
    stripped = "strip" in compiler_flags(scripts.bench.subject.dockerfile)
    judge_packages(
        dev, prod, story, judge, stripped=stripped, keeps=scripts.bench.subject.keeps_symbols
    )
    judge_answers(step.after, dev, prod, story, judge)


def content_of(scripts: Scripted, path: Path = PACKAGE) -> bytes | None:
    """Return what a file of the project holds; None where there is none."""
    file = scripts.project / path
    return file.read_bytes() if file.is_file() else None


def made_by(mode: str, scripts: Scripted) -> Path:
    """Return where the program lies that a mode has just made.

    That a dev mode packages, too, is a promise of its own: where there is none, and no package, it
    is the program in target/.
    """
    promised = mode == "prod" or Promise.PACKAGES_DEV in scripts.promises
    if promised or content_of(scripts) is not None:
        return PACKAGE
    return Path("target") / "debug" / scripts.bench.subject.binary


def forget_package(scripts: Scripted) -> None:
    """Remove the package where a dev mode need not make one: what is there then is its own."""
    if Promise.PACKAGES_DEV not in scripts.promises:
        for path in (PACKAGE, ZIP):
            (scripts.project / path).unlink(missing_ok=True)


def package(
    scripts: Scripted, program: Path, profile: str, story: Sequence[str], judge: Judge
) -> Package:
    """Read a program that was made, and run it; and the one in target/ that it was made of."""
    content = content_of(scripts, program)
    judge(
        "The call succeeded, and there is no program.",
        holds=content is not None,
        scenario=story,
        rows=[Row(str(program), "there", "absent" if content is None else "there")],
    )
    assert content is not None
    binary = scripts.bench.subject.binary
    printed, built = scripts.programs(f"./{program}", f"./target/{profile}/{binary}")
    zipped = (content_of(scripts, ZIP) or b"") if program == PACKAGE else zlib.compress(content)
    hardly = any(LEVEL + level in content for level in (b"0", b"1"))
    optimised = UNOPTIMISED not in content and not hardly
    return Package(len(zipped), len(content), optimised, elf.read(content), printed, built)


def judge_work(
    start: Blueprint, dev: ScriptRun, prod: ScriptRun, story: Sequence[str], judge: Judge
) -> None:
    """Dev compiles no dependency, no more crates than prod, and runs no step of an image build.

    Where prod does not say what it compiles, it is not held against dev.
    """
    dependencies = set(render(start).dependencies)
    again = {crate for crate in dev.crates_compiled if crate.split()[0] in dependencies}
    if prod.crates_compiled:
        again |= set(dev.crates_compiled) - set(prod.crates_compiled)
    if not prod.crates_compiled:
        count("prod does not say what it compiles")
    rows = [
        Row("dependencies, or what only dev compiles", "none", ", ".join(sorted(again)) or "none"),
        Row("image build in dev", "none", image_build_in(dev)),
    ]
    judge(
        "Dev does not do less work than prod for the same edit.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
        log=dev.log,
    )


def image_build_in(seen: ScriptRun) -> str:
    """Return whether an image was built in a run that was noted, `one` or `none`."""
    called = any(IMAGE_BUILD_CALL.match(words) for words in seen.notes.calls)
    return "one" if called or IMAGE_BUILD.search(seen.log) else "none"


def judge_packages(
    dev: Package,
    prod: Package,
    story: Sequence[str],
    judge: Judge,
    *,
    stripped: bool,
    keeps: bool,
) -> None:
    """Prod's package is smaller, optimised and stripped; dev's is there to debug.

    Where the Dockerfile has every compiler strip (`stripped`), dev's cannot be; where the project
    has the symbol table kept (`keeps`), prod's is.
    """
    smaller = prod.zipped < dev.zipped and prod.size < dev.size
    sizes = f"{prod.size} of {dev.size} bytes, zipped {prod.zipped} of {dev.zipped}"
    rows = [
        Row("prod's package against dev's", "smaller", "smaller" if smaller else sizes),
        Row("prod: optimised", "True", str(prod.optimised)),
        Row("prod: symbols or debug information", "none", left_in(prod.facts, keeps=keeps)),
        *(() if stripped else (debug_row(dev),)),
        Row("prod: debug assertions", "False", str("checked=true" in prod.printed)),
        Row("dev: debug assertions", "True", str("checked=true" in dev.printed)),
    ]
    judge(
        "The packages of the two modes are not what the modes are for.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
    )


def judge_answers(
    blueprint: Blueprint, dev: Package, prod: Package, story: Sequence[str], judge: Judge
) -> None:
    """Both programs say what the current source says, but for how they were compiled."""
    binary = blueprint.members[0].binaries[0]
    rows = [
        Row("dev's package prints", dev_truth(blueprint)[binary], dev.printed),
        Row("dev prints", dev_truth(blueprint)[binary], dev.built),
        Row("prod's package prints", render(blueprint).binaries[binary], prod.printed),
        Row("prod prints", render(blueprint).binaries[binary], prod.built),
    ]
    judge(
        "The two modes do not behave alike.",
        holds=same_lines(rows),
        scenario=story,
        rows=rows,
    )


def left_in(facts: Elf | None, *, keeps: bool) -> str:
    """Return what a shipped binary should not hold; with `keeps` it may hold its symbol table."""
    if facts is None:
        return "no ELF file"
    return "some" if facts.debug_info or (facts.symbols and not keeps) else "none"


def debug_row(package: Package) -> Row:
    """Expect a binary that can be debugged by line."""
    there = package.facts is not None and package.facts.debug_info
    return Row("dev: debug information", "there", "there" if there else "none")
