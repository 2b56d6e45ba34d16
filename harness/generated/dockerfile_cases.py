"""Hypothesis strategies for series of builds: a Dockerfile, a context, and edits to either.

An edit is drawn for a state and gives the next one, with a line that says what was done. Edits
change the context, the Dockerfile, or what the build is invoked with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from harness.generated.dockerfile_contexts import (
    BUNDLE,
    FOLDERS,
    LINKS,
    OTHERS,
    bundles,
    directories,
    files,
    ignore_files,
    trees,
)
from harness.generated.dockerfile_steps import (
    ARGUMENTS,
    WORDS,
    Dialect,
    setting_steps,
    with_flag,
    without_flag,
)
from harness.generated.dockerfiles import recipes, styles
from harness.generated.recipe import NONCE, Recipe, Step, replace_step, run
from harness.model import BuildOptions, Entry, File, Link, Tree


@dataclass(frozen=True, slots=True)
class State:
    """All that a build is made from. `touched` files have a new mtime and nothing else new.

    With `inside` the Dockerfile stands in the context as `Dockerfile`, otherwise beside it, and
    so does its own ignore file where it has one. With `keep_mtimes` files that change keep theirs.
    """

    recipe: Recipe
    tree: Tree
    options: BuildOptions = field(default_factory=BuildOptions)
    inside: bool = True
    touched: frozenset[str] = frozenset()
    own_ignore: File | None = None
    keep_mtimes: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """States to build one after the other, each with a line on how it came about."""

    states: tuple[tuple[str, State], ...]


@st.composite
def cases(draw: st.DrawFn, dialect: Dialect, *, builds: int = 4) -> Case:
    """Draw a Dockerfile, a context and edits: one to `builds` + 1 states, to build in turn."""
    tree = draw(trees())
    recipe = draw(recipes(dialect, tree))
    own_ignore = draw(ignore_files()) if draw(st.integers(0, 5)) == 0 else None
    state = State(recipe, tree, inside=draw(st.booleans()), own_ignore=own_ignore)
    states = [("first build", state)]
    for _ in range(draw(st.integers(min(2, builds), builds))):
        summary, state = draw(edits(states))
        states.append((summary, state))
    return Case(tuple(states))


@st.composite
def edits(draw: st.DrawFn, states: list[tuple[str, State]]) -> tuple[str, State]:
    """Draw one edit of the last of `states`; a build's own options last for that build only."""
    current = states[-1][1]
    state = replace(
        current, touched=frozenset(), keep_mtimes=False, options=_lasting(current.options)
    )
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
    return f"back to build {number}", replace(
        states[number][1], touched=frozenset(), keep_mtimes=False
    )


def _lasting(options: BuildOptions) -> BuildOptions:
    return replace(options, no_cache=False, no_cache_filter=())


# --- Of the context ----------------------------------------------------------------------------


@st.composite
def _tree_edits(draw: st.DrawFn, state: State) -> tuple[str, State]:
    tree: dict[str, Entry] = dict(state.tree)
    present = sorted(p for p, e in tree.items() if isinstance(e, File) and p != BUNDLE)
    others = [path for path in present if path in OTHERS]
    absent = [path for path in OTHERS if path not in tree]
    kinds = ["content", "content", "content", "mode", "touch", "ignore", "link", "folder"]
    kinds += ["add", "add"] if absent else []
    kinds += ["delete", "rename"] if others and absent else []
    kinds += ["bundle"] if BUNDLE in tree else []
    kinds += ["own ignore"] if state.own_ignore else []
    kind = draw(st.sampled_from(kinds))
    if kind == "own ignore":
        return f"{kind} file", replace(state, own_ignore=draw(ignore_files()))
    if kind in {"add", "delete", "rename"}:
        path = draw(st.sampled_from(absent if kind == "add" else others))
        entry = tree.pop(path, None)
        if kind != "delete":
            to = draw(st.sampled_from(absent)) if kind == "rename" else path
            tree[to] = entry if entry is not None else draw(files())
    elif kind in {"content", "mode", "touch"}:
        path = draw(st.sampled_from([p for p in present if p != ".dockerignore"]))
        touched = frozenset({path} if kind == "touch" else ())
        keep = kind == "content" and draw(st.integers(0, 5)) == 0
        state = replace(state, touched=touched, keep_mtimes=keep)
        tree[path] = draw(_changed(tree[path], kind))
    else:
        path = draw(_replace_special(tree, kind))
    return f"{kind} {path}", replace(state, tree=tree)


