"""scripts/lib/log.sh: tags, silence, colour, quoting, giving up."""

from __future__ import annotations

import shlex

import pytest

from tests.unit.scripts.shell_stubs import Shell


@pytest.mark.parametrize(
    ("function", "tag"),
    [("info", "INFO"), ("success", "SUCCESS"), ("warn", "WARNING"), ("error", "ERROR")],
)
def test_every_message_carries_its_tag_and_goes_to_stderr(
    shell: Shell, function: str, tag: str
) -> None:
    done = shell.call(function, "some  words", "more")
    assert (done.out, done.err) == ("", f"[{tag}] some  words more\n")


def test_quiet_keeps_back_only_what_informs(shell: Shell) -> None:
    done = shell.call("info", "a", after="success b; warn c; error d", LAYERPROOF_QUIET="1")
    assert done.err == "[WARNING] c\n[ERROR] d\n"


def test_die_exits_with_the_status_it_is_given(shell: Shell) -> None:
    done = shell.call("die", "3", "no", "engine", after="echo still here")
    assert (done.status, done.out, done.err) == (3, "", "[ERROR] no engine\n")


def test_need_cmd_names_the_command_the_purpose_and_the_way_out(shell: Shell) -> None:
    done = shell.call("need_cmd", "nosuch", "to do it", "install it")
    assert done.status == 3
    assert done.err == (
        "[ERROR] nosuch is not installed; it is needed to do it\n        hint: install it\n"
    )


def test_need_cmd_says_nothing_of_a_command_that_is_there(shell: Shell) -> None:
    shell.stub("thing")
    shell.stubs.clear()
    done = shell.call("need_cmd", "thing", "to do it")
    assert (done.status, done.err) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["plain", "a=b", "/x/y.z", "type=local,dest=out"],
        ["two words", "", "it's", 'say "x"', "$HOME", "`id`", "a;b", "*", "~", "\\"],
        ["line\nbreak", "tab\there", "ümlaut", "-n", "--", "!x", "#y"],
        ["~", "~/x", "A=~/y", "a b~", "\\~", "$~", "line\n~"],
    ],
)
def test_a_quoted_command_reads_back_as_the_same_words(shell: Shell, words: list[str]) -> None:
    line = shell.call("quote_command", *words).out
    back = shell.call("eval", f"printf '%s\\0' {line}").stdout.decode()
    assert back.split("\0")[:-1] == words


def test_plain_words_are_shown_without_quotes(shell: Shell) -> None:
    words = ["docker", "build", "--file", "a/b.c", "K=V"]
    assert shell.call("quote_command", *words).out == shlex.join(words) + "\n"


def test_no_colour_where_stderr_is_no_terminal(shell: Shell) -> None:
    assert "\033" not in shell.call("error", "x", TERM="xterm").err
