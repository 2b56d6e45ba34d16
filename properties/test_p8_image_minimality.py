"""P8, final image minimality: the image holds the binary and its runtime needs, nothing else."""

from __future__ import annotations

import platform
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import dockerfile
from harness import subject as subjects
from harness.config import Config
from harness.engine import Engine
from harness.judging.image import Image
from harness.judging.judge import Judge, Tally
from harness.judging.minimality import RECORDS, RULES, Expectation, Finding
from harness.judging.minimality import judge as findings_of
from harness.judging.report import Row
from harness.model import BuildObservation, Dockerfile
from harness.parsing import instructions
from harness.running import promises
from harness.running.images import Reader
from harness.scenario import Bench, Workspace
from harness.strategies import SOURCE_EDITS, Plan, State, tree_of
from harness.structure.safety import SECRET_NAME, SECRET_URL
from harness.subject import Subject
from harness.texts import declared_arguments
from properties.common import structure_findings
from properties.story import any_plan, count, expect_no_finding, expect_success

pytestmark = pytest.mark.property("P8")
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
SECRET = "layerproof-secret-6f0d3b8e1a94"  # noqa: S105 - known to nobody's registry
"""The same in all builds: a secret is no part of a step's key, so that one of another build may lie
in a layer that is reused.
"""
CERTIFICATES = re.compile(r"(^|[^a-z])(ca|certs?|certificates?|bundle|crt|pem)([^a-z]|$)", re.I)
"""What a secret is called that is none, and is of use to a build only if it is what it says."""
LONGEST_SECRET = 4096
"""Bytes of a file above which it is taken for something else."""
UNABLE_TO_START = {"libc-missing", "libgcc-missing", "glibc-too-new", "other-processor"}
"""Rules of the structure checks that go by what is known of well-known images."""
COLD_SHARE = 10
"""One of so many scenarios is also built twice from nothing, which costs three times as much."""


@pytest.fixture(scope="session")
def reader(engine: Engine) -> Reader:
    """Read images of this worker's engine, keeping what is known of their bases."""
    return Reader(engine)


@given(data=st.data())
def test_the_image_holds_the_binary_and_its_needs(
    data: st.DataObject, project_bench: Bench, reader: Reader, tally: Tally, judge: Judge
) -> None:
    """Every file above the base is accounted for, and the binary finds all it needs."""
    plan = draw_plan(data, project_bench.subject)
    with tally.scenario(), project_bench.workspace(tree_of(plan.start)) as workspace:
        judge_plan(plan, workspace, reader, judge=judge)


