"""The methods local and native: cargo and rustup of the host, as stubs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.process import Completed
from tests.unit.scripts.build_stubs import zipped
from tests.unit.scripts.shell_stubs import Answer, Shell
from tests.unit.scripts.test_package import X86

TRIPLE = "x86_64-unknown-linux-gnu"
MESSAGES = "--message-format=json-render-diagnostics"
RESOLUTION = 'error: failed to select a version for the requirement `serde = "^9"`\n'


def artifact(path: Path | str, kind: str = "bin") -> str:
    """A message of cargo's, reduced to what is read of it."""
    fields = {
        "reason": "compiler-artifact",
        "target": {"kind": [kind], "name": Path(path).name},
        "executable": str(path) if kind == "bin" else None,
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False) + "\n"


def cargo(shell: Shell, *names: str, triple: str = "", when: str = "*", does: str = ":") -> Answer:
    """Answer as cargo does that builds these binaries."""
    directory = shell.project / "target" / triple / "release"
    (shell.root / "elf").write_bytes(X86)
    make = "".join(f'cp "{shell.root}/elf" "{directory / name}"; ' for name in names)
    return Answer(
        when=when,
        out="".join(artifact(directory / name) for name in names),
        err="    Finished `release` profile [optimized] target(s) in 0.10s\n",
        does=f'mkdir -p "{directory}"; {make} {does}',
    )


def build(shell: Shell, *arguments: str, **changes: str) -> Completed:
    return shell.run("build-lambda.sh", *arguments, **changes)


def test_local_builds_for_lambdas_target(project: Shell) -> None:
    project.stub("rustup", Answer(when="target list --installed", out=f"{TRIPLE}\n"))
    project.stub("cargo", cargo(project, "hello", triple=TRIPLE))
    done = build(project, "local")
    assert done.status == 0, done.err
    assert project.calls("cargo") == [["build", "--release", "--target", TRIPLE, MESSAGES]]
    assert zipped(project) == X86


def test_local_honours_target_and_flags(project: Shell) -> None:
    other = "aarch64-unknown-linux-gnu"
    project.stub("rustup", Answer(when="target list --installed", out=f"a\n{other}\nb\n"))
    project.stub("cargo", cargo(project, "hello", triple=other))
    done = build(project, "local", TARGET_ARCH=other, CARGO_FLAGS=" --locked  --features *\n -v")
    assert done.status == 1, "an x86_64 binary for arm64 must be refused"
    assert "is built for x86_64, not for arm64" in done.err
    assert project.calls("cargo") == [
        ["build", "--release", "--target", other, "--locked", "--features", "*", "-v", MESSAGES]
    ]


def test_local_installs_a_missing_target(project: Shell) -> None:
    project.stub(
        "rustup",
        Answer(when="target list --installed", out="wasm32-unknown-unknown\n", times=1),
        Answer(when=f"target add {TRIPLE}", times=1),
    )
    project.stub("cargo", cargo(project, "hello", triple=TRIPLE))
    done = build(project, "local")
    assert done.status == 0
    assert f"[INFO] installing the Rust target {TRIPLE}" in done.err


def test_a_target_that_cannot_be_installed_is_named_with_the_command(project: Shell) -> None:
    project.stub(
        "rustup",
        Answer(when="target list --installed"),
        Answer(when=f"target add {TRIPLE}", err="error: no network\n", status=1),
    )
    project.stub("cargo", Answer(times=0))
    done = build(project, "local")
    assert done.status == 1
    assert f"[ERROR] the Rust target {TRIPLE} is not installed" in done.err
    assert f"hint: rustup target add {TRIPLE}" in done.err


def test_without_rustup_the_compiler_is_asked(project: Shell) -> None:
    libraries = project.root / "libraries"
    libraries.mkdir()
    asked = f"--print target-libdir --target {TRIPLE}"
    project.stub("rustc", Answer(when=asked, out=f"{libraries}\n"))
    project.stub("cargo", cargo(project, "hello", triple=TRIPLE))
    assert build(project, "local").status == 0


def test_native_warns_that_it_is_for_testing(project: Shell) -> None:
    project.stub("cargo", cargo(project, "hello"))
    done = build(project, "native")
    assert done.status == 0, done.err
    assert "[WARNING] native builds are for testing only" in done.err
    assert project.calls("cargo") == [["build", "--release", MESSAGES]]
    assert (project.project / "target/release/hello").exists()
    assert zipped(project) == X86


def test_a_binary_can_be_named(project: Shell) -> None:
    project.stub("cargo", cargo(project, "two"))
    assert build(project, "native", "--bin", "two").status == 0
    assert project.calls("cargo") == [["build", "--release", "--bin", "two", MESSAGES]]


