"""The edit classes of a project against the vertices of its build: which edit runs what again.

Edits are made to a snapshot, never to the project. `svg` draws the table.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from harness.cache import Cache, PlannedStep
from harness.cli.explain import short
from harness.keys.context import Context
from harness.keys.evaluate import BuildState
from harness.model import Edit, EditClass, Entry, File, Outcome

SYMBOLS: Final[Mapping[Outcome, str]] = {
    Outcome.CACHED: "·",
    Outcome.EXECUTED: "█",
    Outcome.UNKNOWN: "?",
}
_NEW: Final = b"// an edit\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One edit, and what happens to each vertex."""

    edit: Edit
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """The table: a column per vertex, a row per edit class that the project offers."""

    columns: tuple[PlannedStep, ...]
    stages: tuple[str, ...]
    rows: tuple[Row, ...]


def matrix(state: BuildState) -> Matrix:
    """Return the table of a project in the state `state`."""
    cache = Cache()
    cache.build(state)
    baseline = cache.predict(state)
    rows = []
    for edit in edits(state.context):
        edited = replace(state, context=state.context.edited(edit, now_ns=1))
        if edit.edit_class is EditClass.REVERT:
            history = Cache()
            history.build(state)
            history.build(edited)
            predicted = history.predict(state)
        else:
            predicted = cache.predict(edited)
        rows.append(Row(edit, tuple(each.prediction.prediction for each in predicted)))
    return Matrix(
        tuple(each.step for each in baseline),
        tuple(each.prediction.stage for each in baseline),
        tuple(rows),
    )


def edits(context: Context) -> Iterator[Edit]:
    """Yield one edit of each class that the project's files offer."""
    for edit_class, (summary, make) in _EDITS.items():
        changes = make(context)
        if changes is None:
            continue
        touched = tuple(changes) if edit_class is EditClass.MTIME else ()
        yield Edit(
            edit_class,
            summary.format(path=next(iter(changes), "")),
            changes={} if touched else changes,
            touch=touched,
        )


Changes = Mapping[str, Entry | None]


def _source(context: Context) -> str | None:
    """Return the source file that edits are made to: a main.rs if there is one."""
    sources = [p for p in sorted(context.records) if p.endswith(".rs") and "vendor/" not in p]
    mains = [p for p in sources if p.endswith("src/main.rs")]
    libraries = [p for p in sources if p.endswith("src/lib.rs")]
    return next(iter([*mains, *libraries, *sources]), None)


def _changed(context: Context, path: str | None, content: bytes = _NEW) -> Changes | None:
    record = None if path is None else context.records.get(path)
    if path is None or record is None or record.kind != "file":
        return None
    return {path: File(context.texts.get(path, b"") + content, record.mode)}


def _edit_source(context: Context) -> Changes | None:
    return _changed(context, _source(context))


def _beside_source(name: str) -> Callable[[Context], Changes | None]:
    def make(context: Context) -> Changes | None:
        source = _source(context)
        return None if source is None else {posixpath.join(posixpath.dirname(source), name): _FILE}

    return make


_FILE: Final = File(_NEW)


def _rename(context: Context) -> Changes | None:
    source = _other_source(context)
    return None if source is None else {source: None, f"{source[:-3]}_renamed.rs": _FILE}


def _delete(context: Context) -> Changes | None:
    source = _other_source(context)
    return None if source is None else {source: None}


def _other_source(context: Context) -> str | None:
    main = _source(context)
    sources = (p for p in sorted(context.records) if p.endswith(".rs") and "vendor/" not in p)
    return next((p for p in sources if p != main), main)


def _mode(context: Context) -> Changes | None:
    source = _source(context)
    return None if source is None else {source: File(_NEW, 0o755)}


def _first(*names: str) -> Callable[[Context], Changes | None]:
    def make(context: Context) -> Changes | None:
        found = next((name for name in names if name in context.records), None)
        return _changed(context, found, b"# an edit\n")

    return make


def _manifest(text: bytes, *, lock: bool) -> Callable[[Context], Changes | None]:
    def make(context: Context) -> Changes | None:
        changed = dict(_changed(context, "Cargo.toml", text) or {})
        if lock:
            changed |= _changed(context, "Cargo.lock", text) or {}
        return changed or None

    return make


def _add(path: str, content: bytes) -> Callable[[Context], Changes | None]:
    def make(context: Context) -> Changes | None:
        return {path: File(context.texts.get(path, b"") + content)}

    return make


_EDITS: Final[Mapping[EditClass, tuple[str, Callable[[Context], Changes | None]]]] = {
    EditClass.NOTHING: ("nothing", lambda _: {}),
    EditClass.MTIME: ("{path}: touched", _edit_source),
    EditClass.SOURCE: ("{path}: content", _edit_source),
    EditClass.MODE: ("{path}: mode", _mode),
    EditClass.MODULE_ADD: ("{path}: new", _beside_source("a_new_module.rs")),
    EditClass.SOURCE_RENAME: ("{path}: renamed", _rename),
    EditClass.SOURCE_DELETE: ("{path}: deleted", _delete),
    EditClass.README: ("{path}: content", _first("README.md", "README", "readme.md")),
    EditClass.BUILD_SCRIPT: ("{path}: content", _first("build.rs")),
    EditClass.MANIFEST_COMMENT: ("{path}: a comment", _manifest(b"# a comment\n", lock=False)),
    EditClass.PROFILE: ("{path}: a profile", _manifest(b"[profile.x]\n", lock=False)),
    EditClass.DEPENDENCY_ADD: ("{path} and lock file", _manifest(b"# a crate\n", lock=True)),
    EditClass.LOCK: ("{path}: content", _first("Cargo.lock")),
    EditClass.TOOLCHAIN: ("{path}: content", _add("rust-toolchain.toml", b"# an edit\n")),
    EditClass.BIN_ADD: ("{path}: new", _beside_source("bin/a_new_binary.rs")),
    EditClass.REVERT: ("{path}: changed and changed back", _edit_source),
}


def as_text(table: Matrix) -> str:
    """Return the table as text: a legend of the vertices, then a line per edit."""
    lines = ["vertices"]
    for number, (step, stage) in enumerate(zip(table.columns, table.stages, strict=True), start=1):
        lines.append(f"{number:4}  {stage}, line {step.line}: {short(step.instruction)}")
    width = max((len(row.edit.edit_class.value) for row in table.rows), default=0)
    numbers = [str(number) for number in range(1, len(table.columns) + 1)]
    cell = max((len(number) for number in numbers), default=1) + 1
    lines += ["", " " * width + "".join(number.rjust(cell) for number in numbers)]
    for row in table.rows:
        marks = "".join(SYMBOLS[outcome].rjust(cell) for outcome in row.outcomes)
        lines.append(row.edit.edit_class.value.ljust(width) + marks + f"   {row.edit.summary}")
    lines += ["", "· cached   █ executed   ? unknown"]
    return "\n".join(lines)
