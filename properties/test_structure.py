"""The structure of the Dockerfile under test, without an engine: several stages, manifests before
source, dependencies in a layer of their own, nothing volatile above them, a runtime of its own.
"""

from __future__ import annotations

import pytest

from harness.config import Config
from harness.parsing.dockerignore import parse as parse_ignore
from harness.structure import checks as structure
from harness.subject import Subject

WHY_IT_FAILS = "{count} finding(s) in the structure of {path}:\n\n{findings}\n\n{hint}"
HINT = "hint: docs/structure-checks.md has every rule; `allow` in layerproof.toml switches one off"


def test_the_dockerfile_is_structured_so_that_its_layers_can_be_reused(
    subject: Subject, configuration: Config
) -> None:
    """No rule of the structure checks finds anything that is not allowed."""
    found = structure.check(
        subject.dockerfile,
        ignore=parse_ignore(subject.ignore) if subject.ignore is not None else None,
        overrides=configuration.roles,
        allowed=configuration.allowed,
    )
    if found:
        texts = "\n\n".join(structure.render(subject.dockerfile, finding) for finding in found)
        path = subject.dockerfile.path
        pytest.fail(
            WHY_IT_FAILS.format(count=len(found), path=path, findings=texts, hint=HINT),
            pytrace=False,
        )
