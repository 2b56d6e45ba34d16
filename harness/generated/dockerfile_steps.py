"""Hypothesis strategies for the steps of a stage, each of which builds where it stands.

A `Draft` is a stage while it is drawn: it knows which paths later steps and stages may rely on.
What a RUN writes is nowhere relied on but where its stage declares what that depends on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from harness.generated.dockerfile_contexts import BUNDLE
from harness.generated.recipe import NONCE, Step, add, copy, run
from harness.model import Entry, Flag, Heredoc

WORDS = ("red", "green", "blue")
ARGUMENTS = ("ONE", "TWO")


@dataclass(frozen=True, slots=True)
class Dialect:
    """A base image, and what an engine's frontend understands beyond that of 20.10.

    `modern` is 23 and up: here-documents, COPY --link, RUN --network, variables in mounts.
    """

    image: str
    modern: bool = False


@dataclass(slots=True)
class Draft:
    """A stage while it is drawn. `fixed` holds while no RUN has written to it.

    `reference` is how others name it. `paths` are what a COPY from it may take: of a stage that
    is not `fixed`, single files that a later COPY put there.
    """

    image: bool
    reference: str
    steps: list[Step] = field(default_factory=list)
    depends_on: tuple[str, ...] = ()
    paths: list[str] = field(default_factory=list)
    fixed: bool = True

    def holds(self, directory: str, *, file: str | None = None) -> None:
        """Take note that a COPY made `directory`, and `file` in it."""
        if self.fixed:
            self.paths.append(directory)
        if file is not None:
            self.paths.append(f"{directory}/{file}")

    def ran(self) -> None:
        """Take note that a RUN may have written anywhere."""
        self.fixed = False
        self.paths.clear()


def first_steps(stage: Draft) -> st.SearchStrategy[Step]:
    """Draw the step that keeps a stage apart from those of all other cases."""
    own = f"/{NONCE}-{stage.reference}"
    firsts = [Step("WORKDIR", own), copy("keep.txt", to=f"{own}/"), copy("data", to=f"{own}/d")]
    if stage.image:
        firsts += [Step("WORKDIR", f"/{NONCE}"), run(f": {NONCE}")]
    return st.sampled_from(firsts)


def plan_for(stage: Draft, *, bind: bool) -> None:
    """Make of `stage` one that runs at every edit and writes a function of `data` alone."""
    save = "mkdir -p /out && cp -rL /ctx/data/*.json /out && chmod -R u=rwX,go=rX /out"
    if bind:
        stage.steps.append(run(save, flags=[("mount", "type=bind,target=/ctx")]))
    else:
        stage.steps += [copy(".", to="/ctx"), run(save)]
    stage.depends_on, stage.paths = ("data/*.json",), ["/out"]


def steps(
    stage: Draft,
    earlier: list[Draft],
    number: int,
    dialect: Dialect,
    tree: dict[str, Entry],
) -> st.SearchStrategy[list[Step]]:
    """Draw what comes next in a stage: one step, or a few that belong together."""
    kinds: list[st.SearchStrategy[list[Step]]] = [
        _copies(stage, number, dialect, tree),
        _copies(stage, number, dialect, tree),
        setting_steps(),
    ]
    kinds += [_copies_from(stage, source, number) for source in earlier if source.paths]
    if stage.image:
        kinds += [_runs(stage, earlier, number, dialect)] * 3
        kinds += [_from_image(stage, number, dialect)]
    return st.one_of(kinds)


@st.composite
def _copies(
    draw: st.DrawFn, stage: Draft, number: int, dialect: Dialect, tree: dict[str, Entry]
) -> list[Step]:
    to = draw(st.sampled_from((f"/c{number}", f"/c{number}", "/same")))
    if dialect.modern and draw(st.integers(0, 6)) == 0:
        body = Heredoc("EOF", draw(st.sampled_from(("one\n", "two\n$ONE\n"))), expand=True)
        stage.holds(to, file="doc")
        return [Step("COPY", f"<<EOF {to}/doc", heredocs=(body,))]
    sources: list[tuple[str, ...]] = [
        ("keep.txt",), ("data",), ("src/",), ("*.txt",), ("data/*.json",), (".",), ("./src/m*.rs",),
        ("keep.txt", "data/one.json"), ("data", "src"), ("/keep.txt",), ("s?c/main.rs",),
        ("./",), ("src/.",), ("data/../keep.txt",), ("k*", "data/o*"), ("*",), ("src/m[a-z]in.rs",),
    ]  # fmt: skip
    sources += [("link",), ("link", "keep.txt")] if "link" in tree else []
    sources += [("way",), ("way/one.json",), ("way/*.json",)] if "way" in tree else []
    chosen = draw(st.sampled_from(sources))
    flags: dict[str, str | None] = {}
    if draw(st.integers(0, 3)) == 0:
        flags["chown"] = draw(st.sampled_from(("7", "7:8", "0:0")))
    if draw(st.integers(0, 3)) == 0:
        flags["chmod"] = draw(st.sampled_from(("755", "0600")))
    if dialect.modern and draw(st.integers(0, 4)) == 0:
        flags["link"] = None
    ending = draw(st.sampled_from(("/", "/$ONE/", "/${TWO:-none}/", "/${TWO:+some}/")))
    if draw(st.integers(0, 5)) == 0:
        to = draw(st.sampled_from(("./", "rel/", "../up/", "rel")))
        return [copy(*chosen, to=f"{to}/" if len(chosen) > 1 else to, flags=flags)]
    file = "keep.txt" if chosen == ("keep.txt",) and ending == "/" else None
    stage.holds(to, file=file)
    if draw(st.integers(0, 5)) == 0:
        packed = (BUNDLE,) if BUNDLE in tree else ()
        return [add(*chosen, *packed, to=to + ending, flags=flags)]
    if chosen == ("data/../keep.txt",) and draw(st.booleans()):
        return [copy(*chosen, to=f"{to}/renamed", flags=flags)]
    return [copy(*chosen, to=to + ending, words=draw(st.booleans()), flags=flags)]


@st.composite
def _copies_from(draw: st.DrawFn, stage: Draft, source: Draft, number: int) -> list[Step]:
    path = draw(st.sampled_from(sorted(set(source.paths))))
    flags: dict[str, str | None] = {"from": source.reference}
    if draw(st.integers(0, 4)) == 0:
        flags["chown"] = "7"
    if draw(st.integers(0, 4)) == 0:
        flags["chmod"] = "700"
    is_file = path.rpartition("/")[2] in {"keep.txt", "doc"}
    ending = "" if is_file else draw(st.sampled_from(("", "/", "/*", "/.")))
    begin = draw(st.sampled_from(("/", "", "/./")))
    stage.holds(f"/f{number}")
    return [copy(begin + path.lstrip("/") + ending, to=f"/f{number}/", flags=flags)]


@st.composite
def _from_image(draw: st.DrawFn, stage: Draft, number: int, dialect: Dialect) -> list[Step]:
    path = draw(st.sampled_from(("/etc/passwd", "/etc/p*d")))
    stage.holds(f"/i{number}")
    return [copy(path, to=f"/i{number}/", flags={"from": dialect.image})]


@st.composite
def setting_steps(draw: st.DrawFn) -> list[Step]:
    """Draw what sets the ground for later steps, or the image's metadata."""
    word, name = draw(st.sampled_from(WORDS)), draw(st.sampled_from(ARGUMENTS))
    return draw(
        st.sampled_from(
            (
                [Step("ARG", name)],
                [Step("ARG", f"{name}={word}")],
                [Step("ARG", "BASE")],
                [Step("ARG", "TARGETARCH")],
                [Step("ARG", f"{name}={word}"), Step("ENV", f"FROM_ARG=${name}")],
                [Step("ENV", f"{name}={word}")],
                [Step("ENV", f"{name} {word} and more")],
                [Step("ENV", f'{name}="{word} and more"')],
                [Step("ENV", f"A={word} B=${{{name}:+set}}")],
                [Step("ENV", f"PATH=$PATH:/{word}")],
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
                [Step("ONBUILD", f"ENV {name}={word}")],
                [Step("ONBUILD", f"WORKDIR /ob/{word}")],
            )
        )
    )


