"""The dev container's client: what it asks docker, what it decides, what it says."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.unit.scripts.shell_stubs import Answer, Shell

SCRIPT = "dev-container.sh"
DOCKERFILE = "FROM rust AS base\n"
BASE = "sha256:" + "b" * 64
DEV = "sha256:" + "d" * 64
CONTAINER = "c" * 64


@pytest.fixture
def project(shell: Shell) -> Shell:
    """A cargo project with a Dockerfile of its own."""
    shell.cargo_project()
    shell.write("Dockerfile.optimized", DOCKERFILE)
    return shell


def project_id(shell: Shell) -> str:
    return hashlib.sha256(str(shell.project).encode()).hexdigest()[:16]


def image_line(tags: str, identity: str, inputs: str = "") -> str:
    return f"image|{tags} |amd64|{identity}||||||{'|' if inputs else ''}{inputs}\n"


def container_line(
    shell: Shell,
    *,
    state: str = "running",
    config: str = "",
    inputs: str = "",
    image: str = DEV,
    role: str = "dev",
) -> str:
    return (
        f"container|||{CONTAINER}|{state}|2026-01-01T00:00:00Z|{image}|"
        f"{project_id(shell)}|{role}|{config}|{inputs}\n"
    )


def wanted(shell: Shell) -> tuple[str, str, str]:
    """Return the inputs of image and container, and their hash, that the script wants here."""
    shell.stub("docker", Answer("inspect *", out=image_line("layerproof/rust:local", BASE)),
               Answer("ps *"))  # fmt: skip
    told = shell.source(
        SCRIPT,
        "open_project; look; "
        'printf "%s\\n" "$WANTED_IMAGE_INPUTS" "$WANTED_INPUTS" "$WANTED_CONFIG"',
    )
    assert told.status == 0, told.err
    shutil.rmtree(shell.root / "stubs" / "docker.d")
    image, inputs, config = told.out.splitlines()
    return image, inputs, config


def observed(shell: Shell, *, state: str = "running", image: str = DEV) -> str:
    """Return what docker inspect says where there is a current container in that state."""
    image_inputs, inputs, config = wanted(shell)
    return (
        container_line(shell, state=state, config=config, inputs=inputs, image=image)
        + f"image|layerproof/dev:{project_id(shell)} |amd64|{DEV}||||"
        + f"{project_id(shell)}|dev-image||{image_inputs}\n"
        + image_line("layerproof/rust:local", BASE)
    )


def test_a_current_container_costs_one_look_and_one_exec(project: Shell) -> None:
    seen = observed(project)
    project.stub(
        "docker",
        Answer("inspect --format *", out=seen, status=1, times=1,
               err="Error: No such object: rust:1.85-slim-bookworm\n"),
        Answer(f"exec --interactive * {CONTAINER} sh -s -- --bin app", times=1,
               out="target/debug/app\n"),
    )  # fmt: skip
    built = project.run(SCRIPT, "build", "--bin", "app")
    assert built.status == 0, built.err
    assert built.out == "target/debug/app\n"


def test_one_look_names_container_image_and_bases(project: Shell) -> None:
    project.stub("docker", Answer("inspect *", times=1), Answer("ps *"))
    project.source(SCRIPT, "open_project; look")
    ours = project_id(project)
    call = project.calls("docker")[0]
    assert call[:2] == ["inspect", "--format"]
    assert call[3:] == [
        f"layerproof-dev-{ours}",
        f"layerproof/dev:{ours}",
        "rust:1.85-slim-bookworm",
        "layerproof/rust:local",
    ]


def test_the_users_own_base_image_is_the_one_that_is_looked_at(project: Shell) -> None:
    project.stub("docker", Answer("inspect *", times=1), Answer("ps *"))
    project.source(SCRIPT, "open_project; look", DOCKER_IMAGE="mine:1")
    assert project.calls("docker")[0][-2:] == [f"layerproof/dev:{project_id(project)}", "mine:1"]


MOVES = [
    ("running", "ready"),
    ("paused", "unpause"),
    ("exited", "start"),
    ("created", "start"),
    ("dead", "replace"),
    ("removing", "wait"),
    ("restarting", "wait"),
]


@pytest.mark.parametrize(("state", "move"), MOVES)
def test_the_next_move_follows_from_the_state(project: Shell, state: str, move: str) -> None:
    seen = observed(project, state=state)
    project.stub("docker", Answer("inspect *", out=seen))
    assert project.source(SCRIPT, "open_project; look; next_move").out == f"{move}\n"


def test_no_container_is_to_be_created(project: Shell) -> None:
    project.stub("docker", Answer("inspect *"), Answer("ps *"))
    assert project.source(SCRIPT, "open_project; look; next_move").out == "create\n"


@pytest.mark.parametrize("state", ["running", "paused", "exited", "created"])
def test_a_stale_container_is_replaced_whatever_its_state(project: Shell, state: str) -> None:
    seen = observed(project, state=state)
    project.write("Dockerfile.optimized", DOCKERFILE + "ENV A=1\n")
    project.stub("docker", Answer("inspect *", out=seen))
    told = project.source(SCRIPT, "open_project; look; next_move; stale_words")
    assert told.out == "replace\nthe Dockerfile has changed\n"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"LAYERPROOF_NETWORK": "host"}, "the network setting has changed"),
        ({"LAYERPROOF_OFFLINE": "1"}, "the network setting has changed"),
        ({"LAYERPROOF_DEV_STAGE": "tools"}, "another stage of the Dockerfile is asked for"),
    ],
)
def test_a_setting_makes_it_stale(project: Shell, changes: dict[str, str], reason: str) -> None:
    seen = observed(project)
    project.stub("docker", Answer("inspect *", out=seen))
    told = project.source(SCRIPT, "open_project; look; stale_words", **changes)
    assert told.out == f"{reason}\n"


def test_another_base_image_makes_it_stale(project: Shell) -> None:
    seen = observed(project).replace(BASE, "sha256:" + "e" * 64)
    seen = seen.replace(f"image|layerproof/rust:local |amd64|{BASE}", "")
    project.stub("docker", Answer("inspect *", out=seen))
    told = project.source(SCRIPT, "open_project; look; stale_words")
    assert told.out == "the base image has changed\n"


def test_an_image_that_is_gone_or_another_makes_it_stale(project: Shell) -> None:
    seen = observed(project)
    gone = "".join(line for line in seen.splitlines(True) if "layerproof/dev:" not in line)
    project.stub("docker", Answer("inspect *", out=gone))
    told = project.source(SCRIPT, "open_project; look; stale_words")
    assert told.out == "its image was removed\n"
    other = observed(project, image="sha256:" + "f" * 64)
    project.stub("docker", Answer("inspect *", out=other))
    told = project.source(SCRIPT, "open_project; look; stale_words")
    assert told.out == "its image has changed\n"


def test_status_is_json_with_the_promised_keys(project: Shell) -> None:
    seen = observed(project)
    project.stub("docker", Answer("inspect *", out=seen))
    ran = project.run(SCRIPT, "status", "--json")
    assert ran.status == 0
    assert json.loads(ran.out) == {
        "state": "running",
        "id": CONTAINER,
        "name": f"layerproof-dev-{project_id(project)}",
        "started_at": "2026-01-01T00:00:00Z",
        "current": True,
        "stale_because": [],
        "project": project_id(project),
        "image": f"layerproof/dev:{project_id(project)}",
    }


def test_status_of_a_stopped_container_is_1(project: Shell) -> None:
    seen = observed(project, state="exited")
    project.stub("docker", Answer("inspect *", out=seen))
    ran = project.run(SCRIPT, "status")
    assert ran.status == 1
    assert "state      exited" in ran.out


def test_a_foreign_container_with_our_name_is_not_ours(project: Shell) -> None:
    project.stub(
        "docker",
        Answer("inspect *", out=container_line(project, role="dev-image")),
        Answer("ps *"),
    )
    told = project.source(SCRIPT, 'open_project; look; echo "$CONTAINER_STATE $NAME_TAKEN"')
    assert told.out == "absent 1\n"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("plain", "plain"),
        ("with space", "with space"),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\nlines", '"two\nlines"'),
        ("colon:x", "colon:x"),
    ],
)
def test_mount_fields_are_quoted_as_csv(shell: Shell, text: str, field: str) -> None:
    assert shell.call("csv_field", text).out == f"{field}\n"


def test_the_container_is_created_with_all_that_it_promises(project: Shell) -> None:
    project.stub("docker", Answer("inspect *"), Answer("ps *"))
    code = (
        "open_project; CA_BUNDLE='/etc/a,b.pem' CREDENTIALS=/home/u/credentials.toml; look\n"
        "CONTAINER_NETWORK=host; set_container_arguments; "
        'printf "%s\\n" "${CONTAINER_ARGUMENTS[@]}"'
    )
    words = project.source(SCRIPT, code).out
    ours = project_id(project)
    for expected in (
        "--init",
        "--pull\nnever",
        "--workdir\n/workspace",
        f"layerproof.project={ours}",
        "layerproof.role=dev",
        f"type=bind,source={project.project},target=/workspace",
        f"type=volume,source=layerproof-dev-{ours}-build,target=/layerproof/build,"
        f"volume-label=layerproof.project={ours},volume-label=layerproof.role=dev",
        "CARGO_TARGET_DIR=/layerproof/build/target",
        "CARGO_HOME=/layerproof/cargo",
        "HOME=/layerproof/cargo/home",
        "--network\nhost",
        'type=bind,"source=/etc/a,b.pem",target=/etc/ssl/certs/ca-certificates.crt,readonly',
        "type=bind,source=/home/u/credentials.toml,"
        "target=/layerproof/cargo/credentials.toml,readonly",
    ):
        assert f"\n{expected}\n" in f"\n{words}", expected


def test_the_image_is_the_base_stage_and_secrets_are_no_arguments(project: Shell) -> None:
    project.stub("docker", Answer("inspect *"), Answer("ps *"))
    code = (
        "open_project; CA_BUNDLE='/etc/a,b.pem'; look\n"
        'CONTAINER_NETWORK=none; set_image_arguments; printf "%s\\n" "${IMAGE_ARGUMENTS[@]}"'
    )
    words = project.source(SCRIPT, code).out.split("\n")
    assert words[words.index("--target") + 1] == "base"
    assert words[words.index("--file") + 1] == "Dockerfile.optimized"
    assert words[words.index("--network") + 1] == "none"
    given = 'id=ca,"src=/etc/a,b.pem"'
    assert words[words.index("--secret") + 1] == given
    assert [word for word in words if "/etc/a,b.pem" in word] == [given]


GUEST_CODES = [
    (91, 1, "not writable"),
    (92, 1, "lacks what a build needs"),
    (93, 1, "no binary target"),
    (101, 1, "[ERROR] the build failed"),
]


@pytest.mark.parametrize(("guest", "status", "words"), GUEST_CODES)
def test_what_the_guest_says_becomes_one_clear_error(
    project: Shell, guest: int, status: int, words: str
) -> None:
    seen = observed(project)
    project.stub("docker", Answer("inspect *", out=seen), Answer("exec *", status=guest, times=1))
    built = project.run(SCRIPT, "build")
    assert built.status == status
    assert words in built.err


def test_a_container_that_keeps_going_away_is_given_up_after_three_builds(project: Shell) -> None:
    seen = observed(project)
    project.stub("docker", Answer("inspect *", out=seen), Answer("exec *", status=137, times=3))
    built = project.run(SCRIPT, "build")
    assert built.status == 3
    assert "went away" in built.err
    assert "not fit to build in" in built.err


def test_volumes_that_are_not_the_callers_are_prepared_and_the_build_made_again(
    project: Shell,
) -> None:
    seen = observed(project)
    project.stub(
        "docker",
        Answer("inspect *", out=seen),
        Answer("image inspect *", out="PATH=/bin\nCARGO_HOME=/opt/cargo\n", times=1),
        Answer(f"exec --interactive --user 0:0 {CONTAINER} sh -s * /opt/cargo", times=1,
               does='touch "$directory/prepared"'),
        Answer("exec *", status=94, times=2,
               does='[ ! -e "$directory/prepared" ] || exit 0'),
    )  # fmt: skip
    built = project.run(SCRIPT, "build")
    assert built.status == 0, built.err


def test_a_new_container_is_started_and_its_volumes_prepared_before_it_counts(
    project: Shell,
) -> None:
    project.stub(
        "docker",
        Answer("image inspect *", times=1),
        Answer("create --name mine *", times=1),
        Answer("start mine", times=1),
        Answer("exec --interactive --user 0:0 mine sh -s * /usr/local/cargo", times=1),
    )
    code = (
        "open_project; WANTED_IMAGE_INPUTS=x IMAGE_INPUTS=x IMAGE_ID=i WANTED_CONFIG=c\n"
        "WANTED_INPUTS=i LAYERPROOF_NETWORK=none NAME_TAKEN='' CONTAINER_NAME=mine\n"
        "create_container"
    )
    made = project.source(SCRIPT, code)
    assert made.status == 0, made.err
    calls = [call[0] for call in project.calls("docker")]
    assert calls[:2] == ["create", "start"]


def test_a_container_that_cannot_be_started_is_replaced_then_reported(project: Shell) -> None:
    seen = observed(project, state="exited")
    project.stub(
        "docker",
        Answer("inspect *", out=seen),
        Answer("start *", status=1,
               err="Error response from daemon: could not find bridge docker0\n"),
        Answer("rm --force *"),
    )  # fmt: skip
    built = project.run(SCRIPT, "build")
    assert built.status == 3
    assert "cannot be started" in built.err
    assert "could not find bridge" in built.err
    assert "LAYERPROOF_NETWORK=host" in built.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "a command is missing"),
        (("bulid",), "unknown command: bulid"),
        (("status", "--yaml"), "status takes --json or nothing"),
        (("stop", "now"), "stop takes no arguments"),
        (("exec",), "exec needs a command"),
    ],
)
def test_wrong_usage_is_2(project: Shell, arguments: tuple[str, ...], words: str) -> None:
    project.stub("docker", Answer("*", times=0))
    ran = project.run(SCRIPT, *arguments)
    assert ran.status == 2
    assert words in ran.err
    assert "COMMANDS" in ran.err


def test_help_is_on_stdout_and_is_0(project: Shell) -> None:
    ran = project.run(SCRIPT, "--help")
    assert ran.status == 0
    for command in (
        "start",
        "stop",
        "restart",
        "status",
        "build",
        "shell",
        "exec",
        "logs",
        "clean",
    ):
        assert f"\n  {command}" in ran.out


def test_not_a_project_is_refused_before_docker_is_asked(shell: Shell) -> None:
    shell.write("Dockerfile.optimized", DOCKERFILE)
    shell.stub("docker", Answer("*", times=0))
    ran = shell.run(SCRIPT, "build")
    assert ran.status == 1
    assert "not a cargo project" in ran.err


@pytest.mark.parametrize(
    "words",
    [
        "Cannot connect to the Docker daemon at unix:///none. Is the docker daemon running?\n",
        "failed to connect to the docker API at unix:///none: dial unix /none: "
        "connect: no such file or directory\n",
    ],
)
def test_an_engine_that_is_not_there_is_not_taken_for_one_that_has_nothing(
    project: Shell, words: str
) -> None:
    project.stub("docker", Answer("*", status=1, err=words))
    ran = project.run(SCRIPT, "status", LAYERPROOF_ENGINE_ATTEMPTS="1", DOCKER_HOST="unix:///none")
    assert ran.status == 3
    assert "engine" in ran.err


def test_without_docker_it_is_3(project: Shell) -> None:
    ran = project.run(SCRIPT, "start")
    assert ran.status == 3
    assert "docker is not installed" in ran.err


@pytest.mark.parametrize(
    ("flags", "offline", "words"),
    [
        ("", "0", ["--bin", "x"]),
        ("--features a,b  -j 2", "0", ["--bin", "x", "--features", "a,b", "-j", "2"]),
        ("--features *", "1", ["--bin", "x", "--offline", "--features", "*"]),
    ],
)
def test_build_arguments(shell: Shell, flags: str, offline: str, words: list[str]) -> None:
    told = shell.call(
        "set_build_arguments", "--bin", "x",
        after='printf "%s\\n" "${BUILD_ARGUMENTS[@]}"',
        CARGO_FLAGS=flags, LAYERPROOF_OFFLINE=offline,
    )  # fmt: skip
    assert told.out.splitlines() == words


def test_sourcing_the_script_does_nothing(shell: Shell) -> None:
    shell.stub("docker", Answer("*", times=0))
    told = shell.source(SCRIPT, "echo sourced")
    assert (told.status, told.out, told.err) == (0, "sourced\n", "")
    assert not (Path(shell.project) / "target").exists()
