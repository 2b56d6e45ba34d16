"""The programs that the base stage writes: sound shell, and manifests read as cargo reads them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import dockerfile, process

ROOT = Path(__file__).resolve().parents[3]
DIRECTORY = "/layerproof"
# Variables that other files set, words split on purpose, and lists of plain names.
EXCLUDED = "SC1091,SC2086,SC2154,SC2034,SC2153,SC2012,SC2013"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the programs as the base stage does, into a directory of ours."""
    folder = tmp_path_factory.mktemp("programs")
    base = dockerfile.load(ROOT / "Dockerfile.optimized").stage("base")
    assert base is not None
    script = next(i.value for i in base.instructions if "lib.sh" in i.value)
    script = script.replace(f"{DIRECTORY}/", f"{folder}/").replace(DIRECTORY, str(folder))
    process.run(("sh", "-c", script), limit=20).check("writing the programs")
    return folder


def test_the_shell_files_are_sound(programs: Path) -> None:
    files = sorted(str(path) for path in programs.glob("*.sh"))
    assert len(files) == 5
    seen = process.run(
        (str(Path(sys.executable).with_name("shellcheck")), "-s", "sh", "-e", EXCLUDED, *files),
        limit=60,
    )
    assert (seen.status, seen.out) == (0, "")


def plan(programs: Path, project: Path, files: dict[str, str]) -> list[str]:
    """Return what the planner would do for a project of these files."""
    for path, text in files.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)
    facts = process.run(
        ("awk", "-f", str(programs / "manifests.awk"), *(f"./{path}" for path in files)),
        limit=20,
        cwd=project,
    ).check("reading manifests")
    done = process.run(("awk", "-f", str(programs / "plan.awk")), limit=20, stdin=facts.stdout)
    return sorted(done.check("planning").out.splitlines())


@pytest.mark.parametrize(
    ("manifest", "stubs"),
    [
        ("", ["src/lib.rs", "src/main.rs"]),
        ("[lib]\nproc-macro = true", ["src/lib.rs"]),
        ('[lib]\npath = "a/b.rs" # here', ["a/b.rs", "src/main.rs"]),
        ("links = 'z'", ["build.rs", "src/lib.rs", "src/main.rs"]),
        ("build = false\n[build-dependencies]\na = '1'", ["src/lib.rs", "src/main.rs"]),
        (
            "[target.'cfg(unix)'.build-dependencies]\na = '1'",
            ["build.rs", "src/lib.rs", "src/main.rs"],
        ),
        ('default-run = "go"', ["src/bin/go.rs", "src/lib.rs", "src/main.rs"]),
        ('[[bin]]\r\nname = "go"\r', ["src/bin/go.rs", "src/lib.rs", "src/main.rs"]),
        ('[[bench]]\nname = "b"', ["benches/b.rs", "src/lib.rs", "src/main.rs"]),
        (
            '[[example]]\nname = "e"\npath = "../e.rs"',
            ["src/lib.rs", "src/main.rs"],
        ),
        ('[dependencies]\na = { path = "../a" }', ["src/lib.rs", "src/main.rs"]),
    ],
)
def test_stand_ins_follow_from_the_manifests_text(
    programs: Path, tmp_path: Path, manifest: str, stubs: list[str]
) -> None:
    text = f'[package]\nname = "p"\nversion = "0.1.0"\n{manifest}\n'
    assert plan(programs, tmp_path, {"Cargo.toml": text}) == [f"stub\t{path}" for path in stubs]


def test_what_a_patched_crate_depends_on_is_whole_too(programs: Path, tmp_path: Path) -> None:
    package = '[package]\nname = "{}"\nversion = "0.1.0"\n'
    files = {
        "Cargo.toml": (
            '[workspace]\nmembers = ["a"]\n[workspace.dependencies]\n'
            'b = { path = "libs/b" }\n[patch.crates-io]\na.path = "a"\n'
        ),
        "a/Cargo.toml": package.format("a") + "[dependencies]\nb.workspace = true\n",
        "libs/b/Cargo.toml": package.format("b") + '[dependencies.c]\npath = "../c"\n',
        "libs/c/Cargo.toml": package.format("c"),
        "d/Cargo.toml": package.format("d") + '[dependencies]\nc = { path = "../libs/c" }\n',
    }
    assert plan(programs, tmp_path, files) == [
        "copy\ta",
        "copy\tlibs/b",
        "copy\tlibs/c",
        "stub\td/src/lib.rs",
        "stub\td/src/main.rs",
        "whole\ta",
        "whole\tlibs/b",
        "whole\tlibs/c",
    ]