@st.composite
def _runs(
    draw: st.DrawFn, stage: Draft, earlier: list[Draft], number: int, dialect: Dialect
) -> list[Step]:
    word, name = draw(st.sampled_from(WORDS)), draw(st.sampled_from(ARGUMENTS))
    mounts = [
        ("mount", "type=bind,source=src,target=/m"),
        ("mount", "type=bind,target=/m"),
        ("mount", "target=/m,source=keep.txt"),
        ("mount", "type=bind,source=data,target=/m,rw"),
        ("mount", "type=cache,target=/m"),
        ("mount", f"type=cache,id={NONCE},target=/m,sharing=locked"),
        ("mount", f"type=cache,id={NONCE}-2,target=m,uid=7,mode=0700"),
        ("mount", "type=tmpfs,target=/m"),
        ("mount", "type=secret,id=absent"),
        ("mount", "type=secret,id=absent,target=/m,mode=0444"),
        ("mount", f"type=bind,from={dialect.image},source=/etc,target=/m"),
    ]
    mounts += [
        ("network", "none"),
        ("mount", f"type=cache,target=/m/${name},id=c"),
    ] * dialect.modern
    mounts += [
        ("mount", f"type=bind,from={source.reference},source={source.paths[-1]},target=/m")
        for source in earlier
        if source.paths
    ]
    exec_form = draw(st.booleans())
    choices: list[list[Step]] = [
        [run(f": {word}", exec_form=exec_form)],
        [run(f"echo {word}   ${name} > /r{number}", exec_form=exec_form)],
        [run(f"mkdir -p /r{number} && ls -a / > /r{number}/l", exec_form=exec_form)],
        [run(f": {word}", flags=[draw(st.sampled_from(mounts))])],
        [run("true", flags=[draw(st.sampled_from(mounts)), ("mount", "type=tmpfs,target=/n")])],
        [Step("USER", "7:8"), run(f": {word} as another"), Step("USER", "0")],
        [Step("USER", "7"), Step("WORKDIR", f"/u/{word}"), Step("USER", "0")],
        [
            Step("SHELL", '["/bin/sh", "-ec"]', words=("/bin/sh", "-ec")),
            run(f": {word}", exec_form=exec_form),
        ],
    ]
    if dialect.modern:
        body = Heredoc("EOF", f"echo {word}\necho $ONE\n", expand=draw(st.booleans()))
        mark = "EOF" if body.expand else "'EOF'"
        choices.append([Step("RUN", f"<<{mark}", heredocs=(body,))])
    stage.ran()
    drawn = draw(st.sampled_from(choices))
    breaks = draw(st.frozensets(st.integers(0, 3), max_size=2))
    return [replace(s, breaks=breaks) if s.keyword == "RUN" else s for s in drawn]


def without_flag(step: Step, name: str) -> Step:
    """Return `step` without a flag."""
    return replace(step, flags=tuple(flag for flag in step.flags if flag.name != name))


def with_flag(step: Step, name: str, value: str) -> Step:
    """Return `step` with a flag, in place of what it had of that name."""
    kept = without_flag(step, name)
    return replace(kept, flags=(*kept.flags, Flag(name, value)))
