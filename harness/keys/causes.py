"""Why a vertex is executed or unknown, in sentences with a line and a path.

Compares a vertex with what earlier builds made of it, closest first. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness.keys.context import Context
from harness.keys.evaluate import Content, Evaluated, Keyed
from harness.keys.plan import EnvValue, Input, PlannedVertex, Selector
from harness.keys.records import difference
from harness.keys.selection import select
from harness.model import Cause, Outcome

Why = Literal[
    "hit",
    "miss",
    "inherits",
    "no-cache",
    "volatile",
    "problem",
    "unknown",
    "unknown-base",
    "unknown-content",
    "twin",
    "never",
]
MAX_PATHS: Final = 10
_UNDECLARED: Final = (
    "what it writes is known only by running it: declare what it depends on with "
    "`# layerproof: depends-on …`, or ask with --resolve"
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The fate of a vertex: `match` is the record it hits or may hit, `candidates` their keys."""

    keyed: Keyed
    outcome: Outcome
    why: Why
    candidates: tuple[bytes, ...] = ()
    match: Keyed | None = None
    twin_line: int = 0


def explain_decision(
    decision: Decision,
    decisions: Sequence[Decision],
    evaluated: Evaluated,
    builds: Sequence[Evaluated],
) -> tuple[Cause, ...]:
    """Return the causes of a miss, the first one first; none for a hit."""
    vertex = decision.keyed.vertex
    causes: tuple[Cause, ...] = ()
    match decision.why:
        case "hit":
            pass
        case "no-cache":
            causes = (Cause("the cache is switched off for this stage", vertex.line),)
        case "volatile":
            causes = (Cause("a directory given as a named context is new to every build"),)
        case "inherits" | "unknown-base" | "never":
            causes = (_inherited(decisions, decision),)
        case "problem":
            causes = tuple(
                Cause(f"{each.reason}: the build fails at line {vertex.line}", vertex.line)
                for each in decision.keyed.inputs
                if each.certainty == "problem"
            )
        case "unknown":
            causes = (Cause(vertex.unknown, vertex.line),)
        case "twin":
            text = f"does the same as line {decision.twin_line}: the engine runs one of the two"
            causes = (Cause(f"{text} and reports the other as cached", decision.twin_line),)
        case "unknown-content":
            causes = _unknown_content(decision, decisions)
        case "miss":
            causes = _miss(decision, decisions, evaluated, builds)
    return causes


def _inherited(decisions: Sequence[Decision], decision: Decision) -> Cause:
    """Return the cause that lies further down the same file system: where its fate began."""
    first = decision.keyed.vertex
    while first.base is not None and decisions[first.base].outcome is decision.outcome:
        first = decisions[first.base].keyed.vertex
    what = "hangs on" if decision.outcome is Outcome.UNKNOWN else "inherits the miss of"
    return Cause(f"{what} line {first.line}", first.line)


def _unknown_content(decision: Decision, decisions: Sequence[Decision]) -> tuple[Cause, ...]:
    causes = []
    vertex = decision.keyed.vertex
    if decision.keyed.root is not None and vertex.base is not None:
        below = decisions[vertex.base]
        if below.outcome is not Outcome.CACHED:
            line = below.keyed.vertex.line
            text = f"line {line} runs again, and a RUN with such a mount matches by what it left"
            causes.append(Cause(f"{text}; {_UNDECLARED}", line))
    theirs = decision.match.inputs if decision.match is not None else ()
    for content, other in zip(decision.keyed.inputs, theirs, strict=False):
        if content.certainty == "problem":
            causes.append(Cause(content.reason, decision.keyed.vertex.line))
        elif content.origin is not None and content.identity != other.identity:
            source = decisions[content.origin].keyed.vertex
            causes.append(
                Cause(
                    f"line {source.line} ({source.kind}) may or may not make the same files; "
                    f"{_UNDECLARED}",
                    source.line,
                )
            )
        elif content.identity != other.identity:
            causes.append(Cause("the image it reads is another one", decision.keyed.vertex.line))
    if not causes:
        causes.append(Cause(f"a step it reads from runs again; {_UNDECLARED}"))
    return tuple(causes)


def _miss(
    decision: Decision,
    decisions: Sequence[Decision],
    evaluated: Evaluated,
    builds: Sequence[Evaluated],
) -> tuple[Cause, ...]:
    keyed = decision.keyed
    vertex = keyed.vertex
    if not builds:
        return (Cause("nothing was built before", vertex.line),)
    closest = _closest(evaluated, vertex, builds)
    if closest is None:
        return (Cause(f"no earlier build has line {vertex.line}", vertex.line),)
    build, other = closest
    if vertex.base is not None and decisions[vertex.base].outcome is Outcome.EXECUTED:
        return (_inherited(decisions, decision),)
    causes = list(_operation_causes(vertex, other.vertex))
    if not causes:
        causes += _content_causes(keyed, other, evaluated, build)
    if not causes and keyed.base != other.base:
        below = (
            "" if vertex.base is None else f" of line {decisions[vertex.base].keyed.vertex.line}"
        )
        causes.append(Cause(f"no earlier build ran it on this result{below}", vertex.line))
    return tuple(causes) or (Cause("no earlier build had this combination", vertex.line),)


def _closest(
    evaluated: Evaluated, vertex: PlannedVertex, builds: Sequence[Evaluated]
) -> tuple[Evaluated, Keyed] | None:
    """Return the vertex of the last build that stands for the same instruction."""
    place = evaluated.plan.places[vertex.index][0]
    for build in reversed(builds):
        same = [each for each in build.keyed if each.vertex.operation == vertex.operation]
        if same:
            return build, same[0]
    for build in reversed(builds):
        for each in build.keyed:
            there = build.plan.places[each.vertex.index][0]
            if (
                (there.stage, each.vertex.instruction) == (place.stage, vertex.instruction)
            ) and each.vertex.kind == vertex.kind:
                return build, each
    for build in reversed(builds):
        for each in build.keyed:
            there = build.plan.places[each.vertex.index][0]
            if (there.stage, there.position) == (place.stage, place.position) and (
                each.vertex.kind == vertex.kind
            ):
                return build, each
    return None


