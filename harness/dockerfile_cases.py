"""Hypothesis strategies for series of builds: a Dockerfile, a context, and edits to either.

An edit is drawn for a state and gives the next one, with a line that says what was done. Edits
change the context, the Dockerfile, or what the build is invoked with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from harness.dockerfiles import (
    ARGUMENTS,
    KEEPERS,
    OTHERS,
    WORDS,
    Dialect,
    files,
    ignore_files,
    recipes,
    styles,
    trees,
)
from harness.model import BuildOptions, Entry, File, Link, Tree
from harness.recipe import NONCE, Recipe, Step, replace_step, run


@dataclass(frozen=True, slots=True)
class State:
    """All that a build is made from. `touched` files have a new mtime and nothing else new.

    With `inside` the Dockerfile stands in the context as `Dockerfile`, otherwise beside it.
    """

    recipe: Recipe
    tree: Tree
    options: BuildOptions = field(default_factory=BuildOptions)
    inside: bool = True
    touched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """States to build one after the other, each with a line on how it came about."""

    states: tuple[tuple[str, State], ...]


@st.composite
def cases(draw: st.DrawFn, dialect: Dialect, *, builds: int = 4) -> Case:
    """Draw a Dockerfile, a context and edits: one to `builds` + 1 states, to build in turn."""
    tree = draw(trees())
    recipe = draw(recipes(dialect, has_link="link" in tree))
    state = State(recipe, tree, inside=draw(st.booleans()))
    states = [("first build", state)]
    for _ in range(draw(st.integers(min(2, builds), builds))):
        summary, state = draw(edits(states))
        states.append((summary, state))
    return Case(tuple(states))


@st.composite
def edits(draw: st.DrawFn, states: list[tuple[str, State]]) -> tuple[str, State]:
    """Draw one edit of the last of `states`; a build's own options last for that build only."""
    current = states[-1][1]
    state = replace(current, touched=frozenset(), options=_lasting(current.options))
    kind = draw(st.sampled_from("ttttrrrrooorn"))
    if kind == "t":
        return draw(_tree_edits(state))
    if kind == "r":
        return draw(_recipe_edits(state))
    if kind == "o":
        return draw(_option_edits(state))
    if kind == "n":
        return "nothing", state
    number = draw(st.integers(0, len(states) - 1))
    return f"back to build {number}", replace(states[number][1], touched=frozenset())


def _lasting(options: BuildOptions) -> BuildOptions:
    return replace(options, no_cache=False, no_cache_filter=())


# --- Of the context ----------------------------------------------------------------------------


@st.composite
def _tree_edits(draw: st.DrawFn, state: State) -> tuple[str, State]:
    tree: dict[str, Entry] = dict(state.tree)
    present = sorted(path for path, entry in tree.items() if isinstance(entry, File))
    others = [path for path in present if path in OTHERS]
    absent = [path for path in OTHERS if path not in tree]
    kinds = ["content", "content", "content", "mode", "touch", "ignore", "link"]
    kinds += ["add", "add"] if absent else []
    kinds += ["delete", "rename"] if others and absent else []
    kind = draw(st.sampled_from(kinds))
    touched: frozenset[str] = frozenset()
    if kind == "ignore":
        path = ".dockerignore"
        tree[path] = draw(ignore_files())
    elif kind == "link":
        path = "src/inner"
        tree[path] = Link(draw(st.sampled_from(("main.rs", "elsewhere", "../keep.txt"))))
    elif kind == "add":
        path = draw(st.sampled_from(absent))
        tree[path] = draw(files())
    elif kind == "delete":
        path = draw(st.sampled_from(others))
        del tree[path]
    elif kind == "rename":
        path = draw(st.sampled_from(others))
        tree[draw(st.sampled_from(absent))] = tree.pop(path)
    else:
        path = draw(st.sampled_from(present))
        old = tree[path]
        if kind == "touch" or not isinstance(old, File) or path == ".dockerignore":
            kind, touched = "touch", frozenset({path})
        elif kind == "mode":
            tree[path] = replace(old, mode=0o755 if old.mode == 0o644 else 0o644)
        else:
            tree[path] = draw(files().map(lambda new: replace(new, mode=old.mode)))
    return f"{kind} {path}", replace(state, tree=tree, touched=touched)


