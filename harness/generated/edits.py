"""The edit vocabulary over generated projects: pure functions from one blueprint to the next.

`apply` returns the changed blueprint and the Edit that leads there; the truth of what the binaries
then print comes from rendering it. An edit that does not apply to a project gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.generated import registry
from harness.generated.projects import (
    IGNORED_FOLDER,
    Blueprint,
    Dependency,
    Member,
    folder,
    render,
    root_source,
)
from harness.model import Edit, EditClass, Entry, File, Link, Tree

ODD_NAMES = ("with space.txt", "ünïcödé.txt", "-dash.txt", "quote'\"s.txt", "$dollar*.txt")


@dataclass(frozen=True, slots=True)
class Change:
    """A step of a scenario: the edit, and the blueprint after it."""

    edit: Edit
    after: Blueprint


Transform = Callable[[Blueprint, int], "tuple[Blueprint, str] | None"]


def apply(edit_class: EditClass, blueprint: Blueprint, choice: int = 0) -> Change | None:
    """Apply one edit; `choice` selects among the places it could be made at."""
    if edit_class is EditClass.NOTHING:
        return Change(Edit(edit_class, "nothing"), blueprint)
    if edit_class is EditClass.MTIME:
        paths = _files(render(blueprint).tree)
        path = paths[choice % len(paths)]
        return Change(Edit(edit_class, f"{path}: touched", touch=(path,)), blueprint)
    made = _TRANSFORMS[edit_class](blueprint, choice)
    if made is None:
        return None
    after, summary = made
    return Change(between(blueprint, after, edit_class, summary), after)


def revert(blueprint: Blueprint, earlier: Blueprint) -> Change:
    """Return the change back to an earlier state of the same project."""
    edit = between(blueprint, earlier, EditClass.REVERT, "back to an earlier state")
    return Change(edit, earlier)


def between(before: Blueprint, after: Blueprint, edit_class: EditClass, summary: str) -> Edit:
    """Return the edit that makes the one project's tree into the other's."""
    return Edit(edit_class, summary, changes=difference(render(before).tree, render(after).tree))


def difference(before: Tree, after: Tree) -> dict[str, Entry | None]:
    """Return what has to be written, and (None) what removed, to get from one tree to another."""
    gone: dict[str, Entry | None] = {path: None for path in before if path not in after}
    new = {path: entry for path, entry in after.items() if before.get(path) != entry}
    return {**gone, **new}


def applied(tree: Tree, edit: Edit) -> Tree:
    """Return the tree after an edit."""
    merged = {**tree, **edit.changes}
    return {path: entry for path, entry in merged.items() if entry is not None}


def _files(tree: Tree) -> list[str]:
    return sorted(path for path, entry in tree.items() if isinstance(entry, File))


def _pick(blueprint: Blueprint, choice: int) -> tuple[int, Member]:
    index = choice % len(blueprint.members)
    return index, blueprint.members[index]


def _with(blueprint: Blueprint, index: int, member: Member) -> Blueprint:
    members = list(blueprint.members)
    members[index] = member
    return replace(blueprint, members=tuple(members))


def _source(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    index, member = _pick(blueprint, choice)
    if member.library is not None and choice >= len(blueprint.members):
        text = f"{folder(blueprint, member)}src/lib.rs: {member.library} → {member.library + 1}"
        return _with(blueprint, index, replace(member, library=member.library + 1)), text
    answer = member.answer * 10 + 1 if member.answer < 10**9 else member.answer // 10**6
    text = f"{root_source(blueprint, member)}: answer {member.answer} → {answer}"
    return _with(blueprint, index, replace(member, answer=answer)), text


def _same_size(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    index, member = _pick(blueprint, choice)
    answer = member.answer + 1 if str(member.answer)[-1] != "9" else member.answer - 8
    text = f"{root_source(blueprint, member)}: answer {member.answer} → {answer} (same size)"
    return _with(blueprint, index, replace(member, answer=answer)), text


def _comment(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    index, member = _pick(blueprint, choice)
    text = f"{root_source(blueprint, member)}: comment changed"
    return _with(blueprint, index, replace(member, note=member.note + 1)), text


def _module_add(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    index, member = _pick(blueprint, choice)
    taken = {name for name, _ in member.modules}
    name = next(n for k in range(99) if (n := f"part{k}") not in taken)
    text = f"{folder(blueprint, member)}src/{name}.rs: added"
    return _with(blueprint, index, replace(member, modules=(*member.modules, (name, 5)))), text


def _rename(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    index, member = _pick(blueprint, choice)
    if not member.modules:
        return None
    (old, number), *rest = member.modules
    taken = {name for name, _ in member.modules}
    new = next(n for k in range(99) if (n := f"moved{k}") not in taken)
    base = folder(blueprint, member)
    modules = ((new, number), *rest)
    text = f"{base}src/{old}.rs: renamed to {new}.rs"
    return _with(blueprint, index, replace(member, modules=modules)), text


def _delete(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    index, member = _pick(blueprint, choice)
    if not member.modules:
        return None
    text = f"{folder(blueprint, member)}src/{member.modules[-1][0]}.rs: deleted"
    return _with(blueprint, index, replace(member, modules=member.modules[:-1])), text


def _mode(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    _, member = _pick(blueprint, choice)
    path = root_source(blueprint, member)
    was = set(blueprint.executable)
    after = replace(blueprint, executable=tuple(sorted(was ^ {path})))
    return after, f"{path}: mode {'755 → 644' if path in was else '644 → 755'}"


def _symlink(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    member = blueprint.members[0]
    path = f"{folder(blueprint, member)}src/link.txt"
    old = dict(blueprint.extra).get(path)
    target = "other.rs" if old == Link("main.rs") else "main.rs"
    extra = {**dict(blueprint.extra), path: Link(target)}
    return replace(blueprint, extra=tuple(sorted(extra.items()))), f"{path}: link to {target}"


def _odd_name(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    member = blueprint.members[0]
    path = f"{folder(blueprint, member)}src/{ODD_NAMES[choice % len(ODD_NAMES)]}"
    extra = dict(blueprint.extra)
    old = extra.get(path)
    content = old.content + b"more\n" if isinstance(old, File) else b"odd\n"
    extra[path] = File(content)
    return replace(blueprint, extra=tuple(sorted(extra.items()))), f"{path!r}: written"


def _ignored(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    after = replace(blueprint, ignored=blueprint.ignored + 1)
    return after, f"{IGNORED_FOLDER}/notes.txt: changed (dockerignored)"


def _readme(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    return replace(blueprint, readme=blueprint.readme + 1), "README.md: changed"


def _build_script(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    member = blueprint.members[0]
    if member.build_script is None:
        return None
    number = member.build_script + 1
    text = f"{folder(blueprint, member)}build.rs: passes {member.build_script} → {number}"
    return _with(blueprint, 0, replace(member, build_script=number)), text


def _dependency_add(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    have = {dependency.name for dependency in blueprint.dependencies}
    free = [kind.name for kind in registry.KINDS if kind.name not in have]
    if not free:
        return None
    name = free[choice % len(free)]
    member = blueprint.members[0]
    after = replace(
        _with(blueprint, 0, replace(member, uses=(*member.uses, name))),
        dependencies=(*blueprint.dependencies, Dependency(name)),
    )
    return after, f"{folder(blueprint, member)}Cargo.toml: dependency {name} 1.0.0 added"


def _dependency_remove(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    if not blueprint.dependencies:
        return None
    name = blueprint.dependencies[choice % len(blueprint.dependencies)].name
    members = tuple(
        replace(m, uses=tuple(used for used in m.uses if used != name)) for m in blueprint.members
    )
    rest = tuple(d for d in blueprint.dependencies if d.name != name)
    after = replace(blueprint, members=members, dependencies=rest)
    return after, f"Cargo.toml: dependency {name} removed"


def _changed(blueprint: Blueprint, index: int, dependency: Dependency) -> Blueprint:
    listed = list(blueprint.dependencies)
    listed[index] = dependency
    return replace(blueprint, dependencies=tuple(listed))


def _other(version: str) -> str:
    first, second = registry.VERSIONS
    return second if version == first else first


def _dependency_bump(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    if not blueprint.dependencies:
        return None
    index = choice % len(blueprint.dependencies)
    old = blueprint.dependencies[index]
    version = _other(old.version)
    after = _changed(blueprint, index, replace(old, version=version, requirement=f"={version}"))
    return after, f"Cargo.toml and Cargo.lock: {old.name} {old.version} → {version}"


def _lock(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    loose = [i for i, d in enumerate(blueprint.dependencies) if d.requirement == "1"]
    if not loose:
        return None
    index = loose[choice % len(loose)]
    old = blueprint.dependencies[index]
    version = _other(old.version)
    after = _changed(blueprint, index, replace(old, version=version))
    return after, f"Cargo.lock: {old.name} {old.version} → {version}"


def _feature(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    if not blueprint.dependencies:
        return None
    index = choice % len(blueprint.dependencies)
    old = blueprint.dependencies[index]
    after = _changed(blueprint, index, replace(old, loud=not old.loud))
    return after, f"Cargo.toml: feature `loud` of {old.name} {'off' if old.loud else 'on'}"


def _own_version(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    index, member = _pick(blueprint, choice)
    version = f"0.1.{int(member.version.rpartition('.')[2]) + 1}"
    text = f"{folder(blueprint, member)}Cargo.toml: own version {member.version} → {version}"
    return _with(blueprint, index, replace(member, version=version)), text


def _manifest_comment(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    after = replace(blueprint, manifest_note=blueprint.manifest_note + 1)
    return after, "Cargo.toml: comment changed"


def _profile(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    after = replace(blueprint, checked=not blueprint.checked)
    return after, f"Cargo.toml: debug-assertions {'off' if blueprint.checked else 'on'}"


def _toolchain(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    if blueprint.toolchain is None:
        return None
    after = replace(blueprint, toolchain=blueprint.toolchain + 1)
    return after, f"rust-toolchain.toml: revision {blueprint.toolchain} → {blueprint.toolchain + 1}"


def _member_add(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str] | None:
    if not blueprint.workspace or any(member.place for member in blueprint.members):
        return None  # a Dockerfile that lists the members does not know a new one
    taken = {member.name for member in blueprint.members}
    name = next(n for k in range(99) if (n := f"extra{k}") not in taken)
    first = blueprint.members[0]
    after = _with(blueprint, 0, replace(first, libraries=(*first.libraries, name)))
    after = replace(after, members=(*after.members, Member(name, answer=3)))
    return after, f"crates/{name}: member added"


def _bin_add(blueprint: Blueprint, choice: int) -> tuple[Blueprint, str]:
    member = blueprint.members[0]
    name = next(n for k in range(99) if (n := f"tool{k}") not in member.binaries)
    after = _with(blueprint, 0, replace(member, binaries=(*member.binaries, name)))
    return after, f"{folder(blueprint, member)}src/bin/{name}.rs: added"


_TRANSFORMS: dict[EditClass, Transform] = {
    EditClass.SOURCE: _source,
    EditClass.SOURCE_SAME_SIZE: _same_size,
    EditClass.SOURCE_COMMENT: _comment,
    EditClass.MODULE_ADD: _module_add,
    EditClass.SOURCE_RENAME: _rename,
    EditClass.SOURCE_DELETE: _delete,
    EditClass.MODE: _mode,
    EditClass.SYMLINK: _symlink,
    EditClass.ODD_NAME: _odd_name,
    EditClass.IGNORED: _ignored,
    EditClass.README: _readme,
    EditClass.BUILD_SCRIPT: _build_script,
    EditClass.DEPENDENCY_ADD: _dependency_add,
    EditClass.DEPENDENCY_BUMP: _dependency_bump,
    EditClass.DEPENDENCY_REMOVE: _dependency_remove,
    EditClass.FEATURE: _feature,
    EditClass.LOCK: _lock,
    EditClass.OWN_VERSION: _own_version,
    EditClass.MANIFEST_COMMENT: _manifest_comment,
    EditClass.PROFILE: _profile,
    EditClass.TOOLCHAIN: _toolchain,
    EditClass.MEMBER_ADD: _member_add,
    EditClass.BIN_ADD: _bin_add,
}
"""How each class changes a blueprint; NOTHING, MTIME and REVERT are not changes of one."""
