"""Structure rules about what the binary needs to start: a loader, a libc, the right processor."""

from __future__ import annotations

import re
from typing import Final

from harness.parsing import instructions
from harness.structure.rules import Facts, Found, Rule
from harness.structure.stagegraph import Step

_NO_GLIBC: Final = re.compile(r"scratch|.*distroless/static.*|(.*/)?(alpine|busybox:musl)([:@].*)?")
_NO_LIBGCC: Final = re.compile(
    r".*distroless/base(-nossl)?(-debian\d+)?([:@].*)?|(.*/)?busybox:(.*-)?glibc.*"
)
_NEW_GLIBC: Final = re.compile(
    r"(.*/)?(rust:(?!.*(alpine|bullseye|buster)|1\.([0-6]?\d)(\D|$)).*"
    r"|(debian|ubuntu):(bookworm|trixie|12|13|22|24).*)"
)
"""Rust's images are Debian bookworm's since 1.70, trixie's since 1.90, where no name says else."""
_OLD_GLIBC: Final = re.compile(
    r".*(provided|amazonlinux|aws-lambda-provided):(al2(?!023).*|2(?!\d).*)"
    r"|(.*/)?(debian|ubuntu|centos):(buster|bullseye|10|11|18|20|focal|bionic|7).*"
    r"|.*distroless/.*debian1[01].*"
)
_GLIBC_2_39: Final = re.compile(
    r"(.*/)?(rust|debian|ubuntu):.*(trixie|noble|sid).*|(.*/)?(debian:13|ubuntu:24).*"
    r"|(.*/)?rust:1\.(9\d|\d{3})(?!.*(alpine|bullseye|bookworm)).*"
)
_BEFORE_2_39: Final = re.compile(
    r".*(provided|amazonlinux|aws-lambda-provided):(al)?20.*"
    r"|(.*/)?(debian|ubuntu):(bookworm|12|jammy|22).*|.*distroless/.*debian12.*"
)
_GLIBC: Final = re.compile(r".*/(ld-linux|libc\.so).*|/(usr/)?lib(64|/[\w-]+-linux-gnu)?/?")
_LIBGCC: Final = re.compile(r".*/libgcc_s\.so.*|/(usr/)?lib(64|/[\w-]+-linux-gnu)?/?")
_PROCESSORS: Final = {"aarch64": "arm64", "arm64": "arm64", "x86_64": "amd64", "amd64": "amd64"}
_NEEDS_NONE: Final = r"musl|crt-static|static-libgcc|target=\S*\$|CARGO_BUILD_TARGET"
_PROCESSOR: Final = re.compile(r"aarch64|arm64|x86[_-]64|amd64")


def _wrong_libc(facts: Facts) -> Found:
    """A binary for glibc goes into an image that has none."""
    yield from _lacking(facts, _NO_GLIBC, _GLIBC, "glibc, and {} compiles for it")


def _no_libgcc(facts: Facts) -> Found:
    """A binary for glibc is linked with gcc's library too, which unwinds panics."""
    words = "libgcc_s, and what {} compiles is linked with it"
    yield from _lacking(facts, _NO_LIBGCC, _LIBGCC, words)


def _lacking(facts: Facts, images: re.Pattern[str], library: re.Pattern[str], words: str) -> Found:
    """A binary for glibc goes into one of these images, and the library does not come along."""
    if facts.main is None or facts.runtime is None or facts.one_stage:
        return
    if facts.graph.is_export(facts.runtime):
        return
    base = facts.graph.base_image(facts.main)
    image = facts.graph.base_image(facts.runtime)
    compiles_for_glibc = re.match(r"(.*/)?rust:", base) and "alpine" not in base
    if not compiles_for_glibc or not images.fullmatch(image):
        return
    calls = [call for step in facts.builds for call in step.compiled]
    settings = " ".join(f"{k}={v}" for call in calls for k, v in call.settings.items())
    needed = facts.graph.reached_from(facts.runtime)
    steps = [step for stage in needed for step in facts.graph.steps[stage]]
    taken = any(_takes(step, library) for step in facts.shipping)
    if taken or any(map(_asks_loader, steps)):
        return
    if calls and not re.search(_NEEDS_NONE, f"{settings} {facts.configured}"):
        yield (
            facts.dockerfile.stages[facts.runtime].line,
            f"{image} has no {words.format(base)}",
        )


