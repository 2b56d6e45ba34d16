"""The commands of a RUN, what becomes of their status, and which of them compile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import dockerfile
from harness.structure import compiles, shell
from harness.structure.shell import Command


def _words(script: str) -> list[str]:
    return [" ".join(command.words) for command in shell.parse(script)]


@pytest.mark.parametrize(
    ("script", "commands"),
    [
        ("a && b || c; d | e & f", ["a", "b", "c", "d", "e", "f"]),
        ("a 'b c' \"d e\" f\\ g", ["a b c d e f g"]),
        ("echo '; not a command' && x", ["echo ; not a command", "x"]),
        ("if a; then b; else c; fi", ["a", "b", "c"]),
        ("for x in 1 2; do a $x; done", ["for x in 1 2", "a $x"]),
        ("(a; b) && { c; }", ["a", "b", "c"]),
        ("a # comment\nb", ["a", "b"]),
        ("a $(b; c) ${D:-e f}", ["a $(b; c) ${D:-e f}"]),
        ("X=1 Y='2 3' a", ["a"]),
        ("env -i X=1 a b", ["a b"]),
        ("sh -c 'a && b' && c", ["a", "b", "c"]),
        ("a >out 2>&1 </dev/null", ["a"]),
        ("a \\\n  b", ["a b"]),
        ("", []),
    ],
)
def test_a_script_falls_apart_into_its_commands(script: str, commands: list[str]) -> None:
    assert _words(script) == commands


def test_what_follows_a_command_is_known() -> None:
    assert [c.after for c in shell.parse("a && b || c | d; e")] == ["&&", "||", "|", ";", ""]


@pytest.mark.parametrize(
    ("script", "operator", "instead"),
    [
        ("a", "", ""),
        ("a; b", ";", ""),
        ("a ;", "", ""),
        ("a && b; c", "", ""),
        ("a && b || true", "||", "true"),
        ("a && b | c || exit 1", "||", "exit 1"),
        ("a || { echo failed; exit 1; }", "||", "exit 1"),
        ("a || (echo failed && false)", "||", "false"),
        ("a || if b; then c; fi", "||", "c"),
        ("a | b", "|", ""),
        ("a &", "&", ""),
        ("if b; then a; fi", "", ""),
        ("if b; then a; else c; d; fi", "", ""),
        ("if b; then a; elif c; then d; fi; e", ";", ""),
        ("if b; then a; else if c; then d; fi; fi && e", "", ""),
        ("if b; then a; fi >log 2>&1 | tee x", "|", ""),
        ("if b; then a; c; fi", ";", ""),
        ("case x in y) a ;; z) c; d ;; esac && e || :", "||", ":"),
        ("case x in y) b ;; z) a; esac; e", ";", ""),
        ("{ a; } || true", "||", "true"),
        ("( a ) && b; c", "", ""),
        ("( a; ) | b", "|", ""),
        ("for i in 1 2; do a; done", ";", ""),
        ("for i in 1 2; do a && b; done; c", "", ""),
        ("b && a\nc", ";", ""),
        ("a &&\n b || true", "||", "true"),
        ("sh -c 'a && b' || true", "||", "true"),
        ("a `b | c` && d", "", ""),
    ],
)
def test_what_becomes_of_a_status_is_known(script: str, operator: str, instead: str) -> None:
    (found,) = (c for c in shell.parse(script) if c.program == "a")
    assert (found.fate.operator, " ".join(found.fate.instead)) == (operator, instead)


def test_the_status_of_a_condition_is_not_lost() -> None:
    assert [c.tested for c in shell.parse("if a; then b; fi; ! c")] == [True, False, True]


def test_options_hold_from_their_set_on() -> None:
    found = shell.parse("a; set -eu; b; set -o pipefail; c; set +e; d")
    assert [(c.program, c.errexit, c.pipefail) for c in found if c.program != "set"] == [
        ("a", False, False),
        ("b", True, False),
        ("c", True, True),
        ("d", False, True),
    ]


def test_redirections_name_the_files_written() -> None:
    (command,) = shell.parse("echo x > a >> b 2> /dev/null")
    assert command.written == ("a", "b", "/dev/null")


def _commands(text: str) -> tuple[Command, ...]:
    parsed = dockerfile.parse(f"FROM scratch\n{text}\n")
    return shell.commands_of(parsed.stages[0].instructions[0])


@pytest.mark.parametrize(
    "text",
    [
        "RUN cargo build",
        'RUN ["cargo", "build"]',
        'RUN ["/bin/sh", "-c", "cargo build"]',
        "RUN <<E\ncargo build\nE",
        "RUN bash <<E\ncargo build\nE",
        "RUN <<-'E'\n\tcargo build\n\tE",
    ],
)
def test_every_form_of_run_is_read(text: str) -> None:
    assert ("cargo", "build") in {command.words for command in _commands(text)}


def test_a_heredoc_that_is_data_is_no_script() -> None:
    assert [c.program for c in _commands("RUN cat <<E >x\ncargo build\nE")] == ["cat"]


def test_a_shebang_sets_the_options_of_its_script() -> None:
    (command,) = _commands("RUN <<E\n#!/bin/bash -e\na\nE")
    assert command.errexit


@pytest.mark.parametrize(
    ("call", "settings"),
    [
        ("cargo build", {"profile": "dev"}),
        ("cargo build -r", {"profile": "release"}),
        ("cargo b --profile=lean", {"profile": "lean"}),
        ("cargo install --path .", {"profile": "release"}),
        ("cargo build $FLAGS", {"profile": compiles.UNKNOWN}),
        ("cargo build --features b,a -F c", {"profile": "dev", "features": "a,b,c"}),
        ("cargo build --target T --all-features", {"target": "T", "--all-features": "yes"}),
        ("cargo +nightly build", {"toolchain": "+nightly"}),
        ("RUSTFLAGS=-g cargo build", {"RUSTFLAGS": "-g"}),
        ("export RUSTFLAGS=-g; cargo build", {"RUSTFLAGS": "-g"}),
        ("cargo chef cook --release --recipe-path r.json", {"profile": "release"}),
        ("cargo auditable zigbuild -r", {"profile": "release"}),
        ("just-cargo build -r", {"profile": "release"}),
    ],
)
def test_the_settings_of_a_compiling_call_are_read(call: str, settings: dict[str, str]) -> None:
    (found,) = compiles.find(shell.parse(call), {})
    assert settings.items() <= found.settings.items()


@pytest.mark.parametrize(
    "call",
    [
        "cargo build --target-dir /t",
        "CARGO_TARGET_DIR=/t cargo build",
        "export A=b CARGO_TARGET_DIR=/t; cargo build",
        "CARGO_TARGET_DIR=/t; export CARGO_TARGET_DIR; cargo build",
    ],
)
def test_the_target_directory_is_where_the_call_has_it(call: str) -> None:
    (found,) = compiles.find(shell.parse(call), {"CARGO_TARGET_DIR": "/other"})
    assert found.target_directory == "/t"


@pytest.mark.parametrize(
    ("call", "features"),
    [
        ("cargo build --features default", None),
        ("cargo build --features default --no-default-features", "default"),
        ("cargo build --features a --all-features", None),
        ("cargo build --features ''", None),
        ('cargo build --features "$NONE" --features ${SOME}', "a,b"),
        ('cargo build --features "$UNKNOWN"', "$UNKNOWN"),
    ],
)
def test_features_that_are_on_anyway_are_no_setting(call: str, features: str | None) -> None:
    (found,) = compiles.find(shell.parse(call), {"NONE": "", "SOME": "b,a"})
    assert found.settings.get("features") == features


def test_the_environment_of_the_image_counts() -> None:
    environment = {"CARGO_BUILD_TARGET": "T", "CARGO_TARGET_DIR": "/t", "HOME": "/root"}
    (found,) = compiles.find(shell.parse("cargo build"), environment)
    assert found.settings == {"profile": "dev", "CARGO_BUILD_TARGET": "T"}
    assert found.target_directory == "/t"


@given(st.text(alphabet="ab \t\n;&|<>(){}'\"\\$#=-", max_size=40))
def test_any_text_is_read_to_its_end(script: str) -> None:
    """The reader neither raises nor loops, and commands without words only write or assign."""
    for command in shell.parse(script):
        assert command.words or command.written or command.variables
