"""Whatever state the container is in, a build ends in a current one; status tells the truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import process
from tests.integration.container.conftest import DOCKERFILE, Checkout, main_rs


def check_serves(checkout: Checkout) -> None:
    """A build takes the current source, in a container that status then calls current."""
    word = f"w{time.monotonic_ns()}"
    checkout.write("src/main.rs", main_rs(word))
    checkout.must("build")
    told = checkout.status()
    assert told["state"] == "running"
    assert told["current"] is True
    assert told["stale_because"] == []
    assert told["id"] == checkout.container()["Id"]
    assert checkout.answer() == f"{word} 1"


def stopped(checkout: Checkout) -> None:
    checkout.must("stop")


def killed(checkout: Checkout) -> None:
    checkout.docker("kill", checkout.containers()[0])


def paused(checkout: Checkout) -> None:
    checkout.docker("pause", checkout.containers()[0])


def removed(checkout: Checkout) -> None:
    checkout.docker("rm", "-f", checkout.containers()[0])


def image_removed(checkout: Checkout) -> None:
    checkout.docker("rmi", "-f", f"layerproof/dev:{checkout.project}")


def container_and_volumes_removed(checkout: Checkout) -> None:
    checkout.docker("rm", "-f", checkout.containers()[0])
    names = checkout.docker(
        "volume", "ls", "-q", "--filter", f"label=layerproof.project={checkout.project}"
    )
    checkout.docker("volume", "rm", *names.split())


def everything_removed(checkout: Checkout) -> None:
    container_and_volumes_removed(checkout)
    image_removed(checkout)


def renamed(checkout: Checkout) -> None:
    checkout.docker("rename", checkout.containers()[0], f"elsewhere-{checkout.project}")


def half_created(checkout: Checkout) -> None:
    checkout.must("clean")
    checkout.must("start")
    facts = checkout.container()
    checkout.docker("rm", "-f", facts["Id"])
    labels = [f"--label={key}={value}" for key, value in facts["Config"]["Labels"].items()]
    checkout.docker("create", "--name", facts["Name"].lstrip("/"), *labels, facts["Image"], "/none")


MOVES: tuple[tuple[Callable[[Checkout], None], str], ...] = (
    (stopped, "exited"),
    (killed, "exited"),
    (paused, "paused"),
    (removed, "absent"),
    (image_removed, "running"),
    (container_and_volumes_removed, "absent"),
    (everything_removed, "absent"),
    (renamed, "running"),
    (half_created, "created"),
)


@pytest.mark.parametrize(("move", "state"), MOVES, ids=[move.__name__ for move, _ in MOVES])
def test_a_build_recovers(checkout: Checkout, move: Callable[[Checkout], None], state: str) -> None:
    checkout.must("start")
    move(checkout)
    told = checkout.status()
    assert told["state"] == state
    assert checkout.run("status").status == 1 or move is renamed
    check_serves(checkout)


def another_dockerfile(checkout: Checkout) -> dict[str, str]:
    checkout.write("Dockerfile.optimized", DOCKERFILE + "ENV EXTRA=1\n")
    return {}


def another_base(checkout: Checkout) -> dict[str, str]:
    base = checkout.docker(
        "image", "inspect", "--format", "{{.Id}}", f"layerproof/dev:{checkout.project}"
    )
    checkout.docker("tag", base.strip(), f"layerproof/other:{checkout.project}")
    return {"DOCKER_IMAGE": f"layerproof/other:{checkout.project}"}


def another_network(checkout: Checkout) -> dict[str, str]:
    return {"LAYERPROOF_NETWORK": "host", "LAYERPROOF_OFFLINE": "0"}


def another_mount(checkout: Checkout) -> dict[str, str]:
    bundle = checkout.write("../bundle.pem", "")
    return {"LAYERPROOF_CA_BUNDLE": str(bundle)}


def another_directory(checkout: Checkout) -> dict[str, str]:
    kept = checkout.path.with_name("kept")
    checkout.path.rename(kept)
    process.run(("cp", "-R", str(kept), str(checkout.path)), limit=30).check("cp")
    return {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (another_dockerfile, "the Dockerfile has changed"),
        (another_base, "the base image has changed"),
        (another_network, "the network setting has changed"),
        (another_mount, "what is mounted has changed"),
        (another_directory, "what is mounted has changed"),
    ],
)
def test_a_container_that_is_out_of_date_is_replaced_and_what_was_compiled_stays(
    checkout: Checkout, change: Callable[[Checkout], dict[str, str]], reason: str
) -> None:
    checkout.must("build")
    before = checkout.containers()
    env = change(checkout)
    try:
        assert checkout.status(**env)["stale_because"] == [reason]
        checkout.write("src/main.rs", main_rs("after"))
        built = checkout.must("build", **env)
        assert reason in built.err
        assert "Compiling app" in built.err
        assert "Compiling tiny" not in built.err
        assert checkout.status(**env)["current"] is True
        assert checkout.containers() != before
        assert len(checkout.containers()) == 1
    finally:
        if "DOCKER_IMAGE" in env:
            checkout.docker("rmi", env["DOCKER_IMAGE"])


def test_a_directory_that_was_made_anew_is_seen(checkout: Checkout) -> None:
    checkout.must("build")
    process.run(("rm", "-rf", str(checkout.path)), limit=30).check("rm")
    checkout.path.mkdir()
    again = Checkout(checkout.path, checkout.engine)
    again.write("src/main.rs", main_rs("anew"))
    again.must("build")
    assert again.answer() == "anew 1"


def test_a_name_that_another_container_has_is_left_to_it(checkout: Checkout) -> None:
    name = f"layerproof-dev-{checkout.project}"
    checkout.must("start")
    image = checkout.container()["Image"]
    checkout.docker("rm", "-f", checkout.containers()[0])
    checkout.docker("create", "--name", name, image, "/none")
    try:
        check_serves(checkout)
        check_serves(checkout)
        assert checkout.docker("inspect", "--format", "{{.Path}}", name).strip() == "/none"
    finally:
        checkout.docker("rm", "-f", name)


def test_stop_is_quick_and_can_be_said_again(checkout: Checkout) -> None:
    checkout.must("stop")
    checkout.must("start")
    began = time.monotonic()
    container = checkout.containers()[0]
    checkout.must("stop")
    # Without a signal handler the engine would wait a full second of grace, and the default is ten.
    assert time.monotonic() - began < 2
    assert checkout.status()["state"] == "exited"
    assert checkout.container()["State"]["ExitCode"] in {0, 143}
    checkout.must("stop")
    checkout.must("start")
    checkout.must("start")
    assert checkout.containers() == [container]
    checkout.docker("pause", container)
    checkout.must("stop")
    assert checkout.status()["state"] == "exited"


def test_restart_begins_anew_in_the_same_container(checkout: Checkout) -> None:
    checkout.must("start")
    before = checkout.container()
    checkout.must("restart")
    after = checkout.container()
    assert after["Id"] == before["Id"]
    assert after["State"]["StartedAt"] != before["State"]["StartedAt"]
    assert checkout.run("status").status == 0


def test_two_checkouts_never_meet(make_checkout: Callable[..., Checkout]) -> None:
    first, second = make_checkout("one"), make_checkout("two")
    second.write("src/main.rs", main_rs("second"))
    first.must("build")
    second.must("build")
    assert first.containers() != second.containers()
    assert (first.answer(), second.answer()) == ("one 1", "second 1")
    first.must("clean")
    assert first.status()["state"] == "absent"
    assert second.run("status").status == 0


def test_a_checkout_reached_through_a_link_is_the_same(checkout: Checkout) -> None:
    checkout.must("start")
    link = checkout.path.with_name("link")
    link.symlink_to(checkout.path)
    told = process.run(
        (str(Path(__file__).parents[3] / "scripts/dev-container.sh"), "status"),
        limit=60,
        cwd=link,
        env={**checkout.env, "PWD": str(link)},
    )
    assert told.status == 0


def test_commands_run_in_the_container(checkout: Checkout) -> None:
    ran = checkout.run("exec", "--", "sh", "-c", 'echo "$CARGO_TARGET_DIR"; pwd; exit 7')
    assert ran.status == 7
    assert ran.out.split() == ["/layerproof/build/target", "/workspace"]
    checkout.must("build")
    assert "build ended with status 0" in checkout.must("logs").out


def test_a_container_that_cannot_be_had_is_reported(checkout: Checkout) -> None:
    checkout.write("Dockerfile.optimized", DOCKERFILE + "RUN exit 3\n")
    failed = checkout.run("build")
    assert failed.status == 3
    assert "cannot be built" in failed.err
    checkout.write("Dockerfile.optimized", "FROM scratch AS other\n")
    failed = checkout.run("start")
    assert failed.status == 3
    assert "LAYERPROOF_DEV_STAGE" in failed.err
