"""What is built is always the current source, however it came to be."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from harness import process
from tests.integration.workflows.conftest import Lambda, says


@pytest.mark.parametrize("method", ["prod", "dev"])
def test_an_edit_changes_what_the_package_answers(sample: Lambda, method: str) -> None:
    sample.must_build(method)
    assert sample.invoke('{"name": "Ada"}') == '{"message":"Hello, Ada!"}'
    library = sample.path / "src" / "lib.rs"
    library.write_text(library.read_text().replace("Hello, {name}!", "Good day, {name}!"))
    sample.must_build(method)
    assert sample.invoke('{"name": "Ada"}') == '{"message":"Good day, Ada!"}'


def git(project: Lambda, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    process.run(("git", *identity, *arguments), limit=60, cwd=project.path).check("git")


@pytest.mark.parametrize("method", ["prod", "dev"])
def test_branches_can_be_switched_whatever_the_dates_say(tiny: Lambda, method: str) -> None:
    tiny.write(".gitignore", "/target/\n/lambda-*\n")
    git(tiny, "init", "-q")
    git(tiny, "add", "-A")
    git(tiny, "commit", "-qm", "one")
    git(tiny, "branch", "first")
    tiny.write("src/main.rs", says("two"))
    git(tiny, "commit", "-qam", "two")
    git(tiny, "branch", "second")
    for branch, word in (("second", "two"), ("first", "one"), ("second", "two")):
        git(tiny, "checkout", "-q", branch)
        for file in tiny.path.glob("**/*.rs"):
            os.utime(file, (1_000_000_000, 1_000_000_000))
        tiny.must_build(method)
        assert tiny.says() == word


@pytest.mark.parametrize("method", ["prod", "dev"])
def test_an_edit_of_the_same_size_and_date_is_built(tiny: Lambda, method: str) -> None:
    for word in ("one", "two", "six"):
        file = tiny.write("src/main.rs", says(word))
        os.utime(file, (1_500_000_000, 1_500_000_000))
        tiny.must_build(method)
        assert tiny.says() == word


def test_a_changed_manifest_reaches_the_build(tiny: Lambda) -> None:
    """Old bug 1: the dependency image was built once and then only looked up by name."""
    tiny.write("src/main.rs", 'fn main() { println!("{}", env!("CARGO_PKG_VERSION")); }\n')
    tiny.must_build("prod")
    assert tiny.says() == "0.1.0"
    for name in ("Cargo.toml", "Cargo.lock"):
        file = tiny.path / name
        file.write_text(file.read_text().replace("0.1.0", "0.2.0"))
    tiny.must_build("prod")
    assert tiny.says() == "0.2.0"


def test_two_checkouts_of_one_name_build_at_once(make_lambda: Callable[..., Lambda]) -> None:
    one, two = make_lambda("a/app"), make_lambda("b/app")
    two.write("src/main.rs", says("two"))
    for project in (one, two):
        os.utime(project.path / "src" / "main.rs", (1_500_000_000, 1_500_000_000))
    with one.beside("prod") as first, two.beside("prod") as second:
        first.wait(limit=400).check("the first build")
        second.wait(limit=400).check("the second build")
    assert (one.says(), two.says()) == ("one", "two")


def test_one_checkout_built_twice_at_once(tiny: Lambda) -> None:
    with tiny.beside("prod") as first, tiny.beside("prod") as second:
        first.wait(limit=400).check("the first build")
        second.wait(limit=400).check("the second build")
    assert tiny.says() == "one"
    assert tiny.leftovers() == []
