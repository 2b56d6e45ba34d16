"""What README.md shows of a command's output is what the command prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.__main__ import main

ROOT = Path(__file__).parents[2]


def test_the_explanation_in_the_readme_is_what_the_command_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = (ROOT / "README.md").read_text()
    shown = readme.partition("the answer is:\n\n```\n")[2].partition("```")[0].splitlines()
    dockerfile, project = str(ROOT / "Dockerfile.optimized"), str(ROOT / "fixtures/hello-offline")
    main(["explain", "--dockerfile", dockerfile, "--project", project, "--edit", "src/main.rs"])
    printed = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert len(shown) > 3
    assert [line for line in printed if line in shown] == shown
