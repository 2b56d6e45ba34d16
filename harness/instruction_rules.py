"""What each instruction adds to a plan: its vertex with all that enters the key, or its effect.

Owns the state of a stage while its instructions are followed. Which stages there are and what
their names mean is `dispatch`'s business.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from harness import instructions
from harness.expansion import expand, expand_fully
from harness.model import Heredoc, Instruction, Stage
from harness.plan import (
    EnvValue,
    ImageFacts,
    Input,
    Place,
    Plan,
    PlannedVertex,
    Selector,
    Source,
    Write,
)
from harness.quirks import Rules
from harness.run_rules import run_arguments, run_inputs, shares_root

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
SourceOf = Callable[[str], Source]
Parts = tuple[tuple[str, object], ...]


@dataclass(slots=True)
class StageState:
    """What the next instruction of a stage finds: environment, directory, user, shell, vertex.

    `env` is the build's environment, ARGs included, in the order of the key; `image_env` is that
    of the image, from which a child stage starts.
    """

    stage: Stage
    name: str
    shown: str
    ignore_cache: bool
    platform: str
    global_args: Mapping[str, str | None]
    build_args: Mapping[str, str]
    vertex: int | None = None
    env: dict[str, EnvValue] = field(default_factory=dict)
    image_env: dict[str, EnvValue] = field(default_factory=dict)
    workdir: str = "/"
    user: str = ""
    shell: tuple[str, ...] = DEFAULT_SHELL
    onbuild: tuple[str, ...] = ()
    total: int = 0
    position: int = 0
    inherits_unknown: bool = False

    def inherit(self, facts: ImageFacts) -> None:
        """Take over the configuration of a base image."""
        for name, value in facts.env:
            self.image_env[name] = EnvValue(value, "FROM", self.stage.line)
        self.workdir = facts.workdir or "/"
        self.user = facts.user
        self.shell = facts.shell or DEFAULT_SHELL
        self.onbuild = facts.onbuild
        self._begin()

    def child(self, *, stage: Stage, name: str, shown: str, ignore_cache: bool) -> StageState:
        """Return the state in which a stage begins that is built FROM this one."""
        state = StageState(
            stage=stage,
            name=name,
            shown=shown,
            ignore_cache=ignore_cache,
            platform=self.platform,
            global_args=self.global_args,
            build_args=self.build_args,
            vertex=self.vertex,
            env=dict(self.env),
            image_env=dict(self.image_env),
            workdir=self.workdir,
            user=self.user,
            shell=self.shell,
            onbuild=self.onbuild,
            inherits_unknown=self.inherits_unknown,
        )
        state._begin()
        return state

    def _begin(self) -> None:
        if "PATH" not in self.image_env:
            self.image_env["PATH"] = EnvValue(DEFAULT_PATH, "FROM", self.stage.line)
        for name, value in self.image_env.items():
            self.set(name, value)

    def take_triggers(self) -> tuple[str, ...]:
        """Return the ONBUILD triggers of the base, which fire once."""
        triggers, self.onbuild = self.onbuild, ()
        return triggers

    def set(self, name: str, value: EnvValue) -> None:
        """Set a variable; one set again moves to the end, as in the key."""
        self.env.pop(name, None)
        self.env[name] = value

    @property
    def values(self) -> dict[str, str]:
        """Return the environment by name."""
        return {name: each.value for name, each in self.env.items()}

    def next_place(self, line: int) -> Place:
        """Return the place of the next vertex of this stage."""
        self.position += 1
        return Place(self.name, self.shown, self.position, self.total, line)

    def absolute(self, path: str) -> str:
        """Return `path` against the working directory, cleaned."""
        joined = path if path.startswith("/") else f"{self.workdir}/{path}"
        return "/" + posixpath.normpath("/" + joined).lstrip("/")


class Builder:
    """Collects vertices; equal ones become one with several places, as in the engine."""

    def __init__(self, *, escape: str, network: str | None, rules: Rules) -> None:
        self.escape = escape
        self.rules = rules
        self.network = network or "default"
        self.vertices: list[PlannedVertex] = []
        self.places: list[list[tuple[Place, int]]] = []
        self._known: dict[object, int] = {}
        self._states: list[StageState] = []

    def add(
        self,
        *,
        kind: str,
        instruction: str,
        place: Place,
        state: StageState,
        parts: Parts,
        base: int | None,
        inputs: tuple[Input, ...] = (),
        volatile: bool = False,
        unknown: str = "",
        root_by_content: bool = False,
        writes: tuple[Write, ...] = (),
        makes: str = "",
        env: Mapping[str, EnvValue] | None = None,
    ) -> int:
        """Add a vertex, or a place to one that is equal; return its index."""
        ignore = state.ignore_cache and kind in ("RUN", "COPY", "ADD")
        same = (kind, parts, base, inputs, ignore)
        index = self._known.get(same)
        self._states.append(state)
        if index is not None:
            self.places[index].append((place, len(self._states) - 1))
            return index
        index = self._known[same] = len(self.vertices)
        self.places.append([(place, len(self._states) - 1)])
        self.vertices.append(
            PlannedVertex(
                index=index,
                kind=kind,
                instruction=instruction,
                line=place.line,
                parts=(("kind", kind), *parts),
                base=base,
                inputs=inputs,
                stage_index=state.stage.index,
                ignore_cache=ignore,
                volatile=volatile,
                unknown=unknown,
                root_by_content=root_by_content,
                writes=writes,
                makes=makes,
                env=env or {},
            )
        )
        return index

    def finish(self, stages: Mapping[int, StageState], stage_names: Mapping[int, str]) -> Plan:
        """Return the plan, the totals of all stages being known now."""
        places = tuple(
            tuple(
                Place(p.stage, p.shown, p.position, self._states[at].total, p.line)
                for p, at in found
            )
            for found in self.places
        )
        return Plan(
            vertices=tuple(self.vertices),
            places=places,
            stage_vertex={index: state.vertex for index, state in stages.items()},
            stage_names=stage_names,
            stage_values={index: state.values for index, state in stages.items()},
        )


def apply_instruction(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    """Let one instruction have its effect on the stage's state and on the plan."""
    match instruction.keyword:
        case "ARG":
            _arg(builder, state, instruction)
        case "ENV":
            _env(builder, state, instruction)
        case "USER":
            state.user = expand(instruction.value, state.values, escape=builder.escape)
        case "SHELL":
            state.shell = instruction.words or DEFAULT_SHELL
        case "ONBUILD":
            state.onbuild += (instruction.value,)
        case "WORKDIR":
            _workdir(builder, state, instruction)
        case "RUN":
            _run(builder, state, instruction, source_of)
        case "COPY" | "ADD":
            _transfer(builder, state, instruction, source_of)