def _changed(entry: Entry, kind: str) -> st.SearchStrategy[Entry]:
    """Draw a file like `entry`, with another content or another mode where `kind` says so."""
    if not isinstance(entry, File) or kind == "touch":
        return st.just(entry)
    if kind == "mode":
        return st.just(replace(entry, mode=0o755 if entry.mode == 0o644 else 0o644))
    return files().map(lambda new: replace(new, mode=entry.mode))


@st.composite
def _replace_special(draw: st.DrawFn, tree: dict[str, Entry], kind: str) -> str:
    """Put another ignore file, archive, link or directory into `tree`, and return its path."""
    if kind == "link":
        path = draw(st.sampled_from(sorted(tree.keys() & LINKS.keys() or {"src/inner"})))
        tree[path] = Link(draw(st.sampled_from(LINKS[path])))
        return path
    if kind == "folder":
        path = draw(st.sampled_from(FOLDERS))
        if tree.pop(path, None) is None or draw(st.booleans()):
            tree[path] = draw(directories())
        return path
    path = BUNDLE if kind == "bundle" else ".dockerignore"
    tree[path] = draw(bundles() if kind == "bundle" else ignore_files())
    return path


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
    new: tuple[Step, ...] = (step, *draw(setting_steps()))
    summary = f"{new[1].keyword} {new[1].value!r} added after {where}"
    changed = draw(_variants(step))
    if changed is not None and draw(st.booleans()):
        new, summary = (changed,), f"{where} changed to {changed.value!r} {changed.flags}"
    elif number > 0 and step.keyword in {"LABEL", "EXPOSE", "ENV", "ARG", "CMD", "ONBUILD"}:
        new, summary = (), f"{where} removed"
    elif 0 < number < len(steps) - 1 and {step.keyword, steps[number + 1].keyword} <= SWAPPED:
        return f"{where} and the next exchanged", replace(
            state, recipe=_swap(recipe, stage, number)
        )
    return summary, replace(state, recipe=replace_step(recipe, stage, number, new))


SWAPPED = frozenset({"ENV", "ARG", "LABEL", "COPY", "ADD"})


def _swap(recipe: Recipe, stage: int, number: int) -> Recipe:
    steps = recipe.stages[stage].steps
    first, second = steps[number], steps[number + 1]
    return replace_step(replace_step(recipe, stage, number, (second,)), stage, number + 1, (first,))


@st.composite
def _variants(draw: st.DrawFn, step: Step) -> Step | None:
    """Draw `step` saying something else that still builds, or None where that is hard."""
    word = draw(st.sampled_from(WORDS))
    if step.keyword == "RUN" and step.value.startswith((": ", "echo ")):
        if NONCE in step.value:
            return replace(step, comment="unchanged")
        flags = [(flag.name, flag.value or "") for flag in step.flags]
        exec_form = run(step.value, flags=flags, exec_form=True)
        shell_form = replace(step, value=f": {word} changed", breaks=frozenset())
        return draw(st.sampled_from((exec_form, shell_form)))
    if step.keyword in {"ENV", "ARG", "LABEL"} and "=" in step.value and "$" not in step.value:
        return replace(step, value=f"{step.value.split('=')[0]}={word}")
    if step.keyword in {"COPY", "ADD"} and not step.heredocs:
        name, value = draw(st.sampled_from((("chmod", "700"), ("chmod", "750"), ("chown", "9"))))
        changed = (without_flag(step, name), with_flag(step, name, value))
        return draw(st.sampled_from(changed))
    return None


# --- Of the invocation -------------------------------------------------------------------------


@st.composite
def _option_edits(draw: st.DrawFn, state: State) -> tuple[str, State]:
    names = [stage.name for stage in state.recipe.stages if stage.name is not None] or ["s0"]
    kind = draw(st.sampled_from(("arg", "arg", "target", "no-cache", "filter")))
    options = state.options
    if kind == "arg":
        name = draw(
            st.sampled_from((*ARGUMENTS, *ARGUMENTS, "UNDECLARED", "HTTP_PROXY", "TARGETARCH"))
        )
        arguments = dict(options.build_args)
        if name in arguments and draw(st.booleans()):
            del arguments[name]
        else:
            arguments[name] = draw(st.sampled_from(WORDS))
        options = replace(options, build_args=arguments)
        return f"build arguments {arguments}", replace(state, options=options)
    if kind == "target":
        known = [stage.name for stage in state.recipe.stages if stage.name is not None]
        target = draw(st.sampled_from([None, *known]))
        options = replace(options, target=target)
        return f"target {target}", replace(state, options=options)
    if kind == "no-cache":
        return "--no-cache", replace(state, options=replace(options, no_cache=True))
    chosen = draw(st.sampled_from(names))
    options = replace(options, no_cache_filter=(chosen,))
    return f"--no-cache-filter {chosen}", replace(state, options=options)