def _takes(step: Step, library: re.Pattern[str]) -> bool:
    """Return whether a step copies the library, or the directory that it lies in."""
    if step.instruction.keyword != "COPY":
        return False
    return any(map(library.fullmatch, instructions.transfer_of(step.instruction).sources))


def _asks_loader(step: Step) -> bool:
    """Return whether a step goes by what `ldd` says, as one does that takes libraries along."""
    return any(
        (command.program == "ldd" and (command.after == "|" or any(map(_is_file, command.written))))
        or any("$(ldd " in word or "`ldd " in word for word in command.words)
        for command in step.commands
    )


def _is_file(written: str) -> bool:
    return not written.startswith(("&", "/dev/"))


def _glibc_too_new(facts: Facts) -> Found:
    """Since 2.34 the threads live in libc itself: what is linked against it starts on no older.

    Of 2.39 is what Rust starts other processes with (pidfd_spawnp).
    """
    if facts.main is None or facts.runtime is None or facts.one_stage:
        return
    base = facts.graph.base_image(facts.main)
    image = facts.graph.base_image(facts.runtime)
    calls = [call for step in facts.builds for call in step.compiled]
    words = [word for call in calls for word in call.command.words]
    settings = [value for call in calls for value in call.settings.values()]
    said = " ".join((*words, *settings, facts.configured))
    elsewhere = re.search(r"musl|crt-static|zigbuild|lambda build|\$", said)
    pairs = {"2.34": (_NEW_GLIBC, _OLD_GLIBC), "2.39": (_GLIBC_2_39, _BEFORE_2_39)}
    for version, (new, old) in pairs.items():
        if calls and new.fullmatch(base) and old.fullmatch(image) and not elsewhere:
            yield (
                facts.dockerfile.stages[facts.runtime].line,
                f"{image} has a glibc before {version}, and {base} links against a later one",
            )


def _other_processor(facts: Facts) -> Found:
    if facts.main is None or facts.runtime is None:
        return
    made = _of_build(facts, facts.main)
    chain = facts.graph.chain(facts.runtime)
    stages = [facts.dockerfile.stages[index] for index in chain]
    found = [_processor(s.platform or "") or _processor(facts.graph.bases[s.index]) for s in stages]
    runs = next((each for each in found if each), None)
    if made and runs and made != runs:
        yield stages[-1].line, f"the image is for {runs}, the binary for {made}"


def _of_build(facts: Facts, main: int) -> str | None:
    """Return the processor that the project is compiled for, if the Dockerfile fixes it."""
    for step in facts.builds:
        for call in step.compiled:
            target = call.settings.get("target", "")
            flags = [word for word in call.command.words if word in ("--arm64", "--x86-64")]
            for text in (target, *flags):
                if _processor(text):
                    return _processor(text)
    platforms = [facts.dockerfile.stages[index].platform or "" for index in facts.graph.chain(main)]
    return next((_processor(p) for p in platforms if _processor(p)), None)


def _processor(text: str) -> str | None:
    found = _PROCESSOR.search(text)
    return _PROCESSORS[found[0].replace("-", "_")] if found else None


RULES: Final = (
    Rule(
        "libc-missing",
        "The loader of the binary is not there: it does not start.",
        "Compile for musl (--target x86_64-unknown-linux-musl), or ship in an image with glibc.",
        'FROM rust:1.85 AS build\n…\nFROM scratch\nENTRYPOINT ["/app"]',
        _wrong_libc,
    ),
    Rule(
        "libgcc-missing",
        "`libgcc_s.so.1: cannot open shared object file`: the binary does not start.",
        "Ship in distroless/cc, copy the library along, or compile for musl.",
        "FROM rust:1.85 AS build\n…\nFROM gcr.io/distroless/base-debian12",
        _no_libgcc,
    ),
    Rule(
        "glibc-too-new",
        "`GLIBC_2.34 not found` at the first invocation: the function never starts.",
        "Compile on an image no newer than the runtime, with cargo zigbuild, or for musl.",
        "FROM rust:1.85-bookworm AS build\n…\nFROM public.ecr.aws/lambda/provided:al2",
        _glibc_too_new,
    ),
    Rule(
        "other-processor",
        "`exec format error` at the first invocation: the function never starts.",
        "Let target and platform agree, or take both from TARGETARCH.",
        "RUN cargo lambda build --arm64\n…\nFROM --platform=linux/amd64 debian:12",
        _other_processor,
    ),
)
