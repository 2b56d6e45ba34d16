"""What goes wrong is said, has its exit code, and leaves the previous package."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from harness import engine as engines
from harness import process
from tests.integration.workflows.conftest import SCRIPTS, Lambda, says


@pytest.mark.parametrize("method", ["prod", "dev"])
def test_a_compile_error_leaves_package_and_lock_file(tiny: Lambda, method: str) -> None:
    """Old bug 3: any compile error deleted the lock file and resolved anew."""
    tiny.must_build(method)
    before = tiny.zip_bytes()
    lock = (tiny.path / "Cargo.lock").read_bytes()
    tiny.write("src/main.rs", "fn main() { nope }\n")
    done = tiny.build(method)
    assert done.status == 1
    assert "cannot find value `nope`" in done.err
    assert "previous package is as it was" in done.err
    assert (tiny.zip_bytes(), (tiny.path / "Cargo.lock").read_bytes()) == (before, lock)
    assert tiny.leftovers() == []
    tiny.write("src/main.rs", says("three"))
    tiny.must_build(method)
    assert tiny.says() == "three"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ('[package]\nname = "tiny"\nversion = "0.1.0"\nedition = \n', "Cargo.toml"),
        ('[package]\nname = "tiny"\nversion = "0.1.0"\n[lib]\n[workspace]\n', "binary"),
    ],
    ids=["a manifest that does not parse", "no binary target"],
)
def test_a_project_that_cannot_be_built_is_refused(tiny: Lambda, manifest: str, words: str) -> None:
    tiny.write("Cargo.toml", manifest)
    if "[lib]" in manifest:
        (tiny.path / "src/main.rs").rename(tiny.path / "src/lib.rs")
    done = tiny.build("prod")
    assert done.status == 1
    assert words in done.err
    assert not (tiny.path / "lambda-deployment.zip").exists()
    assert tiny.leftovers() == []


def test_dependencies_that_do_not_resolve_are_tried_twice_and_the_lock_stays(tiny: Lambda) -> None:
    tiny.write(
        "Cargo.toml",
        '[package]\nname = "tiny"\nversion = "0.1.0"\nedition = "2021"\n'
        '[dependencies]\nnope = "1"\n[workspace]\n',
    )
    tiny.write(
        ".cargo/config.toml",
        '[source.crates-io]\nreplace-with = "v"\n[source.v]\ndirectory = "vendor"\n',
    )
    tiny.write("vendor/README", "no crates\n")
    lock = (tiny.path / "Cargo.lock").read_bytes()
    done = tiny.build("prod")
    assert done.status == 1
    assert "clearing the dependency cache and trying once more" in done.err
    assert (tiny.path / "Cargo.lock").read_bytes() == lock


@pytest.mark.parametrize("method", ["prod", "dev"])
@pytest.mark.parametrize("moment", [0.05, 0.4, 1.5])
def test_an_interrupted_build_leaves_nothing_behind(
    tiny: Lambda, method: str, moment: float
) -> None:
    tiny.must_build(method)
    before = tiny.zip_bytes()
    tiny.write("src/main.rs", says(f"{method} {moment}"))
    with tiny.beside(method) as running:
        time.sleep(moment)
        os.kill(running.pid, signal.SIGINT)
        done = running.wait(limit=60)
    # A fast machine may have finished before the signal.
    assert done.status in (130, 0, -signal.SIGINT)
    if done.status != 0:
        assert tiny.zip_bytes() == before
    assert tiny.leftovers() == []
    tiny.must_build(method)
    assert tiny.says() == f"{method} {moment}"


def test_a_full_disk_while_packaging_leaves_the_previous_package(tiny: Lambda) -> None:
    script = """
        set -eu
        mkdir -p target/release src
        printf '[package]\\nname = "tiny"\\nversion = "0.1.0"\\n' >Cargo.toml; : >src/main.rs
        head -c 2000000 /dev/urandom >target/release/tiny
        bash /scripts/build-lambda.sh --package-only
        before="$(cksum <lambda-deployment.zip) $(cksum <lambda-package/bootstrap)"
        head -c 2000000 /dev/urandom >target/release/tiny
        status=0; bash /scripts/build-lambda.sh --package-only || status=$?
        [ "$status" -eq 1 ]
        [ "$before" = "$(cksum <lambda-deployment.zip) $(cksum <lambda-package/bootstrap)" ]
        [ "$(ls -A lambda-package)" = bootstrap ]
        echo kept
    """
    done = tiny.run(
        *("docker", "run", "--rm", "--network=none", "--tmpfs", "/project:size=9m,mode=0777"),
        *("-v", f"{SCRIPTS}:/scripts:ro", "-w", "/project", tiny.image("rust")),
        *("bash", "-c", script),
    )
    assert (done.status, done.out) == (0, "kept\n"), done.err
    assert "No space left on device" in done.err
    assert "previous one is as it was" in done.err


def as_nobody(project: Lambda, *command: str) -> tuple[str, ...]:
    """Return the command as an ordinary user's, where we are root."""
    if os.getuid() != 0:
        return command
    return ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command)


