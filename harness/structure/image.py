"""Structure rules about the image that is shipped: what it holds and as whom it runs."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from harness import texts
from harness.model import Instruction
from harness.parsing import instructions
from harness.structure import sources, stagegraph
from harness.structure.rules import Facts, Found, Rule
from harness.structure.shell import SHELLS, Command

_TOOLCHAIN_IMAGE: Final = re.compile(
    r"(.*/)?(rust|rustlang|rust-.*|cargo-lambda.*|cargo-chef|muslrust|rust-musl-.*|cross.*)([:@].*)?"
)
_TOOLS: Final = re.compile(
    r"gcc(-\S+)?|g\+\+|build-essential|build-base|clang(-\S+)?|llvm\S*|make|cmake|rustc|cargo|rust"
    r"|rustup|pkg-?config|git|vim(-\S+)?|nano|gdb|strace|musl-dev|musl-tools|\S+-dev(el)?"
)
_INSTALLERS: Final[dict[str, tuple[str, str]]] = {
    "apt-get": ("install", "/var/lib/apt"),
    "apt": ("install", "/var/lib/apt"),
    "apk": ("add", "/var/cache/apk"),
    "dnf": ("install", "/var/cache"),
    "microdnf": ("install", "/var/cache"),
    "yum": ("install", "/var/cache"),
}
_NON_ROOT_IMAGE: Final = re.compile(r".*nonroot.*|cgr\.dev/.*")
_SPARE: Final = frozenset(
    {"target", "release", "debug", "deps", "src", ".cargo", "cargo", "rustup"}
)
_VARIABLE: Final = re.compile(r"\$\{?(\w+)")
_SYSTEM: Final = frozenset({"/", "/usr", "/usr/local", "/root", "/home", "/opt", "/var", "/lib"})


def _runtime_from_build(facts: Facts) -> Found:
    if facts.one_stage and facts.runtime is not None and len(facts.dockerfile.stages) > 1:
        stage = facts.dockerfile.stages[facts.runtime]
        yield (
            stage.line,
            f"the shipped stage starts from {stage.base}, where the project is compiled",
        )


def _runtime_holds_toolchain(facts: Facts) -> Found:
    if facts.runtime is None or facts.one_stage:
        return
    root = facts.graph.chain(facts.runtime)[0]
    image = facts.graph.bases[root]
    reused = facts.main is not None and root in facts.graph.chain(facts.main)
    if reused or _TOOLCHAIN_IMAGE.fullmatch(image):
        yield facts.dockerfile.stages[root].line, f"the shipped image starts from {image}"
    for step in facts.shipping:
        for command in step.commands:
            tools = [word for word in _installed(command) if _TOOLS.fullmatch(word)]
            if tools or "sh.rustup.rs" in " ".join(command.words):
                yield step.instruction.line, f"{' '.join(tools) or 'rustup'} is installed"


def _installed(command: Command) -> tuple[str, ...]:
    verb = _INSTALLERS.get(command.program, ("", ""))[0]
    if not verb or verb not in command.words:
        return ()
    after = command.words[command.words.index(verb) + 1 :]
    return tuple(word.partition("=")[0] for word in after if not word.startswith("-"))


def _copies_too_much(facts: Facts) -> Found:
    for step in facts.shipping:
        if step.instruction.keyword not in ("COPY", "ADD"):
            continue
        names = instructions.transfer_of(step.instruction).sources
        if not step.from_stages and not step.instruction.flag("from"):
            for path in step.copied:
                code = sources.is_source(path, inside=False) and not sources.is_data(path)
                if code or "target" in path.split("/"):
                    yield step.instruction.line, f"{path!r} of the context is copied into it"
        for index in step.from_stages:
            for path in names:
                if _is_more_than_an_artifact(facts, index, path):
                    yield step.instruction.line, f"{path} of the build is copied into it"


def _is_more_than_an_artifact(facts: Facts, index: int, path: str) -> bool:
    steps = facts.graph.steps_along(index)
    if not any(step.compiles or step.brings_source for step in steps):
        return False
    directory = steps[-1].directory if steps else "/"
    whole = posixpath.normpath(posixpath.join(directory, path))
    name = PurePosixPath(whole).name
    if "*" in name:
        return PurePosixPath(whole).parent.name in _SPARE
    if whole in _SYSTEM or name in _SPARE:
        return True
    compiles = any(step.compiles for step in steps)
    places = {
        step.destination
        for step in steps
        if step.brings_source
        and (compiles or any(sources.is_source(each, inside=False) for each in step.copied))
    }
    return any(at == whole or at.startswith(whole + "/") for at in places if at)


def _artifact_of_another_stage(facts: Facts) -> Found:
    """The binary is taken from where only dependencies (and stand-ins) were compiled."""
    for step in facts.shipping:
        for index in step.from_stages:
            steps = facts.graph.steps_along(index)
            paths = instructions.transfer_of(step.instruction).sources if step.destination else ()
            stubs_only = any(s.compiles for s in steps) and not any(s.builds for s in steps)
            if stubs_only and any("target" in path for path in paths):
                yield (
                    step.instruction.line,
                    f"{paths[0]} is taken from a stage that compiles no source",
                )


def _debug_shipped(facts: Facts) -> Found:
    for step in facts.shipping:
        if step.instruction.keyword == "COPY" and step.from_stages:
            for path in instructions.transfer_of(step.instruction).sources:
                if re.search(r"target/(\S+/)?debug/", path):
                    yield step.instruction.line, f"{path} is a development build"


def _left_in_cache_mount(facts: Facts) -> Found:
    mounts = [
        (posixpath.join(step.directory, mount.target or ""), step)
        for step in facts.builds
        for mount in step.mounts
        if mount.kind == "cache"
    ]
    for step in facts.shipping:
        if step.instruction.keyword != "COPY" or not step.from_stages:
            continue
        end = facts.graph.steps_along(step.from_stages[0])
        for path in instructions.transfer_of(step.instruction).sources:
            whole = posixpath.normpath(posixpath.join(end[-1].directory if end else "/", path))
            for target, _ in mounts:
                if whole.startswith(target.rstrip("/") + "/"):
                    yield step.instruction.line, f"{path} lies in a cache mount, not in the layer"


def _package_caches(facts: Facts) -> Found:
    for step in facts.shipping:
        text = " ".join(" ".join(command.words) for command in step.commands)
        for command in step.commands:
            if not _installed(command):
                continue
            place = _INSTALLERS[command.program][1]
            mounted = any((m.target or "").startswith(place) for m in step.mounts)
            cleaned = (
                f"{place}/lists" in text
                or "--no-cache" in command.words
                or f"rm -rf {place}" in text
                or "clean all" in text
            )
            if not mounted and not cleaned:
                yield (
                    step.instruction.line,
                    f"{command.program} leaves its lists or cache in the layer",
                )
                break


def _deleted_later(facts: Facts) -> Found:
    placed: list[str] = []
    for step in facts.shipping:
        if step.instruction.keyword in ("COPY", "ADD") and step.destination:
            sources = instructions.transfer_of(step.instruction).sources
            names = [PurePosixPath(source).name for source in sources]
            placed += [step.destination, *(posixpath.join(step.destination, n) for n in names)]
        for command in step.commands:
            if command.program == "rm":
                for word in command.words[1:]:
                    if posixpath.normpath(posixpath.join(step.directory, word)) in placed:
                        yield (
                            step.instruction.line,
                            f"{word} is removed, and weighs in its own layer",
                        )


def _runs_as_root(facts: Facts) -> Found:
    if facts.runtime is None or facts.graph.is_export(facts.runtime):
        return
    steps = facts.graph.steps_along(facts.runtime)
    users = [step for step in steps if step.instruction.keyword == "USER"]
    stage = facts.dockerfile.stages[facts.runtime]
    if not users:
        if not _NON_ROOT_IMAGE.fullmatch(facts.graph.base_image(facts.runtime)):
            yield stage.line, "no USER is named: the process is root"
        return
    user, escape = users[-1].instruction, facts.dockerfile.escape
    name = stagegraph.expanded(user.value, users[-1].environment, escape)
    if name.partition(":")[0] in ("root", "0"):
        yield user.line, f"USER {name}: the process is root"
    arguments = [step.instruction for step in steps if step.instruction.keyword == "ARG"]
    given = {n for arg in arguments for n, _ in instructions.assignments(arg, escape=escape)}
    if not name.partition(":")[0] and not given & set(_VARIABLE.findall(user.value)):
        yield user.line, f"USER {user.value} is empty, no ARG of the stage has it: it means root"


def _shell_form(facts: Facts) -> Found:
    if facts.runtime is None:
        return
    steps = facts.graph.steps_along(facts.runtime)
    commands: dict[str, Instruction] = {s.instruction.keyword: s.instruction for s in steps}
    entry, command = commands.get("ENTRYPOINT"), commands.get("CMD")
    for instruction in (entry, command if entry is None or entry.words is None else None):
        if instruction is None:
            continue
        words = instruction.words
        if words is None and instruction.value and not instruction.value.startswith("exec "):
            yield instruction.line, f"{instruction.keyword} in shell form"
        elif words and starts_shell(words):
            yield instruction.line, f"{instruction.keyword} starts a shell"


def starts_shell(words: Sequence[str]) -> bool:
    """Return whether a shell is started that stays, and does not become the program by `exec`."""
    if not words:
        return False
    program = PurePosixPath(words[0]).name
    return program in SHELLS and "-c" in words and not words[-1].startswith("exec ")


def _not_stripped(facts: Facts) -> Found:
    """The manifest of the project is known, and neither that nor the Dockerfile strips."""
    silent = facts.manifest and "strip" not in facts.manifest
    if silent and facts.builds and not texts.speaks_of_stripping(facts.dockerfile):
        yield facts.builds[0].instruction.line, "the program is shipped with its symbol table"


RULES: Final = (
    Rule(
        "runtime-from-build",
        "The image that is shipped holds compiler, source and everything that was compiled.",
        "Start the last stage from a small image and COPY --from the binary.",
        "FROM build AS runtime",
        _runtime_from_build,
    ),
    Rule(
        "runtime-holds-toolchain",
        "Hundreds of megabytes, and tools for whoever breaks in, that the function never uses.",
        "Start from the Lambda runtime or a distroless image, and install nothing that compiles.",
        "FROM rust:1.85 AS runtime",
        _runtime_holds_toolchain,
    ),
    Rule(
        "runtime-copies-too-much",
        "Source, objects and caches of the build are shipped with the binary.",
        "Copy the one file: COPY --from=build /app/target/release/NAME /var/runtime/bootstrap",
        "COPY --from=build /app/target /app/target",
        _copies_too_much,
    ),
    Rule(
        "artifact-of-dependencies",
        "What lies there is the stand-in's output: an empty function is shipped.",
        "Copy from the stage that compiles the source.",
        "COPY --from=dependencies /app/target/release/app /app",
        _artifact_of_another_stage,
    ),
    Rule(
        "debug-build-shipped",
        "It is many times larger and slower than the release build.",
        "Compile with --release and copy from target/release.",
        "COPY --from=build /app/target/debug/app /app",
        _debug_shipped,
    ),
    Rule(
        "artifact-in-cache-mount",
        "A cache mount is gone when its RUN ends: the COPY fails, or finds an older file.",
        "Copy the binary out of the mount within the RUN that compiles it.",
        "RUN --mount=type=cache,target=/app/target cargo build --release\n"
        "COPY --from=build /app/target/release/app /app",
        _left_in_cache_mount,
    ),
    Rule(
        "package-cache-left",
        "The lists and archives of the package manager are shipped and weigh.",
        "End the same RUN with rm -rf /var/lib/apt/lists/*, or apk add --no-cache.",
        "RUN apt-get update && apt-get install -y ca-certificates",
        _package_caches,
    ),
    Rule(
        "deleted-in-later-layer",
        "Layers only add: what a later one hides is shipped all the same.",
        "Do not copy it, or remove it in the RUN that makes it.",
        "COPY --from=build /out /out\nRUN rm -rf /out",
        _deleted_later,
    ),
    Rule(
        "runs-as-root",
        "Whoever takes over the process owns the container.",
        "USER 65534:65534, or another number without rights, in the last stage.",
        "USER root",
        _runs_as_root,
    ),
    Rule(
        "shell-form-command",
        "A shell is PID 1 and passes no SIGTERM on: stopping takes ten seconds and then kills.",
        'ENTRYPOINT ["/var/runtime/bootstrap"]',
        "ENTRYPOINT /var/runtime/bootstrap",
        _shell_form,
    ),
    Rule(
        "not-stripped",
        "Its names serve backtraces alone, and are downloaded with each cold start.",
        "Write strip = true in [profile.release], or strip the binary in the RUN that compiles it.",
        "RUN cargo build --release --locked",
        _not_stripped,
        advice=True,
    ),
)
