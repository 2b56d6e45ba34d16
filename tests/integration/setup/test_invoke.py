"""`invoke.sh` asks a function in its runtime image, through a real emulator of the Runtime API."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import process
from harness.engine import Engine, ensure_images
from harness.process import Completed
from tests.integration.setup.conftest import SCRIPTS

ROOT = SCRIPTS.parent
IMAGES = ("layerproof/rust:local", "layerproof/runtime:local")
EMULATORS = (str(ROOT / ".venv" / "bin" / "cargo-lambda"), shutil.which("cargo-lambda"))


class Function:
    """A built function, and `invoke.sh` in its directory; asserts nothing."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.directory = directory
        self.engine = engine
        emulator = next((e for e in EMULATORS if e and os.access(e, os.X_OK)), None)
        self.env = {**engine.environment, "NO_COLOR": "1", "LAYERPROOF_OFFLINE": "1"}
        if emulator:
            self.env["CARGO_LAMBDA"] = emulator

    def invoke(self, *arguments: str, **env: str) -> Completed:
        """Run the script in the function's directory."""
        command = (str(SCRIPTS / "invoke.sh"), *arguments)
        return process.run(command, limit=120, cwd=self.directory, env={**self.env, **env})

    def containers(self) -> list[str]:
        """Containers of the script that are left on the engine."""
        found = self.engine.client.api.containers(
            all=True, filters={"label": ["layerproof.role=invoke"]}
        )
        return [container["Id"] for container in found]


@pytest.fixture(scope="module")
def function(
    engine: Engine, say: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory
) -> Function:
    """The offline sample, built for production."""
    ensure_images(engine, IMAGES, say=say)
    directory = tmp_path_factory.mktemp("function") / "hello"
    ignore = shutil.ignore_patterns("target", "lambda-package", "lambda-deployment*")
    shutil.copytree(ROOT / "fixtures" / "hello-offline", directory, ignore=ignore)
    made = Function(directory, engine)
    build = (str(SCRIPTS / "build-lambda.sh"), "prod")
    process.run(build, limit=300, cwd=directory, env=made.env).check("building the sample")
    return made


def script(directory: Path, program: str) -> Path:
    """Write a shell script as a bootstrap."""
    path = directory / "bootstrap"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    return path


def test_the_package_of_a_build_answers_events_in_turn(function: Function) -> None:
    done = function.invoke('{"name": "Ada"}', '{"name": "Grace"}')
    assert done.status == 0, done.err
    assert [json.loads(line) for line in done.out.splitlines()] == [
        {"message": "Hello, Ada!"},
        {"message": "Hello, Grace!"},
    ]
    assert function.containers() == []


def test_bootstrap_and_zip_answer_alike(function: Function, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text('{"name": "é\\n☃"}')
    answers = [
        function.invoke("--package", package, f"@{event}")
        for package in ("lambda-package/bootstrap", "lambda-deployment.zip")
    ]
    assert [a.status for a in answers] == [0, 0], answers[0].err + answers[1].err
    assert answers[0].out == answers[1].out
    assert json.loads(answers[0].out) == {"message": "Hello, é\n☃!"}


def test_a_request_over_http_is_passed_on(function: Function) -> None:
    done = function.invoke("/?name=Ada")
    assert (done.status, done.out) == (0, '{"message":"Hello, Ada!"}\n'), done.err


def test_without_cargo_on_the_host_the_build_image_has_one(function: Function) -> None:
    path = [p for p in function.env["PATH"].split(":") if not (Path(p) / "cargo").exists()]
    done = function.invoke('{"name": "Ada"}', PATH=":".join(path))
    assert (done.status, done.out) == (0, '{"message":"Hello, Ada!"}\n'), done.err
    assert function.containers() == []


def test_an_error_of_the_function_is_printed_and_fails(function: Function) -> None:
    done = function.invoke("not json", '{"name": "Ada"}')
    assert done.status == 1
    first, second = map(json.loads, done.out.splitlines())
    assert first["errorType"] == "HandlerError"
    assert second == {"message": "Hello, Ada!"}
    assert "the function returned an error" in done.err


def test_a_function_that_dies_is_told_at_once_with_its_log(
    function: Function, tmp_path: Path
) -> None:
    dying = script(tmp_path, "echo 'GLIBC_2.38 not found' >&2; exit 7")
    done = function.invoke("--package", str(dying), "--timeout", "60")
    assert done.status == 1
    assert "the function has ended with exit status 7" in done.err
    assert "| GLIBC_2.38 not found" in done.err
    assert done.seconds < 30
    assert function.containers() == []


def test_a_function_that_never_answers_runs_into_the_limit(
    function: Function, tmp_path: Path
) -> None:
    silent = script(tmp_path, "exec sleep 100")
    done = function.invoke("--package", str(silent), "--timeout", "1")
    assert done.status == 1
    assert "[ERROR] the event \\{\\} failed" in done.err
    assert function.containers() == []


def test_a_bootstrap_that_is_not_executable_is_refused(function: Function, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(zipfile.ZipInfo("bootstrap"), "#!/bin/sh\n")
    done = function.invoke("--package", str(package))
    assert done.status == 1
    assert "is not executable" in done.err


def test_what_is_no_package_is_refused(function: Function, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_text("no zip")
    assert "not a package" in function.invoke("--package", str(broken)).err
    with zipfile.ZipFile(broken, "w") as archive:
        archive.writestr("other", "x")
    done = function.invoke("--package", str(broken))
    assert (done.status, "holds no bootstrap" in done.err) == (1, True)


def test_without_a_package_it_says_how_to_make_one(function: Function, tmp_path: Path) -> None:
    command = (str(SCRIPTS / "invoke.sh"),)
    done = process.run(command, limit=30, cwd=tmp_path, env=function.env)
    assert done.status == 2
    assert "scripts/build-lambda.sh prod" in done.err
