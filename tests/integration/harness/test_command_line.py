"""The command line of the property tests: bad input gives one clear message and exit code 4."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

import pytest

from harness import process
from harness.engine import Engine

ROOT = Path(__file__).parents[3]
P1 = "properties/test_p1_layer_caching.py"


def pytest_run(*arguments: str, limit: float = 300) -> process.Completed:
    """Run the property tests as a user does."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", P1, *arguments]
    return process.run(argv, limit=limit, cwd=ROOT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dockerfile", "/nowhere/Dockerfile"), "no such Dockerfile: '/nowhere/Dockerfile'"),
        (("--project", "/nowhere"), "no such project: '/nowhere'"),
        (("--project", "README.md"), "not a directory: 'README.md'"),
        (("--project", "docs"), "is not a cargo project"),
        (("--scripts-dir", "/nowhere"), "no such scripts directory: '/nowhere'"),
        (("--engine", "somewhere"), "expected auto, private, found or a URL"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], message: str) -> None:
    done = pytest_run(*arguments)
    assert done.status == 4
    assert message in done.out + done.err
    assert "Traceback" not in done.out + done.err


def test_a_dockerfile_that_does_not_parse_is_quoted_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM rust\nRUM cargo build\n")
    done = pytest_run("--dockerfile", str(bad))
    assert done.status == 4
    assert f"{bad}:2" in done.out + done.err


def test_an_engine_that_does_not_answer_is_an_error_where_one_is_required() -> None:
    done = pytest_run("--engine", "unix:///nowhere.sock", "--require-engine")
    assert done.status == 4
    once = "error: no Docker engine answers at unix:///nowhere.sock\nhint: start Docker"
    again = "error: no Docker engine answers at unix:///nowhere.sock (in full above)"
    assert done.out.partition("short test summary")[0].count(once) == 1
    assert again in done.out
    assert "Traceback" not in done.out


