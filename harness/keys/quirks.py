"""Where engines differ from each other and from their own rules; each can be switched off.

`Rules` are what a version of BuildKit does on purpose. `Quirks` are its bugs: a prediction without
them says what ought to happen, one with them what does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from harness.keys.context import Context
from harness.keys.records import Record

_BUILDKIT_0_10: Final = 23
"""The first dockerd with BuildKit 0.10."""
_BUILDKIT_0_13: Final = 26
"""The first dockerd with BuildKit 0.13."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the key of a vertex holds, by engine version.

    `cache_mount_ids`: the id and sharing mode of every cache mount (BuildKit before 0.13; later
    ones keep only the default ones). `private_mounts_converge`: a RUN with a
    secret or agent mount, or one of the very file system it works on, also matches by the content
    of that file system, because such a mount counts as a second use of it (BuildKit 0.13 on,
    `ExecOp.getMountDeps`; seen on 26.1.5). `expands_mounts`: variables in a mount are expanded.
    `owners_count`: a file of a stage counts with its owner (not on Debian's 20.10.24: there a
    COPY from a stage hits though the owner of what it copies is another).
    """

    cache_mount_ids: bool = False
    private_mounts_converge: bool = True
    expands_mounts: bool = True
    owners_count: bool = True

    @classmethod
    def of_engine(cls, version: str) -> Rules:
        """Return the rules of a dockerd version such as `20.10.24`."""
        major = int(version.split(".", 1)[0])
        old = major < _BUILDKIT_0_13
        return cls(
            cache_mount_ids=old,
            private_mounts_converge=not old,
            expands_mounts=major >= _BUILDKIT_0_10,
            owners_count=major >= _BUILDKIT_0_10,
        )


@dataclass(frozen=True, slots=True)
class Quirks:
    """Bugs of the engine that a prediction takes into account.

    `stale_transfer`: a file whose size, mtime and mode stay is not sent again, so the engine goes
    on with its old content (BK#4817). `stale_directory_mode`: the mode of a directory that the
    engine has already is written and not noticed by its checksum (BK#7176).
    """

    stale_transfer: bool = False
    stale_directory_mode: bool = False


NONE: Final = Quirks()
ALL: Final = Quirks(stale_transfer=True, stale_directory_mode=True)


def synced(before: Context, after: Context, quirks: Quirks) -> Context:
    """Return `after` as an engine sees it that has `before` from an earlier transfer."""
    records = dict(after.records)
    for path, record in after.records.items():
        old = before.records.get(path)
        if old is not None and old.kind == record.kind:
            records[path] = _as_seen(old, record, quirks)
    return Context(records, after.texts)


class Transfers:
    """What has been sent to an engine so far, and so what it takes the next context for."""

    def __init__(self, quirks: Quirks) -> None:
        self.quirks = quirks
        self._last: Context | None = None

    def arrived(self, context: Context, *, keep: bool) -> Context:
        """Return `context` as the engine sees it; `keep` when it really is sent."""
        if self.quirks == NONE:
            return context
        result = context if self._last is None else synced(self._last, context, self.quirks)
        if keep:
            self._last = result
        return result


def _as_seen(old: Record, new: Record, quirks: Quirks) -> Record:
    if (
        quirks.stale_transfer
        and new.kind == "file"
        and (old.size, old.mtime_ns, old.mode) == (new.size, new.mtime_ns, new.mode)
    ):
        return old
    if quirks.stale_directory_mode and new.kind == "dir" and old.mode != new.mode:
        return replace(new, mode=old.mode)
    return new
