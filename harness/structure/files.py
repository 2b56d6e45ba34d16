"""Structure rules about the project's files: stand-ins for the source, lock and toolchain files."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Final

from harness.structure import sources
from harness.structure.compiles import compiles, subcommand
from harness.structure.rules import TOOLCHAIN, Facts, Found, Rule
from harness.structure.shell import Command
from harness.structure.stagegraph import Step

_STUB_TARGETS: Final = re.compile(r"(.*/)?(main|lib)\.rs")
_SOURCES: Final = re.compile(r"\.rs$|(^|/)(src|crates)/?(\.|\*)?$|^(?!.*target).*/\.$")
"""What `cp` is told to copy where that is source: files, a folder of them, or all of a folder."""
_ANY_PROJECT: Final = frozenset({"Cargo.toml", "build.rs"})


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
    compiled = [n for n, command in enumerate(commands) if compiles(command)]
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
            (
                command.program == "rm"
                and any(
                    ".fingerprint" in w or "/deps/" in w or w.rstrip("/").endswith("target")
                    for w in words
                )
            )
            or subcommand(command)[0] == "clean"
            or _dates_anew(command)
        ):
            touched |= stubs
    missing = stubs - touched
    if missing == stubs:
        return f"the stand-in {sorted(stubs)[0]} may be taken for the source that replaced it"
    if missing:
        return f"the stand-in {sorted(missing)[0]} is not outdated with the others"
    return ""


def _dates_anew(command: Command) -> bool:
    """Whether sources are copied by a `cp` that gives each the date of now (POSIX, without -p)."""
    options = [word for word in command.words[1:] if word.startswith("-")]
    copied = [word for word in command.words[1:-1] if not word.startswith("-")]
    kept = any(
        word.startswith(("--preserve", "--archive"))
        if word.startswith("--")
        else set("pa") & set(word)
        for word in options
    )
    of_source = any(_SOURCES.search(word) for word in copied)
    return command.program == "cp" and of_source and not kept


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
        names = [sources.named(path).rpartition("/")[2] for path in step.copied]
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


def _build_script_ignored(facts: Facts) -> Found:
    """The project has a build script that no build in the engine sees; cargo builds without one.

    Where no project is known it may have one, if all of it is copied, and sent but for exceptions.
    """
    if facts.ignore is None or facts.main is None:
        return
    whole = [s for s in facts.building if any(path in sources.WHOLE for path in s.copied)]
    likely = _ANY_PROJECT if whole and not facts.ignore.excludes("any.txt") else frozenset[str]()
    files = likely if facts.files is None else facts.files.keys()
    sent = {path for path in files if not facts.ignore.excludes(path)}
    manifests = sorted(path for path in sent if path.rpartition("/")[2] == "Cargo.toml")
    scripts = (f"{path.removesuffix('Cargo.toml')}build.rs" for path in manifests)
    kept_away = [path for path in scripts if path in files and path not in sent]
    first = next((s for s in (*whole, *facts.building) if s.reads_project), None)
    if first is not None and kept_away:
        yield first.instruction.line, f"the ignore file keeps {kept_away[0]} from the build"


def _lock_rewritten(facts: Facts) -> Found:
    for step in facts.building:
        for command in step.commands:
            removed = command.program == "rm" and any("Cargo.lock" in w for w in command.words)
            if removed or subcommand(command)[0] in ("update", "generate-lockfile"):
                yield step.instruction.line, f"{' '.join(command.words[:3])} resolves versions anew"


def _toolchain_late(facts: Facts) -> Found:
    """A file that changes how everything is compiled arrives after the dependencies were.

    A toolchain that the project names is meant for every build; a configuration that never comes
    along may be one for the desk, and cargo-chef's recipe holds it.
    """
    if not facts.dependency_steps:
        return
    before = facts.building[: facts.dependency_steps[0]]
    compiling = facts.building[facts.dependency_steps[0]]
    taken = [*(path for step in before for path in step.copied), *compiling.mounted]
    copied = [sources.named(path) for path in taken]
    if any(step.from_stages for step in before) and facts.files is None:
        explicit = [s for s in before if s.from_stages and "recipe.json" not in s.instruction.value]
        if explicit:
            return
    after = facts.building[facts.dependency_steps[0] :]
    of_chef = any(call.verb == "chef cook" for call in compiling.compiled)
    comes_later = not of_chef and any(
        _whole_stage(step) or any(path in sources.WHOLE for path in (*step.copied, *step.mounted))
        for step in after
    )
    for names, what, is_meant in (
        (TOOLCHAIN, "the toolchain file", True),
        ((".cargo/config.toml", ".cargo/config", ".cargo"), "cargo's configuration", comes_later),
    ):
        if any(path.strip("./").startswith(n.strip(".")) for path in copied for n in names):
            continue
        if any(fnmatch(name, path) for path in copied for name in names):
            continue
        if compiling.brings_source or any(s.brings_source or _whole_stage(s) for s in before):
            continue
        line = next((s.instruction.line for s in facts.building if _names(s, names)), None)
        if (
            line is None
            and is_meant
            and facts.files is not None
            and facts.files.keys() & set(names)
        ):
            line = compiling.instruction.line
        if line is not None:
            yield line, f"{what} is not there when the dependencies are compiled"


def _whole_stage(step: Step) -> bool:
    return bool(step.from_stages) and "recipe.json" not in step.instruction.value


def _names(step: Step, names: tuple[str, ...]) -> bool:
    copied = (sources.named(path) for path in step.copied)
    return any(path.removeprefix("./").rstrip("/") in names for path in copied)


RULES: Final = (
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
        "build-script-ignored",
        "Cargo finds no build script and builds without it: another program, and nothing fails.",
        "Narrow the pattern in .dockerignore, or add !**/build.rs below it.",
        "build*    # in .dockerignore, of a project with a build.rs",
        _build_script_ignored,
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
)
