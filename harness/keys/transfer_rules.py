"""What COPY and ADD add to a plan: sources as selectors and writes, here-documents, flags."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.keys.plan import (
    Input,
    Selector,
    Source,
    Write,
)
from harness.keys.stage_state import (
    Builder,
    Parts,
    SourceOf,
    StageState,
    instruction_text,
)
from harness.model import Heredoc, Instruction
from harness.parsing import instructions, patterns
from harness.parsing.expansion import expand, expand_fully


@dataclass(slots=True)
class _Sources:
    """The sources of a COPY or ADD, as inputs with their selectors and as writes."""

    inputs: dict[Source, list[Selector]] = field(default_factory=dict)
    inline: list[Input] = field(default_factory=list)
    writes: list[tuple[Source | int, Selector]] = field(default_factory=list)
    names: list[object] = field(default_factory=list)
    unknown: str = ""


def transfer(
    builder: Builder, state: StageState, instruction: Instruction, source_of: SourceOf
) -> None:
    """Add the vertex of a COPY or ADD."""
    named = instructions.transfer_of(instruction)
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
    for written in named.sources:
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
    for heredoc in named.inline:
        _add_inline(found, heredoc, values, builder.escape)
    destination = _destination(state, expanded(named.destination))
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
        instruction=instruction_text(instruction),
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
    selector = Selector(
        path, wildcard=patterns.has_wildcard(path), include=include, exclude=excluded
    )
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


def _destination(state: StageState, text: str) -> str:
    path = state.absolute(text)
    if text in ("", ".") or text.endswith("/"):
        return path.rstrip("/") + "/"
    return path


def _bare(instruction: Instruction, name: str) -> bool:
    return any(flag.name == name and flag.value is None for flag in instruction.flags)
