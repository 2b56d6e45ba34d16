"""rustc, rustup and cargo of images that stand in for Rust's, before stubs of the real ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness import process
from harness.running import bases, promises
from harness.running.promises import SCRIPTS
from tests.unit.scripts.shell_stubs import Answer, Shell

HOST = "x86_64-unknown-linux-gnu"
MUSL = "x86_64-unknown-linux-musl"
STATIC = "-C target-feature=+crt-static"
SAYS = Answer(when="-vV", out=f"rustc 1.85.1\nhost: {HOST}\nrelease: 1.85.1\n")
TOO_NEW = (
    "error: cannot install package `tool 2.0.0`, it requires rustc 1.90 or newer, while the "
    "currently active rustc version is 1.85.1\n`tool 1.2.3` supports rustc 1.80\n"
)
LOCKS_TOO_NEW = (
    "error: failed to compile `cargo-chef v9.0.0`\n\nCaused by:\n"
    "  rustc 1.85.1 is not supported by the following packages:\n    x@1.0.0 requires rustc 1.88\n"
)


def run(shell: Shell, line: str, *, path: str = "", **variables: str) -> process.Completed:
    """Run a program of a stand-in whose absolute paths lead below the test's own directory."""
    name, *arguments = shlex.split(line)
    own = shell.root / "own"
    own.mkdir(exist_ok=True)
    text = (SCRIPTS / name).read_text().replace("/usr/bin/", f"{shell.root}/stubs/")
    for folder in ("/etc/alpine-release", "/.cargo/", "/opt/"):
        text = text.replace(folder, f"{shell.root}{folder}")
    program = own / name.partition("-")[0]
    program.write_text(text)
    program.chmod(0o755)
    environment = shell.environment(PATH=f"{path}{shell.path}", **variables)
    return process.run([str(program), *arguments], limit=60, cwd=shell.project, env=environment)


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ("--crate-name a --crate-type bin -O", "--crate-name a --crate-type bin -O"),
        (f"--target {MUSL} -O", f"--target {HOST} -O {STATIC}"),
        (f"--target={MUSL} -O", f"--target={HOST} -O {STATIC}"),
        (f"--target {MUSL} -C target-feature=-crt-static", None),
        (f"--target {MUSL} -C linker=musl-gcc", f"--target {HOST} -C linker=cc {STATIC}"),
        (f"--print target-list {MUSL}", f"--print target-list {MUSL}"),
        ("-C lto=fat -C opt-level=3", "-C embed-bitcode=no -C opt-level=3"),
        ("-C linker-plugin-lto -Clto", "-C embed-bitcode=no -Cembed-bitcode=no"),
        ("-C link-arg=-fuse-ld=mold", "-C link-arg=-fuse-ld=lld"),
        ("-C link-arg=-Wl,--gc-sections", "-C link-arg=-Wl,--gc-sections"),
    ],
)
def test_rustc_compiles_for_what_is_there(shell: Shell, given: str, passed: str | None) -> None:
    shell.stub("rustc", Answer())
    assert run(shell, f"rustc {given}").status == 0
    wanted = passed if passed is not None else given.replace(MUSL, HOST)
    assert shell.calls("rustc") == [wanted.split()]


@pytest.mark.parametrize(
    ("given", "static"),
    [
        ("--crate-name a --crate-type bin", True),
        ("--crate-name a --crate-type lib", False),
        ("--crate-name build_script_build --crate-type bin", False),
        ("--crate-name m --crate-type proc-macro", False),
    ],
)
def test_on_alpine_programs_are_linked_statically(shell: Shell, given: str, static: bool) -> None:
    (shell.root / "etc").mkdir()
    (shell.root / "etc" / "alpine-release").touch()
    shell.stub("rustc", Answer())
    assert run(shell, f"rustc {given}").status == 0
    assert shell.calls("rustc") == [f"{given} {STATIC if static else ''}".split()]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"rustup target add {MUSL}", 0),
        (f"rustup -q target add --toolchain stable {HOST} {MUSL}", 0),
        ("rustup component add clippy rustfmt", 0),
        ("rustup toolchain install 1.80.0 --profile minimal", 0),
        ("rustup default nightly-2026-01-01", 1),
        ("rustup toolchain install nightly", 1),
        ("rustup +nightly target list", 1),
        ("rustup bogus", 1),
        ("rustup", 1),
    ],
)
def test_rustup_has_one_toolchain(shell: Shell, line: str, status: int) -> None:
    shell.stub("rustc", SAYS)
    done = run(shell, line)
    assert done.status == status, done.err
    assert done.err.startswith("error: ") == (status == 1)


