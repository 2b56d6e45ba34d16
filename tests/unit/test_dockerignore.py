"""Which paths an ignore file keeps from the builder, and that no pattern makes the answer slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.parsing import dockerignore, patterns
from harness.parsing.patterns import PatternError, compile_pattern


def _sent(text: str, *paths: str) -> list[str]:
    return list(dockerignore.parse(text).sent(paths))


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("target", "target", True),
        ("target", "target/debug/app", True),
        ("target", "crates/api/target", False),
        ("target/", "target/debug/app", True),
        ("/target", "target/debug/app", True),
        ("./target", "target", True),
        ("**/target", "crates/api/target/x", True),
        ("**/target", "target", True),
        ("**/target", "mytarget", False),
        ("**target", "mytarget", True),
        ("**target", "a/mytarget", True),
        ("target/**", "target", False),
        ("target/**", "target/a/b", True),
        ("tar**", "tarball", True),
        ("**", "any/thing", True),
        ("**/**", "any/thing", True),
        ("*", ".git/config", True),
        ("*.md", "README.md", True),
        ("*.md", "docs/guide.md", False),
        ("**/*.md", "docs/guide.md", True),
        ("**/*.md", "README.md", True),
        ("*/guide.md", "docs/guide.md", True),
        ("*/guide.md", "docs/deep/guide.md", False),
        ("a**/b", "a/b", True),
        ("a**/b", "a/x/y/b", True),
        ("a**/b", "axb", False),
        ("**/x/**", "a/x/b/c", True),
        ("**/x/**", "a/x", False),
        ("**/x/*", "a/x/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a[b-d]e", "ace", True),
        ("a[b-d]e", "aze", False),
        ("a[^b-d]e", "aze", True),
        ("a[^b-d]e", "ace", False),
        ("a.c", "abc", False),
        ("a(b)+{c}|$", "a(b)+{c}|$", True),
        (r"a\*b", "a*b", True),
        (r"a\*b", "axb", False),
        ("docs/../target", "target", True),
        ("no/such", "no", False),
        (r"[\d]x", "7x", True),
        ("a b", "a b", True),
        ("*é", "caf/é", False),
        ("**/*é", "caf/é", True),
        ("a]", "a]", True),
    ],
)
def test_a_single_pattern_excludes_as_moby_does(pattern: str, path: str, excluded: bool) -> None:
    assert dockerignore.parse(pattern).excludes(path) is excluded


def test_a_later_rule_overrides_an_earlier_one() -> None:
    paths = ("Cargo.toml", "src/main.rs", "src/secret.rs")
    assert _sent("*\n!src\n!Cargo.toml", *paths) == list(paths)
    assert _sent("*\n!src\nsrc/secret.rs", *paths) == ["src/main.rs"]
    assert _sent("!src\n*", *paths) == []


def test_an_exception_below_an_excluded_directory_is_sent() -> None:
    assert _sent("target\n!target/keep", "target/a", "target/keep", "target/keep/b") == [
        "target/keep",
        "target/keep/b",
    ]


def test_comments_blank_lines_byte_order_mark_and_line_ends_do_not_count() -> None:
    ignore = dockerignore.parse("\ufeff# all\r\n\r\n  target  \r\n! keep \r\n")
    assert [(r.pattern.text, r.exception, r.line) for r in ignore.rules] == [
        ("target", False, 3),
        ("keep", True, 4),
    ]


def test_a_number_sign_after_a_blank_is_no_comment() -> None:
    assert _sent(" #x", "#x", "y") == ["y"]


def test_the_verdict_names_the_rule_that_decided() -> None:
    verdict = dockerignore.parse("*.md\n!README.md\n**/*.tmp").judge("README.md")
    assert verdict.rule is not None
    assert (verdict.excluded, verdict.rule.line) == (False, 2)
    assert dockerignore.parse("a").judge("b").rule is None


@pytest.mark.parametrize(
    "pattern", ["[", "a[", "a[]", "a[^", "[a-", "[-a]", "x\\", "!", "! ", "[z-a]", r"\q"]
)
def test_a_pattern_that_the_engine_refuses_is_an_error_with_its_line(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        dockerignore.parse(f"target\n{pattern}\n", path="x.dockerignore")
    assert caught.value.where == "x.dockerignore:2"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "directory", "may"),
    [
        ("target", "target", False),
        ("target\n!target/keep", "target", True),
        ("target\n!src/keep", "target", False),
        ("target\n!**/keep", "target", True),
        ("target\n!target/*", "target", True),
        ("docs", "target", True),
    ],
)
def test_a_directory_is_walked_only_where_something_may_be_sent(
    text: str, directory: str, may: bool
) -> None:
    ignore = dockerignore.parse(text)
    assert ignore.may_hold_sent(directory, ignore.judge(directory)) is may


def test_the_ignore_file_beside_the_dockerfile_comes_first() -> None:
    assert dockerignore.candidates("docker/Dockerfile.prod") == (
        "docker/Dockerfile.prod.dockerignore",
        ".dockerignore",
    )


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "**/a/" * 60 + "b", "?*" * 40 + "b"])
def test_hostile_patterns_take_time_linear_in_the_path(pattern: str) -> None:
    compiled = compile_pattern(pattern)

    def seconds(path: str) -> float:
        started = time.process_time()
        assert not compiled.matches(path)
        return time.process_time() - started

    unit = "a" * 50 + "/a" * 25
    seconds(unit)
    ratio = seconds(unit * 40) / seconds(unit * 10)
    assert ratio < 16, f"four times the path took {ratio:.0f} times as long"


def test_a_path_of_thousands_of_directories_is_judged() -> None:
    assert dockerignore.parse("**/z").excludes("a/" * 3000 + "z")
    assert _sent("**/z", "a/" * 3000 + "z") == []


PIECES = st.sampled_from(["*", "**", "**/", "/", "?", "a", "b", ".", "[ab]", "[^a]", "\\*"])
PATHS = st.lists(st.sampled_from(["a", "b", "ab", ".a", "a*", "ba"]), min_size=1, max_size=4)


@given(st.lists(PIECES, min_size=1, max_size=6).map("".join), PATHS.map("/".join))
@example("**/a*b", "a/ab")
def test_the_state_machine_and_pythons_matcher_agree(pattern: str, path: str) -> None:
    """Both ways of matching are one relation, whatever the number of wildcards."""
    text = patterns.clean(pattern)
    compiled = compile_pattern(text)
    if not compiled.elements:
        by_states = compile_pattern(text).matches(path)
    else:
        by_states = patterns._run(compiled.elements, path)
    kind, regex = patterns._translate(text)
    if kind == "regex":
        assert by_states == (re.fullmatch(regex, path) is not None)
    assert compiled.matches(path) == by_states


@given(
    st.lists(st.sampled_from(["*", "a", "!a", "**/b", "!a/b", "a/b", "!**/a", "b/*"]), max_size=5),
    st.lists(PATHS.map("/".join), max_size=6),
)
def test_what_is_sent_is_what_is_not_excluded(lines: list[str], paths: list[str]) -> None:
    """Judging directory by directory gives what judging each path alone gives."""
    ignore = dockerignore.parse("\n".join(lines))
    assert list(ignore.sent(paths)) == [path for path in paths if not ignore.excludes(path)]


@given(
    st.lists(st.sampled_from(["*", "a", "!a", "**/b", "!a/b", "!b/*", "a/*", "!ab"]), max_size=5),
    PATHS,
)
def test_nothing_is_sent_from_a_directory_that_need_not_be_walked(
    lines: list[str], parts: list[str]
) -> None:
    """`may_hold_sent` is never False above something that is sent."""
    ignore = dockerignore.parse("\n".join(lines))
    for depth in range(1, len(parts)):
        directory = "/".join(parts[:depth])
        if not ignore.may_hold_sent(directory, ignore.judge(directory)):
            assert ignore.excludes("/".join(parts))


def test_pattern_errors_say_what_is_wrong() -> None:
    with pytest.raises(PatternError, match="not closed"):
        compile_pattern("a[b")
