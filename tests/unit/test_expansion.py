"""What a word of a Dockerfile becomes, against rules stated by BuildKit's own lexer tests."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ExpansionError
from harness.parsing import expansion, globs

VARIABLES = {
    "HOME": "/root",
    "EMPTY": "",
    "TWO": "a  b",
    "TAG": "v1.2.3",
    "한국": "서울",
    "Q": "'x'",
}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("$HOME", "/root"),
        ("${HOME}", "/root"),
        ("x${HOME}y", "x/rooty"),
        ("$HOMEx", ""),
        ("$NONE", ""),
        ("$", "$"),
        ("a$.b", "a$.b"),
        ("$1x", "x"),
        ("$@x", "x"),
        ("$$x", "x"),
        ("$한국!", "서울!"),
        ("${NONE-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${EMPTY:-d}", "d"),
        ("${HOME:-d}", "/root"),
        ("${NONE:-${HOME}/x}", "/root/x"),
        ("${NONE:-${ALSO:-z}}", "z"),
        ("${NONE:-'a b'}", "a b"),
        (r"${NONE:-\}}", "}"),
        ("${NONE:-}", ""),
        ("${NONE+w}", ""),
        ("${EMPTY+w}", "w"),
        ("${EMPTY:+w}", ""),
        ("${HOME:+$TAG}", "v1.2.3"),
        ("${HOME?no}", "/root"),
        ("${EMPTY?no}", ""),
        ("${TAG#v}", "1.2.3"),
        ("${TAG#*.}", "2.3"),
        ("${TAG##*.}", "3"),
        ("${TAG%.*}", "v1.2"),
        ("${TAG%%.*}", "v1"),
        ("${TAG#x}", "v1.2.3"),
        ("${TAG%?}", "v1.2."),
        ("${NONE#x}", ""),
        ("${TAG/./-}", "v1-2.3"),
        ("${TAG//./-}", "v1-2-3"),
        ("${TAG/v*./}", "3"),
        ("${TAG/x/y}", "v1.2.3"),
        (r"${HOME/\//}", "root"),
        ("'$HOME'", "$HOME"),
        ('"$HOME"', "/root"),
        ("\"'$HOME'\"", "'/root'"),
        (r"\$HOME", "$HOME"),
        (r'"\$HOME"', "$HOME"),
        (r'"a\tb"', r"a\tb"),
        (r"a\tb", "atb"),
        (r"'a\'", "a\\"),
        ("a\\", "a"),
        ("a b", "a b"),
        ("$TWO", "a  b"),
        ("$Q", "'x'"),
        ("${HOME}}", "/root}"),
    ],
)
def test_a_word_expands_as_buildkit_expands_it(word: str, expected: str) -> None:
    assert expansion.expand(word, VARIABLES) == expected


@pytest.mark.parametrize(
    "word",
    [
        "'open",
        '"open',
        r'"open\"',
        "${",
        "${HOME",
        "${}",
        "${:-x}",
        "${{HOME}}",
        "${.}",
        "${HOME:x}",
        "${HOME:=x}",
        "${HOME:#x}",
        "${HOME@U}",
        "${NONE:-x",
        "${NONE:-'x}",
        "${NONE?}",
        "${EMPTY:?}",
        "${NONE:?gone}",
        "${HOME/x}",
        "${HOME/x/y",
        r"${HOME#\r}",
        r"${HOME/\r/}",
        "${a:-" * 5000,
    ],
)
def test_a_word_that_buildkit_refuses_is_an_error(word: str) -> None:
    with pytest.raises(ExpansionError) as caught:
        expansion.expand(word, VARIABLES)
    assert "in " in caught.value.render()


def test_the_message_of_a_required_variable_is_the_authors() -> None:
    with pytest.raises(ExpansionError, match="NONE: name a bucket"):
        expansion.expand("${NONE:?name a bucket}", {})
    with pytest.raises(ExpansionError, match="NONE: is not allowed to be unset"):
        expansion.expand("${NONE?}", {})


def test_the_escape_character_can_be_a_backtick() -> None:
    assert expansion.expand(r"c:\$HOME`$x", {"HOME": "h"}, escape="`") == r"c:\h$x"


def test_the_variables_that_were_looked_up_are_told() -> None:
    found = expansion.expand_fully("$HOME ${NONE:-$TAG} '$Q'", VARIABLES)
    assert (set(found.used), set(found.unset)) == ({"HOME", "TAG"}, {"NONE"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b", ("a", "b")),
        ("'a b' c", ("a b", "c")),
        ("a$TWO", ("aa", "b")),
        ('"$TWO" c', ("a  b", "c")),
        (r"a\ b", ("a b",)),
        ("''", ()),
        ("", ()),
    ],
)
def test_words_split_after_expansion_at_unquoted_blanks(text: str, words: tuple[str, ...]) -> None:
    assert expansion.expand_fully(text, VARIABLES).words == words


TEXTS = st.text(alphabet="ab*?.\n", max_size=8)
PATTERNS = st.text(alphabet="ab*?.", max_size=6)


def _regex(pattern: str, *, lazy: bool) -> str:
    star = ".*?" if lazy else ".*"
    return "".join({"*": star, "?": "."}.get(char, re.escape(char)) for char in pattern)


@given(TEXTS, PATTERNS)
def test_prefixes_are_trimmed_as_a_regular_expression_would(text: str, pattern: str) -> None:
    shortest = re.match(_regex(pattern, lazy=True), text)
    longest = re.match(_regex(pattern, lazy=False), text)
    assert (
        globs.trim_prefix(text, pattern, longest=False) == text[shortest.end() if shortest else 0 :]
    )
    assert globs.trim_prefix(text, pattern, longest=True) == text[longest.end() if longest else 0 :]


@given(TEXTS, PATTERNS)
def test_a_suffix_is_the_prefix_of_the_reversed(text: str, pattern: str) -> None:
    for longest in (True, False):
        trimmed = globs.trim_prefix(text[::-1], pattern[::-1], longest=longest)[::-1]
        assert globs.trim_suffix(text, pattern, longest=longest) == trimmed


@given(TEXTS, PATTERNS.filter(bool))
def test_the_first_match_is_replaced_as_a_regular_expression_would(text: str, pattern: str) -> None:
    expected = re.sub(_regex(pattern, lazy=False), "<>", text, count=1)
    assert globs.replace(text, pattern, "<>", every=False) == expected


@given(st.text(alphabet=string.ascii_letters + "_ äß/:.=-", max_size=20))
def test_text_without_special_characters_is_left_alone(text: str) -> None:
    assert expansion.expand(text, VARIABLES) == text


@given(st.text(max_size=20).filter(lambda t: "'" not in t))
def test_a_single_quoted_text_is_itself(text: str) -> None:
    assert expansion.expand(f"'{text}'", VARIABLES) == text


@given(st.text(alphabet="${}:-+?#%/'\"\\ab<* ", max_size=14))
def test_any_text_expands_or_is_refused(text: str) -> None:
    """No input makes the lexer fail in another way than by its own error."""
    try:
        outcome = expansion.expand_fully(text, VARIABLES).text
    except ExpansionError as error:
        outcome = error.render()
    assert isinstance(outcome, str)
