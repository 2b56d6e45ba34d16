"""scripts/lib/engine.sh: which engine, which images, which network, which buildx."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import Answer, Shell

PROBE = (
    "image inspect --format image|{{range .RepoTags}}{{.}} {{end}}|{{.Architecture}} "
    "rust:1.85-slim-bookworm amazon/aws-lambda-provided:al2023 "
    "layerproof/rust:local layerproof/runtime:local"
)
BRIDGE = 'network inspect bridge --format {{index .Options "com.docker.network.bridge.name"}}'
NOT_RUNNING = "Cannot connect to the Docker daemon at unix://{}. Is the docker daemon running?\n"
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at "
    "unix:///var/run/docker.sock\n"
)
NO_IMAGE = "Error response from daemon: No such image: rust:1.85-slim-bookworm\n"
STAND_INS = "image|layerproof/rust:local |amd64\nimage|layerproof/runtime:local |amd64\n"
REAL = "image|rust:1.85-slim-bookworm |arm64\nimage|amazon/aws-lambda-provided:al2023 |arm64\n"

REPORT = 'printf "%s|" "$BUILD_IMAGE" "$RUNTIME_IMAGE" "$ENGINE_ARCHITECTURE" "$ENGINE_NETWORK"'


def probe(out: str = "", err: str = "", status: int = 0, times: int | None = None) -> Answer:
    return Answer(when=PROBE, out=out, err=err, status=status, times=times)


def bridge(name: str = "docker0", status: int = 0, err: str = "") -> Answer:
    return Answer(when=BRIDGE, out=f"{name}\n", status=status, err=err)


def opened(shell: Shell, **changes: str) -> list[str]:
    done = shell.call("open_engine", after=REPORT, **changes)
    assert done.status == 0, done.err
    return done.out.split("|")[:-1]


def test_stand_ins_are_taken_where_they_are_all_there_is(shell: Shell) -> None:
    shell.stub("docker", probe(STAND_INS, NO_IMAGE, 1, times=1), bridge())
    assert opened(shell, LAYERPROOF_NETWORK="")[:3] == [
        "layerproof/rust:local",
        "layerproof/runtime:local",
        "x86_64",
    ]


def test_real_images_go_before_stand_ins(shell: Shell) -> None:
    shell.stub("docker", probe(STAND_INS + REAL), bridge())
    assert opened(shell)[:3] == [
        "rust:1.85-slim-bookworm",
        "amazon/aws-lambda-provided:al2023",
        "arm64",
    ]


def test_real_images_are_pulled_where_there_are_none(shell: Shell) -> None:
    shell.stub("docker", probe(err=NO_IMAGE, status=1), bridge())
    assert opened(shell)[:3] == [
        "rust:1.85-slim-bookworm",
        "amazon/aws-lambda-provided:al2023",
        "",
    ]


def test_the_users_images_go_before_all(shell: Shell) -> None:
    shell.stub("docker", probe(STAND_INS + REAL), bridge())
    images = opened(shell, DOCKER_IMAGE="my/rust", RUNTIME_IMAGE="my/runtime")[:2]
    assert images == ["my/rust", "my/runtime"]


def test_a_complaint_that_names_an_image_is_not_that_image(shell: Shell) -> None:
    complaint = "Error response from daemon: no such image: rust:1.85-slim-bookworm: none\n"
    shell.stub("docker", probe(STAND_INS, complaint, 1), bridge())
    assert opened(shell)[0] == "layerproof/rust:local"


def test_a_network_that_is_named_is_not_looked_for(shell: Shell) -> None:
    shell.stub("docker", probe(STAND_INS), Answer(when=BRIDGE, times=0))
    assert opened(shell, LAYERPROOF_NETWORK="none")[3] == "none"


@pytest.mark.parametrize(
    ("answer", "network"),
    [
        (bridge("lo"), ""),
        (bridge("nosuchbridge0"), "host"),
        (bridge("", 1, "Error response from daemon: network bridge not found\n"), "host"),
        (bridge("", 1, "Error: No such network: bridge\n"), "host"),
        (bridge("", 1, "Error: something else\n"), ""),
    ],
)
def test_host_is_chosen_where_the_bridge_is_broken(
    shell: Shell, answer: Answer, network: str
) -> None:
    shell.stub("docker", probe(STAND_INS), answer)
    assert opened(shell)[3] == network


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("tcp://build.example:2376", ""),
        ("unix:///run/user/1000/docker.sock", ""),
        ("unix:///run/docker.sock", "host"),
    ],
    ids=["another machine", "rootless", "this machine"],
)
def test_only_the_bridge_of_this_machine_is_looked_for_here(
    shell: Shell, host: str, network: str
) -> None:
    shell.stub("docker", probe(STAND_INS), bridge("nosuchbridge0"))
    assert opened(shell, DOCKER_HOST=host)[3] == network


def test_the_bridge_of_a_contexts_engine_is_not_looked_for_here(shell: Shell) -> None:
    """Docker Desktop: the socket is here, the bridge in a machine of its own."""
    configuration = shell.root / "home" / ".docker" / "config.json"
    configuration.parent.mkdir()
    configuration.write_text('{"currentContext": "desktop-linux"}')
    shell.stub("docker", probe(STAND_INS), bridge("nosuchbridge0"))
    assert opened(shell)[3] == ""


def connect(shell: Shell, **changes: str) -> tuple[int, str]:
    done = shell.call("connect_engine", before="sleep() { echo pause $1; }", **changes)
    return done.status, done.out + done.err


def test_without_docker_the_exit_code_is_3_and_the_way_out_is_named(shell: Shell) -> None:
    status, said = connect(shell)
    assert status == 3
    assert "docker is not installed" in said
    assert "make setup" in said


def test_a_socket_that_is_absent_fails_at_once(shell: Shell) -> None:
    shell.stub("docker", probe(err=NOT_RUNNING.format("/nonexistent"), status=1, times=1))
    status, said = connect(shell)
    assert status == 3
    assert "no Docker engine is running" in said
    assert "pause" not in said


def test_no_permission_fails_at_once_and_says_so(shell: Shell) -> None:
    shell.stub("docker", probe(err=DENIED, status=1, times=1))
    status, said = connect(shell)
    assert status == 3
    assert "no permission to use the Docker engine" in said
    assert "docker group" in said
    assert DENIED.strip() in said


def test_a_context_that_names_nothing_fails_at_once(shell: Shell) -> None:
    words = 'unable to resolve docker endpoint: context "x": context not found\n'
    shell.stub("docker", probe(err=words, status=1, times=1))
    assert connect(shell)[0] == 3


def dead_socket(directory: Path) -> Path:
    path = directory / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.close()
    return path


def test_an_engine_that_does_not_answer_is_tried_again_ever_more_slowly(shell: Shell) -> None:
    path = dead_socket(shell.root)
    shell.stub("docker", probe(err=NOT_RUNNING.format(path), status=1, times=4))
    status, said = connect(shell)
    assert status == 3
    assert [line for line in said.splitlines() if line.startswith("pause")] == [
        "pause 1",
        "pause 2",
        "pause 4",
    ]
    assert "gave up after 4 attempts" in said


def test_an_engine_that_comes_up_meanwhile_is_used(shell: Shell) -> None:
    path = dead_socket(shell.root)
    up = shell.root / "up"
    shell.stub(
        "docker",
        Answer(
            when=PROBE,
            err=NOT_RUNNING.format(path),
            does=f'[ ! -e "{up}" ] || exit 0; touch "{up}"',
            status=1,
            times=2,
        ),
    )
    assert connect(shell)[0] == 0


def test_a_hung_engine_is_given_up_in_time(shell: Shell) -> None:
    shell.stub("docker", Answer(when=PROBE, does="exec sleep 30", times=1))
    done = shell.call(
        "connect_engine", LAYERPROOF_ENGINE_TIMEOUT="1", LAYERPROOF_ENGINE_ATTEMPTS="1"
    )
    assert done.status == 3
    assert "the Docker engine does not answer" in done.err
    assert done.seconds < 10


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A runtime directory with a live private socket; the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="lp") as name:
        directory = Path(name) / f"layerproof-{os.getuid()}"
        directory.mkdir()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(directory / "main.sock"))
            yield Path(name)


def by_host(silent: str) -> str:
    """Answer for a private engine, and as a missing default engine otherwise."""
    return f'[ -z "${{DOCKER_HOST:-}}" ] || exit 0; echo "{silent}" >&2; exit 1'


def test_a_private_engine_is_taken_where_no_other_runs(shell: Shell, runtime: Path) -> None:
    words = NOT_RUNNING.format("/nonexistent").strip()
    shell.stub("docker", Answer(when=PROBE, does=by_host(words), times=2))
    done = shell.call("connect_engine", after='echo "$DOCKER_HOST"', XDG_RUNTIME_DIR=str(runtime))
    socket_path = runtime / f"layerproof-{os.getuid()}" / "main.sock"
    assert (done.status, done.out) == (0, f"unix://{socket_path}\n")


def test_a_private_engine_behind_a_link_is_not_ours(
    shell: Shell, runtime: Path, tmp_path: Path
) -> None:
    """In /tmp anybody may lay a link, or a directory, where ours would be."""
    (tmp_path / f"layerproof-{os.getuid()}").symlink_to(runtime / f"layerproof-{os.getuid()}")
    words = NOT_RUNNING.format("/nonexistent")
    shell.stub("docker", probe(err=words, status=1, times=1))
    assert connect(shell, XDG_RUNTIME_DIR=str(tmp_path))[0] == 3


def test_a_named_engine_is_never_replaced_by_a_private_one(shell: Shell, runtime: Path) -> None:
    words = NOT_RUNNING.format("/nonexistent")
    shell.stub("docker", probe(err=words, status=1, times=1))
    assert connect(shell, DOCKER_HOST="unix:///nonexistent", XDG_RUNTIME_DIR=str(runtime))[0] == 3


@pytest.mark.parametrize(
    ("status", "output", "state"),
    [
        ("0", "", "answers"),
        ("1", "Error: No such image: x", "answers"),
        ("1", "Error response from daemon: no such image: x: No such image: x", "answers"),
        ("1", "Got permission denied while trying to connect to the Docker daemon", "permission"),
        (
            "1",
            "failed to connect to the docker API at unix:///x; check if the path is correct and if"
            " the daemon is running: dial unix /x: connect: no such file or directory",
            "absent",
        ),
        ("1", NOT_RUNNING.format("/nonexistent"), "absent"),
        ("1", "error during connect: Get http://x: EOF", "silent"),
        ("1", "Cannot connect to the Docker daemon at tcp://h:1. Is the docker …", "silent"),
        ("124", "", "silent"),
    ],
)
def test_what_the_client_says_is_understood(
    shell: Shell, status: str, output: str, state: str
) -> None:
    assert shell.call("classify_probe", status, output).out == f"{state}\n"


@pytest.mark.parametrize("program", ["perl", "timeout", ""])
def test_a_time_limit_passes_on_what_the_command_does(shell: Shell, program: str) -> None:
    before = f'has_command() {{ [ "$1" = "{program}" ]; }}'
    (shell.root / "stubs" / "timeout").symlink_to("/usr/bin/timeout")
    done = shell.call("limit_time", "5", "bash", "-c", "echo out; exit 7", before=before)
    assert (done.status, done.out) == (7, "out\n")


def test_a_command_that_takes_too_long_is_ended(shell: Shell) -> None:
    done = shell.call("limit_time", "1", "sleep", "30")
    assert done.status == 124
    assert done.seconds < 5


def plugin(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


FOUND = 'echo "${BUILDX[@]}"'


def test_a_named_buildx_goes_before_all(shell: Shell) -> None:
    plugin(shell.root / "home/.docker/cli-plugins/docker-buildx")
    mine = plugin(shell.root / "mine/docker-buildx")
    done = shell.call("find_buildx", after=FOUND, LAYERPROOF_BUILDX=str(mine))
    assert done.out == f"{mine}\n"


def test_a_named_buildx_that_cannot_be_run_is_an_error(shell: Shell) -> None:
    done = shell.call("find_buildx", LAYERPROOF_BUILDX="/nonexistent")
    assert (done.status, done.out) == (3, "")


@pytest.mark.parametrize(
    "place", ["home/.docker/cli-plugins/docker-buildx", "state/tools/docker-buildx"]
)
def test_the_plugin_is_called_directly_where_it_lies(shell: Shell, place: str) -> None:
    mine = plugin(shell.root / place)
    assert shell.call("find_buildx", after=FOUND).out == f"{mine}\n"


NOWHERE = "buildx_candidates() { :; }"


def test_a_plugin_that_only_the_client_knows_is_called_through_it(shell: Shell) -> None:
    shell.stub("docker", Answer(when="buildx version", out="github.com/docker/buildx v0.13.1\n"))
    assert shell.call("find_buildx", before=NOWHERE, after=FOUND).out == "docker buildx\n"


def test_without_buildx_nothing_falls_back_to_the_classic_builder(shell: Shell) -> None:
    shell.stub(
        "docker",
        Answer(when="buildx version", err="docker: 'buildx' is not a docker command.\n", status=1),
    )
    done = shell.call("find_buildx", before=NOWHERE)
    assert done.status == 3
    assert "buildx is not installed" in done.err
    assert "make setup" in done.err