_PART_NAMES: Final[Mapping[str, str]] = {
    "command": "the command",
    "workdir": "the working directory",
    "user": "the user",
    "network": "the network mode",
    "platform": "the platform",
    "mounts": "the mounts",
    "sources": "the list of sources",
    "destination": "the destination",
    "chmod": "--chmod",
    "chown": "--chown",
    "path": "the directory",
    "image": "the base image",
}


def _operation_causes(mine: PlannedVertex, theirs: PlannedVertex) -> Iterator[Cause]:
    before = dict(theirs.parts)
    for name, value in mine.parts:
        if before.get(name) == value:
            continue
        if name == "env":
            yield from _env_causes(mine.env, theirs.env)
        else:
            what = _PART_NAMES.get(name, f"--{name}")
            yield Cause(f"{what} changed at line {mine.line}", mine.line)


def _env_causes(mine: Mapping[str, EnvValue], theirs: Mapping[str, EnvValue]) -> Iterator[Cause]:
    found = False
    for name, value in mine.items():
        other = theirs.get(name)
        if other is None:
            found = True
            yield Cause(f"{value.keyword} {name} is new at line {value.line}", value.line)
        elif other.value != value.value:
            found = True
            yield Cause(f"{value.keyword} {name} changed at line {value.line}", value.line)
    for name, other in theirs.items():
        if name not in mine:
            found = True
            yield Cause(f"{other.keyword} {name} is gone (it was set at line {other.line})")
    if not found:
        names = list(mine)
        moved = next((n for n, o in zip(names, theirs, strict=False) if n != o), names[-1])
        line = mine[moved].line
        yield Cause(f"the order of the environment changed at {moved}, line {line}", line)


def _content_causes(
    mine: Keyed, theirs: Keyed, evaluated: Evaluated, build: Evaluated
) -> Iterator[Cause]:
    inputs = mine.vertex.content_inputs
    for index, content in enumerate(mine.inputs):
        other = theirs.inputs[index] if index < len(theirs.inputs) else None
        if other is not None and (content.certainty, content.identity) == (
            other.certainty,
            other.identity,
        ):
            continue
        if index < len(inputs):
            yield from _input_causes(mine.vertex, inputs[index], content, evaluated, build)


def _input_causes(
    vertex: PlannedVertex,
    each: Input,
    content: Content,
    evaluated: Evaluated,
    build: Evaluated,
) -> Iterator[Cause]:
    verb = f"selected by {vertex.kind}"
    if vertex.kind == "RUN":
        verb = "mounted by RUN"
    if each.source.kind == "context":
        name = each.source.name
        now = evaluated.state.contexts.get(name) if name else evaluated.sent
        then = build.state.contexts.get(name) if name else build.sent
        if now is not None and then is not None:
            yield from _path_causes(_changed(now, then, each.selectors), verb, vertex.line)
    elif each.source.kind == "vertex":
        source = evaluated.plan.vertices[each.source.vertex]
        stage = evaluated.plan.places[source.index][0].stage
        if content.certainty == "declared":
            paths = _declared_changes(int(each.source.name), evaluated, build)
            yield from _path_causes(
                paths,
                f"declared as what stage {stage} depends on, and read by {vertex.kind}",
                vertex.line,
            )
        else:
            yield Cause(
                f"what {vertex.kind} takes from stage {stage} (line {source.line}) changed",
                source.line,
            )
    elif each.source.kind == "inline":
        yield Cause(f"the here-document {each.source.name} changed at line {vertex.line}")
    elif each.source.kind == "image":
        yield Cause(f"the image it reads changed to {each.source.name}", vertex.line)
    else:
        yield Cause(content.reason, vertex.line)


def _path_causes(changes: Sequence[tuple[str, str]], verb: str, line: int) -> Iterator[Cause]:
    for path, what in changes[:MAX_PATHS]:
        yield Cause(f"{path} ({what}) is {verb} at line {line}", line, path)
    more = len(changes) - MAX_PATHS
    if more > 0:
        yield Cause(f"and {more} more paths that line {line} takes", line)


def _changed(now: Context, then: Context, selectors: Sequence[Selector]) -> list[tuple[str, str]]:
    """Return the paths that differ below what the selectors take in either state."""
    roots = {root for each in selectors for c in (now, then) for root in select(c, each).roots}
    changes = []
    for path in _differing(now, then):
        if any(root in ("", path) or path.startswith(f"{root}/") for root in roots):
            changes.append((path, difference(then.records.get(path), now.records.get(path))))
    return changes


def _differing(now: Context, then: Context) -> list[str]:
    mine, theirs = now.records, then.records
    changed = [
        path
        for path, record in mine.items()
        if (other := theirs.get(path)) is not record
        and (other is None or other.token != record.token)
    ]
    if len(mine) - sum(1 for path in changed if path not in theirs) != len(theirs):
        changed += [path for path in theirs if path not in mine]
    return sorted(changed)


def _declared_changes(stage: int, evaluated: Evaluated, build: Evaluated) -> list[tuple[str, str]]:
    now = evaluated.declared.get(stage, frozenset())
    then = build.declared.get(stage, frozenset())
    return [
        (path, difference(build.sent.records.get(path), evaluated.sent.records.get(path)))
        for path in _differing(evaluated.sent, build.sent)
        if path in now or path in then
    ]
