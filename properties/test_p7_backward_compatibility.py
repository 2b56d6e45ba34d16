"""P7, backward compatibility: any invocation of the legacy interface is accepted or refused as
before, with the same exit class and artifacts, and the optimised build did the work.
"""

from __future__ import annotations

import itertools
import os
import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import for_scripts
from harness.judging.judge import Judge, Tally
from harness.judging.legacy import (
    CLEAN_CHOICE,
    DEFAULT_TRIPLE,
    METHODS,
    Invocation,
    State,
    expect,
    is_ambiguous,
)
from harness.model import Entry, File
from harness.process import host_cargo_works
from harness.running.scripted import (
    BUILD_LAMBDA,
    OUTPUTS,
    ZIP,
    Promise,
    Scripted,
    ScriptRun,
)
from harness.scenario import Bench
from harness.strategies import plainest
from harness.subject import Subject
from harness.texts import declared_arguments
from properties.common import (
    on_terminal,
    same_lines,
    scripts_in,
    source_path,
    with_feature,
)
from properties.environments import (
    judge_build_image,
    judge_late,
    judge_no_cargo,
    judge_target,
    takes_build_image,
    takes_target,
    without_cargo,
)
from properties.failed_calls import (
    EARLIER,
    judge_interrupted,
    judge_lock,
    judge_no_image,
    judge_no_room,
)
from properties.legacy_rows import (
    WITNESS,
    artifact_rows,
    artifacts,
    exit_row,
    readers_row,
    said_rows,
    source_rows,
    sources_of,
)
from properties.make_targets import (
    MAKEFILE,
    judge_make_elsewhere,
    judge_targets,
    make,
)
from properties.several_binaries import OPTION, judge_several
from properties.story import count

pytestmark = pytest.mark.property("P7")
HOST_METHODS = {"local", "native"}
MENU = "build-deploy.sh"
TARGETS = ("help", "clean", "package-zip", "deploy-package", "build-docker")
FREE_WORDS = ("-v", "--verbose")
WRONG_WORDS = ("bogus", "--bogus", "-x", "Docker", "docker2", "", "--release", "-vh")

FIRST_ANSWER = 999
PRIVATE = 0o077
"""An umask that leaves others nothing."""
LONG_AGO = 1_000_000_000
_answers = itertools.count(FIRST_ANSWER + 1)


@st.composite
def invocations(
    draw: st.DrawFn,
    *,
    methods: Sequence[str],
    flags: Sequence[str] = ("--features extra",),
    targets: Sequence[str] = TARGETS,
) -> Invocation:
    """Draw a call: options and methods in any order, now and then a wrong word or a target."""
    target = draw(st.sampled_from([None] * 5 + list(targets)))
    if target:
        return Invocation(target=target)
    words = draw(st.lists(st.sampled_from(FREE_WORDS), max_size=1))
    words += draw(
        st.sampled_from(
            [[], ["--package-only"], ["--validate"], ["--help"], ["-h"], ["-c"], ["--clean"]]
        )
    )
    words += draw(st.lists(st.sampled_from(methods), max_size=2))
    words += draw(st.sampled_from([[], [], [draw(st.sampled_from(WRONG_WORDS))]]))
    return Invocation(
        words=tuple(draw(st.permutations(words))),
        cargo_flags=draw(st.sampled_from([None, None, *flags])),
        target_arch=draw(st.sampled_from([None, DEFAULT_TRIPLE])),
        umask=draw(st.sampled_from([None, None, PRIVATE])),
    )


