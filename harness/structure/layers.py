"""Structure rules about layers: what is copied when, and what makes every build start over."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Final

from harness.model import Instruction
from harness.parsing import instructions
from harness.structure import sources
from harness.structure.compiles import subcommand
from harness.structure.rules import Facts, Found, Rule
from harness.structure.shell import Command
from harness.structure.stagegraph import Step

COMMITS: Final = (
    r"(.*_)?(BUILD|COMMIT|GIT|GITHUB|VCS|SOURCE|CI)_?(SHORT_)?"
    r"(DATE|TIME|TIMESTAMP|SHA|SHA1|HASH|REF|REV|REVISION|COMMIT|ID|NUMBER|NUM)"
    r"|DATE|TIMESTAMP|COMMIT|REVISION|CACHE_?BUST(ER)?|CODEBUILD_RESOLVED_SOURCE_VERSION"
    r"|SOURCE_DATE_EPOCH"
)
"""Names of arguments that stand for a commit or the moment of a build, whatever their value is."""
_VOLATILE: Final = re.compile(
    rf"{COMMITS}|(.*_)?(RELEASE|JOB|PIPELINE|RUN)_?(DATE|TIME|TIMESTAMP|SHA|REF|ID|NUMBER|NUM)"
    r"|(.*_)?(BUILD|COMMIT|GIT|GITHUB|VCS|SOURCE|CI|RELEASE|JOB|PIPELINE|RUN)_?(BRANCH|TAG|DESCRIBE)"
    r"|((APP|PACKAGE|CRATE|SERVICE|IMAGE|LAMBDA|FUNCTION)_)?VERSION"
    r"|(.*_)?(TIMESTAMP|CACHE_?BUST(ER)?|COMMIT|REVISION|NONCE|DATE|NOW)(_.*)?",
    re.IGNORECASE,
)
_UNNEEDED: Final = re.compile(
    r"(README|CHANGELOG|CONTRIBUTING|LICENSE|NOTICE)(\.\w+|\*|\.\*)?|.*\.md|docs?|tests?|benches"
    r"|examples|Makefile|Dockerfile.*|\.git|\.github|scripts|assets|static|templates|migrations"
    r"|deploy|infra|docker",
    re.IGNORECASE,
)
_INSTALLING: Final = {
    **dict.fromkeys(("apt", "apt-get", "dnf", "microdnf", "yum"), ("install",)),
    "apk": ("add",),
    "rustup": ("add", "install"),
}
"""What installs tools, by program: the words of which one follows it."""
_OF_THE_SYSTEM: Final = re.compile(r"/(etc|lib|lib64|usr/(lib|lib64|share))(/|$)")
_ACCOUNTS: Final = frozenset({"useradd", "adduser", "groupadd", "addgroup"})
_PROJECT: Final = re.compile(r"(^|/)(Cargo\.(toml|lock|\*)|recipe\.json)$")
_URL: Final = re.compile(r"(https?|git|ssh)://|git@")


def _single_stage(facts: Facts) -> Found:
    if len(facts.dockerfile.stages) == 1 and facts.main is not None:
        yield facts.dockerfile.stages[0].line, "the only stage both compiles and is shipped"


def _no_dependency_layer(facts: Facts) -> Found:
    apart = facts.dependency_steps or _keeps_crates(facts)
    if facts.builds and facts.takes_crates and not apart:
        yield (
            facts.builds[0].instruction.line,
            "dependencies are compiled in the same RUN as the project's source",
        )


def _keeps_crates(facts: Facts) -> bool:
    """Whether every step that builds finds what it compiled before in a cache mount."""
    return all(any(map(sources.keeps_compiled_crates, step.mounts)) for step in facts.builds)


def _manifests_after_source(facts: Facts) -> Found:
    """The source arrives, and no COPY or mount of the manifests alone came before it."""
    if not facts.dependency_steps and _keeps_crates(facts):
        return
    for step in facts.building:
        if step.brings_source and step.instruction.keyword in ("COPY", "ADD"):
            yield step.instruction.line, f"{_text(step)} brings in the source before any manifest"
        manifests = any(sources.is_manifest(path) for path in (*step.copied, *step.mounted))
        if step.brings_source or step.from_stages or manifests:
            return


def _source_before_dependencies(facts: Facts) -> Found:
    for step in facts.above_dependencies:
        if step.brings_source and step.instruction.keyword in ("COPY", "ADD"):
            yield (
                step.instruction.line,
                f"{_text(step)} stands above the compilation of the dependencies",
            )
    for position in facts.dependency_steps:
        step = facts.building[position]
        if step.brings_source:
            yield (
                step.instruction.line,
                "the compilation of the dependencies has the source mounted",
            )


def _unneeded_before_dependencies(facts: Facts) -> Found:
    for step in facts.above_dependencies:
        for path in step.copied:
            selected = [f for f in facts.files or () if fnmatch(f, path)] or [path]
            names = [each.rstrip("/").rpartition("/")[2] for each in selected]
            if not step.brings_source and all(map(_UNNEEDED.fullmatch, names)):
                yield (
                    step.instruction.line,
                    f"{path!r} is copied above the compilation of the dependencies",
                )


def _tools_after_manifests(facts: Facts) -> Found:
    """Tools are installed by a step that an edit of the project runs again, in the build or in a
    stage with the source that the image takes files from.
    """
    needed = set(facts.graph.reached_from(facts.main)) if facts.main is not None else set()
    beside: set[int] = set()
    if facts.runtime is not None and needed:
        shipped = set(facts.graph.chain(facts.runtime))
        beside = set(facts.graph.reached_from(facts.runtime)) - shipped - needed
    for stage in sorted(needed | beside):
        along = facts.graph.steps_along(stage)
        for number, step in enumerate(along):
            before = along[:number]
            if stage in beside:
                again = any(s.brings_source for s in along[: number + 1])
            else:
                mounts = step.brings_source or any(map(_PROJECT.search, step.mounted))
                again = mounts or any(map(_brings_project, before))
            if step.stage != stage or not again:
                continue
            copied = [*step.mounted, *(path for s in before for path in s.copied)]
            has_toolchain = any("rust-toolchain" in p or p in sources.WHOLE for p in copied)
            for command in step.commands:
                if _installs(command) and not (command.program == "rustup" and has_toolchain):
                    words = " ".join(command.words[:3])
                    yield step.instruction.line, f"{words} runs again after edits of the project"
                    break


def _installs_below_artifact(facts: Facts) -> Found:
    """What is shipped installs packages after it got what each edit makes anew."""
    return _below_artifact(facts, _installs)


def _makes_account_below_artifact(facts: Facts) -> Found:
    return _below_artifact(facts, lambda command: command.program in _ACCOUNTS)


def _below_artifact(facts: Facts, is_meant: Callable[[Command], bool]) -> Found:
    """Find commands in what is shipped, or a stage that it takes from, below what is built."""
    if facts.main is None or facts.one_stage:
        return
    last = len(facts.dockerfile.stages) - 1 if facts.runtime is None else facts.runtime
    beside = facts.graph.reached_from(last) - facts.graph.reached_from(facts.main)
    for stage in sorted(beside):
        along = facts.graph.steps_along(stage)
        built = [n for n, step in enumerate(along) if _takes_what_is_built(facts, step)]
        for step in along[built[0] :] if built else ():
            for command in filter(is_meant, step.commands if step.stage == stage else ()):
                words = " ".join(command.words[:3])
                yield step.instruction.line, f"{words} runs again after edits of the project"
                break


def _takes_what_is_built(facts: Facts, step: Step) -> bool:
    """Whether a step takes more than the system's files from where the project is compiled."""
    if step.instruction.keyword == "COPY":
        taken = instructions.transfer_of(step.instruction).sources
        if all(map(_OF_THE_SYSTEM.match, taken)):
            return False
    needed = {stage for index in step.from_stages for stage in facts.graph.reached_from(index)}
    return any(s.builds for stage in needed for s in facts.graph.steps[stage])


