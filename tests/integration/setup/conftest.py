"""Private engines in a state directory of the test's own; what a test leaves is removed."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import process
from harness.process import Completed

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"
PROGRAMS = ("/bin/sh", "/bin/sleep")


class Engines:
    """`private-engine.sh` with a state directory and a runtime directory; asserts nothing."""

    def __init__(self, home: Path, runtime: Path) -> None:
        self.home = home
        self.runtime = runtime
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("DOCKER_", "LAYERPROOF_"))},
            "LAYERPROOF_HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "NO_COLOR": "1",
        }

    def run(self, *arguments: str, **env: str) -> Completed:
        """Run the script."""
        script = str(SCRIPTS / "private-engine.sh")
        return process.run((script, *arguments), limit=120, env={**self.env, **env})

    def start(self, name: str, *options: str) -> str:
        """Start an engine, which is to succeed; return its URL."""
        return self.run("start", name, *options).check("start").out.strip()

    def docker(self, name: str, *arguments: str) -> str:
        """Run docker on an engine, which is to succeed; return what it prints."""
        env = {**self.env, "DOCKER_HOST": f"unix://{self.directory}/{name}.sock"}
        return process.run(("docker", *arguments), limit=60, env=env).check("docker").out.strip()

    def container(self, name: str, program: str) -> str:
        """Run a shell program in a container of an image that is made for it."""
        self.docker(name, "import", str(self.image()), "tiny")
        return self.docker(name, "run", "-d", "--network=none", "tiny", "/bin/sh", "-c", program)

    def image(self) -> Path:
        """Write a root file system with a shell and `sleep`, and what they need."""
        path = self.home / "tiny.tar"
        if not path.exists():
            files = {Path(program).resolve() for program in PROGRAMS}
            for program in PROGRAMS:
                linked = process.run(("ldd", program), limit=10).check("ldd").out
                files |= {Path(word) for word in re.findall(r"/\S+", linked)}
            with tarfile.open(path, "w") as archive:
                for file in files | {Path(program) for program in PROGRAMS}:
                    entry = tarfile.TarInfo(str(file).lstrip("/"))
                    entry.size, entry.mode = file.stat().st_size, 0o755
                    archive.addfile(entry, io.BytesIO(file.read_bytes()))
        return path

    @property
    def directory(self) -> Path:
        """The directory of the sockets."""
        return self.runtime / f"layerproof-{os.getuid()}"

    def pid(self, name: str) -> int:
        """The process of an engine's daemon, by its pidfile."""
        return int((self.directory / f"{name}.pid").read_text())

    def state(self, name: str) -> str:
        """What `list` says of an engine."""
        for line in self.run("list").check("list").out.splitlines():
            words = line.split()
            if words[0] == name:
                return words[1]
        return "none"

    def processes(self, name: str) -> dict[int, str]:
        """The processes that name the engine's directories, and their command lines."""
        marks = (f"{self.directory}/{name}.exec", f"{self.home}/engines/{name}/data")
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
                if any(mark in line for mark in marks):
                    found[int(entry.name)] = line
        return found

    def mounts(self) -> list[str]:
        """Mounts below the test's directories."""
        table = Path("/proc/self/mountinfo").read_text().splitlines()
        places = (f" {self.home}/", f" {self.runtime}/")
        return [line for line in table if any(place in line for place in places)]


@pytest.fixture
def engines() -> Iterator[Engines]:
    """Private engines of the test's own."""
    if sys.platform != "linux" or os.getuid() != 0 or shutil.which("dockerd") is None:
        pytest.skip("private engines need Linux, root and dockerd")
    # Short: a socket's path may have 107 bytes.
    runtime = Path(tempfile.mkdtemp(prefix="lp-run-"))
    home = Path(tempfile.mkdtemp(prefix="lp-home-", dir="/var/tmp"))
    made = Engines(home, runtime)
    yield made
    for directory in (home / "engines").glob("*/"):
        made.run("remove", directory.name).check("removing an engine")
    left = made.mounts()
    assert not left, f"mounts are left behind: {left}"
    shutil.rmtree(home)
    shutil.rmtree(runtime)
