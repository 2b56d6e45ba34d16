"""What cargo cannot see by a file's date is compiled all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.container.conftest import Checkout, main_rs


def put_back(file: Path, text: str, like: os.stat_result) -> None:
    """Write a file the way an archive or rsync does: with the mtime it once had."""
    beside = file.with_name("beside")
    beside.write_text(text)
    os.utime(beside, ns=(like.st_atime_ns, like.st_mtime_ns))
    beside.rename(file)


def test_a_file_put_back_with_its_old_date_is_compiled(checkout: Checkout) -> None:
    source = checkout.path / "src/main.rs"
    old = source.stat()
    checkout.must("build")
    checkout.write("src/main.rs", main_rs("two"))
    checkout.must("build")
    assert checkout.answer() == "two 1"
    put_back(source, main_rs("one"), old)
    built = checkout.must("build")
    assert checkout.answer() == "one 1"
    assert "Compiling tiny" not in built.err
    assert source.stat().st_mtime_ns == old.st_mtime_ns


def test_negative_control_cargo_alone_does_not_see_it(checkout: Checkout) -> None:
    """If cargo saw it, the test above would prove nothing."""
    source = checkout.path / "src/main.rs"
    old = source.stat()
    checkout.must("build")
    checkout.write("src/main.rs", main_rs("two"))
    checkout.must("build")
    put_back(source, main_rs("one"), old)
    by_cargo = checkout.must("exec", "--", "cargo", "run", "--quiet", "--offline")
    assert by_cargo.out.strip() == "two 1"


def test_a_renamed_folder_is_compiled(checkout: Checkout) -> None:
    other = checkout.path / "src-other"
    other.mkdir()
    (other / "main.rs").write_text(main_rs("other"))
    os.utime(other / "main.rs", ns=(0, 0))
    checkout.must("build")
    (checkout.path / "src").rename(checkout.path / "src-first")
    other.rename(checkout.path / "src")
    checkout.must("build")
    assert checkout.answer() == "other 1"
    (checkout.path / "src").rename(other)
    (checkout.path / "src-first").rename(checkout.path / "src")
    checkout.must("build")
    assert checkout.answer() == "one 1"


def test_a_build_script_whose_input_was_put_back_runs_again(checkout: Checkout) -> None:
    checkout.write("word.txt", "first")
    checkout.write(
        "build.rs",
        'fn main() { println!("cargo:rerun-if-changed=word.txt");'
        ' println!("cargo:rustc-env=WORD={}",'
        ' std::fs::read_to_string("word.txt").unwrap()); }\n',
    )
    checkout.write("src/main.rs", 'fn main() { println!("{}", env!("WORD")); }\n')
    old = (checkout.path / "word.txt").stat()
    checkout.must("build")
    checkout.write("word.txt", "second")
    checkout.must("build")
    assert checkout.answer() == "second"
    put_back(checkout.path / "word.txt", "first", old)
    checkout.must("build")
    assert checkout.answer() == "first"


def test_a_changed_vendored_crate_is_compiled_and_one_merely_written_again_is_not(
    checkout: Checkout,
) -> None:
    checkout.must("build")
    same = checkout.path / "vendor/tiny/src/lib.rs"
    same.write_text(same.read_text())
    assert "Compiling" not in checkout.must("build").err
    same.write_text("pub fn number() -> u32 { 2 }\n")
    checkout.must("build")
    assert checkout.answer() == "one 2"


@pytest.mark.parametrize("member", ["util", "util-x"])
def test_in_a_workspace_the_members_are_compiled(checkout: Checkout, member: str) -> None:
    manifest = checkout.path / "Cargo.toml"
    manifest.write_text(
        manifest.read_text().replace("[profile", f'{member} = {{ path = "crates/u" }}\n[profile')
        + '[workspace]\nmembers = ["crates/*"]\n'
    )
    checkout.write(
        "crates/u/Cargo.toml",
        f'[package]\nname = "{member}"\nversion = "0.1.0"\nedition = "2021"\n',
    )
    library = checkout.write("crates/u/src/lib.rs", "pub const N: u32 = 1;\n")
    crate = member.replace("-", "_")
    checkout.write(
        "src/main.rs", f'fn main() {{ println!("{{}} {{}}", {crate}::N, tiny::number()); }}\n'
    )
    (checkout.path / "Cargo.lock").unlink()
    old = library.stat()
    checkout.must("build")
    library.write_text("pub const N: u32 = 2;\n")
    checkout.must("build")
    assert checkout.answer() == "2 1"
    put_back(library, "pub const N: u32 = 1;\n", old)
    built = checkout.must("build")
    assert checkout.answer() == "1 1"
    assert "Compiling tiny" not in built.err