# --- Of the Dockerfile -------------------------------------------------------------------------


@st.composite
def _recipe_edits(draw: st.DrawFn, state: State) -> tuple[str, State]:
    recipe = state.recipe
    if draw(st.integers(0, 4)) == 0:
        return "written down anew", replace(state, recipe=replace(recipe, style=draw(styles())))
    stage = draw(st.integers(0, len(recipe.stages) - 1))
    steps = recipe.stages[stage].steps
    number = draw(st.integers(0, len(steps) - 1))
    step = steps[number]
    where = f"{step.keyword} {step.value!r} of stage {stage}"
    word, name = draw(st.sampled_from(WORDS)), draw(st.sampled_from(ARGUMENTS))
    after = draw(
        st.sampled_from(
            (
                Step("LABEL", f"added={word}"),
                Step("ENV", f"{name}={word}"),
                Step("ENV", f"ADDED={word}"),
                Step("ARG", f"{name}={word}"),
                Step("WORKDIR", f"/added/{word}"),
            )
        )
    )
    changed = _variant(step, word)
    if changed is not None and draw(st.booleans()):
        new = replace_step(recipe, stage, number, (changed,))
        return f"{where} becomes {changed.value!r}", replace(state, recipe=new)
    if number > 0 and step.keyword in {"LABEL", "EXPOSE", "ENV", "ARG", "CMD"}:
        new = replace_step(recipe, stage, number, ())
        return f"{where} removed", replace(state, recipe=new)
    new = replace_step(recipe, stage, number, (step, after))
    return f"{after.keyword} {after.value!r} added after {where}", replace(state, recipe=new)


def _variant(step: Step, word: str) -> Step | None:
    """Return `step` saying something else that still builds, or None where that is hard."""
    if step.keyword == "RUN" and step.words is None and step.value.startswith((": ", "echo ")):
        kept = f" {NONCE}" if NONCE in step.value else ""
        return replace(step, value=f": {word}{kept} changed")
    if step.keyword == "RUN" and step.words is not None and step.words[2].startswith(": "):
        return run(f": {word} changed", exec_form=True) if not step.flags else None
    if step.keyword in {"ENV", "ARG", "LABEL"} and "=" in step.value and "$" not in step.value:
        return replace(step, value=f"{step.value.split('=')[0]}={word}")
    if step.keyword in {"COPY", "ADD"} and not step.heredocs and NONCE not in step.value:
        if step.words is None and not any(flag.name == "from" for flag in step.flags):
            return replace(step, comment="a comment")
        return replace(step, flags=tuple(flag for flag in step.flags if flag.name != "chmod"))
    return None


# --- Of the invocation -------------------------------------------------------------------------


@st.composite
def _option_edits(draw: st.DrawFn, state: State) -> tuple[str, State]:
    names = [stage.name for stage in state.recipe.stages if stage.name is not None]
    kind = draw(st.sampled_from(("arg", "arg", "target", "no-cache", "filter")))
    options = state.options
    if kind == "arg":
        name = draw(st.sampled_from((*ARGUMENTS, *ARGUMENTS, "UNDECLARED", "HTTP_PROXY")))
        arguments = dict(options.build_args)
        if name in arguments and draw(st.booleans()):
            del arguments[name]
        else:
            arguments[name] = draw(st.sampled_from(WORDS))
        options = replace(options, build_args=arguments)
        return f"build arguments {arguments}", replace(state, options=options)
    if kind == "target":
        target = draw(st.none() | st.sampled_from(names))
        options = replace(options, target=target)
        return f"target {target}", replace(state, options=options)
    if kind == "no-cache":
        return "--no-cache", replace(state, options=replace(options, no_cache=True))
    chosen = draw(st.sampled_from(names))
    options = replace(options, no_cache_filter=(chosen,))
    return f"--no-cache-filter {chosen}", replace(state, options=options)


assert set(KEEPERS).isdisjoint(OTHERS)  # noqa: S101 - edits take paths of OTHERS away
