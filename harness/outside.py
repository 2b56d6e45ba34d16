"""What a build takes from outside: downloads, images' own tools, files of other images.

None of it comes with a generated project, so it has to be there before one is built. Pure.
"""

from __future__ import annotations

import re

from harness.model import Dockerfile
from harness.parsing import instructions
from harness.structure import stagegraph
from harness.structure.compiles import subcommand
from harness.texts import commands, run_texts

_OTHER_SYSTEMS = {"apk", "dnf", "microdnf", "pacman", "tdnf", "yum", "zypper"}
"""Package managers of systems other than Debian, which is what stands in for an image."""
_FETCHING = {"apt", "apt-get", "curl", "rustup", "wget", *_OTHER_SYSTEMS}
_FETCHING_CALLS = {
    ("cargo", "install"),
    ("cargo", "binstall"),
    ("git", "clone"),
    ("pip", "install"),
}
_RUSTUP_COMES = re.compile(
    r"rustup-init|sh\.rustup\.rs|(command -v|which|type) rustup|install\b.*rustup"
)
_WRAPPERS = {"auditable", "chef", "cross", "lambda", "leptos", "xwin", "zigbuild"}


def downloads(parsed: Dockerfile) -> bool:
    """Whether a RUN calls a program that fetches what no generated project brings along."""
    return any(
        command.program in _FETCHING or (command.program, *command.words[1:2]) in _FETCHING_CALLS
        for command in commands(parsed)
    )


def installs_tools(parsed: Dockerfile) -> bool:
    """Whether a RUN installs with cargo what is not the project itself."""
    return bool(installed(parsed))


def installed(parsed: Dockerfile) -> frozenset[str]:
    """Return the tools that a RUN installs with cargo, by their packages' names on crates.io."""
    called = (subcommand(command) for command in commands(parsed))
    return frozenset(
        name.partition("@")[0]
        for verb, options, _ in called
        if verb == "install" and "--path" not in options
        for name in options.get("names", ["?"])
    )


def vendors(parsed: Dockerfile) -> bool:
    """Whether a RUN calls `cargo vendor`."""
    return any((c.program, *c.words[1:2]) == ("cargo", "vendor") for c in commands(parsed))


def brought_along(parsed: Dockerfile, root: int) -> dict[str, int]:
    """Return the tools that an image has to bring, and the line of their first call.

    That is rustup, and what cargo itself has not, where no RUN installs, fetches or looks for them,
    and another system's package manager; `root` is the index of the stage that starts from the
    image.
    """
    found: dict[str, int] = {}
    texts = run_texts(parsed)
    graph = stagegraph.of(parsed)
    for step in (s for steps in graph.steps for s in steps if graph.chain(s.stage)[0] == root):
        for command in step.commands:
            verb = subcommand(command)[0].partition(" ")[0]
            fetched = rf"cargo-{verb}|(curl|wget)\b.*{verb}"
            if verb in _WRAPPERS and not re.search(fetched, texts):
                found.setdefault(f"cargo {verb}", step.instruction.line)
            if command.program == "rustup" and not _RUSTUP_COMES.search(texts):
                found.setdefault("rustup", step.instruction.line)
            asked = rf"(command -v|which|type) {command.program}\b"
            if command.program in _OTHER_SYSTEMS and not re.search(asked, texts):
                found.setdefault(command.program, step.instruction.line)
    return found


def secrets(parsed: Dockerfile) -> frozenset[str]:
    """Return the ids of the secrets that a RUN mounts."""
    running = [i for stage in parsed.stages for i in stage.instructions if i.keyword == "RUN"]
    mounts = [mount for i in running for mount in instructions.mounts_of(i)]
    wanted = [mount for mount in mounts if mount.kind == "secret"]
    return frozenset(mount.id or (mount.target or "").rpartition("/")[2] for mount in wanted)


def images(parsed: Dockerfile, target: str | None = None) -> dict[str, int]:
    """Return the images that the stages of a build take files from, and the line that first does.

    `target` is the stage that is built, None for the last.
    """
    found: dict[str, int] = {}
    last = parsed.stage(target or "") or parsed.stages[-1]
    needed = stagegraph.of(parsed).reached_from(last.index)
    stages = (stage for stage in parsed.stages if stage.index in needed)
    for instruction in (i for stage in stages for i in stage.instructions):
        names = [instruction.flag("from")] if instruction.keyword in {"COPY", "ADD"} else []
        if instruction.keyword == "RUN":
            names = [mount.from_stage for mount in instructions.mounts_of(instruction)]
        for name in names:
            if name is not None and name.lower() != "scratch" and parsed.stage(name) is None:
                found.setdefault(name, instruction.line)
    return found


def only_mounted(parsed: Dockerfile, image: str) -> bool:
    """Whether files of an image are mounted by RUN, and none is copied."""
    return all(
        instruction.flag("from") != image
        for stage in parsed.stages
        for instruction in stage.instructions
    )
