"""What runs in the dev container, called here: what cargo would overlook, what a failure was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import process
from tests.unit.scripts.shell_stubs import SCRIPTS, Shell

NOW = "2026-01-01 10:00:00.500000000 +0000"
EARLIER = "2026-01-01 09:00:00.000000000 +0000"
LATER = "2026-01-01 11:00:00.000000000 +0000"


def entry(path: str, modified: str, *, inode: int = 1, changed: str = LATER) -> str:
    return f"{modified}|{changed}|{inode}|10|{path}\n"


def overlooked(shell: Shell, old: str, new: str, compiled: str = NOW) -> list[str]:
    before, after = shell.write("before", old), shell.write("after", new)
    told = shell.call("fresh_overlooked", str(before), str(after), compiled)
    assert told.status == 0, told.err
    return sorted(told.out.splitlines())


def test_an_ordinary_edit_is_left_to_cargo(shell: Shell) -> None:
    assert not overlooked(shell, entry("./a.rs", EARLIER), entry("./a.rs", LATER))


def test_an_unchanged_old_file_is_no_change(shell: Shell) -> None:
    assert not overlooked(shell, entry("./a.rs", EARLIER), entry("./a.rs", EARLIER))


@pytest.mark.parametrize("modified", [EARLIER, NOW])
def test_a_file_that_changed_to_an_older_date_is_overlooked(shell: Shell, modified: str) -> None:
    new = entry("./src/a|b.rs", modified, inode=2)
    assert overlooked(shell, entry("./src/a|b.rs", LATER), new) == ["local ./src/a|b.rs"]


def test_where_nothing_was_compiled_nothing_can_be_overlooked(shell: Shell) -> None:
    assert not overlooked(shell, "", entry("./a.rs", EARLIER), "")


def test_a_vendored_file_counts_whatever_its_date(shell: Shell) -> None:
    mark = entry("./vendor/x/.cargo-checksum.json", EARLIER)
    old = mark + entry("./vendor/x/src/deep/lib.rs", EARLIER)
    new = mark + entry("./vendor/x/src/deep/lib.rs", LATER)
    assert overlooked(shell, old, new) == ["vendored ./vendor/x/src/deep/lib.rs"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('[package]\nname = "plain"\n', "plain"),
        ("[package]\nversion = '1'\nname='single' # note\n", "single"),
        ('[lib]\nname = "other"\n[ package ]\n  name   =   "spaced"\n', "spaced"),
        ('[workspace]\nmembers = ["a"]\n', ""),
        ('[[bin]]\nname = "bin"\n', ""),
    ],
)
def test_a_packages_name_is_read_from_its_manifest(shell: Shell, text: str, name: str) -> None:
    manifest = shell.write("Cargo.toml", text)
    assert shell.call("fresh_package_name", str(manifest)).out.strip() == name


def test_only_that_packages_fingerprints_are_forgotten(shell: Shell) -> None:
    hashes = "0123456789abcdef"
    folder = shell.project / "out/debug/.fingerprint"
    for name in ("app", "app-core", "app-x"):
        (folder / f"{name}-{hashes}").mkdir(parents=True)
    crossed = shell.project / f"out/x86_64-unknown-linux-gnu/debug/.fingerprint/app-{hashes}"
    crossed.mkdir(parents=True)
    done = shell.call("fresh_forget_package", "app", CARGO_TARGET_DIR=str(shell.project / "out"))
    assert done.status == 0, done.err
    assert sorted(path.name for path in folder.iterdir()) == [
        f"app-core-{hashes}",
        f"app-x-{hashes}",
    ]
    assert not crossed.exists()


def test_content_that_is_the_same_is_no_change(shell: Shell) -> None:
    file = shell.write("vendor/x/lib.rs", "one")
    record = shell.root / "record"

    code = 'run() { printf "%s\\n" ./vendor/x/lib.rs | fresh_changed_content "$1"; }'

    def ask() -> str:
        told = shell.call("run", str(record), before=code, GUEST_SOURCE=str(shell.project))
        assert told.status == 0, told.err
        return told.out

    assert ask() == "./vendor/x/lib.rs\n"
    file.write_text("one")
    assert ask() == ""
    file.write_text("two")
    assert ask() == "./vendor/x/lib.rs\n"


FAILURES = [
    (
        "error: the lock file /workspace/Cargo.lock needs to be updated but --locked was passed to"
        " prevent this",
        "lock",
    ),
    (
        "error: cannot update the lock file /workspace/Cargo.lock because --locked was passed to"
        " prevent this",
        "lock",
    ),
    ("error: failed to download from `https://example/api`", "registry"),
    (
        "error: failed to get `x` as a dependency\n  Unable to update registry `crates-io`",
        "registry",
    ),
    ("error[E0786]: found invalid metadata files for crate `tiny`", "damage"),
    ("error[E0425]: cannot find value `x` in this scope", "code"),
    ("error: failed to parse manifest at `/workspace/Cargo.toml`", "code"),
]


@pytest.mark.parametrize(("words", "kind"), FAILURES)
def test_a_failure_is_told_by_cargos_words(shell: Shell, words: str, kind: str) -> None:
    said = shell.write("words", words + "\n")
    assert shell.call("cargo_diagnose", str(said)).out == f"{kind}\n"


def test_binaries_are_delivered_as_cargo_names_them(shell: Shell) -> None:
    out = shell.root / "volume" / "target"
    binary = out / "debug" / "app"
    binary.parent.mkdir(parents=True)
    binary.write_text("ELF")
    messages = shell.root / "messages"

    def artifact(kind: str, executable: Path | None) -> str:
        target = {"kind": [kind], "name": "app"}
        return json.dumps(
            {
                "reason": "compiler-artifact",
                "target": target,
                "executable": str(executable) if executable else None,
                "fresh": False,
            },
            separators=(",", ":"),
        )

    messages.write_text(
        "\n".join(
            (artifact("lib", None), artifact("bin", binary), artifact("example", out / "debug/ex"))
        )
    )
    (shell.project / "target/.layerproof").mkdir(parents=True)
    told = shell.call(
        "cargo_deliver",
        before=f"guest_temporary=''; cargo_messages='{messages}'",
        CARGO_TARGET_DIR=str(out),
        GUEST_SOURCE=str(shell.project),
    )
    assert (told.status, told.out) == (0, "target/debug/app\n"), told.err
    assert (shell.project / "target/debug/app").read_text() == "ELF"
    record = (shell.project / "target/.layerproof/last-build").read_text()
    assert record == "profile=debug\nbin=app\npath=target/debug/app\n"


def test_it_is_plain_sh(shell: Shell) -> None:
    """The container's sh need not be bash."""
    dash = shutil.which("dash")
    if dash is None:
        pytest.skip("no dash here")
    for name in ("guest.sh", "guest_fresh.sh", "guest_cargo.sh"):
        process.run((dash, "-n", str(SCRIPTS / "lib" / name)), limit=10).check(name)