def _brings_project(step: Step) -> bool:
    """Return whether a step copies manifests, a recipe of them, or source."""
    if step.instruction.keyword not in ("COPY", "ADD"):
        return False
    names = (*step.copied, *instructions.transfer_of(step.instruction).sources)
    return step.brings_source or any(map(_PROJECT.search, names))


def _installs(command: Command) -> bool:
    """Return whether a command installs tools, and not the project itself."""
    verb, options, _ = subcommand(command)
    if verb:
        return verb in ("install", "binstall") and "--path" not in options
    words = command.words
    if command.program == "xargs":
        words = words[next((n for n, w in enumerate(words) if w in _INSTALLING), len(words)) :]
    program = PurePosixPath(words[0]).name if words else ""
    return any(word in _INSTALLING.get(program, ()) for word in words[1:4])


def _volatile_above_dependencies(facts: Facts) -> Found:
    """A build date or commit in the environment of a RUN at or above the dependencies.

    Without a dependency layer, everything up to the compilation counts; that itself does not where
    a cache mount keeps what it compiles.
    """
    steps = facts.building
    positions = facts.dependency_steps or tuple(n for n, s in enumerate(steps) if s.builds)[:1]
    if not positions:
        return
    last = positions[-1]
    kept = any(map(sources.keeps_compiled_crates, steps[last].mounts))
    end = last if kept and not facts.dependency_steps else last + 1
    for number, step in enumerate(steps[:last]):
        for name in _volatile_names(step.instruction, facts.dockerfile.escape):
            reached = [s for s in steps[number + 1 : end] if _sees(step, s)]
            if any(s.instruction.keyword == "RUN" for s in reached):
                yield (
                    step.instruction.line,
                    f"{step.instruction.keyword} {name} changes with every build and is in the "
                    "environment of every RUN below it",
                )