@given(data=st.data())
def test_the_legacy_interface_is_kept(
    data: st.DataObject, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """A series of calls, with edits between them, does what the reference model says."""
    methods = [m for m in METHODS if m != "dev" and (m not in HOST_METHODS or host_cargo_works())]
    flags = flags_for(bench.subject)
    has_makefile = (bench.subject.scripts.parent / MAKEFILE).is_file()
    call = invocations(methods=methods, flags=flags, targets=TARGETS if has_makefile else ())
    calls = data.draw(st.lists(call, min_size=1, max_size=3), "calls")
    broken = data.draw(st.sampled_from([False, False, True]), "the second call's source is broken")
    leftovers = data.draw(st.booleans(), "what earlier versions of the scripts left lies there")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_calls(calls, scripts, broken=broken, leftovers=leftovers, judge=judge)


@pytest.mark.parametrize("fails", [True, False], ids=["the second fails", "all succeed"])
def test_what_chance_may_leave_out_is_kept_too(
    fails: bool, bench: Bench, tally: Tally, judge: Judge
) -> None:
    """A failed build says so and keeps the package; `--package-only` builds nothing, and packages
    what is packaged already where the zip is another's; what only looks removes nothing, and
    `make clean` removes all. Of two methods the last holds. The project's path holds what a shell
    might take for its own.
    """
    flags = next(iter(flags_for(bench.subject)), None)
    first = Invocation(words=("codebuild", "docker"), cargo_flags=flags, umask=PRIVATE)
    second = Invocation(words=("prod",) if fails else ("--package-only",))
    third = Invocation(words=("--package-only",) if fails else ("prod",))
    others = [Invocation(words=("-c", "--validate")), Invocation(("--validate",), engine=False)]
    if (bench.subject.scripts.parent / MAKEFILE).is_file():
        others.append(Invocation(target="clean"))
    tree, called = project(bench.subject, FIRST_ANSWER), f"a project's {secrets.token_hex(4)}"
    with scripts_in(tree, bench, tally, called=called) as scripts:
        calls = (first, second, third, *others)
        judge_calls(calls, scripts, broken=fails, leftovers=not fails, judge=judge)


def test_the_menu_does_what_it_always_did(bench: Bench, tally: Tally, judge: Judge) -> None:
    """Each of its six choices, typed on a terminal."""
    if not has_menu(bench.subject):
        pytest.skip("there is no build-deploy.sh with a Makefile beside it, or no terminal")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_menu(scripts, judge=judge)


def test_a_lock_file_that_does_not_fit_is_left_alone(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Cargo writes it anew where nothing holds it back, also in a build that then fails."""
    tree = project(bench.subject, None)
    lock = tree["Cargo.lock"]
    assert isinstance(lock, File)
    tree["Cargo.lock"] = File(lock.content.replace(*EARLIER))
    for method in ("docker", "native") if host_cargo_works() else ("docker",):
        with scripts_in(tree, bench, tally) as scripts:
            judge_lock(method, scripts, judge=judge)


def test_an_interrupted_build_leaves_nothing_running_and_the_package_as_it_was(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Ctrl-C while the host's cargo builds; it reaches whatever that has started."""
    if not host_cargo_works():
        pytest.skip("this machine has no cargo")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_interrupted(scripts, judge=judge)


def test_make_ends_as_what_it_runs_does(bench: Bench, tally: Tally, judge: Judge) -> None:
    """A project's own tests pass, then fail: so do the targets that run them. The Makefile's path
    may have a blank in it.
    """
    if not (bench.subject.scripts.parent / MAKEFILE).is_file() or not host_cargo_works():
        pytest.skip("there is no Makefile beside the scripts, or no cargo")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_targets(scripts, judge=judge)
        judge_make_elsewhere(scripts, judge=judge)


def test_a_package_that_cannot_be_made_leaves_the_one_before(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """There is room for the program, and none for the zip of it."""
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_no_room(scripts, judge=judge)


def test_of_several_binaries_none_is_silently_left_out(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Where the scripts know several: one is named, or each gets a package."""
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        if not scripts.offers(OPTION):
            pytest.skip(f"these scripts know no {OPTION}")
        if for_scripts.has_fitted_package(bench.subject):
            pytest.skip("the Dockerfile has one program in its image, and no stage that exports")
        judge_several(scripts, judge=judge)


def test_an_image_that_cannot_be_made_is_an_error(bench: Bench, tally: Tally, judge: Judge) -> None:
    """Where `--image NAME` is known, the image is asked for as much as the package is."""
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        if not scripts.offers("--image"):
            pytest.skip("these scripts know no --image")
        judge_no_image(scripts, judge=judge)


def test_another_target_is_compiled_for_or_named(bench: Bench, tally: Tally, judge: Judge) -> None:
    """Where the Dockerfile takes a target, TARGET_ARCH holds for the image-based build too."""
    if not takes_target(bench.subject):
        pytest.skip("the Dockerfile has no ARG for a target")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_target(scripts, judge=judge)


def test_the_build_image_that_is_named_is_built_in(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Where the Dockerfile takes the image by an ARG, DOCKER_IMAGE is what names it."""
    if not takes_build_image(bench.subject):
        pytest.skip("no ARG of the Dockerfile names the image that is built in")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_build_image(scripts, judge=judge)


def test_a_build_in_an_image_needs_no_cargo_on_the_host(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Neither to check the environment nor to build."""
    if without_cargo() is None:
        pytest.skip("cargo lies among the system's programs, and cannot be taken away alone")
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        judge_no_cargo(scripts, judge=judge)


def test_an_engine_that_answers_late_is_waited_for(
    bench: Bench, tally: Tally, judge: Judge
) -> None:
    """Where that is promised: a daemon that is just starting is no reason to fail."""
    with scripts_in(project(bench.subject, FIRST_ANSWER), bench, tally) as scripts:
        if Promise.WAITS_FOR_ENGINE not in scripts.promises:
            pytest.skip("these scripts promise nothing of an engine that answers late")
        judge_late(scripts, judge=judge)


def has_menu(subject: Subject) -> bool:
    """Whether `make build-lambda` opens a menu here."""
    return (
        (subject.scripts / MENU).is_file()
        and (subject.scripts.parent / MAKEFILE).is_file()
        and on_terminal(()) is not None
    )


def judge_menu(scripts: Scripted, *, judge: Judge) -> None:
    """Make each choice of the menu in turn that can be made on this machine."""
    choices = range(1, CLEAN_CHOICE + 1) if host_cargo_works() else (1, 4, 5, CLEAN_CHOICE)
    calls = [Invocation(target="build-lambda", choice=choice) for choice in choices]
    judge_calls(calls, scripts, broken=False, leftovers=False, judge=judge)


def flags_for(subject: Subject) -> list[str]:
    """Return values of CARGO_FLAGS to try: none where the Dockerfile has no way to take them."""
    takes = "CARGO_FLAGS" in declared_arguments(subject.dockerfile)
    return ["--features extra"] if takes else []


def judge_calls(
    calls: Sequence[Invocation],
    scripts: Scripted,
    *,
    broken: bool,
    leftovers: bool,
    judge: Judge,
) -> None:
    """Make the calls in turn with an edit before each; what each does is judged by the model."""
    mark_compiling_stages(scripts)
    given = sources_of(scripts.project)
    binary = scripts.bench.subject.binary
    state = State(FIRST_ANSWER)
    story = ["a project that was never built"]
    for number, call in enumerate(calls):
        if is_ambiguous(call, state, binary=binary):
            count("left out: a package of which method")
            continue
        if number:
            answer = None if broken and number == 1 else next(_answers)
            state = State(answer, state.built, state.packaged)
            write_source(scripts, answer)
            story.append(
                f"{source_path(scripts.bench.subject)}: "
                + ("an error" if answer is None else f"answer {answer}")
            )
        expected = expect(call, state, binary=binary)
        if leftovers and expected.packages:
            story.append(leave_behind(scripts.project, binary))
        story.append(repr(call))
        count(f"{'make' if call.target else 'script'}: {expected.exit.name}")
        before = artifacts(scripts.project)
        now = sources_of(scripts.project)
        sources = {path: now[path] for path in given}  # what a call has made, another may remove
        seen = invoke(call, scripts)
        rows = [
            exit_row(call, expected, seen),
            *said_rows(expected, seen),
            *artifact_rows(expected, seen, before, scripts.project),
            *source_rows(sources, sources_of(scripts.project)),
        ]
        zipped = artifacts(scripts.project).get(ZIP)
        if call.umask is None and seen.status == 0 and zipped not in {None, before.get(ZIP)}:
            rows.append(readers_row(scripts.project / ZIP))
        judge(
            "The invocation did not do what the legacy interface promises.",
            holds=same_lines(rows),
            scenario=story,
            rows=rows,
            log=seen.log,
        )
        state = expected.state


def leave_behind(root: Path, binary: str) -> str:
    """Leave what a build of long ago did: a binary of the default triple, a zip with more in it."""
    old = root / "target" / DEFAULT_TRIPLE / "release" / binary
    if not old.exists():
        old.parent.mkdir(parents=True, exist_ok=True)
        old.write_bytes(b"an old binary")
        old.chmod(0o755)
        os.utime(old, (LONG_AGO, LONG_AGO))
    with zipfile.ZipFile(root / ZIP, "w") as archive:
        archive.writestr("old-entry", b"of an earlier run")
    return f"an old {ZIP} and an old {old.relative_to(root)} lie there"


def project(subject: Subject, answer: int | None) -> dict[str, Entry]:
    """Return a project without dependencies, so that a host's cargo can build it too."""
    tree = with_feature(plainest(subject.shape, subject.binary))
    tree[source_path(subject)] = File(source(answer))
    return {path: entry for path, entry in tree.items() if path.partition("/")[0] not in OUTPUTS}


def source(answer: int | None) -> bytes:
    """Return a main.rs whose binary holds its answer, its feature and its builder as text."""
    if answer is None:
        return b"fn main() { this does not compile }\n"
    return (
        f'fn main() {{\n    println!("<answer {answer}>");\n'
        '    if cfg!(feature = "extra") { println!("<feature extra>"); }\n'
        '    println!("<{}>", option_env!("LAYERPROOF_WITNESS").unwrap_or("the host"));\n}\n'
    ).encode()


def write_source(scripts: Scripted, answer: int | None) -> None:
    """Edit the program, as an editor does."""
    (scripts.project / source_path(scripts.bench.subject)).write_bytes(source(answer))


def mark_compiling_stages(scripts: Scripted) -> None:
    """Let what the Dockerfile's stages compile say so: a variable that the program reads."""
    file = scripts.workspace.dockerfile
    lines = []
    for line in file.read_text().splitlines(keepends=True):
        lines.append(line)
        if line.upper().startswith("FROM ") and " scratch" not in line.lower():
            lines.append(f"ENV LAYERPROOF_WITNESS={WITNESS}\n")
    file.write_text("".join(lines))


def invoke(call: Invocation, scripts: Scripted) -> ScriptRun:
    """Make the call in the project's root."""
    words: tuple[str, ...] = (str(scripts.scripts / BUILD_LAMBDA), *call.words)
    if call.target:
        words = make(call.target, scripts)
    typed = None
    if call.choice is not None:
        words, typed = on_terminal(words) or words, f"{call.choice}\n".encode()
    if call.umask is not None:
        words = ("sh", "-c", f'umask {call.umask:03o}; exec "$@"', "sh", *words)
    return scripts.command(words, environment=call.environment, typed=typed)
