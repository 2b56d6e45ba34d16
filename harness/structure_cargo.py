"""Structure rules about cargo: flags, stand-ins, lock and toolchain files, swallowed failures."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from harness import instructions
from harness.compiles import OTHER_BUILDERS, UNKNOWN, Compile, subcommand
from harness.model import Mount
from harness.shell import Command
from harness.stagegraph import Step
from harness.structure_model import Facts, Found, Rule

_STUB_TARGETS: Final = re.compile(r"(.*/)?(main|lib)\.rs")
_PAYLOAD: Final = re.compile(r"(.*/)?(deps|\.fingerprint|build|target|release|debug)(/.*)?")
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
        if one != other and not (name == "profile" and UNKNOWN in (one, other)):
            return f"{name} {one or 'unset'}, the project with {other or 'unset'}"
    return ""


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
    return next((c.target_directory for c in step.compiled if c.target_directory), None) or (
        step.directory.rstrip("/") + "/target"
    )


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


def _stub_left(facts: Facts) -> Found:
    """Stand-ins are compiled, and nothing makes cargo see that the source replaced them."""
    positions = [n for n in facts.dependency_steps if _stubs(facts.building[: n + 1])]
    if not positions:
        return
    stubs = _stubs(facts.building[: positions[-1] + 1])
    for step in facts.builds:
        later = facts.building[positions[0] : facts.building.index(step) + 1]
        commands = [c for each in later for c in each.commands]
        problem = _unrefreshed(commands, stubs)
        if problem:
            yield step.instruction.line, problem


def _stubs(steps: tuple[Step, ...]) -> set[str]:
    """Return which of main.rs and lib.rs are stand-ins after `steps`."""
    found: set[str] = set()
    for step in steps:
        copied = step.destination or ""
        is_copy = step.instruction.keyword == "COPY" and not step.brings_source
        if is_copy and _STUB_TARGETS.fullmatch(copied):
            found.add(copied.rpartition("/")[2])
        for command in step.commands:
            verb = subcommand(command)[0]
            if verb in ("init", "new"):
                found.add("lib.rs" if "--lib" in command.words else "main.rs")
            names = [*command.written]
            if command.program in ("touch", "tee"):
                names += command.words[1:]
            found.update(n.rpartition("/")[2] for n in names if _STUB_TARGETS.fullmatch(n))
    return found


def _unrefreshed(commands: list[Command], stubs: set[str]) -> str:
    """Return what is wrong, or nothing when the stand-ins' output is removed or outdated."""
    compiled = [n for n, c in enumerate(commands) if subcommand(c)[0] in ("build", "b", "zigbuild")]
    last = compiled[-1] if compiled else len(commands)
    first = compiled[0] if compiled else 0
    touched: set[str] = set()
    for command in commands[first:last]:
        words = command.words
        everything = any("*" in w or "find" in w or w.endswith(("src", "src/")) for w in words)
        if command.program == "touch" or "touch" in words:
            names = {w.rpartition("/")[2] for w in words if _STUB_TARGETS.fullmatch(w)}
            touched |= stubs if everything or not names else names
        elif (
            command.program == "rm"
            and any(
                ".fingerprint" in w or "/deps/" in w or w.rstrip("/").endswith("target")
                for w in words
            )
        ) or subcommand(command)[0] == "clean":
            touched |= stubs
    missing = stubs - touched
    if missing == stubs:
        return f"the stand-in {sorted(stubs)[0]} may be taken for the source that replaced it"
    if missing:
        return f"the stand-in {sorted(missing)[0]} is not outdated with the others"
    return ""


def _clean_without_release(facts: Facts) -> Found:
    """`cargo clean -p` looks at the development profile unless told otherwise."""
    if not any(call.release for step in facts.building for call in step.compiled):
        return
    for step in facts.building:
        for command in step.commands:
            verb, options, _ = subcommand(command)
            narrow = options.keys() & {"-p", "--package"}
            if verb == "clean" and narrow and not options.keys() & {"--release", "-r", "--profile"}:
                yield step.instruction.line, "cargo clean -p without --release removes nothing"


def _lock_left_out(facts: Facts) -> Found:
    """Manifests are copied by name and the lock file is not among them before cargo runs."""
    if facts.files is not None and "Cargo.lock" not in facts.files:
        return
    manifest: Step | None = None
    for step in facts.building:
        if step.compiles:
            break
        if step.brings_source or step.from_stages:
            return
        names = [path.rpartition("/")[2] for path in step.copied]
        if any("lock" in name or name in ("Cargo.*", "*") for name in names):
            return
        if "Cargo.toml" in names and manifest is None:
            manifest = step
    if manifest is not None:
        yield manifest.instruction.line, "Cargo.toml is copied, and no Cargo.lock with it"


