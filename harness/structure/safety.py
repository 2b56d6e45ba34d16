"""Structure rules about secrets and permissions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harness.model import Instruction
from harness.parsing import instructions
from harness.structure.rules import Facts, Found, Rule

SECRET_NAME: Final = re.compile(
    r"^KEY$|^(?!.*PUBLIC)(.*_)?(AUTH(?=$|_TOKEN)|CREDENTIALS?|PASSPHRASE|PASSWORD|PASSWD|PAT|PWORD"
    r"|(ACCESS|API|DEPLOY|ENCRYPTION|PRIVATE|SECRET|SIGNING|SSH)_?KEY|SECRETS?|TOKEN)"
    r"(?!(_.*)?_(ARN|DIR|ENDPOINT|FILE|HEADER|HOST|ID|LENGTH|MODE|NAME|PATH|PROVIDER|SECONDS|TTL|URL)$)"
    r"(_.*)?$",
    re.IGNORECASE,
)
"""Names of variables that hold a secret, and do not merely say where it is or how long it lasts."""
SECRET_URL: Final = re.compile(
    r"(.*_)?(AMQP|BROKER|DATABASE|DB|MONGO(DB)?|MYSQL|PG|POSTGRES(QL)?|RABBITMQ|REDIS)_?(DSN|UR[IL])"
    r"|DSN|(.*_)?CONNECTION_STRING",
    re.IGNORECASE,
)
"""Names of variables that hold the address of a service, and often the password for it."""
_SECRET_FILE: Final = re.compile(
    r"(.*/)?(\.env(\..+)?|id_(rsa|ed25519|ecdsa)|\.npmrc|\.netrc|\.git-credentials|credentials(\.toml)?"
    r"|\.aws|\.ssh|.*\.pem|.*\.key)/?"
)
_SETUID: Final = re.compile(r"0?[2-7][0-7]{3}|[ugoa]*\+[rwxt]*s[rwxst]*")
_STICKY: Final = re.compile(r"0?1[0-7]{3}")
_WRITABLE: Final = re.compile(r"0?[0-7]{2}[2367]|[ugoa]*[oa][ugoa]*[+=][rx]*w[rwx]*|\+[rx]*w[rwx]*")
_SECRETS: Final = "/run/secrets/"
_OUTSIDE_LAYERS: Final = ("/dev/", "/run/", "/proc/", "$", "&")


def _everything(facts: Facts) -> Iterator[Instruction]:
    yield from facts.dockerfile.global_args
    for stage in facts.dockerfile.stages:
        yield from stage.instructions


def _secret_argument(facts: Facts) -> Found:
    for instruction in _everything(facts):
        if instruction.keyword in ("ARG", "ENV"):
            pairs = instructions.assignments(instruction, escape=facts.dockerfile.escape)
            for name, _ in pairs:
                if SECRET_NAME.search(name):
                    yield (
                        instruction.line,
                        f"{instruction.keyword} {name} holds a secret by its name",
                    )


def _secret_copied(facts: Facts) -> Found:
    for steps in facts.graph.steps:
        for step in steps:
            for path in step.copied:
                if _SECRET_FILE.fullmatch(path):
                    yield step.instruction.line, f"{path} is copied into a layer"
            for command in step.commands:
                reads = [word for word in command.words[1:] if _SECRETS in word]
                writes = list(command.written)
                if command.program in ("cp", "install", "mv") and len(command.words) > 2:
                    writes.append(command.words[-1])
                kept = [word for word in writes if not word.startswith(_OUTSIDE_LAYERS)]
                if reads and kept and command.program in ("cat", "cp", "install", "mv", "tee"):
                    yield step.instruction.line, f"{reads[0]} is written to {kept[0]}"


def _permissions(facts: Facts) -> Found:
    for steps in facts.graph.steps:
        for step in steps:
            line = step.instruction.line
            mode = step.instruction.flag("chmod") or ""
            modes = [mode] if mode and step.instruction.keyword in ("COPY", "ADD") else []
            for command in step.commands:
                if command.program == "chmod":
                    words = [w for w in command.words[1:] if not re.fullmatch(r"-[RcfvH]+", w)]
                    modes += words[:1]
            shipped = step in facts.shipping or any(s is step for s in facts.builds)
            for each in modes:
                if _SETUID.fullmatch(each) and not _STICKY.fullmatch(each):
                    yield line, f"mode {each} runs as the file's owner or group"
                elif shipped and _WRITABLE.fullmatch(each) and not _STICKY.fullmatch(each):
                    yield line, f"mode {each} lets everybody write"


RULES: Final = (
    Rule(
        "secret-in-argument",
        "The value stays in the image's history, for everybody who has the image.",
        "Mount it: RUN --mount=type=secret,id=NAME, and build with --secret id=NAME.",
        "ARG CARGO_REGISTRY_TOKEN",
        _secret_argument,
    ),
    Rule(
        "secret-in-layer",
        "The file stays in its layer even when a later one removes it.",
        "Mount it: RUN --mount=type=secret,id=NAME, and read it in place.",
        "COPY .env credentials.toml ./",
        _secret_copied,
    ),
    Rule(
        "loose-permissions",
        "A file that runs as its owner, or that anybody may change, is how intruders rise.",
        "Mode 0755 for programs, 0644 for the rest.",
        "RUN chmod 4755 /var/runtime/bootstrap",
        _permissions,
    ),
)
