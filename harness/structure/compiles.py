"""Finds the calls that compile Rust code in a list of shell commands, and how they are configured.

Knows cargo, its wrappers (cross, cargo-lambda, cargo-zigbuild, cargo-chef) and shell functions
named after it. What is compiled, and whether the source is there, is `roles`' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.structure.shell import Command

_CARGO: Final = re.compile(r"(cross|([A-Za-z_]+-)?[A-Za-z_]*cargo[A-Za-z_]*)(\.exe)?")
_BUILDS: Final = frozenset({"build", "b", "zigbuild", "rustc", "auditable", "xwin", "leptos"})
OTHER_BUILDERS: Final = frozenset({"maturin", "wasm-pack", "trunk", "dx"})
_SPEAKERS: Final = frozenset(
    {"echo", "printf", "die", "say", "log", "info", "warn", "error", "grep", "test", "[", "which"}
    | {"command", "apt-get", "apt", "apk", "dnf", "yum", "rustup", "ln", "cp", "mkdir", "rm", "cd"}
)
_VALUED: Final = frozenset(
    {
        "--profile", "--target", "--features", "-F", "--package", "-p", "--bin", "--manifest-path",
        "--target-dir", "--jobs", "-j", "--recipe-path", "--config", "-Z", "--color", "--exclude",
        "--message-format", "--path", "--root", "--output-format", "--example", "--lambda-dir",
    }
)  # fmt: skip
UNKNOWN: Final = "?"
"""The profile of a call whose flags stand in a variable."""
_VARIABLE: Final = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_FLAG_VARIABLES: Final = re.compile(
    r"RUSTFLAGS|CARGO_ENCODED_RUSTFLAGS|CARGO_BUILD_(RUSTFLAGS|TARGET)|CARGO_PROFILE_\w+"
    r"|CARGO_TARGET_\w+_(RUSTFLAGS|LINKER)|RUSTUP_TOOLCHAIN"
)


@dataclass(frozen=True, slots=True)
class Compile:
    """One compiling call. `verb` is cargo's subcommand (`chef cook` for cargo-chef's).

    `settings` holds what must be equal for its output to be reused: profile, target, features,
    toolchain, and the variables that carry flags.
    """

    verb: str
    settings: Mapping[str, str]
    command: Command
    target_directory: str | None = None

    @property
    def release(self) -> bool:
        """Return whether the profile is another than cargo's default for development."""
        return self.settings["profile"] not in ("dev", "debug", "test", UNKNOWN)


def find(commands: Iterable[Command], environment: Mapping[str, str]) -> tuple[Compile, ...]:
    """Return the compiling calls among `commands`, in order, run in `environment`."""
    exported = {k: v for k, v in environment.items() if _FLAG_VARIABLES.fullmatch(k)}
    target_directory = environment.get("CARGO_TARGET_DIR")
    found = []
    for command in commands:
        if command.program == "export" or not command.words:
            pairs = [word.partition("=")[::2] for word in command.words[1:] if "=" in word]
            given = {**dict(pairs), **dict(command.variables)}
            exported.update((k, v) for k, v in given.items() if _FLAG_VARIABLES.fullmatch(k))
            target_directory = given.get("CARGO_TARGET_DIR", target_directory)
        verb, options, toolchain = subcommand(command)
        if not _compiles(verb, options):
            continue
        local = {k: v for k, v in command.variables if _FLAG_VARIABLES.fullmatch(k)}
        settings = {**exported, **local, **_settings(verb, options, environment)}
        if settings["profile"] == "dev" and any("$" in word for word in command.words):
            settings["profile"] = UNKNOWN
        if toolchain:
            settings["toolchain"] = toolchain
        explicit = options.get("--target-dir") or [
            v for k, v in command.variables if k == "CARGO_TARGET_DIR"
        ]
        found.append(
            Compile(verb, settings, command, explicit[-1] if explicit else target_directory)
        )
    return tuple(found)


def subcommand(command: Command) -> tuple[str, dict[str, list[str]], str]:
    """Return cargo's subcommand, its options by name, and the `+toolchain`; `""` if not cargo."""
    if command.program in OTHER_BUILDERS:
        return _options("", command.words[1:], "")
    if command.program in _SPEAKERS:
        return "", {}, ""
    start = next((n for n, word in enumerate(command.words) if _CARGO.fullmatch(_name(word))), None)
    if start is None:
        return "", {}, ""
    words = command.words[start + 1 :]
    toolchain = ""
    if words and words[0].startswith("+"):
        toolchain, words = words[0], words[1:]
    return _options("", words, toolchain)


def _name(word: str) -> str:
    return word.rpartition("/")[2]


def _options(
    verb: str, words: tuple[str, ...], toolchain: str
) -> tuple[str, dict[str, list[str]], str]:
    options: dict[str, list[str]] = {}
    names = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            break
        if not word.startswith("-"):
            names.append(word)
            continue
        name, equals, value = word.partition("=")
        if not equals and name in _VALUED and index < len(words):
            value = words[index]
            index += 1
        options.setdefault(name, []).append(value)
    verb = names[0] if names else ""
    if verb in ("chef", "lambda", "component", "xwin", "auditable", "leptos") and len(names) > 1:
        verb = f"{verb} {names[1]}"
    if names[1:]:
        options["names"] = names[1:]
    return verb, options, toolchain


def compiles(command: Command) -> bool:
    """Return whether a command is a compiling call."""
    verb, options, _ = subcommand(command)
    return _compiles(verb, options)


def _compiles(verb: str, options: Mapping[str, list[str]]) -> bool:
    if verb == "install":
        return "--path" in options
    if " " in verb:
        return verb.split()[1] in ("cook", "build", "zigbuild")
    return verb in _BUILDS


def _settings(
    verb: str, options: Mapping[str, list[str]], environment: Mapping[str, str]
) -> dict[str, str]:
    """Return what the options ask for; features that are on anyway are not named."""

    def known(word: str) -> str:
        return _VARIABLE.sub(lambda m: environment.get(m[1] or m[2], m[0]), word)

    profile = "release" if verb == "install" else "dev"
    if options.keys() & {"--release", "-r"}:
        profile = "release"
    if "--profile" in options:
        profile = options["--profile"][-1]
    settings = {"profile": profile}
    if "--target" in options:
        settings["target"] = " ".join(sorted(map(known, options["--target"])))
    words = map(known, [*options.get("--features", ()), *options.get("-F", ())])
    features = {*re.split(r"[,\s]+", ",".join(words)), ""} - {""}
    if "--no-default-features" not in options:
        features.discard("default")
    if features and "--all-features" not in options:
        settings["features"] = ",".join(sorted(features))
    for name in ("--all-features", "--no-default-features", "--arm64", "--x86-64"):
        if name in options:
            settings[name] = "yes"
    return settings
