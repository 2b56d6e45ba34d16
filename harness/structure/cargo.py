"""Structure rules about calls of cargo: flags, directories, mounts, swallowed failures."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from harness.model import Mount
from harness.parsing import instructions
from harness.structure.compiles import OTHER_BUILDERS, UNKNOWN
from harness.structure.rules import Facts, Found, Rule
from harness.structure.shell import Command
from harness.structure.stagegraph import Step
from harness.structure.status import PIPES

_HARMLESS: Final = frozenset({"true", ":", "echo", "printf"})
_MOUNTED_REGISTRY: Final = re.compile(r".*/(registry|git)(/.*)?")


def _flags_differ(facts: Facts) -> Found:
    """Each build must find a dependency compile with equal settings."""
    apart = [c for n in facts.dependency_steps for c in facts.building[n].compiled]
    if not apart:
        return
    for step in facts.builds:
        if step.compiles_dependencies and not any(c.verb != "chef cook" for c in step.compiled):
            continue
        for call in step.compiled:
            differences = [_difference(each.settings, call.settings) for each in apart]
            comparable = call.verb != "chef cook" and call.command.program not in OTHER_BUILDERS
            if comparable and all(differences):
                yield step.instruction.line, f"dependencies were compiled with {differences[-1]}"
    yield from _arguments_differ(facts)


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Return the first setting that differs, as `profile dev, the build has release`."""
    for name in sorted({*before, *after}):
        one, other = before.get(name), after.get(name)
        if one != other and not _may_be_equal(name, one, other):
            return f"{name} {one or 'unset'}, the project with {other or 'unset'}"
    return ""


def _may_be_equal(name: str, one: str | None, other: str | None) -> bool:
    """Whether only the shell, or who gives an ARG, knows what two settings are."""
    if name == "profile":
        return UNKNOWN in (one, other)
    unknown = [value is not None and ("$" in value or "`" in value) for value in (one, other)]
    return all(unknown) or (name == "features" and any(unknown) and None in (one, other))


def _arguments_differ(facts: Facts) -> Found:
    """The same ARG has another default above the dependencies than above the build."""
    defaults: dict[str, tuple[int, str]] = {}
    for step in facts.building:
        if step.instruction.keyword != "ARG":
            continue
        pairs = instructions.assignments(step.instruction, escape=facts.dockerfile.escape)
        for name, value in pairs:
            if value is None:
                continue
            earlier = defaults.setdefault(name, (step.stage, value))
            if earlier[1] != value and earlier[0] != step.stage:
                yield (
                    step.instruction.line,
                    f"dependencies had {name}={earlier[1]}, the project has {name}={value}",
                )


def _target_directory_differs(facts: Facts) -> Found:
    apart = [facts.building[n] for n in facts.dependency_steps]
    for step in facts.builds:
        if apart and all(_directory(each) != _directory(step) for each in apart):
            if any("cd" in (c.program for c in s.commands) for s in (*apart, step)):
                continue
            yield (
                step.instruction.line,
                f"the project is compiled into {_directory(step)}, its dependencies were into "
                f"{_directory(apart[-1])}",
            )


def _directory(step: Step) -> str:
    named = (c.target_directory for c in step.compiled if c.target_directory)
    return posixpath.normpath(posixpath.join(step.directory, next(named, "target")))


def _mount_hides(facts: Facts) -> Found:
    """The build mounts something over the directory that the dependencies were compiled into."""
    apart = [facts.building[n] for n in facts.dependency_steps]
    kept = {_directory(s) for s in apart if not _covering(s, _directory(s), ("cache",))}
    for step in facts.builds:
        for directory in kept & {_directory(step)}:
            for mount in _covering(step, directory, ("cache", "bind", "tmpfs")):
                yield (
                    step.instruction.line,
                    f"the {mount.kind} mount over {_place(step, mount)} hides what was compiled "
                    f"in {directory}",
                )


def _covering(step: Step, directory: str, kinds: tuple[str, ...]) -> list[Mount]:
    return [
        mount
        for mount in step.mounts
        if mount.kind in kinds and f"{directory}/".startswith(_place(step, mount).rstrip("/") + "/")
    ]


