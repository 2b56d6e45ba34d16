"""Decides which paths of a build context are sent, from the text of its ignore file.

Order, negation and parents are those of moby/patternmatcher and fsutil's walk; single patterns are
`patterns`' business. Pure: which ignore file applies is told by `candidates`, reading is not done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError
from harness.parsing.patterns import Pattern, PatternError, clean, compile_pattern

DEFAULT_NAME: Final = ".dockerignore"
_GLOB_CHARACTERS: Final = frozenset("*[]?^\\")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line: `exception` when it starts with `!`."""

    pattern: Pattern
    exception: bool
    line: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one path. `hits` is per rule, and is handed to the path's children.

    `rule` is the one that decided, or None when none matched.
    """

    excluded: bool
    hits: tuple[bool, ...]
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Ignore:
    """The rules of an ignore file, in order."""

    rules: tuple[Rule, ...]

    def judge(self, path: str, parent: Verdict | None = None) -> Verdict:
        """Return the verdict on a `/`-separated path, given that on its parent directory.

        Without `parent` the directories above are judged first. A rule that hit the parent hits the
        child; a rule that could not change the outcome so far is not asked.
        """
        for position, char in enumerate(path) if parent is None else ():
            if char == "/":
                parent = self._judge(path[:position], parent)
        return self._judge(path, parent)

    def _judge(self, path: str, parent: Verdict | None) -> Verdict:
        hits = []
        excluded = False
        decided: Rule | None = None
        for index, rule in enumerate(self.rules):
            hit = parent is not None and parent.hits[index]
            if not hit and rule.exception == excluded:
                hit = rule.pattern.matches(path)
            if hit:
                excluded = not rule.exception
                decided = rule
            hits.append(hit)
        return Verdict(excluded, tuple(hits), decided)

    def excludes(self, path: str) -> bool:
        """Return whether `path` is kept from the builder."""
        return self.judge(path).excluded

    def may_hold_sent(self, directory: str, verdict: Verdict) -> bool:
        """Return whether anything below `directory` may be sent, given the verdict on it.

        False saves a walk from reading the directory at all.
        """
        if not verdict.excluded:
            return True
        prefix = directory + "/"
        for rule in self.rules:
            if rule.exception:
                literal = _without_trailing_glob(rule.pattern.text)
                if _GLOB_CHARACTERS & set(literal) or f"{literal}/".startswith(prefix):
                    return True
        return False

    def sent(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Return those of `paths` that are sent, in their order; each directory is judged once."""
        verdicts: dict[str, Verdict | None] = {"": None}
        kept = []
        for path in paths:
            unknown = []
            directory = path.rpartition("/")[0]
            while directory not in verdicts:
                unknown.append(directory)
                directory = directory.rpartition("/")[0]
            verdict = verdicts[directory]
            for directory in reversed(unknown):
                verdict = verdicts[directory] = self._judge(directory, verdict)
            if not self._judge(path, verdict).excluded:
                kept.append(path)
        return tuple(kept)


NOTHING: Final = Ignore(())
"""Ignores nothing: what applies where there is no ignore file."""


def candidates(dockerfile: str) -> tuple[str, str]:
    """Return where an ignore file is looked for, the first one found applies.

    The first lies beside the Dockerfile and belongs to it, the second in the context's root.
    """
    return f"{dockerfile}{DEFAULT_NAME}", DEFAULT_NAME


def parse(text: str, *, path: str = DEFAULT_NAME) -> Ignore:
    """Return the rules of an ignore file.

    Raises UsageError, with the line, for a pattern that the engine refuses.
    """
    rules = []
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if raw.startswith("#") or not raw.strip():
            continue
        try:
            rules.append(_rule(raw.strip(), number))
        except PatternError as error:
            raise UsageError(
                f"pattern {raw.strip()!r} of the ignore file: {error}",
                where=f"{path}:{number}",
                context=("expected a pattern such as `target/`, `**/*.rs` or `!Cargo.lock`",),
            ) from error
    return Ignore(tuple(rules))


def from_patterns(patterns: Iterable[str]) -> Ignore:
    """Return the rules that a list of patterns stands for, such as those of `COPY --exclude`."""
    return parse("\n".join(patterns), path="pattern list")


def _rule(text: str, line: int) -> Rule:
    exception = text.startswith("!")
    if exception:
        text = text[1:].strip()
        if not text:
            raise PatternError("an exception names nothing")
    cleaned = clean(text)
    if len(cleaned) > 1 and cleaned.startswith("/"):
        cleaned = cleaned[1:]
    return Rule(compile_pattern(cleaned), exception, line)


def _without_trailing_glob(text: str) -> str:
    for glob in ("/**", "/*"):
        if text.endswith(glob):
            return text.removesuffix(glob)
    return text
