"""What a command in a container says is read whole, however early it comes."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from harness.engine import Engine, Kind
from harness.running.execution import execute

SAID = b"\1\0\0\0\0\0\0\4one\n" + b"\2\0\0\0\0\0\0\4two\n"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


class Answer(socketserver.StreamRequestHandler):
    """Answers as an engine does whose command ends before the caller has read the headers."""

    def handle(self) -> None:
        """Answer one request; output goes out in one piece with the headers."""
        request = self.rfile.readline().decode()
        length = 0
        while (line := self.rfile.readline().strip().lower()) != b"":
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.rfile.read(length)
        if "/containers/gone/" in request:
            self.wfile.write(b"HTTP/1.1 409 Conflict\r\nContent-Length: 6\r\n\r\npaused")
        elif "/start " in request:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n" + SAID)
        else:
            body = b'{"Id": "made", "ExitCode": 7}'
            self.wfile.write(JSON % (len(body), body))


@contextmanager
def answering(folder: Path) -> Iterator[Engine]:
    """Yield an engine whose socket is served by `Answer`."""
    path = str(folder / "engine.sock")
    with socketserver.ThreadingUnixStreamServer(path, Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"unix://{path}"
        client = docker.DockerClient(base_url=url, version="1.41")
        yield Engine(url, Kind.NAMED, Path("buildx"), client, "20.10")
        client.close()
        server.shutdown()


def test_output_that_comes_with_the_headers_is_not_lost(tmp_path: Path) -> None:
    with answering(tmp_path) as engine:
        assert execute(engine, "it", ["true"]) == (7, b"one\ntwo\n")


def test_a_container_that_cannot_run_it_is_an_error(tmp_path: Path) -> None:
    with answering(tmp_path) as engine, pytest.raises(docker.errors.APIError, match="409"):
        execute(engine, "gone", ["true"])
