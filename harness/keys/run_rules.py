"""What a RUN's command line, here-documents and mounts add to its key; pure.

The rules are those of `dockerfile2llb/convert_runmount.go` and of `ops/exec.go`'s `CacheMap`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from typing import Final

from harness.keys.plan import Input, Selector, Source
from harness.keys.quirks import Rules
from harness.model import Heredoc, Instruction, Mount
from harness.parsing.lexer import heredoc_of

_SCRATCH: Final = "scratch"
_PIPES: Final = "/dev/pipes/"


def run_arguments(
    instruction: Instruction, shell: Sequence[str]
) -> tuple[tuple[str, ...], Heredoc | None]:
    """Return the argument vector, and the here-document that is mounted as a script, if one is."""
    if instruction.words is not None:
        return instruction.words, None
    if not instruction.heredocs:
        return (*shell, instruction.value), None
    first = instruction.heredocs[0]
    if heredoc_of(instruction.value.strip()) is None:
        text = instruction.value + "".join(
            f"\n{each.content}{each.name}" for each in instruction.heredocs
        )
        return (*shell, text), None
    if first.content.startswith("#!"):
        return (*shell, _PIPES + first.name), first
    return (*shell, _body(first)), None


def _body(heredoc: Heredoc) -> str:
    if not heredoc.chomp:
        return heredoc.content
    return "".join(line.lstrip("\t") for line in heredoc.content.splitlines(keepends=True))


def run_inputs(
    mounts: Sequence[Mount],
    script: Heredoc | None,
    absolute: Callable[[str], str],
    source_of: Callable[[str], Source],
    *,
    root: int | None,
    rules: Rules,
) -> tuple[tuple[object, ...], tuple[Input, ...]]:
    """Return the mounts as they stand in the key, and the inputs that count by content.

    Mounts are ordered by their target, secrets and agents come last, as in the engine's
    definition. Several mounts of one source are one input with several selectors.
    """
    files: list[tuple[str, Mount]] = []
    others: list[object] = []
    for mount in mounts:
        if mount.kind in ("secret", "ssh"):
            others.append(_private(mount))
        else:
            files.append((absolute(mount.target or "/"), mount))
    inputs: dict[Source, list[Selector]] = {}
    inline: list[Input] = []
    described: list[object] = []
    if script is not None:
        described.append(("bind", _PIPES, True, "inline"))
        inline.append(
            Input(
                Source("inline", script.name),
                (Selector("/", follow=False),),
                ((script.name, 0o755, _body(script).encode(errors="surrogateescape")),),
            )
        )
    for target, mount in sorted(files, key=lambda each: each[0]):
        source = _source(mount, source_of)
        number: int | None = None
        if source is not None:
            number = list(inputs).index(source) if source in inputs else len(inputs)
            path = "/" + posixpath.normpath("/" + (mount.source or "")).lstrip("/")
            inputs.setdefault(source, []).append(Selector(path))
        described.append(_public(mount, target, number, rules))
    by_content = tuple(
        Input(source, tuple(selectors))
        for source, selectors in inputs.items()
        if source.kind != "vertex" or source.vertex != root
    )
    return (*described, *others), (*by_content, *inline)


def shares_root(mounts: Sequence[Mount], source_of: Callable[[str], Source], root: int) -> bool:
    """Return whether a mount counts as a use of the file system that the RUN works on.

    Secrets and agents name no input, which newer engines take for the first one.
    """
    for mount in mounts:
        if mount.kind == "ssh" or (mount.kind == "secret" and mount.env is None):
            return True
        if mount.from_stage and mount.kind in ("bind", "cache"):
            source = source_of(mount.from_stage)
            if source.kind == "vertex" and source.vertex == root:
                return True
    return False


def _source(mount: Mount, source_of: Callable[[str], Source]) -> Source | None:
    """Return what a mount shows, or None when it begins empty."""
    if mount.kind == "tmpfs":
        return None
    if mount.from_stage:
        source = source_of(mount.from_stage)
        return None if source == Source("image", _SCRATCH) else source
    return Source("context") if mount.kind == "bind" else None


def _public(mount: Mount, target: str, number: int | None, rules: Rules) -> object:
    """Return how a bind, cache or tmpfs mount stands in the key.

    Newer engines leave a cache's id and sharing out, but for a shared one called as its target.
    """
    if mount.kind == "cache":
        identity: str | None = mount.id or posixpath.normpath(mount.target or "/")
        sharing = mount.sharing
        if not rules.cache_mount_ids and not (identity == target and sharing == "shared"):
            identity = sharing = None
        owner = (mount.mode, mount.uid, mount.gid) if not mount.source else None
        return ("cache", target, mount.read_only, number, identity, sharing, owner)
    if mount.kind == "tmpfs":
        return ("tmpfs", target, mount.size)
    return ("bind", target, mount.read_only, number)


def _private(mount: Mount) -> object:
    owner = (mount.mode, mount.uid, mount.gid)
    identity = mount.source or mount.id or posixpath.basename(mount.target or "") or "default"
    target = mount.target
    if target is None and mount.env is None and mount.kind == "secret":
        target = f"/run/secrets/{posixpath.basename(identity)}"
    return (mount.kind, identity, target, mount.env, mount.required, owner)
