"""What tests of build-lambda.sh share: stubs for buildx and the engine, and what came out."""

from __future__ import annotations

import stat
import zipfile

from harness.process import Completed
from tests.unit.scripts.shell_stubs import Answer, Shell
from tests.unit.scripts.test_engine import STAND_INS, bridge, probe
from tests.unit.scripts.test_package import X86


def buildx(shell: Shell, *names: str, content: bytes = X86, fail: bool = False) -> str:
    """Put a buildx on PATH that exports binaries as the real one does; return its path."""
    (shell.root / "elf").write_bytes(content)
    export = "".join(
        f'cp "{shell.root}/elf" "$out/bin/{name}"; chmod 755 "$out/bin/{name}"; ' for name in names
    )
    find = 'for word; do case "$word" in type=local,dest=*) out="${word#*dest=}" ;; esac; done; '
    shell.stub(
        "buildx",
        Answer(
            when="build *",
            err="#9 0.6 error[E0425]: cannot find value\n" if fail else "#9 DONE 0.0s\n",
            does=":" if fail else f'{find} mkdir -p "$out/bin"; {export}',
            status=1 if fail else 0,
        ),
    )
    return str(shell.root / "stubs" / "buildx")


def engine(shell: Shell) -> None:
    shell.stub("docker", probe(STAND_INS), bridge("lo"))


def build(shell: Shell, *arguments: str, **changes: str) -> Completed:
    path = str(shell.root / "stubs" / "buildx")
    return shell.run("build-lambda.sh", *arguments, LAYERPROOF_BUILDX=path, **changes)


def zipped(shell: Shell, name: str = "lambda-deployment.zip") -> bytes:
    with zipfile.ZipFile(shell.project / name) as opened:
        (entry,) = opened.infolist()
        assert (entry.filename, entry.external_attr >> 16) == ("bootstrap", stat.S_IFREG | 0o755)
        return opened.read("bootstrap")