def _lock_ignored(facts: Facts) -> Found:
    if facts.ignore is not None and facts.ignore.excludes("Cargo.lock") and facts.main is not None:
        first = next((s for s in facts.building if s.reads_project), None)
        if first is not None:
            yield first.instruction.line, "the ignore file keeps Cargo.lock from the build"


def _lock_rewritten(facts: Facts) -> Found:
    for step in facts.building:
        for command in step.commands:
            removed = command.program == "rm" and any("Cargo.lock" in w for w in command.words)
            if removed or subcommand(command)[0] in ("update", "generate-lockfile"):
                yield step.instruction.line, f"{' '.join(command.words[:3])} resolves versions anew"


def _toolchain_late(facts: Facts) -> Found:
    """A file that changes how everything is compiled arrives after the dependencies were."""
    if not facts.dependency_steps:
        return
    before = facts.building[: facts.dependency_steps[0]]
    copied = [path for step in before for path in step.copied]
    if any(step.from_stages for step in before) and facts.files is None:
        explicit = [s for s in before if s.from_stages and "recipe.json" not in s.instruction.value]
        if explicit:
            return
    for names, what in (
        (("rust-toolchain.toml", "rust-toolchain"), "the toolchain file"),
        ((".cargo/config.toml", ".cargo/config", ".cargo"), "cargo's configuration"),
    ):
        if any(path.strip("./").startswith(n.strip(".")) for path in copied for n in names):
            continue
        if any("*" in path and "toolchain" in path for path in copied):
            continue
        if any(step.brings_source or _whole_stage(step) for step in before):
            continue
        line = next((s.instruction.line for s in facts.building if _names(s, names)), None)
        if line is None and facts.files is not None and facts.files & set(names):
            line = facts.building[facts.dependency_steps[0]].instruction.line
        if line is not None:
            yield line, f"{what} is not there when the dependencies are compiled"


def _whole_stage(step: Step) -> bool:
    return bool(step.from_stages) and "recipe.json" not in step.instruction.value


def _names(step: Step, names: tuple[str, ...]) -> bool:
    return any(path.removeprefix("./").rstrip("/") in names for path in step.copied)


def _swallowed(facts: Facts) -> Found:
    """The status of a compiling call is lost."""
    for steps in facts.graph.steps:
        for step in steps:
            for call in step.compiled:
                how = _lost(call, step.commands)
                if how:
                    yield step.instruction.line, f"{' '.join(call.command.words[:3])} {how}"


def _lost(call: Compile, commands: tuple[Command, ...]) -> str:
    position = next((n for n, c in enumerate(commands) if c is call.command), -1)
    rest = commands[position + 1 :]
    after = call.command.after
    if call.command.tested or position < 0:
        return ""
    if after == "||" and rest and _succeeds(rest[0]):
        return f"is followed by || {' '.join(rest[0].words)}"
    if after in ("|", "|&") and not call.command.pipefail:
        return "feeds a pipe, whose status is that of its last command"
    if after == "&":
        return "runs in the background"
    if after == ";" and rest and not call.command.errexit:
        return "is followed by ; without set -e"
    return ""


def _succeeds(command: Command) -> bool:
    if command.program == "exit":
        return command.words[1:] in ((), ("0",))
    return command.program in _HARMLESS


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
        "stub-left-behind",
        "COPY keeps modification times: source older than the stand-in's output counts as "
        "compiled, and the stand-in is shipped.",
        "Before cargo build: find src -name '*.rs' -exec touch {} +, in the same RUN.",
        "RUN echo 'fn main() {}' >src/main.rs && cargo build --release\nCOPY src src\n"
        "RUN cargo build --release",
        _stub_left,
    ),
    Rule(
        "clean-without-release",
        "It cleans the development profile; the stand-in's release output stays and is shipped.",
        "cargo clean --release -p NAME",
        "RUN cargo build --release && cargo clean -p app",
        _clean_without_release,
    ),
    Rule(
        "lock-file-left-out",
        "Versions are resolved anew by every build of the layer: one commit, different bytes.",
        "COPY Cargo.toml Cargo.lock together, and build with --locked.",
        "COPY Cargo.toml ./",
        _lock_left_out,
    ),
    Rule(
        "lock-file-ignored",
        "Versions are resolved anew by every build of the layer: one commit, different bytes.",
        "Take Cargo.lock out of .dockerignore, or add !Cargo.lock below the pattern.",
        "*.lock    # in .dockerignore",
        _lock_ignored,
    ),
    Rule(
        "lock-file-rewritten",
        "The image is built from other versions than those that were tested.",
        "Build with --locked; change the lock file in the repository.",
        "RUN rm -f Cargo.lock && cargo build --release",
        _lock_rewritten,
    ),
    Rule(
        "toolchain-after-dependencies",
        "The dependencies are compiled by another compiler or with other flags, then once more.",
        "COPY rust-toolchain.toml and .cargo together with the manifests.",
        "RUN cargo chef cook --release\nCOPY rust-toolchain.toml ./",
        _toolchain_late,
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
    ),
)
