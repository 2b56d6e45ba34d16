"""Whatever a Dockerfile says: what is read out of it is read, or refused by an error of ours."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import event, given, settings
from hypothesis import strategies as st

from harness import cache, dockerfile, exported, fitting, for_scripts, outside, subject
from harness.errors import LayerProofError
from harness.judging import foundation
from harness.keys.build_state import BuildState
from harness.keys.context import of_tree
from harness.model import Dockerfile, File
from harness.structure import checks
from harness.texts import compiler_flags

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "dockerfiles"
WRITTEN = [
    ROOT / "Dockerfile.optimized",
    *(p for p in sorted(FIXTURES.rglob("*.Dockerfile")) if p.parent.name != "rejected"),
]
FILES = {"Cargo.toml": File(b"[package]\n"), "Cargo.lock": File(b""), "src/main.rs": File(b"1")}
BEFORE, AFTER = of_tree(FILES), of_tree({**FILES, "src/main.rs": File(b"2")})
"""A build context, and what it is after an edit."""


def pieces(parsed: Dockerfile) -> list[str]:
    """Return the text cut before each instruction, here-documents and comments with it."""
    lines = parsed.text.splitlines()
    begins = [i.line for i in parsed.global_args]
    for stage in parsed.stages:
        begins += [stage.line, *(i.line for i in stage.instructions)]
    return ["\n".join(lines[a - 1 : b - 1]) for a, b in pairwise([*begins, len(lines) + 1])]


PIECES = [pieces(dockerfile.load(path)) for path in WRITTEN]
STEPS = sorted({piece for text in PIECES for piece in text})
"""Every instruction that stands in a Dockerfile of ours."""
ODD = (
    "COPY <<EOF /etc/passwd\nroot:x:0:0::/:/bin/sh\nEOF",
    "COPY <<ONE <<TWO /etc/\n1\nONE\n2\nTWO",
    "COPY --from=0 / /",
    'COPY --from=build --link ["a b", "c", "/d/"]',
    "COPY . .",
    "COPY *.rs $WHERE/",
    "ADD https://example.invalid/tool.tar.gz /opt/",
    "ADD --checksum=sha256:0 https://example.invalid/x /x",
    "RUN <<EOF\nset -e\ncargo build --release\nEOF",
    "RUN <<-'EOF' bash -e\n\tcargo build\n\tEOF",
    'RUN ["cargo", "build"]',
    "RUN []",
    "RUN cargo build --release | tee log",
    "RUN cargo build && ( cd x ; cargo build ) || { true ; }",
    "RUN cp -r /a /b && rm -rf /b/* && mv /b /c",
    'RUN for f in $(ls); do cargo build -p "$f"; done',
    "RUN --mount=type=bind,target=.,rw --mount=type=cache,target=target cargo build --release",
    "RUN --mount=type=secret,id=x,env=TOKEN true",
    "RUN --mount=type=bind,from=nowhere,source=/x,target=/y cargo build",
    "ENTRYPOINT []",
    "ENTRYPOINT exec /app",
    "CMD []",
    'CMD [""]',
    "USER $NOBODY",
    "WORKDIR $A/b",
    "ARG A B=1 C",
    'ENV A=1 B="2 3" C=$A',
    "ENV OLD form of it",
    'SHELL ["/bin/bash", "-o", "pipefail", "-c"]',
    "SHELL []",
    "ONBUILD COPY . .",
    "ONBUILD RUN cargo build",
    "HEALTHCHECK NONE",
    "VOLUME /target",
    'LABEL a=b "c d"="e"',
    "MAINTAINER somebody",
    "STOPSIGNAL SIGKILL",
    "EXPOSE 80/tcp",
    "FROM scratch",
    "FROM build AS again",
    "FROM ${BASE:-rust} AS x",
    "FROM --platform=$BUILDPLATFORM rust AS y",
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw the text of one of our Dockerfiles with some of its instructions gone, others added."""
    text = list(draw(st.sampled_from(PIECES)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        text[at : at + draw(st.integers(0, 2))] = [draw(st.sampled_from(ODD + tuple(STEPS)))]
    return "\n".join(text) + "\n"


def read_out(parsed: Dockerfile) -> None:
    """Ask for all that is told of a Dockerfile before anything is built."""
    described = subject.describe(parsed, scripts=ROOT)
    checks.check(parsed)
    foundation.foundation(parsed)
    foundation.dependencies(parsed)
    foundation.keeps_compiled_crates(parsed)
    foundation.made_of_the_source(parsed)
    exported.with_runtime(parsed)
    dockerfile.parse(for_scripts.fitted(parsed, described))
    compiler_flags(parsed)
    fitting.project_elsewhere(parsed)
    outside.vendors(parsed)
    outside.downloads(parsed)
    for stage in parsed.stages:
        subject.compiles(parsed, stage.index)
    subject.bases(parsed, described.options.build_args)
    cache.predict([BuildState(parsed, BEFORE)], BuildState(parsed, AFTER))


@settings(max_examples=400)
@given(texts())
def test_what_a_dockerfile_says_is_read_or_refused(text: str) -> None:
    try:
        read_out(dockerfile.parse(text))
    except LayerProofError as error:
        event(f"refused: {type(error).__name__}")
    else:
        event("read")


def test_a_file_that_is_written_in_the_dockerfile_has_no_source() -> None:
    here = ("COPY <<EOF /etc/passwd\nroot:x:0:0::/:/bin/sh\nEOF", "RUN rm /etc/passwd")
    text = "\n".join(("FROM debian", *here, 'ENTRYPOINT ["/app"]', ""))
    found = {finding.rule for finding in checks.check(dockerfile.parse(text))}
    assert "deleted-in-later-layer" in found