def _sees(step: Step, later: Step) -> bool:
    return step.instruction.keyword == "ENV" or step.stage == later.stage


def _volatile_names(instruction: Instruction, escape: str) -> list[str]:
    if instruction.keyword not in ("ARG", "ENV"):
        return []
    found = []
    for name, value in instructions.assignments(instruction, escape=escape):
        is_env = instruction.keyword == "ENV"
        names = re.findall(r"\$\{?(\w+)", value or "") if is_env else [name]
        if any(_VOLATILE.fullmatch(each) for each in names):
            found.append(name)
    return found


def _remote_above_dependencies(facts: Facts) -> Found:
    for step in facts.above_dependencies or facts.building:
        if step.instruction.keyword == "ADD" and not step.instruction.flag("checksum"):
            names = instructions.transfer_of(step.instruction).sources
            for source in names:
                if _URL.match(source):
                    yield step.instruction.line, f"ADD {source} is fetched again at every build"


def _git_directory(facts: Facts) -> Found:
    for steps in facts.graph.steps:
        for step in steps:
            if any(path.strip("./") == "git" for path in step.copied):
                yield step.instruction.line, "COPY brings in .git, which every commit changes"


def _ignore_file(facts: Facts) -> Found:
    """The whole context is read, and what no build needs is not ignored."""
    if facts.ignore is None:
        return
    whole = next((s for steps in facts.graph.steps for s in steps if _takes_whole_context(s)), None)
    if whole is None:
        return
    for name, inside in (("target", "target/release/app"), (".git", ".git/HEAD")):
        if not facts.ignore.excludes(inside):
            yield (
                whole.instruction.line,
                f"{name}/ is not ignored, and {_text(whole)} reads the whole context",
            )


def _takes_whole_context(step: Step) -> bool:
    return any(path in sources.WHOLE for path in step.copied)


def _unpinned_base(facts: Facts) -> Found:
    names = {stage.name for stage in facts.dockerfile.stages}
    declared = {
        name
        for arg in facts.dockerfile.global_args
        for name, _ in instructions.assignments(arg, escape=facts.dockerfile.escape)
    }
    for stage in facts.dockerfile.stages:
        image = facts.graph.bases[stage.index]
        unknown = [n for n in re.findall(r"\$\{?(\w+)", stage.base) if n not in declared]
        unknown = [
            n for n in unknown if not re.match(r"(BUILD|TARGET)(PLATFORM|OS|ARCH|VARIANT)", n)
        ]
        if unknown and ":-" not in stage.base:
            yield stage.line, f"FROM {stage.base}: no ARG {unknown[0]} stands before the first FROM"
        elif facts.graph.parents[stage.index] is None and image not in names | {"scratch", ""}:
            name, _, tag = image.rpartition("/")[2].partition(":")
            told = tag not in ("", "latest") or re.search(r"\d$", name)  # cc-debian12, ubi9
            if "@" not in image and not told and "$" not in image:
                yield stage.line, f"FROM {image} names no version"


