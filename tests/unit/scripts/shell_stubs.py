"""Shell code called with recording stubs on PATH and nothing else but coreutils.

Tests take the fixture `shell`. `shell.call("function", "argument")` sources `scripts/lib` and calls
one function, `shell.run("build-lambda.sh", "--help")` runs an entry point, and
`shell.stub("docker", Answer(...))` puts a stub on PATH. After the test every answer that was
promised must have been asked for, as often as promised, and no stub for anything else.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from harness import process
from harness.process import Completed

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"

# What every machine has. A test whose subject must not find a program leaves it out of here.
COREUTILS = tuple(
    """
    awk basename bash cat chmod cksum cmp cp cut date dirname env find grep gzip head id kill ln ls
    mkdir mkfifo mktemp mv od perl printenv ps readlink rm rmdir sed sh sha256sum sleep sort stat
    tail tee touch tr uname uniq wc xargs
    """.split()  # noqa: SIM905 - a list of words reads best as words
)

_STUB = """#!/bin/sh
directory={directory}
{{ for word; do printf '%s\\0' "$word"; done; printf '\\n\\0'; }} >>"$directory/calls"
case "$*" in
{cases}
  *)
    printf '%s\\n' "$*" >>"$directory/unexpected"
    echo "stub {name}: unexpected call: $*" >&2
    exit 127
    ;;
esac
"""

_CASE = """  {pattern}) printf x >>"$directory/answer{number}"
    cat "$directory/out{number}"; cat "$directory/err{number}" >&2
    {does}
    exit {status} ;;"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stub does when its arguments, joined by blanks, fit the shell pattern `when`.

    `times` is how often it must be asked, None for at least once, 0 for never; `does` is shell
    code.
    """

    when: str = "*"
    out: str = ""
    err: str = ""
    status: int = 0
    times: int | None = None
    does: str = ":"


@dataclass(slots=True)
class Shell:
    """A place to call shell code in: a directory for the project, a home, and a PATH of its own."""

    root: Path
    project: Path
    stubs: dict[str, tuple[Answer, ...]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The directories on PATH: the stubs', then coreutils."""
        return f"{self.root / 'stubs'}:{self.root / 'tools'}"

    def environment(self, **changes: str | None) -> dict[str, str]:
        """The whole environment of a call; nothing of the caller's own comes in."""
        base: dict[str, str | None] = {
            "PATH": self.path,
            "HOME": str(self.root / "home"),
            "LAYERPROOF_HOME": str(self.root / "state"),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "TMPDIR": str(self.root / "tmp"),
            "LC_ALL": "C.UTF-8",
            "LAYERPROOF_CA_BUNDLE": "",
        }
        return {k: v for k, v in {**base, **changes}.items() if v is not None}

    def stub(self, name: str, *answers: Answer) -> None:
        """Put a stub on PATH. The first answer whose pattern fits is given."""
        directory = self.root / "stubs" / f"{name}.d"
        directory.mkdir(parents=True, exist_ok=True)
        cases = []
        for number, answer in enumerate(answers):
            (directory / f"out{number}").write_text(answer.out)
            (directory / f"err{number}").write_text(answer.err)
            cases.append(
                _CASE.format(
                    pattern=_pattern(answer.when),
                    number=number,
                    does=answer.does,
                    status=answer.status,
                )
            )
        program = self.root / "stubs" / name
        program.write_text(
            _STUB.format(directory=shlex.quote(str(directory)), cases="\n".join(cases), name=name)
        )
        program.chmod(0o755)
        self.stubs[name] = answers

    def calls(self, name: str) -> list[list[str]]:
        """The argument lists that a stub was called with, in order."""
        record = self.root / "stubs" / f"{name}.d" / "calls"
        if not record.exists():
            return []
        return [call.split("\0")[:-1] for call in record.read_text().split("\n\0")[:-1]]

    def call(
        self,
        function: str,
        *arguments: str,
        before: str = "",
        after: str = "",
        **changes: str | None,
    ) -> Completed:
        """Source every library and call one function, with shell code around it."""
        sources = "\n".join(
            f". {shlex.quote(str(library))}" for library in sorted((SCRIPTS / "lib").glob("*.sh"))
        )
        code = f'set -Eeuo pipefail\n{sources}\n{before}\n{function} "$@"\n{after}'
        return self._bash("-c", code, "test", *arguments, **changes)

    def source(self, script: str, code: str, **changes: str | None) -> Completed:
        """Source an entry point, which must do nothing by it, and run code after that."""
        return self._bash(
            "-c", f". {shlex.quote(str(SCRIPTS / script))}\n{code}", "test", **changes
        )

    def run(self, script: str, *arguments: str, **changes: str | None) -> Completed:
        """Run an entry point in the project."""
        return self._bash(str(SCRIPTS / script), *arguments, **changes)

    def _bash(self, *arguments: str, **changes: str | None) -> Completed:
        return process.run(
            ["bash", *arguments], limit=60, cwd=self.project, env=self.environment(**changes)
        )

    def verify_stubs(self) -> None:
        """Fail where a stub was called otherwise than promised."""
        for name, answers in self.stubs.items():
            directory = self.root / "stubs" / f"{name}.d"
            unexpected = directory / "unexpected"
            assert not unexpected.exists(), f"{name} was called as {unexpected.read_text()!r}"
            for number, answer in enumerate(answers):
                record = directory / f"answer{number}"
                asked = len(record.read_text()) if record.exists() else 0
                if answer.times is None:
                    assert asked, f"{name} {answer.when}: never called"
                else:
                    assert asked == answer.times, (
                        f"{name} {answer.when}: called {asked} times, expected {answer.times}"
                    )

    def write(self, name: str, text: str = "") -> Path:
        """Write a file of the project."""
        file = self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def cargo_project(self, name: str = "hello") -> None:
        """Make the project one that cargo would accept."""
        self.write(
            "Cargo.toml", f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n'
        )
        self.write("src/main.rs", "fn main() {}\n")


def _pattern(when: str) -> str:
    """Quote all of a shell pattern but its asterisks."""
    return "*".join(shlex.quote(part) if part else "" for part in when.split("*")) or "''"
