"""Checks the structure of any Dockerfile without an engine; the rules stand in `structure_*`.

A rule looks at the graph and the commands, not at names. Where a Dockerfile hides what it does
(`make`, a script of its own) the rules that need to know keep silent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from harness.model import Dockerfile, Tree
from harness.parsing.dockerignore import Ignore
from harness.structure import cargo as structure_cargo
from harness.structure import files as structure_files
from harness.structure import image as structure_image
from harness.structure import layers as structure_layers
from harness.structure import platform as structure_platform
from harness.structure import roles as roles_module
from harness.structure import safety as structure_safety
from harness.structure import stagegraph
from harness.structure.roles import Role, Roles
from harness.structure.rules import Facts, Finding, Rule

RULES: Final[tuple[Rule, ...]] = (
    *structure_layers.RULES,
    *structure_cargo.RULES,
    *structure_files.RULES,
    *structure_image.RULES,
    *structure_platform.RULES,
    *structure_safety.RULES,
)


def check(
    dockerfile: Dockerfile,
    *,
    ignore: Ignore | None = None,
    files: Tree | None = None,
    overrides: Mapping[str, str] | None = None,
    allowed: Iterable[str] = (),
) -> tuple[Finding, ...]:
    """Return the findings in line order.

    `ignore` is the ignore file that applies and `files` those of the context; rules that need them
    keep silent without. `overrides` are roles as in `layerproof.toml`, `allowed` the ids of
    rules not to apply.
    """
    graph = stagegraph.of(dockerfile)
    roles = roles_module.infer(dockerfile, overrides, graph=graph)
    main = _main(roles, graph)
    skipped = frozenset(allowed)
    shipped: list[int | None] = [
        stage.index
        for stage in roles.having(Role.RUNTIME)
        if not any(Role.RUNTIME in roles.of(user) for user in graph.derived(stage.index))
    ]
    findings = {
        Finding(rule.id, line, message, rule.why, rule.instead, rule.advice)
        for runtime in shipped or [None]
        for rule in RULES
        if rule.id not in skipped
        for line, message in rule.find(
            Facts(dockerfile, graph, roles, main, runtime, ignore, files)
        )
    }
    order = {rule.id: number for number, rule in enumerate(RULES)}
    return tuple(sorted(findings, key=lambda f: (f.line, order[f.rule], f.message)))


def _main(roles: Roles, graph: stagegraph.Graph) -> int | None:
    """Return the stage that compiles the project: the last of the build role that compiles."""
    having = roles.having(Role.BUILD)
    compiling = [s for s in having if any(step.compiles for step in graph.steps[s.index])]
    return (compiling or having)[-1].index if having else None


def render(dockerfile: Dockerfile, finding: Finding) -> str:
    """Return a finding as text: where, what, the line itself, why it matters, what to write."""
    line = dockerfile.text.splitlines()[finding.line - 1]
    level = "advice: " if finding.advice else ""
    return "\n".join(
        (
            f"{dockerfile.path}:{finding.line}: {level}{finding.message} [{finding.rule}]",
            f"    {finding.line} | {line}",
            f"  why: {finding.why}",
            f"  instead: {finding.instead}",
        )
    )
