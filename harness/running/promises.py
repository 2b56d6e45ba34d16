"""What an image's name promises, and how a stand-in, which is a Debian, keeps it.

Some of it is said in lines of a Dockerfile, some takes a program: the shell scripts in `stand_in`,
named as what they stand for, that do its work by what Debian has.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness import outside
from harness.model import Dockerfile

SCRIPTS = Path(__file__).resolve().parent / "stand_in"
CHEF_VERSION = "0.1.71"
"""The newest cargo-chef that the Rust of the stand-in compiles."""
_TOOLED = re.compile(r"(?:^|/)(cargo-chef|cargo-lambda)(?:[:@]|$)")
_RUST = re.compile(r"(^|/)(rust|cargo-chef|cargo-lambda)([:@]|$)")
_ALPINE = re.compile(r"(^|/)alpine([:@]|$)|[:-]alpine")
_COMPILED_OTHERWISE = re.compile(
    r"-linux-musl|(?<![a-z])lto(?![a-z])|fuse-ld=mold|\bcargo[ -]lambda\b", re.IGNORECASE
)
"""What of the ways to compile the stand-in's rustc does in its own way; cargo-lambda asks for
link-time optimisation by itself.
"""
_DISTROLESS = re.compile(r"(?:^|/)distroless/(static|base-nossl|base|cc)-debian12(?:[:@]|$)")
_LIBC = (
    *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6", "libdl.so.2"),
    *("libpthread.so.0", "librt.so.1", "libresolv.so.2", "libutil.so.1", "libanl.so.1"),
)
_SSL = ("libssl.so.3", "libcrypto.so.3")
_LIBRARIES = {
    "static": frozenset[str](),
    "base-nossl": frozenset(_LIBC),
    "base": frozenset((*_LIBC, *_SSL)),
    "cc": frozenset((*_LIBC, *_SSL, "libgcc_s.so.1", "libgomp.so.1", "libstdc++.so.6")),
}
"""The libraries of distroless's images (github.com/GoogleContainerTools/distroless)."""
_SAID = (
    (
        _RUST,
        "ENV CARGO_HOME=/usr/local/cargo RUSTUP_HOME=/usr/local/rustup"
        " PATH=/usr/local/cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
        "RUN mkdir -p /usr/local/cargo/bin && chmod -R a+w /usr/local/cargo",
    ),
    (
        re.compile(r"distroless|^cgr\.dev/chainguard/"),
        "RUN echo nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin >>/etc/passwd"
        " && echo nonroot:x:65532: >>/etc/group",
    ),
    (re.compile(r":(.*-)?nonroot(-|$)|^cgr\.dev/chainguard/"), "USER 65532:65532"),
    (
        re.compile(r"(?<!cargo-)\blambda\b"),
        "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime\nWORKDIR /var/task",
    ),
    (re.compile(r"(^|/)cargo-lambda([:@]|$)"), "ENV CARGO_LAMBDA_COMPILER=cargo"),
    (_ALPINE, "RUN echo 3.21.0 >/etc/alpine-release"),
)
"""Names of images, and what is true of them: Rust's have a home of cargo's that is not root's;
distroless's and Chainguard's have an account `nonroot`, and many run as it; Lambda's have the
variables that its documentation uses (docs.aws.amazon.com/lambda, "Deploy … container images");
cargo-lambda's has zig to link with, in whose place is what cargo takes by itself.
"""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a stand-in is given: lines of a Dockerfile, and scripts of `SCRIPTS` by their names.

    `tools` are programs that it has to have beside Rust's own.
    """

    lines: tuple[str, ...]
    scripts: tuple[str, ...]
    tools: tuple[str, ...] = ()

    def copied(self) -> tuple[str, ...]:
        """Return the lines that bring the scripts, which go before what the system has."""
        if not self.scripts:
            return ()
        return (f"COPY {' '.join(self.scripts)} /usr/local/bin/",)


def is_toolchain(image: str) -> bool:
    """Whether an image is one of Rust's own: whatever a stage does upon it, it holds the tools."""
    return _RUST.search(image) is not None


def brings(image: str) -> tuple[str, ...]:
    """Return the programs that an image has beside Rust's own, for which it is made."""
    return tuple(_TOOLED.findall(image))


def of(wanted: str, parsed: Dockerfile, tools: Collection[str], spoken: str) -> Promise:
    """Return what the name of an image promises that matters to a Dockerfile.

    `tools` are those that a stage calls and does not bring itself, `spoken` is the text of all that
    may say how to compile. What is compiled for musl, as all is in Alpine's image of Rust, is
    linked statically (doc.rust-lang.org/reference/linkage.html).
    """
    alpine = _ALPINE.search(wanted) is not None
    scripts = {tool for tool in tools if tool in {"apk", "rustup"}}
    if alpine:
        scripts |= {"adduser", "addgroup"}
    if is_toolchain(wanted) and (alpine or _COMPILED_OTHERWISE.search(spoken)):
        scripts.add("rustc")
    programs = set(brings(wanted))
    if is_toolchain(wanted) and outside.installs_tools(parsed):
        scripts.add("cargo")
        programs |= {"cargo-lambda"} & outside.installed(parsed)
    lines = tuple(line for name, line in _SAID if name.search(wanted))
    return Promise(lines, tuple(sorted(scripts)), tuple(sorted(programs)))


def keeps(wanted: str, tool: str) -> bool:
    """Whether a stand-in for the image with that name has a tool that no Debian brings."""
    by = {"apk": _ALPINE, "rustup": _RUST}.get(tool)
    return tool.replace(" ", "-") in brings(wanted) or (
        by is not None and by.search(wanted) is not None
    )


def libraries(image: str) -> frozenset[str] | None:
    """Return the names of the shared libraries that an image has; None where its name says
    nothing of them.
    """
    found = _DISTROLESS.search(image)
    return None if found is None else _LIBRARIES[found[1]]
