"""Predicts what a build runs again: the engine's cache as a set of keys, and look-ups in it.

A vertex hits when an earlier build made a vertex of the same operation, on the same file system by
identity, with the same content taken from elsewhere. `evaluate` makes the keys, `causes` says why
a vertex misses. What cannot be known is unknown, and so is what hangs on it, unless nothing in the
history could be hit anyway. The rules are those of BuildKit's `solver/edge.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from harness.keys import quirks as quirk_layer
from harness.keys.causes import Decision, Why, explain_decision
from harness.keys.evaluate import BuildState, Content, Evaluated, Keyed, evaluate, plan_of
from harness.keys.plan import Place, Plan
from harness.keys.quirks import Quirks, Rules
from harness.model import Outcome, Prediction, VertexPrediction

Match = Literal["yes", "maybe", "no"]
_RULES: Final = Rules()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A vertex as the engine will name it: its places, and the line and words it comes from.

    `observable` is False where the engine's report says nothing: it reports the look-up of what
    has no input (a FROM, the first WORKDIR on scratch) as if it had executed it.
    """

    places: tuple[Place, ...]
    kind: str
    line: int
    instruction: str
    observable: bool = True


@dataclass(frozen=True, slots=True)
class PlacedPrediction:
    """A vertex' prediction with its places, to be matched with what the engine reports."""

    step: PlannedStep
    prediction: VertexPrediction


def vertices(state: BuildState, *, rules: Rules = _RULES) -> tuple[PlannedStep, ...]:
    """Return the vertices that a build consists of, in Dockerfile order, with their places."""
    return _steps(plan_of(state, rules))


def predict(
    history: Sequence[BuildState],
    current: BuildState,
    *,
    quirks: Quirks = quirk_layer.NONE,
    rules: Rules = _RULES,
) -> Prediction:
    """Return what building `current` runs again on an engine that built `history`, in order."""
    return Prediction(
        tuple(each.prediction for each in predict_placed(history, current, quirks, rules))
    )


def predict_placed(
    history: Sequence[BuildState],
    current: BuildState,
    quirks: Quirks = quirk_layer.NONE,
    rules: Rules = _RULES,
) -> tuple[PlacedPrediction, ...]:
    """Return the prediction with each vertex' places."""
    cache = Cache(quirks=quirks, rules=rules)
    for state in history:
        cache.build(state)
    return cache.predict(current)


class Cache:
    """An engine's build cache since its last prune: what was built, by key."""

    def __init__(self, *, quirks: Quirks = quirk_layer.NONE, rules: Rules = _RULES) -> None:
        self.rules = rules
        self.transfers = quirk_layer.Transfers(quirks)
        self.builds: list[Evaluated] = []
        self._by_operation: dict[bytes, list[Keyed]] = {}
        self._keys: set[bytes] = set()
        self._maybe: dict[bytes, set[bytes]] = {}
        self._same: dict[bytes, set[bytes]] = {}

    def build(self, state: BuildState) -> None:
        """Take note that a build of `state` succeeded."""
        evaluated = evaluate(self._arrived(state, keep=True), self.rules)
        for decision in self._decide(evaluated):
            keyed = decision.keyed
            if decision.outcome is Outcome.UNKNOWN:
                for key in decision.candidates:
                    self._maybe.setdefault(keyed.key, set()).add(key)
                    self._maybe.setdefault(key, set()).add(keyed.key)
            if decision.outcome is Outcome.CACHED and decision.match is not None:
                self._same.setdefault(keyed.key, set()).add(decision.match.key)
                self._same.setdefault(decision.match.key, set()).add(keyed.key)
            if keyed.key not in self._keys:
                self._keys.add(keyed.key)
                self._by_operation.setdefault(keyed.vertex.operation, []).append(keyed)
        self.builds.append(evaluated)

    def predict(self, state: BuildState) -> tuple[PlacedPrediction, ...]:
        """Return what building `state` would run; the cache stays as it is."""
        evaluated = evaluate(self._arrived(state, keep=False), self.rules)
        decisions = self._decide(evaluated)
        shown = self._twins(decisions)
        steps = _steps(evaluated.plan)
        placed = [
            PlacedPrediction(
                step,
                VertexPrediction(
                    stage=step.places[0].stage,
                    line=step.line,
                    instruction=step.instruction,
                    prediction=decision.outcome,
                    because=explain_decision(decision, decisions, evaluated, self.builds),
                ),
            )
            for step, decision in zip(steps, shown, strict=True)
        ]
        return tuple(sorted(placed, key=lambda each: each.step.line))

    def _arrived(self, state: BuildState, *, keep: bool) -> BuildState:
        context = self.transfers.arrived(state.context, keep=keep)
        return state if context is state.context else replace(state, context=context)

    def _decide(self, evaluated: Evaluated) -> list[Decision]:
        decisions: list[Decision] = []
        for keyed in evaluated.keyed:
            decisions.append(self._decide_one(keyed, decisions))
        return decisions

    @staticmethod
    def _twins(decisions: Sequence[Decision]) -> list[Decision]:
        """Return the decisions with those marked whose work the engine does under another name."""
        first: dict[bytes, int] = {}
        result = list(decisions)
        for index, decision in enumerate(decisions):
            if decision.outcome is not Outcome.EXECUTED or decision.keyed.vertex.ignore_cache:
                continue
            other = first.setdefault(decision.keyed.key, index)
            if other != index:
                lines = (decision.keyed.vertex.line, decisions[other].keyed.vertex.line)
                for at, line in ((index, lines[1]), (other, lines[0])):
                    result[at] = replace(
                        result[at], outcome=Outcome.UNKNOWN, why="twin", twin_line=line
                    )
        return result

    def _decide_one(self, keyed: Keyed, before: Sequence[Decision]) -> Decision:
        vertex = keyed.vertex
        base = before[vertex.base] if vertex.base is not None else None
        certain = _without_asking(keyed, base)
        if certain is not None:
            return certain
        candidates: list[Keyed] = []
        for record in self._by_operation.get(vertex.operation, ()):
            match = self._match(keyed, record, base, before)
            if match == "yes":
                return Decision(keyed, Outcome.CACHED, "hit", match=record)
            if match == "maybe":
                candidates.append(record)
        if vertex.unknown:
            return Decision(keyed, Outcome.UNKNOWN, "unknown")
        if not candidates:
            return Decision(keyed, Outcome.EXECUTED, "miss")
        keys = tuple(record.key for record in candidates)
        inherited = base is not None and base.outcome is Outcome.UNKNOWN
        why: Why = "unknown-base" if inherited else "unknown-content"
        return Decision(keyed, Outcome.UNKNOWN, why, candidates=keys, match=candidates[-1])

    def _match(
        self, keyed: Keyed, record: Keyed, base: Decision | None, before: Sequence[Decision]
    ) -> Match:
        result: Match = "yes"
        if base is not None:
            result = self._match_base(base, record.base)
            if result != "yes" and keyed.root is not None and record.root is not None:
                result = _either(result, _match_input(keyed.root, record.root, before))
        elif record.base is not None:
            return "no"
        if result == "no" or len(keyed.inputs) != len(record.inputs):
            return "no"
        for mine, theirs in zip(keyed.inputs, record.inputs, strict=True):
            match = _match_input(mine, theirs, before)
            if match == "no":
                return "no"
            if match == "maybe":
                result = "maybe"
        return result

    def _match_base(self, base: Decision, key: bytes | None) -> Match:
        """Return whether the base, which was not executed, can be that of a record."""
        if key is None:
            return "no"
        if base.outcome is Outcome.EXECUTED:
            return "no"
        if base.outcome is Outcome.CACHED:
            keys = {base.keyed.key, *self._same.get(base.keyed.key, ())}
            if base.match is not None:
                keys |= {base.match.key, *self._same.get(base.match.key, ())}
            if key in keys:
                return "yes"
            return "maybe" if any(key in self._maybe.get(each, ()) for each in keys) else "no"
        for candidate in base.candidates:
            if key == candidate or key in self._maybe.get(candidate, ()):
                return "maybe"
        return "no"


