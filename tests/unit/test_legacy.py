"""harness/judging/legacy.py: what counts as said, and what the facts leave open."""

from __future__ import annotations

import pytest

from harness.judging.legacy import (
    ExitClass,
    Invocation,
    Program,
    State,
    expect,
    is_ambiguous,
    is_said,
)


@pytest.mark.parametrize(
    "log",
    [
        "[INFO] No build method specified, defaulting to docker",
        "[INFO] no method was given: the default is docker",
        "[INFO] Docker, by default",
    ],
)
def test_a_sentence_may_be_put_in_other_words(log: str) -> None:
    assert is_said("default docker", f"[WARNING] first\n{log}\n")


@pytest.mark.parametrize("log", ["", "[INFO] docker", "by default\n[INFO] docker"])
def test_words_of_two_lines_are_no_sentence(log: str) -> None:
    assert not is_said("default docker", log)


def test_a_tag_is_written_as_it_is() -> None:
    assert is_said("[INFO]", "[INFO] x")
    assert not is_said("[INFO]", "[info] x")


def test_what_has_a_line_break_is_said_as_it_is() -> None:
    assert is_said("a\nb", "no such method: a\nb")


BUILT = Program(1, extra=False, path="target/release/app", optimised=True)


@pytest.mark.parametrize(
    ("words", "built", "ambiguous"),
    [
        (("--package-only", "local"), BUILT, True),
        (("docker", "--package-only", "dev"), BUILT, True),
        (("--package-only", "docker"), BUILT, False),
        (("--package-only",), BUILT, False),
        (("local",), BUILT, False),
        (("--package-only", "local"), None, False),
    ],
)
def test_a_package_by_a_method_that_did_not_build_last_is_left_open(
    words: tuple[str, ...], built: Program | None, ambiguous: bool
) -> None:
    state = State(1, built=built)
    assert is_ambiguous(Invocation(words=words), state, binary="app") is ambiguous


@pytest.mark.parametrize(
    ("choice", "built"),
    [
        (1, "target/release/app"),
        (2, "target/x86_64-unknown-linux-gnu/release/app"),
        (3, "target/release/app"),
        (4, BUILT.path),
        (5, BUILT.path),
        (6, None),
    ],
)
def test_a_choice_of_the_menu_is_a_call_by_another_name(choice: int, built: str | None) -> None:
    call = Invocation(target="build-lambda", choice=choice)
    told = expect(call, State(1, built=BUILT, packaged=BUILT), binary="app")
    assert repr(call) == f"make build-lambda, and {choice} at its menu"
    assert told.exit is ExitClass.DONE
    assert (told.state.built and told.state.built.path) == built
    assert told.codebuild is (choice == 4)
    assert told.packages is (choice < 4)
