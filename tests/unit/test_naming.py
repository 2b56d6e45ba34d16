"""naming and texts: what a Dockerfile calls its program, and the flags that it sets."""

from __future__ import annotations

import pytest

from harness import dockerfile, naming, texts

LAMBDA_IMAGE = """\
ARG RUNTIME=public.ecr.aws/lambda/provided:al2023
FROM rust AS build
RUN cargo build
FROM ${RUNTIME}
COPY --from=build /target/release/app %s
CMD ["function.handler"]
"""
TWO_SERVICES = """\
FROM rust:1 AS build
COPY . .
RUN cargo build --release --locked
FROM debian:bookworm-slim AS worker
COPY --from=build /target/release/worker /worker
FROM debian:bookworm-slim AS api
COPY --from=build /target/release/api /api
"""


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("ENV PATH=/a", ""),
        ('ENV RUSTFLAGS="-C strip=symbols" OTHER=b', '"-C strip=symbols"'),
        ("ENV CARGO_BUILD_RUSTFLAGS -Copt-level=3", "-Copt-level=3"),
        ("ARG RUSTFLAGS=-Cstrip=symbols", ""),
    ],
)
def test_flags_that_hold_in_a_container_are_those_of_the_environment(text: str, flags: str) -> None:
    assert texts.compiler_flags(dockerfile.parse(f"FROM rust\n{text}\n")) == flags


@pytest.mark.parametrize(
    ("text", "speaks"),
    [
        ("RUN cargo build --release && strip target/release/app", True),
        ("RUN llvm-strip -o /a /b", True),
        ("ENV CARGO_PROFILE_RELEASE_STRIP=none", True),
        ('ENV RUSTFLAGS="-C link-arg=-s"', True),
        ("RUN install -Ds target/release/app /app", True),
        ("RUN cargo build --release --config profile.release.strip=true", True),
        ("RUN <<EOF\nstrip_binary /a\nEOF", True),
        ("RUN curl -L x | tar xz --strip-components=1", False),
        ("RUN install -m 755 a b && cargo build # nothing is stripped", False),
        ("COPY descriptions stripes/", False),
    ],
)
def test_stripping_is_spoken_of_in_many_words(text: str, speaks: bool) -> None:
    assert texts.speaks_of_stripping(dockerfile.parse(f"FROM rust\n{text}\n")) is speaks


@pytest.mark.parametrize(
    ("destination", "program"),
    [
        ("${LAMBDA_RUNTIME_DIR}/bootstrap", "/var/runtime/bootstrap"),
        ("$LAMBDA_TASK_ROOT/bootstrap", "/var/task/bootstrap"),
        ("./bootstrap", "/var/task/bootstrap"),
        ("/opt/other", None),
    ],
)
def test_the_program_of_a_lambda_image_is_its_bootstrap(
    destination: str, program: str | None
) -> None:
    parsed = dockerfile.parse(LAMBDA_IMAGE % destination)
    assert naming.program_of(parsed) == program


def test_the_program_of_another_image_is_what_its_entry_point_names() -> None:
    text = (LAMBDA_IMAGE % "./bootstrap").replace("public.ecr.aws/lambda/provided", "debian")
    assert naming.program_of(dockerfile.parse(text)) is None


def test_a_build_argument_that_is_given_names_the_binary() -> None:
    text = "FROM rust\nARG BIN=\nARG NAME=one\nCOPY . .\nRUN cargo build --bin $NAME\n"
    parsed = dockerfile.parse(text)
    assert naming.binary_of(parsed) == "one"
    assert naming.binary_of(parsed, {"NAME": "two"}) == "two"
    assert naming.binary_of(parsed, {"BIN": "three"}) == "three"


@pytest.mark.parametrize(
    ("path", "binary"),
    [
        ("target/${PROFILE}/bootstrap", "bootstrap"),
        ("target/$TARGET/$PROFILE/bootstrap", "bootstrap"),
        ("/src/target/$TARGET/release/bootstrap", "bootstrap"),
    ],
)
def test_a_binary_is_named_behind_a_variable_of_its_path(path: str, binary: str) -> None:
    text = f"FROM rust\nCOPY . .\nRUN cargo build && install {path} /out/it\n"
    assert naming.binary_of(dockerfile.parse(text)) == binary


def test_a_binary_that_cargo_installs_is_called_what_is_copied() -> None:
    text = (
        "FROM rust AS build\nCOPY . .\nRUN cargo install --path . --root /out\n"
        "FROM debian\nCOPY --from=build /out/bin/handler /bootstrap\n"
    )
    assert naming.binary_of(dockerfile.parse(text)) == "handler"


@pytest.mark.parametrize(
    ("copied", "started"),
    [
        ("/out /", '["/bin/hello"]'),
        ("/out/ /usr/", '["/sbin/tini", "--", "/usr/bin/hello"]'),
        ("/out/bin/ /opt", "/opt/hello --port 80"),
    ],
)
def test_of_a_folder_that_cargo_installs_into_the_program_is_what_is_started(
    copied: str, started: str
) -> None:
    text = (
        "FROM rust AS build\nCOPY . .\nRUN cargo install --path . --root /out\n"
        f"FROM scratch\nCOPY --from=build {copied}\nENTRYPOINT {started}\n"
    )
    assert naming.binary_of(dockerfile.parse(text)) == "hello"


def test_a_folder_that_is_copied_into_an_image_of_lambda_holds_its_program() -> None:
    text = (
        "FROM public.ecr.aws/lambda/provided:al2023 AS base\nFROM rust AS build\n"
        'FROM base\nCOPY --from=build /out/ /var/runtime/\nCMD ["bootstrap"]\n'
    )
    assert naming.program_of(dockerfile.parse(text)) == "/var/runtime/bootstrap"
    moved = text.replace("COPY --from=build /out/ /var/runtime/", "{}")
    moved = moved.format("WORKDIR ${LAMBDA_RUNTIME_DIR}\nCOPY --from=build /out/app ./bootstrap")
    assert naming.program_of(dockerfile.parse(moved)) == "/var/runtime/bootstrap"


def test_the_binary_is_that_of_the_stage_that_is_built() -> None:
    parsed = dockerfile.parse(TWO_SERVICES)
    assert naming.binary_of(parsed) == "api"
    assert naming.binary_of(parsed, target="worker") == "worker"


def test_of_the_binaries_that_a_build_copies_together_the_image_has_its_own() -> None:
    text = TWO_SERVICES.replace(
        "--locked", "--locked && cp target/release/api target/release/worker /out/"
    )
    parsed = dockerfile.parse(text.replace("=build /target/release/", "=build /out/"))
    assert naming.binary_of(parsed) == "api"
    assert naming.binary_of(parsed, target="worker") == "worker"