def _place(step: Step, mount: Mount) -> str:
    return posixpath.normpath(posixpath.join(step.directory, mount.target or ""))


def _empty_flags(facts: Facts) -> Found:
    for step in facts.building:
        if step.instruction.keyword in ("ARG", "ENV"):
            pairs = instructions.assignments(step.instruction, escape=facts.dockerfile.escape)
            values = [value for name, value in pairs if name == "RUSTFLAGS" and value is not None]
            if values and not values[-1].strip("\"'"):
                yield step.instruction.line, "RUSTFLAGS is set, but empty"
        for call in step.compiled:
            if ("RUSTFLAGS", "") in call.command.variables:
                yield step.instruction.line, "RUSTFLAGS is set, but empty"


def _swallowed(facts: Facts) -> Found:
    """The status of a compiling call is lost."""
    for steps in facts.graph.steps:
        for step in steps:
            for call in step.compiled:
                how = _lost(call.command)
                if how:
                    yield step.instruction.line, f"{' '.join(call.command.words[:3])} {how}"


def _lost(command: Command) -> str:
    fate = command.fate
    if command.tested:
        return ""
    if fate.operator == "||" and _succeeds(fate.instead):
        return f"is followed by || {' '.join(fate.instead)}"
    if fate.operator in PIPES and not command.pipefail:
        return "feeds a pipe, whose status is that of its last command"
    if fate.operator == "&":
        return "runs in the background"
    if fate.operator == ";" and not command.errexit:
        return "is followed by ; without set -e"
    return ""


def _succeeds(words: tuple[str, ...]) -> bool:
    if words[:1] == ("exit",):
        return words[1:] in ((), ("0",))
    return words[:1] != () and words[0] in _HARMLESS


def _registry_unshared(facts: Facts) -> Found:
    for steps in facts.graph.steps:
        for step in steps:
            for mount in step.mounts:
                target = mount.target or ""
                of_cargo = _MOUNTED_REGISTRY.fullmatch(target) and "cargo" in target.lower()
                if mount.kind == "cache" and mount.sharing == "shared" and of_cargo:
                    yield step.instruction.line, f"the cache mount {target} is shared"


RULES: Final = (
    Rule(
        "flags-differ",
        "Cargo keeps what other flags made apart: the dependencies are compiled twice.",
        "Give both calls the same profile, target, features, toolchain and RUSTFLAGS.",
        "RUN cargo chef cook --recipe-path recipe.json\nCOPY . .\nRUN cargo build --release",
        _flags_differ,
    ),
    Rule(
        "target-directory-differs",
        "Cargo does not find what was compiled in another directory, and compiles it again.",
        "Use one WORKDIR, or one CARGO_TARGET_DIR, for both.",
        "WORKDIR /deps\nRUN cargo chef cook\nWORKDIR /app\nRUN cargo build",
        _target_directory_differs,
    ),
    Rule(
        "mount-hides-dependencies",
        "What the image holds at that path is not seen: every dependency is compiled again.",
        "Set CARGO_TARGET_DIR to a directory outside the mount, or mount the same cache in both.",
        "RUN cargo chef cook …\nRUN --mount=type=cache,target=/app/target cargo build",
        _mount_hides,
    ),
    Rule(
        "empty-rustflags",
        "A variable that is set but empty replaces the flags of .cargo/config.toml.",
        "Leave it unset unless there is a value.",
        "ENV RUSTFLAGS=",
        _empty_flags,
    ),
    Rule(
        "swallowed-failure",
        "A compile error passes for success, and what was built before is shipped.",
        "Join with &&, or begin with set -e (and set -o pipefail where there is a pipe).",
        "RUN cargo build --release || true",
        _swallowed,
    ),
    Rule(
        "registry-mount-unlocked",
        "Cargo's lock lies outside the mount: two builds at once corrupt what they download.",
        "Add sharing=locked to the mount.",
        "RUN --mount=type=cache,target=/usr/local/cargo/registry cargo build",
        _registry_unshared,
        advice=True,
    ),
)
