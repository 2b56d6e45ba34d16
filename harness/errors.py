"""The exception tree, and how a diagnostic is rendered; imports nothing of ours.

Every error that reaches a user answers five questions in a fixed order: what was tried, what was
expected against what was found, where, why, and what to do next. `Diagnostic.render` is the one
place that lays them out, so that the text can be tested verbatim.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

LOG_TAIL_LINES = 20


class LayerProofError(Exception):
    """Base of all errors raised on purpose by the harness.

    `message` is one sentence naming the operation. `where` is a location such as
    `Dockerfile.optimized:12`. `context` holds "expected …, found …" lines. `hint` says what to
    do next.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        context: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.context = tuple(context)
        self.hint = hint

    def render(self) -> str:
        """Return the whole diagnostic, one fact per line, ending without a newline."""
        lines = [f"error: {self.message}"]
        if self.where:
            lines.append(f"  --> {self.where}")
        lines += [f"  {line}" for line in self.context]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


class UsageError(LayerProofError):
    """A command line, option or configuration value that cannot be acted on."""

    exit_code = 2


class DockerfileSyntaxError(LayerProofError):
    """A Dockerfile that does not parse; `where` is `path:line`, `context` what was expected."""

    exit_code = 2

    def __init__(
        self, message: str, *, path: str, line: int, expected: str, hint: str | None = None
    ) -> None:
        super().__init__(
            message, where=f"{path}:{line}", context=(f"expected {expected}",), hint=hint
        )
        self.line = line
        self.expected = expected


class ExpansionError(LayerProofError):
    """A word whose variables, quotes or escapes BuildKit refuses to expand."""

    exit_code = 2


class ProjectError(LayerProofError):
    """The project under test is missing, unreadable, or not a cargo project."""

    exit_code = 2


class EnvironmentLacksError(LayerProofError):
    """The machine lacks something that is needed: an engine, buildx, a base image."""

    exit_code = 3


class CommandError(LayerProofError):
    """A command that failed or ran over its time limit: quoted, with its status and log's end."""

    def __init__(
        self,
        message: str,
        *,
        argv: Sequence[str],
        status: int | None,
        log: str = "",
        hint: str | None = None,
    ) -> None:
        tail = log.rstrip().splitlines()[-LOG_TAIL_LINES:]
        outcome = "ran over its time limit" if status is None else f"exit status {status}"
        context = [f"command: {shlex.join(argv)}", outcome, *(f"| {line}" for line in tail)]
        super().__init__(message, context=context, hint=hint)
        self.argv = tuple(argv)
        self.status = status
        self.log = log


class CheckFailed(LayerProofError):
    """The structure checks found something; `findings` is their text, ready to be shown."""

    def __init__(self, findings: str, *, count: int, path: str) -> None:
        super().__init__(
            f"{count} finding(s) in the structure of {path}",
            hint="docs/structure-checks.md has every rule; `allow` in layerproof.toml "
            "switches one off",
        )
        self.findings = findings

    def render(self) -> str:
        """Return the findings, then how many there are and what to do."""
        return f"{self.findings}\n\n{super().render()}"
