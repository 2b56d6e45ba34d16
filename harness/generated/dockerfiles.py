"""Hypothesis strategies for Dockerfiles, drawn as `recipe` trees for the contexts they copy from.

What is drawn builds on an engine that knows its `Dialect` and reaches no network. Every stage
starts with a step that holds `NONCE`, so that no two cases share a cache record.
"""

from __future__ import annotations

from hypothesis import strategies as st

from harness.generated.dockerfile_steps import Dialect, Draft, first_steps, plan_for, steps
from harness.generated.recipe import Recipe, StageRecipe, Step, Style
from harness.model import Entry

SCRATCH = "scratch"
BASE = "${BASE}"
MOST_STAGES = 4
MOST_STEPS = 6


@st.composite
def recipes(draw: st.DrawFn, dialect: Dialect, tree: dict[str, Entry]) -> Recipe:
    """Draw a Dockerfile of one to four stages for the context `tree`."""
    drafts: list[Draft] = []
    stages: list[StageRecipe] = []
    for index in range(draw(st.integers(1, MOST_STAGES))):
        named = draw(st.integers(0, 4)) > 0
        parents = {d.reference: d for d in drafts if not d.reference.isdigit()}
        base = draw(st.sampled_from([dialect.image, dialect.image, BASE, SCRATCH, *parents]))
        draft = Draft(base != SCRATCH, f"s{index}" if named else str(index))
        if base in parents:
            parent = parents[base]
            draft.image = parent.image
            draft.fixed = parent.fixed and not parent.depends_on
            draft.paths = [] if parent.depends_on else list(parent.paths)
        draft.steps.append(draw(first_steps(draft)))
        if draft.steps[0].keyword == "RUN":
            draft.ran()
        if draft.image and base not in parents and draw(st.integers(0, 3)) == 0:
            plan_for(draft, bind=draw(st.booleans()))
        else:
            for number in range(draw(st.integers(1, MOST_STEPS))):
                draft.steps += draw(steps(draft, drafts, number, dialect, tree))
        drafts.append(draft)
        name = draft.reference if named else None
        stages.append(StageRecipe(base, tuple(draft.steps), name, draft.depends_on))
    uses_base = any(stage.base == BASE for stage in stages)
    arguments = (Step("ARG", f"BASE={dialect.image}"),) if uses_base else ()
    return Recipe(tuple(stages), arguments, draw(styles()))


def styles() -> st.SearchStrategy[Style]:
    """Draw a way to write a Dockerfile down."""
    return st.builds(
        Style,
        escape=st.sampled_from(("\\", "\\", "`")),
        lower=st.booleans(),
        blank_lines=st.booleans(),
        indent=st.sampled_from(("", "  ")),
        banner=st.none() | st.just("generated"),
    )