@given(data=st.data())
@settings(max_examples=max(1, settings().max_examples // COLD_SHARE))
def test_two_cold_builds_are_the_same_byte_for_byte(
    data: st.DataObject, project_bench: Bench, reader: Reader, tally: Tally, judge: Judge
) -> None:
    """A build with nothing cached leaves the same files with the same content and modes."""
    plan = draw_plan(data, project_bench.subject, edits=0)
    with tally.scenario(), project_bench.workspace(tree_of(plan.start)) as workspace:
        judge_twice(plan, workspace, reader, judge=judge)


def test_nothing_known_of_the_images_keeps_the_binary_from_starting(
    subject: Subject, configuration: Config, tally: Tally, judge: Judge
) -> None:
    """What takes the place of an image may be newer than that: a name tells how old it is."""
    unable = "The binary does not start in its image."
    with tally.scenario():
        expect_no_finding(
            unable, UNABLE_TO_START, structure_findings(subject, configuration), judge
        )


def judge_plan(plan: Plan[State], workspace: Workspace, reader: Reader, *, judge: Judge) -> None:
    """Build the plan's last state, and judge its image."""
    bench = workspace.bench
    for step in plan.steps:
        count(f"edit: {step.edit.edit_class.value}")
        workspace.edit(step.edit, old=step.old)
    story = [f"{plan!r}", "build"]
    seen = with_secrets(workspace)
    image = production_image(seen, bench, reader, story=story, judge=judge)
    given = (SECRET.encode(), *given_secrets(workspace))
    under_test = bench.subject
    expectation = Expectation(
        machine(),
        binary=under_test.program,
        allowed=under_test.image_files,
        secrets=given,
        symbols=under_test.keeps_symbols,
        base_is_real=has_real_base(bench),
        base_libraries=promises.libraries(
            final_base(bench.subject.dockerfile, bench.subject) or ""
        ),
    )
    judge_findings(findings_of(image, expectation), story, judge)


def judge_twice(plan: Plan[State], workspace: Workspace, reader: Reader, *, judge: Judge) -> None:
    """Build the plan's start twice, the second time with nothing cached, and compare the files.

    What package managers note of what they install (when, mostly) is not the Dockerfile's.
    """
    story = [f"build {plan!r}", "build it again with no cache"]
    first, second = (
        production_image(
            workspace.build(no_cache=cold), workspace.bench, reader, story=story, judge=judge
        )
        for cold in (False, True)
    )
    before, after = first.added(), second.added()
    rows = [
        Row(path, describe(first, path), describe(second, path))
        for path in sorted({*before, *after})
        if not RECORDS.match(path)
    ]
    judge(
        "Two cold builds of the same project differ.",
        holds=not any(row.differs for row in rows),
        scenario=story,
        rows=rows,
        hint="Look for a time stamp, a random name, or a path of the build in the binary.",
    )


def draw_plan(data: st.DataObject, subject: Subject, *, edits: int = 1) -> Plan[State]:
    """Draw a project, and at most so many edits of its source."""
    return data.draw(any_plan(subject, SOURCE_EDITS, least=0, most=edits, dependencies=1))


def given_secrets(workspace: Workspace) -> list[bytes]:
    """Return the secrets that the configuration has a build given; a bundle of certificates is
    none.
    """
    contents = [Path(path).read_bytes().strip() for path in workspace.options.secrets.values()]
    return [content for content in contents if 0 < len(content) <= LONGEST_SECRET]


def with_secrets(workspace: Workspace) -> BuildObservation:
    """Build with a registry credential that must not be found again in the image.

    It is every secret that the Dockerfile takes, but for certificates and what the configuration
    gives. Where the Dockerfile takes secrets as build arguments, it is given them so. A build that
    cannot do with what it was given is done without.
    """
    parsed = workspace.bench.subject.dockerfile
    secrets = {
        id: str(secret_file(id, workspace))
        for id in sorted(secrets_of(parsed))
        if not CERTIFICATES.search(id)
    }
    taken = declared_arguments(parsed)
    arguments = {name: SECRET for name in sorted(taken) if SECRET_NAME.search(name)}
    address = f"postgres://app:{SECRET}@db/app"
    arguments |= {name: address for name in sorted(taken) if SECRET_URL.fullmatch(name)}
    given = {**arguments, **workspace.options.build_args}
    configured = workspace.options.secrets
    seen = workspace.build(secrets={**secrets, **configured}, build_args=given)
    if seen.succeeded or not secrets:
        return seen
    count("the build cannot do with the secrets it is given")
    return workspace.build(build_args=given)


def secrets_of(parsed: Dockerfile) -> set[str]:
    """Return the ids of the secrets that steps mount; without one it is the target's last part."""
    steps = (s for stage in parsed.stages for s in stage.instructions if s.keyword == "RUN")
    mounts = (m for step in steps for m in instructions.mounts_of(step) if m.kind == "secret")
    return {m.id or posixpath.basename(m.target or "") for m in mounts} - {""}


def secret_file(id: str, workspace: Workspace) -> Path:
    """Write what stands for a secret: a word, or cargo's file of credentials that holds it."""
    file = workspace.dockerfile.with_name(f"secret-{id.replace('/', '-')}")
    of_cargo = re.search(r"cargo|credentials|\.toml", id) is not None
    file.write_text(f'[registries.private]\ntoken = "{SECRET}"\n' if of_cargo else SECRET)
    return file


def production_image(
    seen: BuildObservation,
    bench: Bench,
    reader: Reader,
    *,
    story: Sequence[str],
    judge: Judge,
) -> Image:
    """Return the contents of what a build made, above the image its last stage starts from."""
    expect_success(seen, story, judge)
    judge("The build made no image.", holds=seen.image_id is not None, scenario=story)
    parsed = dockerfile.parse(bench.text, path=bench.subject.dockerfile.path)
    base = final_base(parsed, bench.subject)
    return reader.read(str(seen.image_id), base=base)


def final_base(parsed: Dockerfile, subject: Subject) -> str | None:
    """Return the image that the last stage goes back to; None for scratch.

    What the stages between the two hold is judged with the last one.
    """
    named = subjects.started_from(parsed, subject.options.build_args)
    stage = parsed.stage(subject.options.target or "") or parsed.stages[-1]
    while (parent := subjects.parent_of(parsed, stage.index, named[stage.index])) is not None:
        stage = parent
    image = named[stage.index]
    return None if image == "scratch" else image


def has_real_base(bench: Bench) -> bool:
    """Whether the last stage goes back to the image that it names, and to none in its place."""
    taken = final_base(dockerfile.parse(bench.text), bench.subject)
    real = taken == final_base(bench.subject.dockerfile, bench.subject)
    if not real:
        count("the base is a stand-in, whose libraries' versions say nothing")
    return real


def judge_findings(found: Sequence[Finding], story: Sequence[str], judge: Judge) -> None:
    """Raise what the image is to blame for, worst first."""
    worst = sorted(found, key=lambda finding: list(RULES).index(finding.rule))
    judge(
        f"The production image breaks {len(found)} rule(s), first: {RULES[worst[0].rule].asks}."
        if worst
        else "",
        holds=not worst,
        scenario=story,
        rows=[Row(f"{f.rule} {f.path}".rstrip(), RULES[f.rule].asks, f.text) for f in worst[:12]],
        lines=[line for line in suspects(judge.dockerfile, worst) if line],
        hint=RULES[worst[0].rule].hint if worst else None,
    )


def suspects(parsed: Dockerfile, found: Sequence[Finding]) -> list[int]:
    """Return the lines of the last stage that could have caused the findings."""
    last = parsed.stages[-1]
    configuration = {"user": "USER", "entrypoint": "ENTRYPOINT", "secret": "ENV"}
    wanted = {configuration.get(f.rule, "COPY") for f in found}
    lines = [i.line for i in last.instructions if i.keyword in wanted]
    return lines or [last.line]


def describe(image: Image, path: str) -> str:
    """Return mode, size and the start of the digest of a file, or that it is not there."""
    entry = image.added().get(path)
    if entry is None:
        return "absent"
    return f"{entry.mode:04o} {entry.size} {entry.digest[:12] or entry.target}"


def machine() -> str:
    """Return the architecture that a build for this machine is of, in Lambda's words."""
    return MACHINES.get(platform.machine().lower(), platform.machine())
