"""Hypothesis strategies for Dockerfiles and for the build contexts they are built from.

What is drawn builds on an engine that knows `Dialect` and reaches no network: a path that a COPY
needs is never edited away, and a RUN writes a function of what it reads. Every stage starts with
a step that holds `NONCE`, so that no two cases share a cache record. Rendering is left to
`recipe`, series of edits to `dockerfile_cases`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from harness.model import Entry, File, Heredoc, Link
from harness.recipe import NONCE, Recipe, StageRecipe, Step, Style, add, copy, run

SCRATCH = "scratch"
KEEPERS = ("keep.txt", "data/one.json", "src/main.rs")
"""Always there and never ignored, so that every pattern a COPY uses goes on matching."""
OTHERS = (
    "a.txt", "b.txt", "notes.tmp", "build.log", "data/two.json", "data/deep/three.json",
    "src/lib.rs", "src/deep/mod.rs", "docs/read me.md", "docs/ünï.md", "src/.hidden",
)  # fmt: skip
WORDS = ("red", "green", "blue")
ARGUMENTS = ("ONE", "TWO")


@dataclass(frozen=True, slots=True)
class Dialect:
    """A base image, and what an engine's frontend understands beyond that of 20.10.

    `modern` is 23 and up: here-documents, COPY --link, RUN --network.
    """

    image: str
    modern: bool = False


# --- Contexts ----------------------------------------------------------------------------------


def files() -> st.SearchStrategy[File]:
    """Draw a small file; few contents, so that two of them are often equal."""
    content = st.sampled_from((b"1\n", b"2\n", b"", b"22\n", b"\xff\x00\n"))
    return st.builds(File, content, st.sampled_from((0o644, 0o644, 0o755, 0o600)))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Entry]:
    """Draw a build context, with the keepers, perhaps with links and a `.dockerignore`."""
    tree: dict[str, Entry] = {path: draw(files()) for path in KEEPERS}
    for path in draw(st.lists(st.sampled_from(OTHERS), max_size=5, unique=True)):
        tree[path] = draw(files())
    if draw(st.booleans()):
        tree["link"] = Link(draw(st.sampled_from(("keep.txt", "data/one.json", "data"))))
    if draw(st.booleans()):
        tree["src/inner"] = Link(draw(st.sampled_from(("main.rs", "nowhere", "../keep.txt"))))
    if draw(st.booleans()):
        tree[".dockerignore"] = draw(ignore_files())
    return tree


IGNORE_LINES = (
    "docs", "*.tmp", "**/*.log", "src/deep", "!src/deep/mod.rs", "a.txt", "b*", "# a comment", "",
    "/data/two.json", "**/mod.rs", "Dockerfile", ".dockerignore", "data/deep/", "./src/.hidden",
    "src/l?b.rs", "[an]*.t*p", "docs/../b.txt", "!b.txt",
)  # fmt: skip


@st.composite
def ignore_files(draw: st.DrawFn) -> File:
    """Draw a `.dockerignore` that leaves the keepers and the link alone."""
    lines = draw(st.lists(st.sampled_from(IGNORE_LINES), max_size=4))
    if draw(st.integers(0, 4)) == 0:
        lines = ["*", "!keep.txt", "!data", "!src/*.rs", "!link", *lines]
    return File("".join(f"{line}\n" for line in lines).encode())


# --- Dockerfiles -------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stage:
    """A stage while it is drawn: what later steps and stages may rely on."""

    image: bool
    name: str
    steps: list[Step] = field(default_factory=list)
    depends_on: tuple[str, ...] = ()
    paths: list[str] = field(default_factory=list)
    fixed: bool = True


@st.composite
def recipes(draw: st.DrawFn, dialect: Dialect, *, has_link: bool) -> Recipe:
    """Draw a Dockerfile of one to four stages for contexts drawn by `trees`."""
    drawn: list[_Stage] = []
    bases: list[str] = []
    for index in range(draw(st.integers(1, 4))):
        choices = [dialect.image, dialect.image, "${BASE}", SCRATCH]
        base = draw(st.sampled_from(choices + [earlier.name for earlier in drawn]))
        parent = next((earlier for earlier in drawn if earlier.name == base), None)
        stage = _Stage(parent.image if parent else base != SCRATCH, f"s{index}")
        if parent is not None:
            stage.paths, stage.fixed = list(parent.paths), parent.fixed
        stage.steps.append(draw(_first(stage)))
        if stage.image and parent is None and draw(st.integers(0, 3)) == 0:
            _plan(stage, bind=draw(st.booleans()))
        else:
            for number in range(draw(st.integers(1, 6))):
                stage.steps += draw(_steps(stage, drawn, number, dialect, has_link=has_link))
        drawn.append(stage)
        bases.append(base)
    return Recipe(
        tuple(
            StageRecipe(base, tuple(stage.steps), stage.name, stage.depends_on)
            for base, stage in zip(bases, drawn, strict=True)
        ),
        (Step("ARG", f"BASE={dialect.image}"),) if "${BASE}" in bases else (),
        draw(styles()),
    )


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


def _first(stage: _Stage) -> st.SearchStrategy[Step]:
    own = f"/{NONCE}-{stage.name}"
    firsts = [Step("WORKDIR", own), copy("keep.txt", to=f"{own}/")]
    if stage.image:
        firsts += [Step("WORKDIR", f"/{NONCE}"), run(f": {NONCE}")]
    return st.sampled_from(firsts)


def _plan(stage: _Stage, *, bind: bool) -> None:
    """Make of `stage` one that runs at every edit and writes a function of `data` alone."""
    save = "mkdir -p /out && cp -r /ctx/data /out/data && chmod -R u=rwX,go=rX /out"
    if bind:
        stage.steps.append(run(save, flags=[("mount", "type=bind,target=/ctx")]))
    else:
        stage.steps += [copy(".", to="/ctx"), run(save)]
    stage.depends_on, stage.paths = ("data",), ["/out", "/out/data"]


def _steps(
    stage: _Stage, drawn: list[_Stage], number: int, dialect: Dialect, *, has_link: bool
) -> st.SearchStrategy[list[Step]]:
    """Draw what comes next in a stage: one step, or few that belong together."""
    kinds: list[st.SearchStrategy[list[Step]]] = [
        _copies(stage, number, dialect, has_link=has_link),
        _copies(stage, number, dialect, has_link=has_link),
        _settings(),
    ]
    sources = [s for s in drawn if s.paths and (s.fixed or s.depends_on)]
    if sources:
        kinds += [_copies_from(stage, source, number) for source in sources]
    if stage.image:
        kinds += [_runs(stage, drawn, number, dialect)] * 3
    return st.one_of(kinds)


@st.composite
def _copies(
    draw: st.DrawFn, stage: _Stage, number: int, dialect: Dialect, *, has_link: bool
) -> list[Step]:
    to = f"/c{number}"
    sources: list[tuple[str, ...]] = [
        ("keep.txt",), ("data",), ("src/",), ("*.txt",), ("data/*.json",), (".",), ("./src/m*.rs",),
        ("keep.txt", "data/one.json"), ("data", "src"), ("/keep.txt",), ("s?c/main.rs",),
    ]  # fmt: skip
    if has_link:
        sources.append(("link",))
    chosen = draw(st.sampled_from(sources))
    flags: dict[str, str | None] = {}
    if draw(st.integers(0, 3)) == 0:
        flags["chown"] = draw(st.sampled_from(("7", "7:8")))
    if draw(st.integers(0, 3)) == 0:
        flags["chmod"] = draw(st.sampled_from(("755", "0600")))
    if dialect.modern and draw(st.integers(0, 4)) == 0:
        flags["link"] = None
    ending = draw(st.sampled_from(("/", "/$ONE/", "/${TWO:-none}/")))
    stage.paths.append(to)
    if draw(st.integers(0, 5)) == 0:
        return [add(*chosen, to=to + ending, flags=flags)]
    if dialect.modern and draw(st.integers(0, 6)) == 0:
        body = Heredoc("EOF", draw(st.sampled_from(("one\n", "two\n$ONE\n"))), expand=True)
        return [Step("COPY", f"<<EOF {to}/doc", heredocs=(body,))]
    return [copy(*chosen, to=to + ending, words=draw(st.booleans()), flags=flags)]


@st.composite
def _copies_from(draw: st.DrawFn, stage: _Stage, source: _Stage, number: int) -> list[Step]:
    path = draw(st.sampled_from(sorted(set(source.paths))))
    stage.paths.append(f"/f{number}")
    return [copy(path, to=f"/f{number}/", flags={"from": source.name})]


@st.composite
def _settings(draw: st.DrawFn) -> list[Step]:
    word, name = draw(st.sampled_from(WORDS)), draw(st.sampled_from(ARGUMENTS))
    return draw(
        st.sampled_from(
            (
                [Step("ARG", name)],
                [Step("ARG", f"{name}={word}")],
                [Step("ARG", f"{name}={word}"), Step("ENV", f"FROM_ARG=${name}")],
                [Step("ENV", f"{name}={word}")],
                [Step("ENV", f"{name} {word} and more")],
                [Step("ENV", f"A={word} B=${{{name}:+set}}")],
                [Step("WORKDIR", word)],
                [Step("WORKDIR", f"/w/${{{name}}}")],
                [Step("WORKDIR", "/")],
                [Step("LABEL", f"colour={word}")],
                [Step("CMD", f'["{word}"]', words=(word,))],
                [Step("EXPOSE", "80")],
                [Step("STOPSIGNAL", "SIGINT")],
                [Step("VOLUME", f"/v/{word}")],
                [Step("HEALTHCHECK", "NONE")],
                [Step("ENTRYPOINT", f'["/bin/{word}"]', words=(f"/bin/{word}",))],
            )
        )
    )


@st.composite
def _runs(
    draw: st.DrawFn, stage: _Stage, drawn: list[_Stage], number: int, dialect: Dialect
) -> list[Step]:
    word, name = draw(st.sampled_from(WORDS)), draw(st.sampled_from(ARGUMENTS))
    mounts = [
        ("mount", "type=bind,source=src,target=/m"),
        ("mount", "type=bind,target=/m"),
        ("mount", "type=bind,source=data,target=/m,rw"),
        ("mount", "type=cache,target=/m"),
        ("mount", f"type=cache,id={NONCE},target=/m,sharing=locked"),
        ("mount", "type=tmpfs,target=/m"),
        ("mount", "type=secret,id=absent"),
    ]
    mounts += [("network", "none")] if dialect.modern else []
    mounts += [
        ("mount", f"type=bind,from={s.name},source={s.paths[-1]},target=/m")
        for s in drawn
        if s.paths and (s.fixed or s.depends_on)
    ]
    exec_form = draw(st.booleans())
    choices: list[list[Step]] = [
        [run(f": {word}", exec_form=exec_form)],
        [run(f"echo {word}   ${name} > /r{number}", exec_form=exec_form)],
        [run(f"mkdir -p /r{number} && ls -a / > /r{number}/l", exec_form=exec_form)],
        [run(f": {word}", flags=[draw(st.sampled_from(mounts))])],
        [run("true", flags=[draw(st.sampled_from(mounts)), ("mount", "type=tmpfs,target=/n")])],
        [Step("USER", "7:8"), run(f": {word} as another"), Step("USER", "0")],
        [
            Step("SHELL", '["/bin/sh", "-ec"]', words=("/bin/sh", "-ec")),
            run(f": {word}", exec_form=exec_form),
        ],
    ]
    if dialect.modern:
        body = Heredoc("EOF", f"echo {word}\necho $ONE\n", expand=draw(st.booleans()))
        mark = "EOF" if body.expand else "'EOF'"
        choices.append([Step("RUN", f"<<{mark}", heredocs=(body,))])
    stage.fixed = False
    steps = draw(st.sampled_from(choices))
    breaks = draw(st.frozensets(st.integers(0, 3), max_size=2))
    return [replace(s, breaks=breaks) if s.keyword == "RUN" else s for s in steps]