def test_the_cargo_configuration_names_what_is_copied(programs: Path, tmp_path: Path) -> None:
    files = {
        ".cargo/config.toml": (
            '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "third party"\n'
            '[target.x86_64-unknown-linux-gnu]\nlinker = "tools/ld.sh"\n'
            '[build]\nrustc-wrapper = "sccache"\ntarget-dir = "out"\n'
        ),
    }
    assert plan(programs, tmp_path, files) == ["copy\tthird party", "copy\ttools/ld.sh"]


A, B, C = ("0123456789abcdef", "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb")
MESSAGES = f"""{{"reason":"compiler-artifact","filenames":["/target/release/deps/libfoo-{A}.rlib"]}}
{{"reason":"build-script-executed","out_dir":"/target/release/build/foo-sys-{B}/out"}}
"""


def used(programs: Path, folder: Path, part: str, *names: str) -> list[str]:
    """Return which names in a folder of a profile belong to the build of the messages."""
    (folder / "packages").write_text("other\tfoo-sys\nown\tapp\n")
    (folder / "messages").write_text(MESSAGES)
    arguments = ("packages", "messages", "-")
    found = process.run(
        ("awk", "-v", f"part={part}", "-f", str(programs / "used.awk"), *arguments),
        limit=20,
        cwd=folder,
        stdin="".join(f"./{name}\n" for name in names).encode(),
    )
    return found.check("choosing").out.splitlines()


def test_what_a_build_did_not_use_is_not_kept(programs: Path, tmp_path: Path) -> None:
    """Of the crate itself only what was compiled by now, of other crates nothing."""
    mine = (f"libfoo-{A}.rlib", f"libfoo-{A}.rmeta", f"foo-{A}.d")
    others = (f"libfoo-{C}.rlib", f"foo-{C}.d", f"libbar-{C}.rlib", f"bar-{C}.d")
    assert used(programs, tmp_path, "deps", *mine, *others) == list(mine)
    assert used(programs, tmp_path, "build", f"foo-sys-{B}", f"foo-sys-{C}") == [f"foo-sys-{B}"]


def test_where_fingerprints_have_hashes_of_their_own_those_of_used_packages_stay(
    programs: Path, tmp_path: Path
) -> None:
    """A newer cargo has one hash for files and another for fingerprints and build scripts."""
    apart = (f"foo-sys-{B}", f"foo-sys-{C}", f"app-{C}", f"bar-{C}", "no-hash")
    assert used(programs, tmp_path, ".fingerprint", *apart) == [*apart[:3], "no-hash"]
    equal = (f"foo-sys-{A}", f"foo-sys-{B}", f"foo-sys-{C}", f"app-{C}")
    assert used(programs, tmp_path, ".fingerprint", *equal) == list(equal[:2])


@pytest.mark.parametrize(
    ("version", "flags", "newer"),
    [
        ("GLIBC_2.2.5", "none", False),
        ("GLIBC_2.9", "none", False),
        ("GLIBC_2.34", "none", False),
        ("GLIBC_2.35", "none", True),
        ("GLIBC_3.0", "none", True),
        ("GLIBC_2.39", "WEAK", False),
        ("GLIBC_ABI_DT_RELR", "none", True),
        ("GLIBC_PRIVATE", "none", False),
    ],
)
def test_versions_of_glibc_are_compared_part_by_part(
    programs: Path, version: str, flags: str, newer: bool
) -> None:
    line = f"  0x0010:   Name: {version}  Flags: {flags}  Version: 4\n"
    words = ("awk", "-v", "max=2.34", "-f", str(programs / "glibc.awk"))
    found = process.run(words, limit=20, stdin=line.encode()).check("comparing")
    assert found.out.splitlines() == ([version] if newer else [])
