"""Decodes a build's `--progress=rawjson` stream into vertices, and cargo's lines into crates.

The stream is a sequence of SolveStatus objects, indented over many lines in buildx 0.13 and one a
line later: objects are decoded, not lines. A vertex is reported many times; what a later report
says counts. Text between objects (a warning of the client, the final error) is skipped.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from harness.model import Outcome, Vertex

_NAME = re.compile(r"\[(?:[a-z0-9]+/\S+ )?(?:(?P<stage>[a-z][a-z0-9_.-]*) )? *(?P<n>\d+)/\d+\] ")
_PLAIN = re.compile(r"^#(?P<number>\d+) (?P<said>\[.*\] .*|CACHED|DONE .*)$", re.MULTILINE)
_CRATE = re.compile(r"^(?:#\d+ [\d.]+ )?\s*Compiling (?P<name>\S+) v(?P<version>\S+)", re.MULTILINE)
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
UNNAMED_STAGE = "stage-0"
"""BuildKit's name for the first stage; of a lone unnamed stage it prints none at all."""

LOOK_UP_SECONDS = 0.0002
"""A step that took less was looked up, whatever was reported: engine 26.1.5 now and then reports a
look-up as an execution of some microseconds. The shortest execution seen, a COPY of one small file
on overlay2, took 0.9 ms."""


@dataclass(slots=True)
class _Record:
    fields: dict[str, Any] = field(default_factory=dict)
    log: list[bytes] = field(default_factory=list)


def decode(stream: str) -> tuple[Vertex, ...]:
    """Return the vertices of a build, in the order in which the engine first named them."""
    records: dict[str, _Record] = {}
    for status in objects(stream):
        for vertex in status.get("vertexes") or ():
            records.setdefault(str(vertex.get("digest")), _Record()).fields.update(vertex)
        for entry in status.get("logs") or ():
            records.setdefault(str(entry.get("vertex")), _Record()).log.append(_bytes(entry))
    return tuple(_vertex(record) for record in records.values() if "name" in record.fields)


def objects(stream: str) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of a stream; what is not one is skipped up to the next `{`."""
    decoder = json.JSONDecoder()
    position = stream.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(stream, position)
        except json.JSONDecodeError:
            end = position + 1
        else:
            if isinstance(value, dict):
                yield value
        position = stream.find("{", end)


def words(stream: str) -> str:
    """Return what stands between the objects: the client's own words, its final error among them.

    Of a stream cut short, the torn last object is left out.
    """
    decoder = json.JSONDecoder()
    kept: list[str] = []
    position = 0
    while (start := stream.find("{", position)) >= 0:
        kept.append(stream[position:start])
        try:
            _, position = decoder.raw_decode(stream, start)
        except json.JSONDecodeError:
            if stream.startswith(("{\n", '{"'), start):
                return "".join(kept).strip()
            kept.append("{")
            position = start + 1
    return "".join((*kept, stream[position:])).strip()


def decode_plain(log: str) -> tuple[Vertex, ...]:
    """Return the vertices of one build by its `--progress=plain`, as `decode` does, without logs.

    What ended without a word on the cache was executed.
    """
    names: dict[str, str] = {}
    ends: dict[str, str] = {}
    for line in _PLAIN.finditer(_ESCAPE.sub("", log)):
        (names if line["said"].startswith("[") else ends).setdefault(line["number"], line["said"])
    outcomes = {"CACHED": Outcome.CACHED, "": Outcome.NOT_RUN}
    return tuple(
        _named(name, outcomes.get(ends.get(number, ""), Outcome.EXECUTED))
        for number, name in names.items()
    )


def crates_compiled(vertices: Iterable[Vertex]) -> tuple[str, ...]:
    """Return `name version` of each crate that cargo said it compiles, in order."""
    ran = (vertex for vertex in vertices if vertex.outcome is Outcome.EXECUTED)
    return tuple(crate for vertex in ran for crate in compiled_in(vertex.log))


def compiled_in(log: str) -> tuple[str, ...]:
    """Return `name version` of each crate that a log of cargo's speaks of, in order.

    The log may be cargo's own or buildx's plain progress, which puts a number and a time first.
    """
    found = _CRATE.finditer(_ESCAPE.sub("", log))
    return tuple(f"{crate['name']} {crate['version']}" for crate in found)


def _vertex(record: _Record) -> Vertex:
    name = str(record.fields["name"])
    place = _NAME.match(name)
    started, completed = record.fields.get("started"), record.fields.get("completed")
    seconds = _seconds(started, completed)
    looked_up = place is not None and seconds is not None and seconds < LOOK_UP_SECONDS
    if record.fields.get("cached") or (looked_up and "] FROM " not in name):
        outcome = Outcome.CACHED
    else:
        outcome = Outcome.EXECUTED if started else Outcome.NOT_RUN
    return replace(
        _named(name, outcome),
        error=str(record.fields["error"]) if record.fields.get("error") else None,
        seconds=seconds,
        log=b"".join(record.log).decode(errors="replace"),
    )


def _named(name: str, outcome: Outcome) -> Vertex:
    """Return a vertex with what its name tells of its place."""
    place = _NAME.match(name)
    return Vertex(
        name=name,
        outcome=outcome,
        stage=(place["stage"] or UNNAMED_STAGE) if place else None,
        position=int(place["n"]) if place else None,
    )


def _bytes(entry: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(entry.get("data") or "")
    except binascii.Error:
        return b""


def _seconds(started: object, completed: object) -> float | None:
    if not isinstance(started, str) or not isinstance(completed, str):
        return None
    return (datetime.fromisoformat(completed) - datetime.fromisoformat(started)).total_seconds()
