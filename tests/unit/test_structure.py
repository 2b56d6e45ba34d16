"""Structure checks: each rule finds what it names at its line, and good Dockerfiles pass.

A bad example is a good design with one edit, so that nothing else can be what is found.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import dockerfile
from harness.judging.judge import Judge
from harness.judging.report import PropertyViolation
from harness.model import Dockerfile, File, Tree
from harness.parsing import dockerignore
from harness.structure import checks as structure
from harness.structure.rules import Finding
from properties import records
from properties import test_p1_layer_caching as p1
from properties import test_p5_dependency_invalidation as p5
from properties import test_p8_image_minimality as p8
from properties.story import expect_no_finding

ROOT = Path(__file__).parents[2]
DESIGNS = ROOT / "fixtures" / "dockerfiles" / "designs"
GOOD = [ROOT / "Dockerfile.optimized", *sorted(DESIGNS.iterdir())]
IGNORE = dockerignore.parse("target\n.git\n")


@dataclass(frozen=True)
class Bad:
    """An edit of a good design that one rule must find at the first line that holds `at`."""

    rule: str
    design: str
    old: str
    new: str
    at: str = ""


REGRESSIONS = ROOT / "fixtures" / "dockerfiles" / "regressions.toml"
BAD = [Bad(**entry) for entry in tomllib.loads(REGRESSIONS.read_text())["bad"]]

NEEDS_FILES = {"toolchain-after-dependencies": {"Cargo.lock", "rust-toolchain.toml"}}
NEEDS_OTHERS = {
    "single-stage",
    "ignore-file",
    "lock-file-ignored",
    "build-script-ignored",
    "not-stripped",
}
"""Rules that no edit of a Dockerfile shows."""


def _edited(bad: Bad) -> Dockerfile:
    text = (DESIGNS / f"{bad.design}.Dockerfile").read_text()
    assert bad.old in text
    return dockerfile.parse(text.replace(bad.old, bad.new))


def _line(parsed: Dockerfile, part: str) -> int:
    return parsed.text[: parsed.text.index(part)].count("\n") + 1


def _check(parsed: Dockerfile, rule: str | None = None) -> tuple[Finding, ...]:
    names = NEEDS_FILES.get(rule or "")
    return structure.check(parsed, ignore=IGNORE, files=None if names is None else tree(*names))


def tree(*names: str) -> Tree:
    """Return empty files of these names."""
    return dict.fromkeys(names, File(b""))


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_good_dockerfile_has_no_finding(path: Path) -> None:
    parsed = dockerfile.load(path)
    assert [structure.render(parsed, f) for f in _check(parsed)] == []


@pytest.mark.parametrize("bad", BAD, ids=lambda b: f"{b.rule}-{b.design}")
def test_one_edit_of_a_good_dockerfile_is_found_at_its_line(bad: Bad) -> None:
    parsed = _edited(bad)
    found = [f for f in _check(parsed, bad.rule) if f.rule == bad.rule]
    assert found, [(f.rule, f.line) for f in _check(parsed, bad.rule)]
    if bad.at:
        assert _line(parsed, bad.at) in {f.line for f in found}


def test_every_rule_has_an_example_that_it_finds() -> None:
    tested = {bad.rule for bad in BAD} | NEEDS_OTHERS
    assert tested == {rule.id for rule in structure.RULES}


def test_what_a_finding_says_is_complete() -> None:
    parsed = dockerfile.parse("FROM rust:1.85\nCOPY . .\nRUN cargo build --release\nUSER 1\n")
    finding = next(f for f in structure.check(parsed) if f.rule == "no-dependency-layer")
    assert structure.render(parsed, finding) == (
        "Dockerfile:3: dependencies are compiled in the same RUN as the project's source "
        "[no-dependency-layer]\n"
        "    3 | RUN cargo build --release\n"
        "  why: No cache mount keeps what was compiled: each edit compiles all dependencies anew.\n"
        "  instead: Copy manifests and lock file first, compile the dependencies from them (cargo "
        "chef cook, or cargo build with stand-ins for the source), then copy the source."
    )


def test_a_single_stage_is_found_and_told_apart_from_a_shipped_build_stage() -> None:
    text = "FROM rust:1.85\nCOPY . .\nRUN cargo build --release\nUSER 1\n"
    assert [(f.rule, f.line) for f in structure.check(dockerfile.parse(text))] == [
        ("single-stage", 1),
        ("manifests-after-source", 2),
        ("no-dependency-layer", 3),
    ]


@pytest.mark.parametrize(
    ("ignore", "missing"), [("", ["target/", ".git/"]), ("target", [".git/"]), ("*\n!src", [])]
)
def test_an_ignore_file_must_name_target_and_git(ignore: str, missing: list[str]) -> None:
    parsed = dockerfile.load(DESIGNS / "chef.Dockerfile")
    found = structure.check(parsed, ignore=dockerignore.parse(ignore))
    assert {f.message.split()[0] for f in found if f.rule == "ignore-file"} == set(missing)


def test_an_ignored_lock_file_is_found() -> None:
    parsed = dockerfile.load(DESIGNS / "stubs.Dockerfile")
    found = structure.check(parsed, ignore=dockerignore.parse("target\n.git\n*.lock"))
    assert [f.rule for f in found] == ["lock-file-ignored"]


@pytest.mark.parametrize(
    ("copied", "found"), [("LIES*", True), ("Cargo.*", False), ("*", False), ("NONE*", False)]
)
def test_a_wildcard_is_judged_by_the_files_that_it_selects(copied: str, found: bool) -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text()
    parsed = dockerfile.parse(text.replace("COPY .cargo", f"COPY {copied} /doc/\nCOPY .cargo", 1))
    files = {"Cargo.toml", "Cargo.lock", "LIES MICH.md", "src/main.rs"}
    seen = {f.rule for f in structure.check(parsed, ignore=IGNORE, files=tree(*files))}
    assert ("unneeded-before-dependencies" in seen) is found


@pytest.mark.parametrize(
    ("ignored", "files", "found"),
    [
        ("build*", {"Cargo.toml", "build.rs"}, ["build.rs"]),
        ("build*", {"Cargo.toml", "src/main.rs"}, []),
        ("*\n!Cargo.*\n!src\n!build.rs", {"Cargo.toml", "build.rs"}, []),
        ("**/build.rs", {"Cargo.toml", "a/Cargo.toml", "a/build.rs"}, ["a/build.rs"]),
        ("examples", {"Cargo.toml", "examples/a/Cargo.toml", "examples/a/build.rs"}, []),
    ],
)
def test_a_build_script_that_is_kept_away_is_found(
    ignored: str, files: set[str], found: list[str]
) -> None:
    parsed = dockerfile.load(DESIGNS / "stubs.Dockerfile")
    ignore = dockerignore.parse(f"target\n.git\n{ignored}\n!Cargo.lock")
    seen = structure.check(parsed, ignore=ignore, files=tree(*files))
    told = [f.message for f in seen if f.rule == "build-script-ignored"]
    assert told == [f"the ignore file keeps {path} from the build" for path in found]


@pytest.mark.parametrize(
    ("ignored", "found"), [("build*", True), ("build/", False), ("*\n!Cargo.*\n!src", False)]
)
def test_where_no_project_is_known_it_may_have_a_build_script(ignored: str, found: bool) -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text()
    ignore = dockerignore.parse(f"target\n.git\n{ignored}\n!Cargo.lock")
    whole = dockerfile.parse(text.replace("COPY src src", "COPY . ."))
    seen = structure.check(whole, ignore=ignore)
    assert ("build-script-ignored" in {f.rule for f in seen}) is found
    by_name = structure.check(dockerfile.parse(text), ignore=ignore)
    assert "build-script-ignored" not in {f.rule for f in by_name}


@pytest.mark.parametrize(
    ("copied", "late"), [("", True), ("COPY .carg[o] .cargo/", False), ("COPY .cargo/ x/", False)]
)
def test_a_configuration_that_is_copied_by_a_pattern_is_there(copied: str, late: bool) -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text()
    assert "COPY .cargo .cargo\n" in text
    text = text.replace("COPY src src\n", "COPY . .\n")
    parsed = dockerfile.parse(text.replace("COPY .cargo .cargo\n", f"{copied}\n"))
    files = {"Cargo.toml", "Cargo.lock", ".cargo/config.toml"}
    found = structure.check(parsed, ignore=IGNORE, files=tree(*files))
    assert ("toolchain-after-dependencies" in {f.rule for f in found}) is late


@pytest.mark.parametrize(("mounted", "late"), [(".cargo", False), ("vendor", True)])
def test_a_configuration_that_is_mounted_is_there(mounted: str, late: bool) -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text().replace("COPY .cargo .cargo\n", "")
    text = text.replace("COPY src src\n", "COPY . .\n")
    mount = f"RUN --mount=type=bind,source={mounted},target=/app/{mounted} mkdir src"
    parsed = dockerfile.parse(text.replace("RUN mkdir src", mount))
    files = {"Cargo.toml", "Cargo.lock", ".cargo/config.toml"}
    found = structure.check(parsed, ignore=IGNORE, files=tree(*files))
    assert ("toolchain-after-dependencies" in {f.rule for f in found}) is late


def test_a_recipe_of_cargo_chef_holds_the_configuration() -> None:
    text = (DESIGNS / "chef.Dockerfile").read_text()
    files = tree("Cargo.toml", "Cargo.lock", ".cargo/config.toml")
    found = structure.check(dockerfile.parse(text), ignore=IGNORE, files=files)
    assert "toolchain-after-dependencies" not in {f.rule for f in found}


def test_a_configuration_that_never_comes_along_is_another_matter() -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text().replace("COPY .cargo .cargo\n", "")
    files = tree("Cargo.toml", "Cargo.lock", ".cargo/config.toml")
    found = structure.check(dockerfile.parse(text), ignore=IGNORE, files=files)
    assert "toolchain-after-dependencies" not in {f.rule for f in found}


def test_a_configuration_that_is_copied_by_a_pattern_may_be_late() -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text()
    late = text.replace("COPY .cargo .cargo\n", "").replace(
        "COPY src src\n", "COPY src src\nCOPY .carg[o] .cargo/\n"
    )
    late = late.replace("rust-toolchain.toml", "rust-toolchain*")
    assert "COPY .carg[o]" in late
    assert "rust-toolchain*" in late
    found = structure.check(dockerfile.parse(late), ignore=IGNORE)
    assert "toolchain-after-dependencies" in {f.rule for f in found}


@pytest.mark.parametrize(
    ("image", "pinned"),
    [("debian", False), ("debian:latest", False), ("gcr.io/x/cc-debian12", True)],
)
def test_a_version_may_stand_in_an_images_name(image: str, pinned: bool) -> None:
    text = (DESIGNS / "stubs.Dockerfile").read_text()
    start = "FROM gcr.io/distroless/cc-debian12:nonroot\n"
    assert start in text
    found = structure.check(dockerfile.parse(text.replace(start, f"FROM {image}\n")), ignore=IGNORE)
    assert ("unpinned-base" not in {f.rule for f in found}) is pinned


def test_a_rule_can_be_allowed() -> None:
    parsed = _edited(next(b for b in BAD if b.rule == "runs-as-root"))
    assert structure.check(parsed, ignore=IGNORE, allowed=("runs-as-root",)) == ()


QUIET = [
    "FROM rust:1.85 AS plan\nWORKDIR /a\nCOPY . .\nRUN cargo chef prepare\n"
    "FROM rust:1.85 AS cook\nWORKDIR /a\nCOPY --from=plan /a/recipe.json recipe.json\n"
    "RUN cargo chef cook --release\n"
    "FROM rust:1.85 AS build\nWORKDIR /a\nCOPY . .\nCOPY --from=cook /a/target target\n"
    "COPY --from=cook /usr/local/cargo /usr/local/cargo\nRUN cargo build --release\n"
    "FROM debian:12\nCOPY --from=build /a/target/release/app /app\nCOPY assets /assets\n"
    "COPY ./test_code ./test_code\nUSER 1\nENTRYPOINT [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
    "COPY crates/a/Cargo.toml crates/a/Cargo.toml\n"
    "RUN mkdir -p src crates/a/src && echo 'fn main() {}' > src/main.rs \\\n"
    " && for d in crates/*/src; do echo '' > $d/lib.rs; done \\\n"
    " && cargo build --release && rm -rf src crates/*/src\n"
    "COPY src ./src\nCOPY crates ./crates\n"
    "RUN touch src/main.rs crates/*/src/*.rs && cargo build --release\n"
    "FROM debian:12\nCOPY --from=b /app/target/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nCOPY recipe.json .\nRUN cargo chef cook --release --features server\n"
    "COPY . .\nRUN dx build --release --platform fullstack\n"
    "FROM debian:12\nCOPY --from=b /dist/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nENV SOURCE_DATE_EPOCH=0\nCOPY certs/ca.crt /usr/local/share/ca.crt\n"
    "COPY Cargo.toml Cargo.lock ./\nCOPY crates/a/Cargo.toml crates/a/\nRUN cargo chef cook -r\n"
    "COPY . .\nRUN cargo build -r\nFROM debian:12\nCOPY --from=b /target/release/app /app\nUSER 1\n"
    "ENTRYPOINT [\"/app\"]\n",
    "ARG BUILD_DATE\nFROM scratch\n",
    "FROM rust:1.85 AS plan\nCOPY . .\nRUN cargo chef prepare\n"
    "FROM rust:1.85 AS cook\nCOPY --from=plan /recipe.json .\nRUN cargo chef cook --release\n"
    "FROM rust:1.85 AS b\nRUN apt-get update && apt-get install -y cmake\nCOPY . .\n"
    "COPY --from=cook /target target\nRUN cargo build --release --bin install\n"
    "FROM debian:12\nCOPY --from=b /target/release/install /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /a\nCOPY . .\nRUN rustup target add wasm32-unknown-unknown\n"
    "RUN --mount=type=cache,target=/a/target cargo build -r && cp target/release/a /b\n"
    "FROM debian:12\nCOPY --from=b /b /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.loc[k] build.r[s] ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build --release\n"
    "COPY . .\nRUN touch src/main.rs build.rs && cargo build --release\n"
    "FROM debian:12\nCOPY --from=b /app/target/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nCOPY Cargo.toml Cargo.lock ./\nRUN make deps\nCOPY . .\nRUN make\n"
    "FROM debian:12\nCOPY --from=b /out/app /app\nUSER 1\nENTRYPOINT [\"/app\"]\n",
    "FROM scratch AS all\nCOPY . /\nFROM rust:1.85 AS b\nWORKDIR /app\n"
    "COPY --from=all /Cargo.toml /Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build --release\n"
    "COPY --from=all /src src\nRUN touch src/main.rs && cargo build --release \\\n"
    " && mkdir /root_of && ldd target/release/app | xargs -I {} cp --parents {} /root_of\n"
    "FROM scratch\nCOPY --from=b /root_of/ /\nCOPY --from=b /app/target/release/app /app\n"
    "USER 1\nENTRYPOINT [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build --release\n"
    "COPY src src\nRUN touch src/main.rs && cargo build --release && mkdir /root_of \\\n"
    " && ldd target/release/app >/tmp/needed \\\n"
    " && for l in $(grep -o '/[^ ]*' /tmp/needed); do cp -L --parents \"$l\" /root_of; done\n"
    "FROM scratch\nCOPY --from=b /root_of/ /\nCOPY --from=b /app/target/release/app /app\n"
    "USER 1\nENTRYPOINT [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY . .\n"
    "RUN --mount=type=cache,target=/app/target,sharing=locked bash -euo pipefail <<'EOF'\n"
    "cargo build --release | tee log\ncp target/release/app /app.bin\nEOF\n"
    "FROM debian:12\nCOPY --from=b /app.bin /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM node:20-slim\nRUN npm ci\nUSER node\nCMD [\"node\", \"x.js\"]\n",
    "FROM debian:12\nENV KEY_FILE=/run/secrets/k SSH_AUTH_SOCK=/s CACHE_KEY=a\n"
    "ENV DB_SECRET_ARN=arn:aws:x TOKEN_TTL_SECONDS=3 AUTH_MODE=iam PUBLIC_KEY=a\n"
    "ENV PARTITION_KEY=a RUST_CACHE_KEY=b TOKEN_LENGTH=3\nUSER 1\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY rust-toolchain.toml ./\nRUN rustup show\n"
    "COPY Cargo.toml Cargo.lock ./\nRUN rustup target add wasm32-unknown-unknown\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build --release\n"
    "COPY src src\nRUN touch src/main.rs && cargo install --locked --path .\n"
    "FROM debian:12\nCOPY --from=b /usr/local/cargo/bin/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build -r --target-dir target\n"
    "COPY src src\nRUN touch src/main.rs && cargo build -r --target-dir /app/target/\n"
    "FROM scratch\nCOPY --from=b /lib64/ld-linux-x86-64.so.2 /lib64/\n"
    "COPY --from=b /lib/x86_64-linux-gnu/libc.so.6 /lib/x86_64-linux-gnu/libgcc_s.so.1 /lib/\n"
    "COPY --from=b /app/target/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build -r && rm -r src\n"
    "RUN --mount=type=bind,target=/all cp -r /all/src . && cargo build -r \\\n"
    " && cp target/release/app /\n"
    "FROM debian:12\nCOPY --from=b /app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /stub\nENV CARGO_TARGET_DIR=/t\nCOPY Cargo.toml Cargo.lock ./\n"
    "COPY crates/app/Cargo.toml crates/app/\nRUN mkdir crates/app/src \\\n"
    " && echo 'fn main() {}' >crates/app/src/main.rs && cargo build -r -p app\nWORKDIR /live\n"
    "RUN --mount=type=bind,source=Cargo.toml,target=/in/Cargo.toml \\\n"
    " --mount=type=bind,source=crates,target=/in/crates cp -r /in/. /live/ \\\n"
    " && cargo build -r -p app && cp /t/release/app /app\n"
    "FROM debian:12\nCOPY --from=b /app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nARG FEATURES=\"\"\nARG MODE=release\n"
    "COPY recipe.json ./\nRUN if [ $MODE = release ]; then cargo chef cook -r; \\\n"
    " else cargo chef cook; fi\n"
    "COPY . .\nRUN if [ $MODE = release ]; then \\\n"
    " cargo build -r --features \"$FEATURES\" || { echo failed; exit 1; }; \\\n"
    " else cargo build --features \"$FEATURES\"; fi\n"
    "FROM debian:12\nCOPY --from=b /app/target/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY recipe.json ./\nARG TARGETPLATFORM\n"
    "RUN case $TARGETPLATFORM in */arm64) t=aarch64-unknown-linux-gnu ;; *) t=x86_64 ;; esac \\\n"
    " && echo $t >t && cargo chef cook -r --target $t\n"
    "COPY . .\nRUN cargo build -r --target `cat t | head -1`\n"
    "FROM debian:12\nCOPY --from=b /app/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM scratch AS share\nCOPY templates /share/templates\nCOPY translations /share/words\n"
    "FROM rust:1.85 AS b\nWORKDIR /app\nARG VERGEN_GIT_SHA\nENV VERGEN_GIT_SHA=$VERGEN_GIT_SHA\n"
    "COPY . .\nRUN --mount=type=cache,target=/app/target cargo auditable build -r \\\n"
    " && cp target/release/app /a\n"
    "FROM debian:12\nCOPY --from=b /a /app\nCOPY --from=share /share /share\n"
    "COPY src/run.sh /\nCOPY crates/web/static /static\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS plan\nCOPY . .\nRUN mkdir /plan && cp Cargo.* /plan && mkdir /plan/src \\\n"
    " && echo 'fn main() {}' >/plan/src/main.rs\n"
    "FROM rust:1.85 AS b\nWORKDIR /app\n"
    "RUN --mount=type=bind,from=plan,source=/plan,target=/app cargo build -r --target-dir /t\n"
    "COPY . .\nRUN touch src/main.rs && cargo build -r --target-dir /t\n"
    "FROM debian:12\nCOPY --from=b /t/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM debian:12\nARG APP_UID\nUSER $APP_UID\n",
    "ARG APP_UID=1000\nFROM debian:12\nARG APP_UID\nUSER ${APP_UID}\n",
    "FROM debian:12\nRUN chmod 1777 /tmp && chmod +x /a && chmod 0755 /b\nUSER 1\n",
    "FROM rust:1.85-alpine AS b\nCOPY Cargo.* ./\n"
    "RUN mkdir src; set -e; echo 'fn main(){}'>src/main.rs; cargo build -r || exit 1\n"
    "COPY src src\nARG GIT_SHA\nRUN touch src/main.rs && cargo build -r\n"
    "FROM scratch\nCOPY --from=b /target/release/app /app\nUSER 1\nENTRYPOINT [\"/app\"]\n",
    "FROM rust:1.51.0 AS b\nWORKDIR /app\nCOPY Cargo.* ./\n"
    "RUN mkdir src && echo 'fn main(){}' >src/main.rs && cargo build -r\n"
    "COPY src src\nRUN touch src/main.rs && cargo build -r\n"
    "FROM debian:buster-slim\nCOPY --from=b /app/target/release/app /app\nUSER 1\nCMD [\"/app\"]\n",
    "FROM rust:1.85 AS b\nWORKDIR /app\n"
    "RUN rustup target add x86_64-unknown-linux-musl && mkdir .cargo \\\n"
    " && echo '[build] target = \"x86_64-unknown-linux-musl\"' >.cargo/config.toml\n"
    "COPY Cargo.toml Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main(){}' >src/main.rs && cargo build -r\n"
    "COPY src src\nRUN touch src/main.rs && cargo build -r\n"
    "FROM scratch\nCOPY --from=b /app/target/x86_64-unknown-linux-musl/release/app /app\n"
    "USER 1\nCMD [\"/app\"]\n",
]  # fmt: skip


@pytest.mark.parametrize("text", QUIET)
def test_what_is_not_wrong_is_not_found(text: str) -> None:
    assert [(f.rule, f.line) for f in structure.check(dockerfile.parse(text))] == []


BUILT = (
    "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
    "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build -r --locked\n"
    "COPY src src\nRUN touch src/main.rs && cargo build -r --locked\n"
)


@pytest.mark.parametrize(
    ("shipped", "line"),
    [
        ("FROM debian:12\nRUN {}\nCOPY --from=b /app/target/release/app /app\n", None),
        ("FROM debian:12\nCOPY --from=b /app/target/release/app /app\nRUN {}\n", 9),
        ("FROM debian:12\nCOPY --from=b /etc/ssl /etc/ssl\nRUN {}\n", None),
        (
            "FROM debian:12 AS zip\nCOPY --from=b /app/target/release/app /bootstrap\nRUN {}\n"
            "FROM scratch\nCOPY --from=zip /x.zip /\n",
            9,
        ),
        (
            "FROM scratch AS out\nCOPY --from=b /app/target/release/app /app\n"
            "FROM debian:12\nCOPY --from=out /app /app\nRUN {}\n",
            11,
        ),
        (
            "FROM debian:12 AS run\nRUN {}\nFROM run\nCOPY --from=b /app/target/release/app /app\n",
            None,
        ),
    ],
)
def test_what_is_shipped_is_set_up_above_what_is_built(shipped: str, line: int | None) -> None:
    for command, rule in (
        ("apt-get install -y zip", "packages-below-artifact"),
        ("useradd app", "account-below-artifact"),
    ):
        found = structure.check(dockerfile.parse(BUILT + shipped.format(command)))
        lines = [finding.line for finding in found if finding.rule == rule]
        assert lines == ([] if line is None else [line])


@pytest.mark.parametrize(
    ("record", "rules", "ignored", "image", "says"),
    [
        (records.P1, p1.INSTALLED_AGAIN, "target", "debian:12", "runs again after edits"),
        (records.P5, p5.KEPT_AWAY, "build*", "debian:12", "the ignore file keeps build.rs from"),
        (records.P8, p8.UNABLE_TO_START, "target", "gcr.io/distroless/base", "has no libgcc_s"),
    ],
)
def test_a_property_fails_by_the_rules_that_name_its_promise(
    record: records.Property, rules: set[str], ignored: str, image: str, says: str
) -> None:
    parsed = dockerfile.parse(
        "FROM rust:1.85 AS b\nWORKDIR /app\nCOPY Cargo.toml Cargo.lock ./\n"
        "RUN mkdir src && echo 'fn main() {}' >src/main.rs && cargo build --release --locked\n"
        "COPY . .\nRUN apt-get install -y cmake\n"
        "RUN touch src/main.rs && cargo build --release --locked\n"
        f'FROM {image}\nCOPY --from=b /app/target/release/app /app\nUSER 1\nCMD ["/app"]\n'
    )
    files = {"Cargo.toml", "Cargo.lock", "build.rs", "src/main.rs"}
    found = structure.check(parsed, ignore=dockerignore.parse(ignored), files=tree(*files))
    judge = Judge(record, parsed, "pytest properties")
    with pytest.raises(PropertyViolation) as caught:
        expect_no_finding("It is broken.", rules, found, judge)
    assert str(caught.value).startswith(record.tag)
    assert says in str(caught.value)
    expect_no_finding("It is not.", {"never-heard-of"}, found, judge)


STATIC = """\
FROM rust:1.85-slim-bookworm AS build
COPY . .
RUN cargo build --release
FROM scratch
COPY --from=build /target/release/app /app
ENTRYPOINT ["/app"]
"""


@pytest.mark.parametrize(
    ("files", "silent"),
    [
        ({}, set()),
        ({".cargo/config.toml": b'rustflags = ["-Ctarget-feature=+crt-static"]'}, {"libc-missing"}),
        ({".cargo/config": b'[build]\ntarget = "x86_64-unknown-linux-musl"\n'}, {"libc-missing"}),
        ({"Cargo.lock": b'[[package]]\nname = "app"\n'}, {"no-dependency-layer"}),
        ({"Cargo.toml": b"[profile.release]\nstrip = true\n"}, {"not-stripped"}),
    ],
)
def test_what_the_project_says_is_heard(files: dict[str, bytes], silent: set[str]) -> None:
    """What it configures cargo with, that it has no crates from elsewhere, and that it strips."""
    plain = {
        "Cargo.lock": b'[[package]]\nname = "itoa"\nsource = "registry+x"\n',
        "Cargo.toml": b"[package]\n",
    }
    known = {path: File(content) for path, content in {**plain, **files}.items()}
    found = {f.rule for f in structure.check(dockerfile.parse(STATIC), files=known)}
    asked = {"libc-missing", "no-dependency-layer", "not-stripped"}
    assert found & asked == asked - silent