def _text(step: Step) -> str:
    instruction = step.instruction
    if instruction.keyword == "RUN":
        return "RUN with the context mounted"
    return f"{instruction.keyword} {instruction.value}"


RULES: Final = (
    Rule(
        "single-stage",
        "The image that is shipped holds compiler, source and everything that was compiled.",
        "Compile in one stage; start another from a small image and COPY --from the binary.",
        "FROM rust:1.85\nCOPY . .\nRUN cargo build --release",
        _single_stage,
    ),
    Rule(
        "no-dependency-layer",
        "No cache mount keeps what was compiled: each edit compiles all dependencies anew.",
        "Copy manifests and lock file first, compile the dependencies from them (cargo chef cook, "
        "or cargo build with stand-ins for the source), then copy the source.",
        "COPY . .\nRUN cargo build --release",
        _no_dependency_layer,
    ),
    Rule(
        "manifests-after-source",
        "A layer below the source is built again by every edit of it, whatever it holds.",
        "COPY Cargo.toml Cargo.lock before anything of the source.",
        "COPY . .\nCOPY Cargo.toml Cargo.lock ./",
        _manifests_after_source,
    ),
    Rule(
        "source-before-dependencies",
        "The dependency layer is keyed by the source: every edit compiles every dependency again.",
        "Move the COPY of the source below the compilation of the dependencies.",
        "COPY . .\nRUN cargo chef cook --release --recipe-path recipe.json",
        _source_before_dependencies,
    ),
    Rule(
        "unneeded-before-dependencies",
        "An edit of a file that no dependency needs compiles every dependency again.",
        "Copy it where it is needed, below the compilation of the dependencies.",
        "COPY Cargo.toml Cargo.lock README.md ./",
        _unneeded_before_dependencies,
    ),
    Rule(
        "tools-after-manifests",
        "Each edit above it downloads and installs the tools again, and compiles all below anew.",
        "Install tools before anything of the project is copied.",
        "COPY Cargo.toml Cargo.lock ./\nRUN apt-get update && apt-get install -y cmake",
        _tools_after_manifests,
    ),
    Rule(
        "packages-below-artifact",
        "Each edit of the source downloads and installs the packages again.",
        "Take the binary from the build last, below what the stage installs.",
        "COPY --from=build /app /app\nRUN apt-get update && apt-get install -y ca-certificates",
        _installs_below_artifact,
    ),
    Rule(
        "account-below-artifact",
        "Each edit of the source makes the accounts of the runtime stage again.",
        "Make them above the COPY of the binary.",
        "COPY --from=build /app /app\nRUN useradd --system app\nUSER app",
        _makes_account_below_artifact,
        advice=True,
    ),
    Rule(
        "volatile-above-dependencies",
        "An ARG or ENV is part of the key of every later RUN, used or not.",
        "Declare it below the last RUN that does without it, or make it a LABEL of the runtime.",
        "ARG GIT_SHA\nRUN cargo chef cook --release",
        _volatile_above_dependencies,
    ),
    Rule(
        "remote-above-dependencies",
        "What is behind the address may change at any time, and everything below is built again.",
        "Pin it: ADD --checksum=sha256:…, or fetch a fixed version in a RUN.",
        "ADD https://example.invalid/tool.tar.gz /opt/",
        _remote_above_dependencies,
    ),
    Rule(
        "git-directory",
        "Every commit, fetch or branch switch changes .git and with it every layer below.",
        "Pass what is needed of it as a build argument, below the dependencies.",
        "COPY .git .git",
        _git_directory,
    ),
    Rule(
        "ignore-file",
        "They are sent to the engine with each build, change all the time, and end in layers.",
        "Write target/ and .git into .dockerignore.",
        "COPY . .    # and no .dockerignore",
        _ignore_file,
        advice=True,
    ),
    Rule(
        "unpinned-base",
        "The same commit builds differently tomorrow, and a new base starts every layer over.",
        "Name a version: rust:1.85-slim-bookworm, or a digest; declare ARGs of FROM before it.",
        "FROM rust:latest",
        _unpinned_base,
        advice=True,
    ),
)