def _without_asking(keyed: Keyed, base: Decision | None) -> Decision | None:
    """Return the decision on a vertex that no earlier build can have a say in, or None."""
    vertex = keyed.vertex
    why: Why | None = None
    if vertex.ignore_cache:
        why = "no-cache"
    elif vertex.volatile:
        why = "volatile"
    elif base is not None and base.outcome is Outcome.EXECUTED and keyed.root is None:
        why = "inherits"
    if why is not None:
        return Decision(keyed, Outcome.EXECUTED, why)
    if base is not None and base.why in ("problem", "never"):
        return Decision(keyed, Outcome.UNKNOWN, "never")
    if any(each.certainty == "problem" and not each.remote for each in keyed.inputs):
        return Decision(keyed, Outcome.UNKNOWN, "problem")
    return None


def _either(first: Match, second: Match) -> Match:
    """Return the better of two ways to match."""
    return next(each for each in ("yes", "maybe", "no") if each in (first, second))


def _match_input(mine: Content, theirs: Content, before: Sequence[Decision]) -> Match:
    """Return whether two inputs match; what was made anew by running may differ all the same."""
    match = match_content(mine, theirs)
    untold = mine.certainty in ("opaque", "over") and mine.origin is not None
    if match == "yes" and untold and before[mine.origin or 0].outcome is not Outcome.CACHED:
        return "maybe"
    return match


def match_content(mine: Content, theirs: Content) -> Match:
    """Return whether two inputs hold the same content."""
    if mine.certainty == theirs.certainty == "known":
        return "yes" if mine.identity == theirs.identity else "no"
    if mine.certainty == theirs.certainty == "declared" and mine.group == theirs.group:
        return "yes" if mine.identity == theirs.identity else "no"
    if mine.certainty == theirs.certainty and mine.certainty in ("opaque", "over"):
        if mine.identity == theirs.identity:
            return "yes"
        differ = any(theirs.files.get(path, t) != t for path, t in mine.files.items())
        if differ or (mine.image and mine.group == theirs.group):
            return "no"
    return "maybe"


def _steps(planned: Plan) -> tuple[PlannedStep, ...]:
    return tuple(
        PlannedStep(
            places,
            vertex.kind,
            vertex.line,
            vertex.instruction,
            observable=vertex.base is not None or bool(vertex.inputs),
        )
        for vertex, places in zip(planned.vertices, planned.places, strict=True)
    )
