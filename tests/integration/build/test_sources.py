"""Dependencies that come from elsewhere than crates.io: a git repository, a private registry.

Both are served on loopback, which a build reaches on the host's network.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness import process
from tests.integration.build import cargo_projects as cargo
from tests.integration.build.conftest import Checkout, compiled, executed

Open = Callable[..., AbstractContextManager[Checkout]]
TOKEN = "layerproof-token-7c1d"  # noqa: S105 - known to this test's own server alone
ANSWER_SECONDS = 20.0
MAIN = cargo.program("app", prints="other::value()")
PLAIN_LOCK = 'version = 3\n\n[[package]]\nname = "app"\nversion = "0.1.0"\n'


def lock(source: str, *more: str) -> str:
    """Return a lock file of `app` and the crate `other` from a source."""
    words = ('name = "other"', 'version = "1.0.0"', f'source = "{source}"', *more)
    return f'{PLAIN_LOCK}dependencies = [\n "other",\n]\n\n[[package]]\n' + "\n".join((*words, ""))


def expect_a_layer_of_its_own(project: Checkout) -> None:
    """The crate is compiled once, in the layer of the dependencies, and serves the next edit."""
    project.workspace.options = replace(project.workspace.options, network="host")
    first = project.build()
    assert project.answer(first) == "app 5", first.error
    assert compiled(first, "build") == ("app",)
    assert "other" in compiled(first, "dependencies")
    project.edit(cargo.edit({"src/main.rs": MAIN.replace("app", "edited")}))
    second = project.build()
    assert project.answer(second) == "edited 5"
    assert "dependencies" not in executed(second)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """Serve a git repository that holds the crate `other`; yield its URL."""
    folder = tmp_path / "served" / "other"
    for path, text in {
        "Cargo.toml": cargo.manifest("other", version="1.0.0"),
        "src/lib.rs": cargo.library(5),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=other")
    port = free_port()
    where = (f"--base-path={folder.parent}", "--listen=127.0.0.1", f"--port={port}")
    with process.background(("git", "daemon", "--export-all", "--reuseaddr", *where)) as daemon:
        await_port(port, daemon)
        yield f"git://127.0.0.1:{port}/other"


def test_a_git_dependency_is_compiled_in_the_layer_of_the_dependencies(
    checkout: Open, repository: str, tmp_path: Path
) -> None:
    commit = git(tmp_path / "served" / "other", "rev-parse", "HEAD")
    files = {
        "Cargo.toml": cargo.manifest(
            "app", more=f'[dependencies]\nother = {{ git = "{repository}" }}\n'
        ),
        "Cargo.lock": lock(f"git+{repository}#{commit}"),
        "src/main.rs": MAIN,
    }
    with checkout(cargo.tree(files)) as project:
        expect_a_layer_of_its_own(project)


class Registry(http.server.BaseHTTPRequestHandler):
    """A sparse registry with one crate, for those who have the token."""

    crate: bytes = b""

    def do_GET(self) -> None:
        """Answer cargo: the configuration, the index of the crate, the crate."""
        if self.headers.get("Authorization") != TOKEN:
            self.answer(401, b"no token")
            return
        host = f"http://{self.headers['Host']}"
        config = {"dl": f"{host}/crates/{{crate}}/{{version}}", "auth-required": True}
        checksum = hashlib.sha256(self.crate).hexdigest()
        entry = {"name": "other", "vers": "1.0.0", "deps": [], "features": {}, "yanked": False}
        pages = {
            "/index/config.json": json.dumps(config).encode(),
            "/index/ot/he/other": json.dumps({**entry, "cksum": checksum}).encode(),
            "/crates/other/1.0.0": self.crate,
        }
        page = pages.get(self.path)
        self.answer(404 if page is None else 200, page or b"")

    def answer(self, status: int, body: bytes) -> None:
        """Send a response."""
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", "Cargo")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[tuple[str, str]]:
    """Serve a registry that wants a token; yield its index's URL and the checksum of its crate."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, text in {
            "Cargo.toml": cargo.manifest("other", version="1.0.0"),
            "src/lib.rs": cargo.library(5),
        }.items():
            member = tarfile.TarInfo(f"other-1.0.0/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    handler = type("Serving", (Registry,), {"crate": packed.getvalue()})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        checksum = hashlib.sha256(packed.getvalue()).hexdigest()
        yield f"sparse+http://127.0.0.1:{server.server_address[1]}/index/", checksum
        server.shutdown()


@pytest.mark.parametrize("has_token", [True, False])
def test_a_private_registry_is_used_with_credentials_that_are_a_secret(
    has_token: bool, checkout: Open, registry: tuple[str, str], tmp_path: Path
) -> None:
    index, checksum = registry
    files = {
        "Cargo.toml": cargo.manifest(
            "app", more='[dependencies]\nother = { version = "1", registry = "private" }\n'
        ),
        "Cargo.lock": lock(index, f'checksum = "{checksum}"'),
        "src/main.rs": MAIN,
        ".cargo/config.toml": (
            f'[registries.private]\nindex = "{index}"\n'
            '[registry]\nglobal-credential-providers = ["cargo:token"]\n'
        ),
    }
    credentials = tmp_path / "credentials.toml"
    credentials.write_text(f'[registries.private]\ntoken = "{TOKEN}"\n')
    with checkout(cargo.tree(files)) as project:
        if has_token:
            secrets = {"cargo-credentials": str(credentials)}
            project.workspace.options = replace(project.workspace.options, secrets=secrets)
            expect_a_layer_of_its_own(project)
            return
        project.workspace.options = replace(project.workspace.options, network="host")
        refused = project.build()
        assert not refused.succeeded
        assert "no token found for `private`" in f"{refused.log}{refused.error}"


def git(folder: Path, *words: str) -> str:
    """Run git there, as nobody in particular; return what it prints."""
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    done = process.run(("git", "-C", str(folder), *identity, *words), limit=60)
    return done.check("git").out.strip()


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int, server: process.Running) -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        assert not server.ended, "the server ended by itself"
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on port {port}")
