"""Every method and make target, from source to an artifact that runs."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable

import pytest

from harness import process
from harness.process import host_cargo_works
from tests.integration.workflows.conftest import ROOT, Lambda, says


def assert_packaged(project: Lambda, word: str, binary: str) -> None:
    """The artifacts of the legacy interface are there, and are this program."""
    bootstrap = project.path / "lambda-package" / "bootstrap"
    assert bootstrap.read_bytes() == (project.path / binary).read_bytes()
    assert stat.S_IMODE(bootstrap.stat().st_mode) == 0o755
    with zipfile.ZipFile(project.path / "lambda-deployment.zip") as package:
        (entry,) = package.infolist()
        assert (entry.filename, entry.external_attr >> 16 & 0o777) == ("bootstrap", 0o755)
        assert package.read("bootstrap") == bootstrap.read_bytes()
    assert project.says() == word
    assert project.leftovers() == []


def test_a_fresh_clone_becomes_a_package_that_answers(sample: Lambda) -> None:
    sample.must_build("prod")
    assert sample.invoke('{"name": "Ada"}') == '{"message":"Hello, Ada!"}'
    changed = process.run(("git", "status", "--porcelain"), limit=60, cwd=sample.path)
    assert changed.check("git status").out == ""


@pytest.mark.parametrize("method", ["docker", "prod", ""])
def test_a_build_in_docker_makes_the_artifacts(tiny: Lambda, method: str) -> None:
    done = tiny.must_build(*method.split())
    assert ("defaulting to docker" in done.err) == (not method)
    assert_packaged(tiny, "one", "target/release/tiny")
    tiny.write("src/main.rs", says("two"))
    tiny.must_build(*method.split())
    assert_packaged(tiny, "two", "target/release/tiny")


def test_a_dev_build_makes_the_artifacts_again_and_again(tiny: Lambda) -> None:
    for word in ("one", "two", "three"):
        tiny.write("src/main.rs", says(word))
        tiny.must_build("dev")
        assert_packaged(tiny, word, "target/debug/tiny")


@pytest.mark.parametrize(
    ("method", "folder"),
    [("native", "release"), ("local", "x86_64-unknown-linux-gnu/release")],
)
def test_a_build_with_cargo_makes_the_artifacts(tiny: Lambda, method: str, folder: str) -> None:
    lock = (tiny.path / "Cargo.lock").read_bytes()
    tiny.with_cargo(method).check(method)
    assert_packaged(tiny, "one", f"target/{folder}/tiny")
    assert (tiny.path / "Cargo.lock").read_bytes() == lock


def test_packaging_takes_what_was_built_last_whatever_the_method(tiny: Lambda) -> None:
    """Old bug 4: a stale binary of `local` beat a fresh one of `docker`."""
    tiny.with_cargo("local").check("local")
    tiny.write("src/main.rs", says("two"))
    tiny.must_build("docker")
    for name in ("lambda-deployment.zip", "lambda-package/bootstrap"):
        (tiny.path / name).unlink()
    tiny.must_build("--package-only")
    assert_packaged(tiny, "two", "target/release/tiny")
    tiny.with_cargo("local").check("local")
    tiny.write("src/main.rs", says("never built"))
    tiny.must_build("--package-only")
    assert_packaged(tiny, "two", "target/x86_64-unknown-linux-gnu/release/tiny")


def test_codebuild_writes_its_files_and_builds_nothing(tiny: Lambda) -> None:
    tiny.must_build("codebuild")
    made = {p.name for p in tiny.path.iterdir()} - {"Cargo.toml", "Cargo.lock", "src"}
    assert made == {"buildspec.yml", "codebuild-project-template.json"}


def test_several_binaries_make_one_package_each_or_the_one_named(tiny: Lambda) -> None:
    tiny.write("src/bin/extra.rs", says("extra"))
    done = tiny.must_build("prod")
    assert "--bin NAME" in done.err
    assert tiny.says("lambda-package/tiny/bootstrap") == "one"
    assert tiny.says("lambda-package/extra/bootstrap") == "extra"
    tiny.must_build("prod", "--bin", "extra")
    assert_packaged(tiny, "extra", "target/release/extra")


def test_the_image_is_loaded_and_runs(tiny: Lambda) -> None:
    tag = f"layerproof/workflow-test:{tiny.path.parent.name[-8:].lower()}"
    try:
        tiny.must_build("prod", "--image", tag)
        done = tiny.run("docker", "run", "--rm", "--network=none", tag)
        assert done.check("docker run").out == "one\n"
    finally:
        tiny.run("docker", "image", "rm", "--force", tag).check("docker image rm")


def test_nothing_changed_leaves_the_package_as_it_is(tiny: Lambda) -> None:
    tiny.must_build("prod")
    before = (tiny.path / "lambda-deployment.zip").stat()
    done = tiny.must_build("prod")
    after = (tiny.path / "lambda-deployment.zip").stat()
    assert "package unchanged" in done.err
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_clean_build_gives_the_same_bytes(tiny: Lambda) -> None:
    tiny.must_build("prod")
    before = tiny.zip_bytes()
    tiny.must_build("--clean", "prod")
    assert tiny.zip_bytes() == before


@pytest.mark.parametrize("name", ["with space", "quo'te\"s", "new\nline", "ünï", "-x", "a,b$c"])
def test_a_project_may_lie_anywhere(make_lambda: Callable[..., Lambda], name: str) -> None:
    project = make_lambda(name)
    project.must_build("prod")
    with zipfile.ZipFile(project.path / "lambda-deployment.zip") as package:
        assert package.namelist() == ["bootstrap"]


def test_the_make_targets_of_old_go_on_working(tiny: Lambda) -> None:
    tiny.make("build-docker").check("make build-docker")
    assert_packaged(tiny, "one", "target/release/tiny")
    package = tiny.zip_bytes()

    (tiny.path / "lambda-deployment.zip").unlink()
    tiny.make("package-zip").check("make package-zip")
    assert tiny.zip_bytes() == package

    (tiny.path / "lambda-deployment.zip").unlink()
    tiny.make("deploy-package").check("make deploy-package")
    assert tiny.zip_bytes() == package

    tiny.write("src/main.rs", says("two"))
    tiny.make("build-lambda").check("make build-lambda")
    assert_packaged(tiny, "two", "target/release/tiny")

    tiny.make("clean").check("make clean")
    assert {p.name for p in tiny.path.iterdir()} == {"Cargo.toml", "Cargo.lock", "src"}


def test_the_make_targets_that_call_cargo_need_none_on_the_host(tiny: Lambda) -> None:
    tiny.write(
        "src/main.rs", says("one") + "#[test]\nfn it_holds() { assert_eq!(1 + 1, 2 & 2); }\n"
    )
    for target in ("check", "build"):
        tiny.make(target).check(f"make {target}")
    assert "one" in tiny.make("run").check("make run").out
    tiny.make("test-html").check("make test-html")
    page = (tiny.path / "target" / "test-report.html").read_text()
    assert "<h1>Tests passed</h1>" in page
    assert "it_holds" in page


def test_make_build_local_says_what_is_missing_or_builds(tiny: Lambda) -> None:
    done = tiny.make("build-local")
    if not host_cargo_works():
        assert "[ERROR]" in done.err
        assert done.status != 0
    else:
        assert_packaged(tiny, "one", "target/x86_64-unknown-linux-gnu/release/tiny")


def test_make_works_where_it_was_copied_to(make_lambda: Callable[..., Lambda]) -> None:
    project = make_lambda("a project of one's own")
    process.run(
        (
            "cp",
            "-R",
            *(str(ROOT / n) for n in ("Makefile", "scripts", "Dockerfile.optimized")),
            ".",
        ),
        limit=60,
        cwd=project.path,
    ).check("cp")
    done = project.run("make", "-C", str(project.path), "deploy-package")
    assert done.status != 0
    assert "nothing is built yet" in done.err
    project.run("make", "build-docker").check("make build-docker")
    assert project.says() == "one"