def test_a_read_only_source_tree_is_refused_before_anything_runs(tiny: Lambda) -> None:
    tiny.path.chmod(0o555)
    try:
        build = str(SCRIPTS / "build-lambda.sh")
        done = tiny.run(*as_nobody(tiny, build, "prod"))
    finally:
        tiny.path.chmod(0o755)
    assert done.status == 1
    assert "[ERROR] the project directory cannot be written" in done.err
    assert not (tiny.path / "target").exists()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make what belongs to root")
def test_a_target_that_belongs_to_root_is_named_with_the_way_out(tiny: Lambda) -> None:
    (tiny.path / "target").mkdir()
    tiny.path.chmod(0o777)
    done = tiny.run(*as_nobody(tiny, str(SCRIPTS / "build-lambda.sh"), "prod"))
    assert done.status == 1
    assert "[ERROR] target cannot be written" in done.err
    assert "sudo chown -R 65534:65534 target" in done.err


def test_no_engine_is_told_from_a_failed_build(tiny: Lambda) -> None:
    done = tiny.build("prod", DOCKER_HOST="unix:///nonexistent")
    assert done.status == 3
    assert "no Docker engine is running" in done.err
    assert not (tiny.path / "target").exists()


def test_a_dev_container_that_cannot_start_falls_back_to_production(tiny: Lambda) -> None:
    done = tiny.build("dev", LAYERPROOF_DEV_STAGE="nosuchstage")
    assert done.status == 0, done.err
    assert "[WARNING] the dev container cannot be started" in done.err
    assert tiny.says() == "one"


def test_a_target_that_is_not_installed_is_named_with_the_command(tiny: Lambda) -> None:
    done = tiny.build("prod", TARGET_ARCH="riscv64gc-unknown-linux-gnu")
    assert done.status == 1
    assert "riscv64gc-unknown-linux-gnu" in done.err
    assert "rustup target add riscv64gc-unknown-linux-gnu" in done.err


@pytest.mark.skipif(
    os.getuid() != 0 or not shutil.which("dockerd"), reason="needs an engine of its own to damage"
)
def test_a_damaged_build_cache_is_built_without(tiny: Lambda) -> None:
    with engines.provide("private", say=lambda _: None) as engine:
        own = {**engine.environment, "DOCKER_IMAGE": tiny.image("rust")}
        if not engine.has_image(own["DOCKER_IMAGE"]):
            assert engines.carry(
                tiny.engine.client, engine, own["DOCKER_IMAGE"], say=lambda _: None
            )
        root = Path(engine.client.info()["DockerRootDir"]) / "overlay2"
        assert root.is_dir(), "a private engine that does not keep its layers in overlay2"
        known = {layer.name for layer in root.iterdir()}
        tiny.must_build("prod", **own)
        for layer in root.iterdir():
            if layer.name not in known and layer.name != "l":
                process.run(("rm", "-rf", str(layer)), limit=60).check("rm")
        tiny.write("src/main.rs", says("two"))
        done = tiny.build("prod", **own)
        assert done.status == 0, done.err
        assert "[WARNING] the build cache is damaged; building again without it" in done.err
    assert tiny.says() == "two"