@pytest.mark.parametrize("method", ["local", "native"])
def test_without_cargo_the_exit_code_is_3(project: Shell, method: str) -> None:
    done = build(project, method)
    assert done.status == 3
    assert "cargo is not installed" in done.err
    assert not (project.project / "target").exists()


@pytest.mark.parametrize("method", ["local", "native"])
def test_docker_is_not_asked(project: Shell, method: str) -> None:
    project.stub("docker", Answer(times=0))
    project.stub("rustup", Answer(when="target list --installed", out=f"{TRIPLE}\n"))
    project.stub("cargo", cargo(project, "hello"))
    if method == "native":
        project.stubs.pop("rustup")
    assert build(project, method).status == 0


def test_only_what_this_build_made_is_packaged(project: Shell) -> None:
    project.write("target/release/other").write_bytes(b"stale")
    project.stub("cargo", cargo(project, "hello"))
    assert build(project, "native").status == 0
    assert zipped(project) == X86


def test_a_target_directory_elsewhere_is_found(project: Shell) -> None:
    elsewhere = project.root / 'else"where'
    elsewhere.mkdir()
    (elsewhere / "hello").write_bytes(X86)
    project.stub("cargo", Answer(out=artifact(elsewhere / "hello")))
    assert build(project, "native").status == 0
    assert zipped(project) == X86


def test_cargo_that_gives_no_messages_is_believed_about_its_places(project: Shell) -> None:
    answer = cargo(project, "hello")
    project.stub("cargo", Answer(does=answer.does))
    assert build(project, "native").status == 0
    assert zipped(project) == X86


def test_a_library_has_nothing_to_package(project: Shell) -> None:
    project.stub("cargo", Answer(out=artifact("/x/libhello.rlib", kind="lib")))
    done = build(project, "native")
    assert done.status == 1
    assert "[ERROR] the project has no binary target" in done.err


LOCK = "version = 4\n# the user's own\n"


def test_a_compile_error_leaves_the_lock_file_alone(project: Shell) -> None:
    """Old bug 3: any compile error deleted the lock file and resolved anew."""
    lock = project.write("Cargo.lock", LOCK)
    before = lock.stat()
    project.stub("cargo", Answer(err="error[E0425]: cannot find value\n", status=101, times=1))
    done = build(project, "native")
    assert done.status == 1
    assert lock.read_text() == LOCK
    assert (lock.stat().st_mtime_ns, lock.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_a_lock_file_that_cargo_rewrites_is_put_back_and_said(project: Shell) -> None:
    lock = project.write("Cargo.lock", LOCK)
    before = lock.stat().st_mtime_ns
    project.stub("cargo", cargo(project, "hello", does="echo changed >Cargo.lock"))
    done = build(project, "native")
    assert done.status == 0
    assert "[WARNING] Cargo.lock does not fit Cargo.toml" in done.err
    assert (lock.read_text(), lock.stat().st_mtime_ns) == (LOCK, before)
    assert not list(project.project.glob(".Cargo.lock*"))


def test_resolution_is_tried_once_more_with_an_empty_cache_of_its_own(project: Shell) -> None:
    home = project.root / "cargo-home"
    home.mkdir()
    (home / "credentials.toml").touch()
    (home / "registry").mkdir()
    made = cargo(project, "hello")
    retry = 'echo "$CARGO_HOME" >home; ls "$CARGO_HOME" >listing'
    project.stub(
        "cargo",
        Answer(
            out=made.out,
            err=RESOLUTION,
            does=f'if [ "$CARGO_HOME" = "{home}" ]; then exit 101; fi; {retry}; {made.does}',
            times=2,
        ),
    )
    done = build(project, "native", CARGO_HOME=str(home))
    assert done.status == 0, done.err
    assert "trying once more with an empty dependency cache" in done.err
    assert (project.project / "listing").read_text() == "credentials.toml\n"
    assert (home / "registry").is_dir()
    assert not Path((project.project / "home").read_text().strip()).exists()


def test_resolution_that_fails_twice_is_a_failure(project: Shell) -> None:
    project.stub("cargo", Answer(err=RESOLUTION, status=101, times=2))
    done = build(project, "native")
    assert done.status == 1
    assert "failed to select a version" in done.err


def test_a_quiet_failure_still_shows_why(project: Shell) -> None:
    project.stub("cargo", Answer(err="error[E0425]: nope\n", status=101))
    done = build(project, "-q", "native")
    assert (done.status, "error[E0425]: nope" in done.err) == (1, True)


def test_a_rustup_without_a_toolchain_is_told_from_a_compile_error(project: Shell) -> None:
    words = (
        "error: rustup could not choose a version of cargo to run, because one wasn't specified\n"
    )
    project.stub("cargo", Answer(err=words, status=1, times=1))
    done = build(project, "native")
    assert done.status == 1
    assert "rustup has no toolchain" in done.err
    assert "rustup default stable" in done.err
