"""What a build takes from outside: downloads, images' own tools, files of other images.

None of it comes with a generated project, so it has to be there before one is built. Pure.
"""

from __future__ import annotations

from harness.fitting import run_texts
from harness.model import Dockerfile
from harness.parsing import instructions
from harness.structure import shell
from harness.structure.compiles import subcommand

_FETCHING = {"apk", "apt", "apt-get", "curl", "dnf", "microdnf", "rustup", "wget", "yum"}
_FETCHING_CALLS = {
    ("cargo", "install"),
    ("cargo", "binstall"),
    ("git", "clone"),
    ("pip", "install"),
}
_WRAPPERS = {"auditable", "chef", "cross", "lambda", "leptos", "xwin", "zigbuild"}


def downloads(parsed: Dockerfile) -> bool:
    """Whether a RUN calls a program that fetches what no generated project brings along."""
    running = [i for stage in parsed.stages for i in stage.instructions if i.keyword == "RUN"]
    called = [command for instruction in running for command in shell.commands_of(instruction)]
    return any(
        command.program in _FETCHING or (command.program, *command.words[1:2]) in _FETCHING_CALLS
        for command in called
    )


def brought_along(parsed: Dockerfile) -> dict[str, int]:
    """Return the subcommands of cargo that an image has to bring, and the line of their first call.

    That is what cargo itself has not and no RUN installs.
    """
    found: dict[str, int] = {}
    texts = run_texts(parsed)
    for stage in parsed.stages:
        for instruction in (i for i in stage.instructions if i.keyword == "RUN"):
            for command in shell.commands_of(instruction):
                verb = subcommand(command)[0].partition(" ")[0]
                if verb in _WRAPPERS and f"cargo-{verb}" not in texts:
                    found.setdefault(f"cargo {verb}", instruction.line)
    return found


def images(parsed: Dockerfile) -> dict[str, int]:
    """Return the images that COPY and RUN take files from, and the line of the first that does."""
    found: dict[str, int] = {}
    for instruction in (i for stage in parsed.stages for i in stage.instructions):
        names = [instruction.flag("from")] if instruction.keyword in {"COPY", "ADD"} else []
        if instruction.keyword == "RUN":
            names = [mount.from_stage for mount in instructions.mounts_of(instruction)]
        for name in names:
            if name is not None and name.lower() != "scratch" and parsed.stage(name) is None:
                found.setdefault(name, instruction.line)
    return found
