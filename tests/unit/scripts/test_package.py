"""scripts/lib/package.sh: the deployment package."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from pathlib import Path

import pytest

from harness.process import Completed
from tests.unit.scripts.shell_stubs import Answer, Shell

X86 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + bytes(44)
ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\xb7\x00" + bytes(44)


def binary(shell: Shell, name: str = "hello", content: bytes = X86) -> str:
    file = shell.write(f"target/release/{name}")
    file.write_bytes(content)
    file.chmod(0o755)
    return f"target/release/{name}"


def package(shell: Shell, *files: str, level: str = "9", architecture: str = "") -> Completed:
    return shell.call("package_binaries", level, architecture, *files)


def entries(zip_file: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(zip_file) as opened:
        assert opened.testzip() is None
        return opened.infolist()


@pytest.mark.parametrize("size", [1, 2, 255, 256, 65_535, 65_536, 1_000_003])
@pytest.mark.parametrize("level", ["1", "9"])
def test_the_zip_holds_the_binary_and_nothing_else(shell: Shell, size: int, level: str) -> None:
    content = os.urandom(size // 2) + b"a" * (size - size // 2)
    file = shell.write("in")
    file.write_bytes(content)
    out = shell.project / "out.zip"
    assert shell.call("write_zip", str(file), str(out), level).status == 0
    (entry,) = entries(out)
    assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", stat.S_IFREG | 0o755)
    assert (entry.date_time, entry.extra, entry.create_system) == ((1980, 1, 1, 0, 0, 0), b"", 3)
    assert zipfile.ZipFile(out).read("bootstrap") == content
    assert not (shell.project / "out.zip.gz").exists()


def test_an_empty_binary_gives_a_zip_too(shell: Shell) -> None:
    file = shell.write("in")
    assert shell.call("write_zip", str(file), "out.zip", "9").status == 0
    assert zipfile.ZipFile(shell.project / "out.zip").read("bootstrap") == b""


def test_the_bytes_depend_on_the_binary_alone(shell: Shell) -> None:
    zips = []
    for mtime, mode, umask in ((1, 0o755, "022"), (2_000_000_000, 0o600, "077")):
        file = shell.write("in", "content")
        file.chmod(mode)
        os.utime(file, (mtime, mtime))
        shell.call("write_zip", "in", "out.zip", "9", before=f"umask {umask}", TZ="Asia/Tokyo")
        zips.append((shell.project / "out.zip").read_bytes())
    assert zips[0] == zips[1]


def test_a_users_gzip_options_do_not_reach_the_zip(shell: Shell) -> None:
    shell.write("in", "content")
    shell.call("write_zip", "in", "plain.zip", "9")
    shell.call("write_zip", "in", "other.zip", "9", GZIP="--name --rsyncable")
    assert (shell.project / "plain.zip").read_bytes() == (shell.project / "other.zip").read_bytes()


def test_one_binary_makes_the_package_that_terraform_expects(shell: Shell) -> None:
    done = package(shell, binary(shell))
    assert done.status == 0, done.err
    bootstrap = shell.project / "lambda-package/bootstrap"
    assert bootstrap.read_bytes() == X86
    assert stat.S_IMODE(bootstrap.stat().st_mode) == 0o755
    assert [e.filename for e in entries(shell.project / "lambda-deployment.zip")] == ["bootstrap"]
    assert re.fullmatch(r"\[SUCCESS\] package ready: lambda-deployment.zip \(\d+ KiB\)\n", done.err)


def test_several_binaries_make_one_package_each_and_bin_is_named(shell: Shell) -> None:
    done = package(shell, binary(shell, "one"), binary(shell, "two", X86 + b"2"))
    assert "[WARNING] 2 binaries and none named" in done.err
    assert "--bin" in done.err
    for name, content in (("one", X86), ("two", X86 + b"2")):
        assert (shell.project / f"lambda-package/{name}/bootstrap").read_bytes() == content
        zipped = zipfile.ZipFile(shell.project / f"lambda-deployment-{name}.zip")
        assert zipped.read("bootstrap") == content
    assert not (shell.project / "lambda-deployment.zip").exists()


def test_two_binaries_of_one_name_are_refused(shell: Shell) -> None:
    """Else the second would overwrite the first."""
    shell.write("a/same").write_bytes(X86)
    shell.write("b/same").write_bytes(X86)
    done = package(shell, "a/same", "b/same")
    assert done.status == 1
    assert "two binaries are called same" in done.err
    assert not list(shell.project.glob("*.zip"))


def test_an_unchanged_package_is_not_made_again(shell: Shell) -> None:
    file = binary(shell)
    package(shell, file)
    before = (shell.project / "lambda-deployment.zip").stat()
    done = package(shell, file)
    after = (shell.project / "lambda-deployment.zip").stat()
    assert "package unchanged" in done.err
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda p: (p / "lambda-deployment.zip").write_bytes(b"not a zip"),
        lambda p: (p / "lambda-deployment.zip").unlink(),
        lambda p: (p / "lambda-package/bootstrap").write_bytes(b"stale"),
        lambda p: (p / "lambda-package/bootstrap").chmod(0o644),
        lambda p: (p / "lambda-package/bootstrap").unlink(),
    ],
)
def test_a_package_that_was_tampered_with_is_made_again(shell: Shell, spoil: object) -> None:
    file = binary(shell)
    package(shell, file)
    good = (shell.project / "lambda-deployment.zip").read_bytes()
    assert callable(spoil)
    spoil(shell.project)
    assert package(shell, file).status == 0
    assert (shell.project / "lambda-deployment.zip").read_bytes() == good
    bootstrap = shell.project / "lambda-package/bootstrap"
    assert (bootstrap.read_bytes(), stat.S_IMODE(bootstrap.stat().st_mode)) == (X86, 0o755)


def test_entries_of_an_earlier_zip_do_not_stay(shell: Shell) -> None:
    with zipfile.ZipFile(shell.project / "lambda-deployment.zip", "w") as old:
        old.writestr("stale", "x")
    package(shell, binary(shell))
    assert [e.filename for e in entries(shell.project / "lambda-deployment.zip")] == ["bootstrap"]


@pytest.mark.parametrize(
    "tool", ["gzip", "head", "tail", "cp", "wc", "od"], ids=lambda name: f"{name} fails"
)
def test_a_package_that_cannot_be_made_leaves_the_previous_one(shell: Shell, tool: str) -> None:
    package(shell, binary(shell))
    zip_file = shell.project / "lambda-deployment.zip"
    bootstrap = shell.project / "lambda-package/bootstrap"
    before = zip_file.read_bytes(), bootstrap.read_bytes()
    file = binary(shell, content=X86 + b"new")
    shell.stub(tool, Answer(err="No space left on device\n", status=1))
    done = shell.call("package_binaries", "9", "", file, before="trap remove_staging EXIT")
    assert done.status != 0
    assert "SUCCESS" not in done.err
    assert (zip_file.read_bytes(), bootstrap.read_bytes()) == before
    assert sorted(p.name for p in bootstrap.parent.iterdir()) == ["bootstrap"]


def test_a_zip_cut_short_by_a_full_disk_is_noticed(shell: Shell) -> None:
    file = shell.write("in", "content" * 1000)
    done = shell.call(
        "write_zip", str(file), "out.zip", "9", before='head() { command head -c 20 "$3"; }'
    )
    assert done.status != 0


def test_a_full_disk_is_noticed(shell: Shell) -> None:
    file = shell.write("in", "content")
    before = "mv() { :; }; rm() { :; }"
    done = shell.call("write_zip", str(file), "/dev/full", "9", before=before)
    assert done.status != 0


@pytest.mark.parametrize(
    ("content", "architecture"), [(X86, "x86_64\n"), (ARM, "arm64\n"), (b"#!/bin/sh\n", "")]
)
def test_the_architecture_is_read_from_the_binary(
    shell: Shell, content: bytes, architecture: str
) -> None:
    assert shell.call("elf_architecture", binary(shell, content=content)).out == architecture


def test_a_binary_of_another_architecture_than_asked_for_is_refused(shell: Shell) -> None:
    done = package(shell, binary(shell, content=ARM), architecture="x86_64")
    assert done.status != 0
    assert "target/release/hello is built for arm64, not for x86_64" in done.err
    assert not (shell.project / "lambda-deployment.zip").exists()


def test_what_is_no_linux_executable_is_packaged_with_a_warning(shell: Shell) -> None:
    done = package(shell, binary(shell, content=b"Mach-O"))
    assert done.status == 0
    assert "[WARNING] target/release/hello is no Linux executable" in done.err


def test_leftovers_of_killed_runs_are_removed_and_those_of_live_ones_are_not(shell: Shell) -> None:
    (shell.project / "lambda-package/.staging.999999999").mkdir(parents=True)
    (shell.project / "target/.layerproof/out.999999999/bin").mkdir(parents=True)
    live = shell.project / f"lambda-package/.staging.{os.getpid()}"
    live.mkdir()
    assert shell.call("remove_staging").status == 0
    assert sorted(p.name for p in (shell.project / "lambda-package").iterdir()) == [live.name]
    assert not (shell.project / "target").exists()


def test_clean_removes_the_outputs_and_nothing_else(shell: Shell) -> None:
    kept = ["src/main.rs", "Cargo.lock", "lambda-deployment.zip.bak", "my.zip", "targets/x"]
    gone = ["target/release/x", "lambda-package/bootstrap", "lambda-deployment.zip"]
    for name in [*kept, *gone, "lambda-deployment-one.zip"]:
        shell.write(name)
    assert shell.call("clean_outputs").status == 0
    left = {str(p.relative_to(shell.project)) for p in shell.project.rglob("*") if p.is_file()}
    assert left == set(kept)