def test_a_target_that_there_is_no_library_for_is_refused(shell: Shell) -> None:
    shell.stub("rustc", SAYS, Answer(when="--print sysroot", out=f"{shell.root}\n"))
    assert "does not support target 'a-b-c'" in run(shell, "rustup target add a-b-c").err
    (shell.root / "lib" / "rustlib" / "a-b-c" / "lib").mkdir(parents=True)
    assert run(shell, "rustup target add a-b-c").status == 0


@pytest.mark.parametrize(
    ("called", "said", "version"),
    [
        ("install tool", TOO_NEW, "1.2.3"),
        ("install --locked cargo-chef", LOCKS_TOO_NEW, promises.CHEF_VERSION),
        ("install --locked other", LOCKS_TOO_NEW, None),
        ("install tool", "error: no network\n", None),
    ],
)
def test_a_tool_for_a_newer_rust_is_installed_in_an_older_version(
    shell: Shell, called: str, said: str, version: str | None
) -> None:
    older = [Answer(when=f"{called} --version {version}", out="there\n")] if version else []
    shell.stub("cargo", *older, Answer(when=called, err=said, status=101, times=1))
    done = run(shell, f"cargo {called}")
    assert (done.status, done.out) == ((0, "there\n") if version else (101, ""))
    assert said in done.err


@pytest.mark.parametrize(
    ("line", "compiled"),
    [
        ("install cargo-lambda --locked", ""),
        ("install --version 1.8.0 cargo-lambda", ""),
        ("install cargo-lambda@1.8.0", ""),
        ("install --locked cargo-lambda just", "install --locked cargo-lambda just"),
        ("install cargo-lambda-extra", "install cargo-lambda-extra"),
        ("install --locked", "install --locked"),
        ("install cargo-lambda --root /tools", "install cargo-lambda --root /tools"),
    ],
)
def test_a_tool_that_is_there_is_not_compiled(shell: Shell, line: str, compiled: str) -> None:
    shell.stub("cargo", Answer())
    home = shell.root / "home"
    assert run(shell, f"cargo {line}", CARGO_HOME=str(home)).status == 0
    assert shell.calls("cargo") == [line.split()]
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "cargo-lambda").touch(0o755)
    assert run(shell, f"cargo {line}", CARGO_HOME=str(home)).status == 0
    assert shell.calls("cargo")[1:] == ([compiled.split()] if compiled else [])


def test_other_calls_of_cargo_are_passed_on(shell: Shell) -> None:
    shell.stub("cargo", Answer(status=7))
    assert run(shell, "cargo build --release").status == 7
    assert shell.calls("cargo") == [["build", "--release"]]


def registry(shell: Shell, line: str) -> process.Completed:
    """Run the build image's cargo, before the stub of the real one."""
    return run(shell, f"cargo-of-registry {line}", path=f"{shell.root}/own:")


@pytest.mark.parametrize("status", [0, 101])
def test_tools_are_installed_with_nothing_in_the_place_of_crates_io(
    shell: Shell, status: int
) -> None:
    configuration = shell.root / ".cargo" / "config.toml"
    configuration.parent.mkdir()
    configuration.write_text("as it was")
    looks = f"! test -e {shlex.quote(str(configuration))} || exit 3"
    shell.stub("cargo", Answer(when="install --locked tool", does=looks, status=status))
    assert registry(shell, "install --locked tool").status == status
    assert configuration.read_text() == "as it was"


def test_the_projects_own_program_is_installed_with_the_crates_that_are_there(
    shell: Shell,
) -> None:
    shell.stub("cargo", Answer(when="install --locked --path ."))
    assert registry(shell, "install --locked --path .").status == 0


def test_crates_are_vendored_from_where_they_lie(shell: Shell) -> None:
    crates = shell.root / bases.REGISTRY_FOLDER.lstrip("/")
    (crates / "alpha-1.0.0").mkdir(parents=True)
    shell.stub("cargo", Answer(when="metadata --format-version 1 --locked"))
    done = registry(shell, "vendor --locked third-party")
    assert (shell.project / "third-party" / "alpha-1.0.0").is_dir()
    assert (crates / "alpha-1.0.0").is_dir()
    assert re.findall(r'^(\S+) = "(.*)"$', done.out, re.MULTILINE) == [
        ("replace-with", "vendored-sources"),
        ("directory", "third-party"),
    ]


def test_a_lock_file_that_does_not_fit_vendors_nothing(shell: Shell) -> None:
    shell.stub("cargo", Answer(when="metadata*", status=101))
    done = registry(shell, "vendor --locked")
    assert (done.status, done.out) == (101, "")
    assert not Path(shell.project, "vendor").exists()
