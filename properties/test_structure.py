"""The structure of the Dockerfile under test, without an engine: several stages, manifests before
source, dependencies in a layer of their own, nothing volatile above them, a runtime of its own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.config import Config
from harness.structure import checks as structure
from harness.subject import Subject
from properties.common import structure_findings

WHY_IT_FAILS = "{count} finding(s) in the structure of {path}:\n\n{findings}\n\n{hint}"
HINT = "hint: docs/structure-checks.md has every rule; `allow` in layerproof.toml switches one off"


def test_the_dockerfile_is_structured_so_that_its_layers_can_be_reused(
    subject: Subject, configuration: Config, say: Callable[[str], None]
) -> None:
    """No rule of the structure checks finds anything that is not allowed; advice is only said."""
    found = structure_findings(subject, configuration)
    faults = []
    for finding in found:
        text = structure.render(subject.dockerfile, finding)
        if finding.advice:
            say(text)
        else:
            faults.append(text)
    if faults:
        findings = "\n\n".join(faults)
        path = subject.dockerfile.path
        pytest.fail(
            WHY_IT_FAILS.format(count=len(faults), path=path, findings=findings, hint=HINT),
            pytrace=False,
        )