def _arg(builder: Builder, state: StageState, instruction: Instruction) -> None:
    values = state.values
    for name, default in instructions.assignments(instruction, escape=builder.escape):
        value = None if default is None else expand(default, values, escape=builder.escape)
        value = state.build_args.get(name, value)
        if value is None:
            value = state.global_args.get(name)
        if value is not None:
            state.set(name, EnvValue(value, "ARG", instruction.line))


def _env(builder: Builder, state: StageState, instruction: Instruction) -> None:
    values = state.values
    for name, text in instructions.assignments(instruction, escape=builder.escape):
        value = EnvValue(expand(text or "", values, escape=builder.escape), "ENV", instruction.line)
        state.set(name, value)
        state.image_env[name] = value


def _workdir(builder: Builder, state: StageState, instruction: Instruction) -> None:
    path = expand(instruction.value, state.values, escape=builder.escape)
    state.workdir = state.absolute(path)
    if state.workdir == "/":
        return
    state.vertex = builder.add(
        kind="WORKDIR",
        instruction=_text(instruction),
        place=state.next_place(instruction.line),
        state=state,
        parts=(("path", state.workdir), ("user", state.user)),
        base=state.vertex,
        makes=state.workdir,
    )


def _run(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    values = state.values
    expanded = builder.rules.expands_mounts
    mounts = instructions.mounts_of(
        instruction,
        (lambda text: expand(text, values, escape=builder.escape)) if expanded else None,
    )
    arguments, inline = run_arguments(instruction, state.shell)
    described, inputs = run_inputs(
        mounts, inline, state.absolute, source_of, root=state.vertex, rules=builder.rules
    )
    network = instruction.flag("network") or builder.network
    parts: Parts = (
        ("command", arguments),
        ("env", tuple((name, each.value) for name, each in state.env.items())),
        ("workdir", state.workdir),
        ("user", state.user),
        ("network", expand(network, values, escape=builder.escape)),
        ("security", instruction.flag("security") or "sandbox"),
        ("device", tuple(f.value for f in instruction.flags if f.name == "device")),
        ("platform", state.platform),
        ("mounts", described),
    )
    state.vertex = builder.add(
        kind="RUN",
        instruction=_text(instruction),
        place=state.next_place(instruction.line),
        state=state,
        parts=parts,
        base=state.vertex,
        inputs=inputs,
        root_by_content=builder.rules.private_mounts_converge
        and state.vertex is not None
        and shares_root(mounts, source_of, state.vertex),
        env=dict(state.env),
    )


@dataclass(slots=True)
class _Sources:
    """The sources of a COPY or ADD, as inputs with their selectors and as writes."""

    inputs: dict[Source, list[Selector]] = field(default_factory=dict)
    inline: list[Input] = field(default_factory=list)
    writes: list[tuple[Source | int, Selector]] = field(default_factory=list)
    names: list[object] = field(default_factory=list)
    unknown: str = ""


def _transfer(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    transfer = instructions.transfer_of(instruction)
    values = state.values

    def expanded(text: str) -> str:
        return expand(text, values, escape=builder.escape)

    chmod, chown = instruction.flag("chmod"), instruction.flag("chown")
    chmod = None if chmod is None else expanded(chmod)
    chown = None if chown is None else expanded(chown)
    parents = instruction.flag("parents") is not None or _bare(instruction, "parents")
    excluded = tuple(expanded(f.value or "") for f in instruction.flags if f.name == "exclude")
    from_name = instruction.flag("from")
    source = source_of(from_name) if from_name else Source("context")
    found = _Sources()
    for written in transfer.sources:
        word = expand_fully(written, values, escape=builder.escape)
        if word.unset and state.inherits_unknown:
            names = ", ".join(sorted(word.unset))
            found.unknown = f"the base image may set {names}, and its configuration is not known"
        _add_source(
            found,
            word.text,
            source,
            keyword=instruction.keyword,
            parents=parents,
            excluded=excluded,
        )
    for heredoc in transfer.inline:
        _add_inline(found, heredoc, values, builder.escape)
    destination = _destination(state, expanded(transfer.destination))
    order = list(found.inputs)
    inputs = tuple(Input(each, tuple(found.inputs[each])) for each in order) + tuple(found.inline)
    writes = tuple(
        Write(
            order.index(at) if isinstance(at, Source) else len(order) + at,
            selector,
            destination,
            chmod,
            chown,
            unpack=instruction.keyword == "ADD",
            parents=parents,
        )
        for at, selector in found.writes
    )
    parts: Parts = (
        ("sources", tuple(found.names)),
        ("destination", destination),
        ("chmod", chmod),
        ("chown", chown),
        ("exclude", excluded),
        ("unpack", instruction.keyword == "ADD"),
        ("parents", parents),
    )
    state.vertex = builder.add(
        kind=instruction.keyword,
        instruction=_text(instruction),
        place=state.next_place(instruction.line),
        state=state,
        parts=parts,
        base=state.vertex,
        inputs=inputs,
        unknown=found.unknown,
        writes=writes,
    )


def _add_source(
    found: _Sources,
    text: str,
    source: Source,
    *,
    keyword: str,
    parents: bool,
    excluded: tuple[str, ...],
) -> None:
    if keyword == "ADD" and ("://" in text or text.startswith("git@")):
        remote = Source("remote", text)
        selector = Selector("/", follow=False)
        found.inputs.setdefault(remote, []).append(selector)
        found.writes.append((remote, selector))
        found.names.append(("remote", text))
        return
    include: tuple[str, ...] = ()
    path = text
    if parents:
        pivot, cut, rest = text.partition("/./")
        path, pattern = (pivot, rest) if cut else ("/", text)
        include = (posixpath.normpath("/" + pattern).lstrip("/"),)
    path = "/" + posixpath.normpath("/" + path).lstrip("/")
    selector = Selector(path, wildcard=has_wildcard(path), include=include, exclude=excluded)
    found.inputs.setdefault(source, []).append(selector)
    found.writes.append((source, selector))
    found.names.append((posixpath.basename(path) or "/", include))


def _add_inline(found: _Sources, heredoc: Heredoc, values: Mapping[str, str], escape: str) -> None:
    content = chomped(heredoc) if heredoc.chomp else heredoc.content
    if heredoc.expand:
        content = expand_heredoc(content, values)
    selector = Selector("/" + heredoc.name.lstrip("/"), follow=False)
    found.writes.append((len(found.inline), selector))
    found.inline.append(
        Input(
            Source("inline", heredoc.name),
            (selector,),
            ((heredoc.name, 0o644, content.encode(errors="surrogateescape")),),
        )
    )
    found.names.append(("inline", heredoc.name))


def chomped(heredoc: Heredoc) -> str:
    """Return the body of a `<<-` here-document: without the tabs that lead its lines."""
    return "".join(line.lstrip("\t") for line in heredoc.content.splitlines(keepends=True))


def expand_heredoc(content: str, values: Mapping[str, str]) -> str:
    """Return the body with variables expanded; quotes in it stay as they are."""
    marked = content.replace("'", "\\'").replace('"', '\\"')
    return expand(marked, values)


def has_wildcard(path: str) -> bool:
    """Return whether BuildKit takes `path` for a pattern."""
    position = 0
    while position < len(path):
        if path[position] == "\\":
            position += 1
        elif path[position] in "*?[":
            return True
        position += 1
    return False


def _destination(state: StageState, text: str) -> str:
    path = state.absolute(text)
    if text in ("", ".") or text.endswith("/"):
        return path.rstrip("/") + "/"
    return path


def _bare(instruction: Instruction, name: str) -> bool:
    return any(flag.name == name and flag.value is None for flag in instruction.flags)


def _text(instruction: Instruction) -> str:
    flags = "".join(
        f"--{f.name}{'' if f.value is None else '=' + f.value} " for f in instruction.flags
    )
    return f"{instruction.keyword} {flags}{instruction.value}"
