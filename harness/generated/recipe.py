"""A Dockerfile as a syntax tree that renders itself: text and its parse at once, without a parser.

A recipe is what a generator draws and an edit changes. Because `render` knows where it puts every
instruction, it returns the `Dockerfile` model beside the text: the truth a parser is judged by and
the input a prediction can be made from. Which recipes are drawn is `dockerfiles`' business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from harness.model import Declaration, Dockerfile, Flag, Heredoc, Instruction, Stage

NONCE = "@nonce@"
"""Stands for a word that no other case uses; `with_nonce` puts it in before a build."""

VERTEX_KEYWORDS = frozenset({"RUN", "COPY", "ADD", "WORKDIR"})


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction to render. `breaks` are the spaces of `value` (by number) to continue at."""

    keyword: str
    value: str
    flags: tuple[Flag, ...] = ()
    words: tuple[str, ...] | None = None
    heredocs: tuple[Heredoc, ...] = ()
    breaks: frozenset[int] = frozenset()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """A stage to render; `depends_on` becomes its `# layerproof: depends-on` declaration."""

    base: str
    steps: tuple[Step, ...]
    name: str | None = None
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How a recipe is written down, none of which may change what it means."""

    escape: str = "\\"
    lower: bool = False
    blank_lines: bool = False
    indent: str = ""
    banner: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole Dockerfile to render."""

    stages: tuple[StageRecipe, ...]
    global_args: tuple[Step, ...] = ()
    style: Style = field(default_factory=Style)


def copy(
    *sources: str, to: str, words: bool = False, flags: Mapping[str, str | None] | None = None
) -> Step:
    """Return a COPY of `sources` to `to`."""
    return _file_step("COPY", (*sources, to), words=words, flags=flags or {})


def add(*sources: str, to: str, flags: Mapping[str, str | None] | None = None) -> Step:
    """Return an ADD of `sources` to `to`."""
    return _file_step("ADD", (*sources, to), words=False, flags=flags or {})


def run(command: str, *, flags: Iterable[tuple[str, str]] = (), exec_form: bool = False) -> Step:
    """Return a RUN of a shell command, as a string or as the exec form of `/bin/sh -c`."""
    words = ("/bin/sh", "-c", command) if exec_form else None
    value = json.dumps(words) if words else command
    return Step("RUN", value, tuple(Flag(n, v) for n, v in flags), words)


def _file_step(
    keyword: str, paths: tuple[str, ...], *, words: bool, flags: Mapping[str, str | None]
) -> Step:
    value = json.dumps(list(paths)) if words else " ".join(paths)
    return Step(
        keyword, value, tuple(Flag(n, v) for n, v in flags.items()), paths if words else None
    )


def with_nonce(recipe: Recipe, nonce: str) -> Recipe:
    """Return `recipe` with every `NONCE` in it replaced."""

    def put(step: Step) -> Step:
        return replace(
            step,
            value=step.value.replace(NONCE, nonce),
            words=step.words and tuple(w.replace(NONCE, nonce) for w in step.words),
            flags=tuple(
                Flag(flag.name, flag.value and flag.value.replace(NONCE, nonce))
                for flag in step.flags
            ),
        )

    return replace(
        recipe,
        global_args=tuple(put(s) for s in recipe.global_args),
        stages=tuple(replace(g, steps=tuple(put(s) for s in g.steps)) for g in recipe.stages),
    )


def replace_step(recipe: Recipe, stage: int, step: int, new: tuple[Step, ...]) -> Recipe:
    """Return `recipe` with one step replaced by `new`, which may be empty or several."""
    old = recipe.stages[stage]
    changed = replace(old, steps=(*old.steps[:step], *new, *old.steps[step + 1 :]))
    return replace(recipe, stages=(*recipe.stages[:stage], changed, *recipe.stages[stage + 1 :]))


# --- Rendering ---------------------------------------------------------------------------------


def render(recipe: Recipe, *, path: str = "Dockerfile") -> tuple[str, Dockerfile]:
    """Return the text of `recipe` and what a correct parser makes of it."""
    writer = _Writer(recipe.style)
    if recipe.style.escape != "\\":
        writer.line(f"# escape={recipe.style.escape}")
    if recipe.style.banner is not None:
        writer.line(f"# {recipe.style.banner}")
    global_args = tuple(writer.instruction(step) for step in recipe.global_args)
    stages: list[Stage] = []
    declarations: list[Declaration] = []
    for index, stage in enumerate(recipe.stages):
        head = stage.base if stage.name is None else f"{stage.base} AS {stage.name}"
        line = writer.instruction(Step("FROM", head)).line
        if stage.depends_on:
            at = writer.line(f"# layerproof: depends-on {' '.join(stage.depends_on)}")
            declarations.append(Declaration(index, stage.depends_on, at))
        steps = tuple(writer.instruction(step) for step in stage.steps)
        name = None if stage.name is None else stage.name.lower()
        stages.append(Stage(index, name, stage.base, None, line, steps))
    text = "\n".join(writer.lines) + "\n"
    return text, Dockerfile(
        path=path,
        text=text,
        escape=recipe.style.escape,
        syntax=None,
        global_args=global_args,
        stages=tuple(stages),
        declarations=tuple(declarations),
    )


class _Writer:
    """Collects lines and knows the number of the next one."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.lines: list[str] = []

    def line(self, text: str) -> int:
        """Write one line and return its number."""
        self.lines.append(text)
        return len(self.lines)

    def instruction(self, step: Step) -> Instruction:
        """Write `step`, on as many lines as it says, and return it as a parser should."""
        if self.style.blank_lines:
            self.line("")
        if step.comment is not None:
            self.line(f"# {step.comment}")
        keyword = step.keyword.lower() if self.style.lower else step.keyword
        flags = "".join(
            f" --{f.name}" if f.value is None else f" --{f.name}={f.value}" for f in step.flags
        )
        body = self._continued(step)
        first = self.line(f"{self.style.indent}{keyword}{flags} {body[0]}")
        for rest in body[1:]:
            self.line(rest)
        for heredoc in step.heredocs:
            for rest in heredoc.content.splitlines():
                self.line(rest)
            self.line(heredoc.name)
        return Instruction(
            keyword=step.keyword,
            value=step.value,
            line=first,
            end_line=len(self.lines),
            flags=step.flags,
            words=step.words,
            heredocs=step.heredocs,
        )

    def _continued(self, step: Step) -> list[str]:
        """Return the value cut into lines after the chosen spaces, comments between them."""
        pieces = step.value.split(" ")
        lines: list[str] = []
        current = pieces[0]
        for number, piece in enumerate(pieces[1:]):
            if number in step.breaks and not step.heredocs and current.strip():
                lines += [f"{current} {self.style.escape}", "# inside a continuation"]
                current = piece
            else:
                current = f"{current} {piece}"
        return [*lines, current]