LINKER = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER"


def linker_for(shell: Shell, *arguments: str, **environment: str) -> str:
    done = shell.call(
        "cargo_find_linker",
        *arguments,
        before="uname() { echo x86_64; }; aarch64-linux-gnu-gcc() { :; }",
        after=f'printf %s "${{{LINKER}:-}}"',
        **environment,
    )
    assert (done.status, done.err) == (0, "")
    return done.out


@pytest.mark.parametrize(
    "words", [["--target", "aarch64-unknown-linux-gnu"], ["--target=aarch64-unknown-linux-gnu"]]
)
def test_cargo_is_told_of_the_linker_of_another_architecture(
    shell: Shell, words: list[str]
) -> None:
    assert linker_for(shell, "--locked", *words) == "aarch64-linux-gnu-gcc"


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--target", "x86_64-unknown-linux-gnu"],
        ["--target", "aarch64-unknown-linux-musl"],
        ["--target", "a;b"],
    ],
)
def test_where_no_other_linker_is_needed_cargo_is_left_alone(
    shell: Shell, words: list[str]
) -> None:
    assert linker_for(shell, *words) == ""


def test_a_linker_that_is_chosen_goes_before(shell: Shell) -> None:
    words = ("--target", "aarch64-unknown-linux-gnu")
    assert linker_for(shell, *words, **{LINKER: "mine"}) == "mine"
    shell.write(".cargo/config.toml", '[target.aarch64-unknown-linux-gnu]\nlinker = "mine"\n')
    assert linker_for(shell, *words) == ""
