"""Callers at the same time, and callers that are ended in the middle."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from harness.process import Running
from tests.integration.container.conftest import LIMIT, Checkout, main_rs

pytestmark = pytest.mark.usefixtures("signals_arrive")

SLOW = """fn main() {
    let script = "setsid sleep 7777 & sleep 8888";
    std::process::Command::new("sh").args(["-c", script]).status().unwrap();
}
"""


def wait_until_running(checkout: Checkout, words: str, client: Running | None = None) -> None:
    """Return as soon as a command line with these words runs in the container."""
    deadline = time.monotonic() + LIMIT
    while words not in checkout.processes():
        assert time.monotonic() < deadline, f"{words!r} never ran"
        assert client is None or not client.ended, client and client.wait(limit=1).err
        time.sleep(0.05)


def nothing_runs(checkout: Checkout) -> bool:
    """Whether only the container's main process is left, within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        running = checkout.processes()
        if not any(word in running for word in ("cargo", "rustc", "7777", "8888", "flock", "tee ")):
            return True
        time.sleep(0.05)
    return False


def test_two_builds_at_once_both_succeed(checkout: Checkout) -> None:
    with contextlib.ExitStack() as stack:
        builds = [stack.enter_context(checkout.start("build")) for _ in range(3)]
        results = [build.wait(limit=LIMIT) for build in builds]
    assert [result.status for result in results] == [0, 0, 0], [r.err for r in results]
    assert len(checkout.containers()) == 1
    assert checkout.answer() == "one 1"


def test_a_build_waits_for_another_and_says_so(checkout: Checkout) -> None:
    checkout.must("build")
    checkout.write(
        "build.rs",
        'fn main() { while !std::path::Path::new("go").exists() {'
        " std::thread::sleep(std::time::Duration::from_millis(20)); } }\n",
    )
    with checkout.start("build") as first:
        wait_until_running(checkout, "build-script-build", first)
        with checkout.start("build") as second:
            wait_until_running(checkout, "flock 9", second)
            checkout.write("go", "")
            assert first.wait(limit=LIMIT).status == 0
            waited = second.wait(limit=LIMIT)
    assert waited.status == 0
    assert "waiting for another build" in waited.err


def test_two_starts_at_once_make_one_container(checkout: Checkout) -> None:
    with contextlib.ExitStack() as stack:
        starts = [stack.enter_context(checkout.start("start")) for _ in range(3)]
        results = [start.wait(limit=LIMIT) for start in starts]
    assert [result.status for result in results] == [0, 0, 0], [r.err for r in results]
    assert len(checkout.containers()) == 1
    assert checkout.run("status").status == 0


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_a_client_that_is_ended_leaves_nothing_running(
    checkout: Checkout, number: signal.Signals, status: int
) -> None:
    checkout.must("build")
    good = (checkout.path / "target/debug/app").read_bytes()
    checkout.write("build.rs", SLOW)
    with checkout.start("build") as build:
        wait_until_running(checkout, "sleep 8888", build)
        build.signal(number)
        ended = build.wait(limit=30)
    assert ended.status == status, ended.err
    if number != signal.SIGKILL:  # then nobody is left to wait for the end
        assert "8888" not in checkout.processes()
    assert nothing_runs(checkout), checkout.processes()
    assert (checkout.path / "target/debug/app").read_bytes() == good
    assert sorted(p.name for p in (checkout.path / "target/.layerproof").iterdir()) == [
        "failed",
        "last-build",
    ]
    (checkout.path / "build.rs").unlink()
    checkout.write("src/main.rs", main_rs("after"))
    checkout.must("build")
    assert checkout.answer() == "after 1"


def test_a_client_that_waits_for_a_build_can_be_ended_and_the_build_goes_on(
    checkout: Checkout,
) -> None:
    checkout.must("build")
    checkout.write(
        "build.rs",
        'fn main() { while !std::path::Path::new("go").exists() {'
        " std::thread::sleep(std::time::Duration::from_millis(20)); } }\n",
    )
    with checkout.start("build") as first:
        wait_until_running(checkout, "build-script-build", first)
        with checkout.start("build") as second:
            wait_until_running(checkout, "flock 9", second)
            second.signal(signal.SIGINT)
            assert second.wait(limit=30).status == 130
        assert "flock 9" not in checkout.processes()
        assert "build-script-build" in checkout.processes()
        checkout.write("go", "")
        assert first.wait(limit=LIMIT).status == 0


def test_exec_that_is_ended_leaves_nothing_running(checkout: Checkout) -> None:
    checkout.must("start")
    with checkout.start("exec", "--", "sleep", "8888") as command:
        wait_until_running(checkout, "sleep 8888", command)
        command.signal(signal.SIGINT)
        assert command.wait(limit=30).status == 130
    assert nothing_runs(checkout)


def test_exec_goes_on_while_others_build(checkout: Checkout) -> None:
    checkout.must("build")
    with checkout.start("exec", "--", "sh", "-c", "sleep 8888 & wait") as command:
        wait_until_running(checkout, "8888", command)
        checkout.must("build")
        assert not command.ended
        assert "8888" in checkout.processes()
        command.signal(signal.SIGINT)
        command.wait(limit=LIMIT)
    assert nothing_runs(checkout)


def test_a_container_stopped_under_a_build_is_brought_back(checkout: Checkout) -> None:
    checkout.must("build")
    checkout.write(
        "build.rs",
        'fn main() { while !std::path::Path::new("go").exists() {'
        " std::thread::sleep(std::time::Duration::from_millis(20)); } }\n",
    )
    with checkout.start("build") as build:
        wait_until_running(checkout, "build-script-build", build)
        checkout.write("go", "")
        checkout.docker("rm", "-f", checkout.containers()[0])
        built = build.wait(limit=LIMIT)
    assert built.status == 0, built.err
    assert checkout.answer() == "one 1"
