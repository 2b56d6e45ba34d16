"""The container has the host's files, whatever they are called; what it makes is the caller's."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import process
from tests.integration.container.conftest import SCRIPT, Checkout, main_rs

PATHS = (
    "with space",
    'quote\'d "twice"',
    "comma,source=elsewhere",
    "colon:ro",
    "new\nline",
    "ünïcödé 箱",
    "-leading-dash",
    "dollar $HOME `id` $(id) \\ back",
    "trailing ",
)


@pytest.mark.parametrize("name", PATHS)
def test_a_checkout_may_be_called_anything(
    make_checkout: Callable[..., Checkout], name: str
) -> None:
    checkout = make_checkout(name)
    checkout.must("build")
    assert checkout.answer() == "one 1"
    assert checkout.run("status").status == 0
    assert (checkout.path / "target/debug/app").is_file()
    checkout.must("stop")


def describe(root: Path) -> dict[bytes, tuple[str, bytes]]:
    """Return kind and mode, and content or link target, of everything below `root`."""
    seen: dict[bytes, tuple[str, bytes]] = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118 - names are bytes
            mode = os.lstat(path).st_mode
            content = b""
            if stat.S_ISLNK(mode):
                content = os.readlink(path)  # noqa: PTH115
            elif stat.S_ISREG(mode):
                content = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()
            seen[os.path.relpath(path, os.fsencode(root))] = (f"{mode:o}", content)
    return seen


def seen_inside(checkout: Checkout) -> dict[bytes, tuple[str, bytes]]:
    """Return the same, as the container sees it: by way of an archive made there."""
    archive = checkout.must("exec", "--", "tar", "-C", "/workspace/tree", "-cf", "-", ".").stdout
    out = checkout.path.with_name("inside")
    out.mkdir()
    process.run(("tar", "-C", str(out), "-xpf", "-"), limit=60, stdin=archive).check("tar")
    described = describe(out)
    shutil.rmtree(out)
    return described


def test_the_container_sees_every_kind_of_file_at_once(checkout: Checkout) -> None:
    checkout.must("start")
    tree = checkout.path / "tree"
    tree.mkdir()
    (tree / "empty").touch()
    (tree / "empty-folder").mkdir(mode=0o711)
    (tree / "bytes").write_bytes(bytes(range(256)) * 300)
    (tree / "new\nline -n ü").write_text("x")
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o751)
    (tree / "link").symlink_to("bytes")
    (tree / "broken").symlink_to("/no/such/thing")
    (tree / "loop").symlink_to("loop")
    os.link(tree / "bytes", tree / "hard")
    (tree / os.fsdecode(b"not-utf8-\xff\xfe")).write_bytes(b"y")
    assert seen_inside(checkout) == describe(tree)
    (tree / "bytes").write_bytes(b"short")
    (tree / "run").unlink()
    (tree / "empty").rename(tree / "renamed")
    (tree / "link").unlink()
    (tree / "link").symlink_to("renamed")
    assert seen_inside(checkout) == describe(tree)


@contextlib.contextmanager
def open_socket(checkout: Checkout) -> Iterator[str]:
    """A way to the engine for every user of this machine: passes bytes on to its socket."""
    target = checkout.engine.url.removeprefix("unix://")
    path = checkout.path.with_name("socket")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(16)

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def pass_on(client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(target)
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=pass_on, args=listener.accept()[:1], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"unix://{path}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


USER = 12345


def as_user(checkout: Checkout, *arguments: str, url: str) -> process.Completed:
    """Run the script as a user without any rights, who cannot read the repository's own folder."""
    scripts = checkout.path.with_name("scripts")
    if not scripts.exists():
        shutil.copytree(SCRIPT.parent, scripts)
        shutil.copy2(checkout.engine.buildx, checkout.path.with_name("docker-buildx"))
        checkout.path.with_name("home").mkdir()
        give_to_user(checkout.path.with_name("home"))
    env = {
        **checkout.env,
        "DOCKER_HOST": url,
        "HOME": str(checkout.path.with_name("home")),
        "LAYERPROOF_BUILDX": str(checkout.path.with_name("docker-buildx")),
    }
    command = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
    return process.run(
        (*command, str(scripts / "dev-container.sh"), *arguments),
        limit=240,
        cwd=checkout.path,
        env=env,
    )


def give_to_user(path: Path) -> None:
    """Hand a tree over to the user without rights."""
    for entry in (path, *path.rglob("*")):
        os.lchown(entry, USER, USER)


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")


@needs_root
def test_what_an_ordinary_user_builds_is_theirs(checkout: Checkout) -> None:
    give_to_user(checkout.path)
    with open_socket(checkout) as url:
        built = as_user(checkout, "build", url=url)
        assert built.status == 0, built.err
        checkout.write("src/main.rs", main_rs("two"))
        assert as_user(checkout, "build", url=url).status == 0
    for entry in (checkout.path / "target", *(checkout.path / "target").rglob("*")):
        assert (entry.stat().st_uid, entry.stat().st_gid) == (USER, USER), entry
    assert checkout.container()["Config"]["User"] == f"{USER}:{USER}"


@needs_root
def test_another_user_gets_a_container_of_their_own_and_the_volumes_with_it(
    checkout: Checkout,
) -> None:
    checkout.must("build")
    shutil.rmtree(checkout.path / "target")
    give_to_user(checkout.path)
    with open_socket(checkout) as url:
        built = as_user(checkout, "build", url=url)
    assert built.status == 0, built.err
    assert "it runs as another user" in built.err
    assert (checkout.path / "target/debug/app").stat().st_uid == USER


@needs_root
@pytest.mark.parametrize("whose", ["tree", "target"])
def test_a_place_that_cannot_be_written_is_told_before_compiling(
    checkout: Checkout, whose: str
) -> None:
    if whose == "target":
        give_to_user(checkout.path)
        (checkout.path / "target").mkdir()
    with open_socket(checkout) as url:
        built = as_user(checkout, "build", url=url)
    assert built.status == 1
    assert "not writable" in built.err
    assert "Compiling" not in built.err


@needs_root
def test_without_permission_on_the_socket_it_says_so(checkout: Checkout) -> None:
    give_to_user(checkout.path)
    closed = checkout.path.with_name("closed")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(closed))
        closed.chmod(0o600)
        listener.listen(1)
        built = as_user(checkout, "build", url=f"unix://{closed}")
    assert built.status == 3
    assert "no permission" in built.err


def test_no_engine_is_status_3_for_every_command(checkout: Checkout) -> None:
    for command in ("build", "start", "stop", "status", "logs", "clean"):
        ran = checkout.run(command, DOCKER_HOST="unix:///nonexistent/socket")
        assert (command, ran.status) == (command, 3), ran.err
        assert "no Docker engine" in ran.err


def test_a_folder_without_a_project_is_refused_and_nothing_is_made(
    make_checkout: Callable[..., Checkout],
) -> None:
    checkout = make_checkout()
    (checkout.path / "Cargo.toml").unlink()
    for command in ("build", "start", "restart"):
        ran = checkout.run(command)
        assert (command, ran.status) == (command, 1)
        assert "not a cargo project" in ran.err
    assert checkout.containers() == []