@pytest.mark.parametrize(
    ("locked", "said", "hint"),
    [
        (True, "error: ", "as in [build-args] BIN = 'NAME'"),
        (False, "Cargo.lock", "`cargo generate-lockfile` makes one"),
    ],
)
def test_a_project_that_does_not_build_is_told_apart_from_a_property_that_fails(
    locked: bool, said: str, hint: str, tmp_path: Path, engine: Engine
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text("fn main( {\n")
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "app"\nversion = "0.1.0"\n')
    if locked:
        lock = 'version = 3\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n'
        (tmp_path / "Cargo.lock").write_text(lock)
    good = ROOT / "fixtures" / "dockerfiles" / "good" / "cache-mount.Dockerfile"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = pytest_run("--project", str(tmp_path), "--dockerfile", str(good), "--engine", engine.url)
    assert done.status == 4, done.out
    assert f"'{tmp_path}' does not build with {good}" in done.out
    assert said in done.out
    assert hint in " ".join(done.out.split())
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_what_judges_the_scripts_is_skipped_where_the_project_lies_in_a_folder(
    engine: Engine,
) -> None:
    path = ROOT / "fixtures" / "dockerfiles" / "good" / "project-in-a-folder.Dockerfile"
    chosen = ("-k", "by_the_scripts", "-rs", "-n0", "--engine", engine.url)
    done = pytest_run("--dockerfile", str(path), *chosen)
    assert done.status == 0, done.out
    assert "takes the project from services/api/, and scripts build one in the root" in done.out
    assert "1 skipped" in done.out


P8 = "properties/test_p8_image_minimality.py"
INSTALLS = "RUN apt-get update && apt-get install -y --no-install-recommends hello\n"
PLAIN = """\
FROM rust:1.85-slim-bookworm AS base
WORKDIR /app

FROM base AS deps
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && echo 'fn main() {}' > src/main.rs && cargo build --release --locked && rm -rf src

FROM deps AS build
COPY src ./src
RUN touch src/main.rs && cargo build --release --locked && strip target/release/app

FROM debian:bookworm-slim
COPY --from=build /app/target/release/app /usr/local/bin/app
USER 1000
ENTRYPOINT ["/usr/local/bin/app"]
"""


def pytest_p8(path: Path, test: str = "") -> process.Completed:
    """Run P8 on generated projects with a Dockerfile, in one process."""
    argv = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    return process.run([*argv, f"{P8}{test}", f"--dockerfile={path}"], limit=600, cwd=ROOT)


@pytest.mark.parametrize(
    ("edit", "where", "message"),
    [
        (
            (
                "WORKDIR /app\n",
                "WORKDIR /app\nCOPY --from=registry.invalid/tool:1 /tool /tool\n",
            ),
            "Dockerfile:3",
            "files are taken from the image 'registry.invalid/tool:1', which cannot be had",
        ),
        (
            (
                "rust:1.85-slim-bookworm AS base\n",
                "registry.invalid/leptos:1 AS base\nRUN cargo leptos --version\n",
            ),
            "Dockerfile:2",
            "the image 'registry.invalid/leptos:1' cannot be had, and what stands in for it "
            "has no `cargo leptos`",
        ),
        (
            (
                "FROM rust:1.85-slim-bookworm AS base\n",
                "# syntax=registry.invalid/dockerfile:1-labs\nFROM rust:1.85 AS base\n"
                "COPY --parents Cargo.toml /manifests/\n",
            ),
            "Dockerfile",
            "the frontend registry.invalid/dockerfile:1-labs cannot be had, and the engine's own "
            "does not read the Dockerfile",
        ),
        (
            ("COPY Cargo.toml Cargo.lock ./\n", "COPY lambda/Cargo.toml other/Cargo.lock ./\n"),
            "",
            "no generated project fits",
        ),
    ],
)
def test_what_nothing_can_stand_in_for_is_told_apart_from_a_violation(
    tmp_path: Path, engine: Engine, edit: tuple[str, str], where: str, message: str
) -> None:
    old, new = edit
    path = tmp_path / "Dockerfile"
    text = PLAIN.replace("COPY src ", "COPY lambda/src ") if "lambda" in new else PLAIN
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    done = pytest_run("--dockerfile", str(path), "--engine", engine.url, "-n0")
    assert done.status == 4, done.out
    assert message in done.out
    assert where in done.out
    assert "Traceback" not in done.out


def test_a_dockerfile_of_another_frontend_is_built_on_an_engine_that_reads_it() -> None:
    """Heredocs and `--link`, a `# syntax=` line out of reach, a base that runs as nonroot."""
    done = pytest_p8(ROOT / "fixtures" / "dockerfiles" / "newer" / "heredocs.Dockerfile")
    assert done.status == 0, done.out + done.err
    assert "3 passed" in done.out


def test_a_dockerfile_that_installs_packages_gets_a_network(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(PLAIN.replace("WORKDIR", f"{INSTALLS}WORKDIR", 1))
    done = pytest_p8(tmp_path / "Dockerfile", "::test_the_image_holds_the_binary_and_its_needs")
    assert done.status == 0, done.out + done.err
    assert "1 passed" in done.out


def test_alpines_packages_and_accounts_are_made_on_a_stand_in() -> None:
    path = ROOT / "fixtures" / "dockerfiles" / "downloading" / "alpine-packages.Dockerfile"
    done = pytest_p8(path)
    assert done.status == 0, done.out + done.err
    assert "3 passed" in done.out


def test_a_property_that_fails_ends_in_its_report_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "Dockerfile"
    path.parent.mkdir()
    path.write_text(PLAIN.replace("USER 1000\n", ""))
    done = pytest_p8(path, "::test_the_image_holds_the_binary_and_its_needs")
    assert done.status == 1, done.out + done.err
    assert "Property 8: final image minimality" in done.out
    assert "The production image breaks 1 rule(s): the program does not run as root" in (
        done.out.replace(", first", "")
    )
    assert f"{path}:\n" in done.out
    assert f"Again: pytest {P8}::test_the_image" in done.out
    assert shlex.quote(f"--dockerfile={path}") in done.out
    for word in ("Traceback", "judge.py", "@given", "reproduce_failure"):
        assert word not in done.out


def test_a_project_of_several_binaries_is_judged_and_never_touched(tmp_path: Path) -> None:
    """Its own settings name the binary; the dev container is judged on generated projects."""
    project = tmp_path / "my lambda"
    shutil.copytree(ROOT / "fixtures" / "hello-offline", project, ignore=lambda *_: {"target"})
    (project / "src" / "bin").mkdir()
    (project / "src" / "bin" / "other.rs").write_text('fn main() { println!("other"); }\n')
    (project / "layerproof.toml").write_text('[build-args]\nBIN = "other"\n')
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    argv = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    lock = "properties/test_p4_source_mount.py::test_a_build_never_rewrites_the_lock_file"
    image = f"{P8}::test_the_image_holds_the_binary_and_its_needs"
    done = process.run([*argv, image, lock, f"--project={project}"], limit=600, cwd=ROOT)
    assert done.status == 0, done.out + done.err
    assert "2 passed" in done.out
    assert before == {path: path.stat().st_mtime_ns for path in project.rglob("*")}


def test_what_is_seen_once_is_told_as_what_is_seen_twice(tmp_path: Path, engine: Engine) -> None:
    """Hypothesis runs a scenario that fails once more; an exception group tells nobody anything."""
    build = shutil.copytree(ROOT / "fixtures" / "scripts" / "plain", tmp_path / "build")
    script = build / "scripts" / "dev-container.sh"
    call = 'exec docker exec --interactive "$name"'
    first = f"! mkdir {shlex.quote(str(tmp_path / 'said'))} 2>/dev/null || echo first; "
    assert script.read_text().count(call) == 1
    script.write_text(script.read_text().replace(call, first + call))
    tests = ("properties/test_p4_source_mount.py", "-k", "sees_what_the_host_has")
    argv = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests]
    argv += ["--engine", engine.url, f"--scripts-dir={script.parent}"]
    done = process.run(argv, limit=300, cwd=ROOT)
    assert done.status == 1, done.out
    assert "`exec` wrote something else to its output than the command did." in done.out
    assert "Seen once, and not when the same scenario was run again" in done.out
    assert "Traceback" not in done.out
