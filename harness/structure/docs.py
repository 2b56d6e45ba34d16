"""Renders the documentation of the structure rules from the rules themselves."""

from __future__ import annotations

from harness.structure import cargo as structure_cargo
from harness.structure import files as structure_files
from harness.structure import image as structure_image
from harness.structure import layers as structure_layers
from harness.structure import platform as structure_platform
from harness.structure import safety as structure_safety
from harness.structure.rules import Rule

_INTRODUCTION = """\
# Structure checks

What can be said of a Dockerfile without building anything. The rules look at the graph of stages
and at the commands of each RUN, not at names; where a Dockerfile hides what it does, in `make` or
a script of its own, the rules that need to know keep silent. `layerproof.toml` can name the roles
of stages and allow single rules (see [configuration](configuration.md)):

```toml
allow = ["runs-as-root"]
```

A finding names its line, what is there, why it matters, and what to write instead. A rule marked
*advice* breaks no promise: it is told, and neither `layerproof check` nor a property fails. Each
rule below is tested on regressions made from good Dockerfiles by one edit
(`fixtures/dockerfiles/regressions.toml`).

This page is made from the rules; `python -m harness.structure.docs > docs/structure-checks.md`
makes it anew.
"""
_GROUPS: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Layers", structure_layers.RULES),
    ("Calls of cargo", structure_cargo.RULES),
    ("Stand-ins, lock and toolchain files", structure_files.RULES),
    ("The image that is shipped", structure_image.RULES),
    ("Whether it starts", structure_platform.RULES),
    ("Secrets and permissions", structure_safety.RULES),
)


def document() -> str:
    """Return the page, in Markdown."""
    parts = [_INTRODUCTION]
    for title, rules in _GROUPS:
        parts.append(f"\n## {title}\n")
        parts += [_entry(rule) for rule in rules]
    return "".join(parts)


def _entry(rule: Rule) -> str:
    kind = " (advice)" if rule.advice else ""
    return (
        f"\n### `{rule.id}`{kind}\n\n```dockerfile\n{rule.bad}\n```\n\n{rule.why}\n\n"
        f"*Instead:* {rule.instead}\n"
    )


if __name__ == "__main__":
    print(document(), end="")
