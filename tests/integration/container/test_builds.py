"""A dev build compiles the mounted source in the one container, and writes its outputs alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.integration.container.conftest import Checkout, main_rs


def snapshot(root: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Return mode, mtime, inode and content of everything but the declared outputs."""
    seen = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root and "target" in folders:
            folders.remove("target")
        for name in files:
            path = Path(folder, name)
            facts = path.lstat()
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            key = str(path.relative_to(root))
            seen[key] = (facts.st_mode, facts.st_mtime_ns, facts.st_ino, content)
    return seen


def test_the_first_build_makes_what_it_needs_and_the_next_ones_use_it(checkout: Checkout) -> None:
    first = checkout.must("build")
    assert first.out == "target/debug/app\n"
    assert "Compiling tiny" in first.err
    assert checkout.answer() == "one 1"
    before = checkout.container()
    for word in ("two", "three"):
        checkout.write("src/main.rs", main_rs(word))
        built = checkout.must("build")
        assert "Compiling app" in built.err
        assert "Compiling tiny" not in built.err
        assert checkout.answer() == f"{word} 1"
    after = checkout.container()
    assert (after["Id"], after["State"]["StartedAt"]) == (
        before["Id"],
        before["State"]["StartedAt"],
    )


def test_a_build_with_nothing_changed_compiles_nothing_and_leaves_the_artifact(
    checkout: Checkout,
) -> None:
    checkout.must("build")
    artifact = checkout.path / "target/debug/app"
    before = artifact.stat()
    again = checkout.must("build")
    assert "Compiling" not in again.err
    assert (artifact.stat().st_ino, artifact.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_the_artifact_is_put_back_when_it_was_changed_or_removed(checkout: Checkout) -> None:
    checkout.must("build")
    artifact = checkout.path / "target/debug/app"
    good = artifact.read_bytes()
    facts = artifact.stat()
    artifact.write_bytes(bytes(len(good)))
    os.utime(artifact, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    checkout.must("build")
    assert artifact.read_bytes() == good
    artifact.unlink()
    checkout.must("build")
    assert artifact.read_bytes() == good


def test_the_source_is_as_it_was(checkout: Checkout) -> None:
    (checkout.path / "link").symlink_to("src/main.rs")
    before = snapshot(checkout.path)
    checkout.must("build")
    checkout.must("build", "--release")
    assert snapshot(checkout.path) == before
    outputs = {str(p.relative_to(checkout.path)) for p in (checkout.path / "target").rglob("*")}
    assert outputs == {
        "target/.layerproof",
        "target/.layerproof/last-build",
        "target/debug",
        "target/debug/app",
        "target/release",
        "target/release/app",
    }


def test_without_a_lock_file_none_is_written_and_the_versions_stay(checkout: Checkout) -> None:
    (checkout.path / "Cargo.lock").unlink()
    before = snapshot(checkout.path)
    built = checkout.must("build")
    assert "[WARNING] there is no Cargo.lock" in built.err
    assert checkout.answer() == "one 1"
    checkout.write("src/extra.rs", "pub const EXTRA: u32 = 7;\n")
    checkout.write(
        "src/main.rs", 'mod extra;\nfn main() { println!("{}", extra::EXTRA + tiny::number()); }\n'
    )
    again = checkout.must("build")
    assert "Compiling tiny" not in again.err
    assert "Locking" not in again.err
    assert checkout.answer() == "8"
    assert "Cargo.lock" not in snapshot(checkout.path)
    assert before.keys() < snapshot(checkout.path).keys()


def test_a_lock_file_that_does_not_fit_is_worked_around_and_left_alone(checkout: Checkout) -> None:
    checkout.must("build")
    manifest = checkout.path / "Cargo.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    checkout.write("src/main.rs", 'fn main() { println!("{}", env!("CARGO_PKG_VERSION")); }\n')
    lock = (checkout.path / "Cargo.lock").read_bytes()
    built = checkout.must("build")
    assert "Cargo.lock does not fit" in built.err
    assert checkout.answer() == "0.2.0"
    assert (checkout.path / "Cargo.lock").read_bytes() == lock
    strict = checkout.run("build", "--locked")
    assert strict.status == 1


def test_a_failed_build_says_so_and_keeps_what_was_there(checkout: Checkout) -> None:
    checkout.must("build")
    good = (checkout.path / "target/debug/app").read_bytes()
    record = (checkout.path / "target/.layerproof/last-build").read_bytes()
    checkout.write("src/main.rs", "fn main() { nonsense }\n")
    failed = checkout.run("build")
    assert failed.status == 1
    assert failed.out == ""
    assert "cannot find value `nonsense`" in failed.err
    assert "[ERROR] the build failed" in failed.err
    assert (checkout.path / "target/debug/app").read_bytes() == good
    assert (checkout.path / "target/.layerproof/last-build").read_bytes() == record
    assert (checkout.path / "target/.layerproof/failed").exists()
    checkout.write("src/main.rs", main_rs("mended"))
    checkout.must("build")
    assert checkout.answer() == "mended 1"
    assert not (checkout.path / "target/.layerproof/failed").exists()


def test_every_binary_is_handed_over_and_recorded(checkout: Checkout) -> None:
    checkout.write("src/bin/other.rs", 'fn main() { println!("other"); }\n')
    built = checkout.must("build")
    assert sorted(built.out.split()) == ["target/debug/app", "target/debug/other"]
    record = (checkout.path / "target/.layerproof/last-build").read_text()
    assert "profile=debug\nbin=other\npath=target/debug/other\n" in record
    assert "profile=debug\nbin=app\npath=target/debug/app\n" in record
    one = checkout.must("build", "--bin", "other", "--release")
    assert one.out == "target/release/other\n"
    record = (checkout.path / "target/.layerproof/last-build").read_text()
    assert record == "profile=release\nbin=other\npath=target/release/other\n"


def test_cargo_flags_reach_cargo(checkout: Checkout) -> None:
    manifest = checkout.path / "Cargo.toml"
    manifest.write_text(manifest.read_text() + "[features]\nloud = []\n")
    checkout.write(
        "src/main.rs", 'fn main() { println!("{} {}", cfg!(feature = "loud"), tiny::number()); }\n'
    )
    checkout.must("build", CARGO_FLAGS="--features loud")
    assert checkout.answer() == "true 1"


def test_a_library_has_nothing_to_hand_over(checkout: Checkout) -> None:
    (checkout.path / "src/main.rs").rename(checkout.path / "src/lib.rs")
    built = checkout.run("build")
    assert built.status == 1
    assert "no binary target" in built.err


def test_a_damaged_build_cache_is_found_out_and_made_anew(checkout: Checkout) -> None:
    checkout.must("build")
    checkout.must(
        "exec", "--", "sh", "-c",
        'for f in "$CARGO_TARGET_DIR"/debug/deps/libtiny*.r*;'
        ' do echo junk >"$f.new"; touch -r "$f" "$f.new"; mv "$f.new" "$f"; done',
    )  # fmt: skip
    checkout.write("src/main.rs", main_rs("two"))
    built = checkout.must("build")
    assert "damaged" in built.err
    assert checkout.answer() == "two 1"


def test_a_file_of_the_caller_is_executable_and_nothing_else_is_special(checkout: Checkout) -> None:
    checkout.must("build")
    facts = (checkout.path / "target/debug/app").stat()
    assert stat.S_IMODE(facts.st_mode) == 0o755
    assert (facts.st_uid, facts.st_gid) == (os.getuid(), os.getgid())
