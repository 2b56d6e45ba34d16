"""P7 on what a call of build-lambda.sh finds around it: what its environment names, the engine."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from harness import subject as subjects
from harness.for_scripts import beside_its_scripts
from harness.judging import elf
from harness.judging.judge import Judge
from harness.judging.legacy import is_said
from harness.judging.report import Row
from harness.running.noting import answering_late
from harness.running.scripted import BUILD_LAMBDA, PACKAGE, Scripted
from harness.subject import Subject
from harness.texts import declared_arguments
from properties.common import same_lines
from properties.legacy_rows import artifacts

STATIC_TRIPLE = "x86_64-unknown-linux-musl"
TARGET_ARGUMENTS = {"TARGET", "TARGET_ARCH", "TARGET_TRIPLE", "TRIPLE", "RUST_TARGET"}
"""What a Dockerfile may call the ARG that names the target."""
NO_IMAGE = "layerproof.invalid/no-such-image:none"
"""An image that nobody has: no host is called that (RFC 2606)."""
_VARIABLE = re.compile(r"\$(\{)?(\w+)(?(1)(?::?-[^}]*)?\})")


def takes_target(subject: Subject) -> bool:
    """Whether the Dockerfile has an ARG that names the target, and the scripts know it."""
    return _know(subject, TARGET_ARGUMENTS & declared_arguments(subject.dockerfile))


def takes_build_image(subject: Subject) -> bool:
    """Whether an ARG of the Dockerfile names the build image, and the scripts know it."""
    return _know(subject, set(_by_argument(subject).values()))


def _know(subject: Subject, names: set[str]) -> bool:
    """Whether the scripts know one of these ARGs: their own Dockerfile has it, or they set it."""
    files = [path for path in subject.scripts.rglob("*") if path.is_file()]
    return bool(names) and (
        beside_its_scripts(subject)
        or any(f"{name}=".encode() in path.read_bytes() for path in files for name in names)
    )


def _by_argument(subject: Subject) -> dict[int, str]:
    """Return the ARG that is all that a FROM names for the image that is built in, by line."""
    parsed = subject.dockerfile
    stages = [stage for stage in parsed.stages if subjects.compiles(parsed, stage.index)]
    named = {stage.line: _VARIABLE.fullmatch(stage.base) for stage in stages}
    return {line: found[2] for line, found in named.items() if found}


def judge_target(scripts: Scripted, *, judge: Judge) -> None:
    """Ask for a program that needs no C library, which the toolchain may not be able to make."""
    seen = scripts.run(BUILD_LAMBDA, "docker", environment={"TARGET_ARCH": STATIC_TRIPLE})
    if seen.status == 0:
        facts = elf.read((scripts.project / PACKAGE).read_bytes())
        loader = facts.interpreter if facts is not None else "no ELF file"
        row = Row("the package is started by", "nothing else", loader or "nothing else")
    else:
        said = "yes" if is_said(STATIC_TRIPLE, seen.log) else "no"
        row = Row(f"says {STATIC_TRIPLE!r}", "yes", said)
    judge(
        "Another target was asked for, and was neither compiled for nor named as missing.",
        holds=not row.differs,
        scenario=[f"TARGET_ARCH={STATIC_TRIPLE} build-lambda.sh docker"],
        rows=[row],
        log=seen.log,
    )


def judge_build_image(scripts: Scripted, *, judge: Judge) -> None:
    """Ask for a build in an image that nobody has: it fails, names it, and makes no package.

    The Dockerfile's own lines say where the name goes; those of a bench name what it resolved.
    """
    given = scripts.bench.subject.dockerfile.text.splitlines(keepends=True)
    lines = scripts.workspace.dockerfile.read_text().splitlines(keepends=True)
    for line in _by_argument(scripts.bench.subject):
        lines[line - 1] = given[line - 1]
    scripts.workspace.dockerfile.write_text("".join(lines))
    seen = scripts.run(BUILD_LAMBDA, "docker", environment={"DOCKER_IMAGE": NO_IMAGE})
    rows = [
        Row("exit status", "1", str(seen.status)),
        Row(f"says {NO_IMAGE!r}", "yes", "yes" if NO_IMAGE in seen.log else "no"),
        Row("package", "none", "one" if artifacts(scripts.project) else "none"),
    ]
    judge(
        "DOCKER_IMAGE names an image that is not to be had, and it was not what was built in.",
        holds=same_lines(rows),
        scenario=[f"DOCKER_IMAGE={NO_IMAGE} build-lambda.sh docker"],
        rows=rows,
        log=seen.log,
        hint="Give DOCKER_IMAGE to the build, as the ARG that its FROM line names.",
    )


def judge_late(scripts: Scripted, *, judge: Judge) -> None:
    """No engine answers the first question of the call; the second it does."""
    environment = answering_late(scripts.project.parent / "late")
    seen = scripts.run(BUILD_LAMBDA, "--validate", environment=environment)
    row = Row("exit status", "0", str(seen.status))
    judge(
        "The engine answered late, and was not waited for.",
        holds=not row.differs,
        scenario=["build-lambda.sh --validate, where no engine answers the first time"],
        rows=[row],
        log=seen.log,
        hint="Ask a few times, and wait longer each time, before you give up.",
    )


def without_cargo() -> dict[str, str | None] | None:
    """Return the environment of a host that has no cargo; None where that cannot be had.

    What lies in a directory with cargo is out of reach with it: such may not be the system's own.
    """
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    path = os.pathsep.join(f for f in folders if not (Path(f) / "cargo").exists())
    needed = ("bash", "docker", "git", "python3")
    lost = [each for each in needed if shutil.which(each) and not shutil.which(each, path=path)]
    return None if lost else {"PATH": path}


def judge_no_cargo(scripts: Scripted, *, judge: Judge) -> None:
    """Check the environment and build in an image, on a host without cargo: it needs none."""
    environment = without_cargo()
    assert environment is not None
    for words in (("--validate",), ("docker",)):
        seen = scripts.run(BUILD_LAMBDA, *words, environment=environment)
        row = Row("exit status", "0", str(seen.status))
        judge(
            "A build in an image asks for a cargo on the host.",
            holds=not row.differs,
            scenario=[f"no cargo on the PATH, build-lambda.sh {' '.join(words)}"],
            rows=[row],
            log=seen.log,
            hint="Ask for cargo where a method calls it: `local` and `native`.",
        )
