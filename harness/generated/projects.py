"""Generated cargo projects: a Blueprint says what one is, `render` makes its files and its truth.

A blueprint is a single package or a workspace of tiny crates. What each binary prints is computed
here from the same numbers that its source is written from; no Rust is run to know it. Changing a
blueprint is left to `edits`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.generated import registry
from harness.model import Entry, File, Project

WORD = b"@scenario@"
NUMBER = b"4294967295"
MAIN = "src/main.rs"
TABLES = ("", ".build-override", '.package."*"')
"""The tables of the release profile, each with a NUMBER of its own, in this order."""
PLENTY = 256
"""As codegen-units a number that changes nothing more: no generated crate has so many."""
UNOPTIMISED = b"kept where nothing optimises"
"""Stands in each program, in a branch that every optimisation level above 0 leaves out."""
LEVEL = b"optimised at level "
"""What stands before cargo's optimisation level in a program whose package has a build script."""
IGNORED_FOLDER = "target"
IGNORE_FILE = "target\nlambda-package\nlambda-deployment*.zip\n**/*.log\n.git\n"


@dataclass(frozen=True, slots=True)
class Dependency:
    """A registry crate as the project uses it: what the manifest asks, what the lock says."""

    name: str
    version: str = "1.0.0"
    requirement: str = "1"
    loud: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A package of the project. `modules` maps each module's name to the number it returns.

    `answer` is the number its own root returns. `main` is where the source of the first of the
    `binaries` lies, which is empty for a library; `library` is
    what a src/lib.rs beside the src/main.rs returns, None for none. `build_script` is the number
    that its build.rs passes on, None for none. `uses` names registry crates, `libraries` other
    members. `note` counts the edits of comments. `place` is the directory of a workspace's member,
    where it is another than `crates/NAME`.
    """

    name: str
    answer: int = 1
    main: str = MAIN
    modules: tuple[tuple[str, int], ...] = ()
    binaries: tuple[str, ...] = ()
    build_script: int | None = None
    library: int | None = None
    uses: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    version: str = "0.1.0"
    note: int = 0
    place: str = ""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """A project as data. The first member holds the binaries.

    Sources hold WORD, which each scenario replaces by one of its own so that no other's layers can
    serve it; the profile holds NUMBERs (as codegen-units, which changes no behaviour; for packages
    by themselves too, where no variable overrides it), so that a scenario can have compiled crates
    of its own too. `vendored` puts the registry into the tree instead of the base image; `profiles`
    are the project's own, which inherit release, `features` are all its packages', and do nothing.
    """

    members: tuple[Member, ...]
    dependencies: tuple[Dependency, ...] = ()
    workspace: bool = False
    vendored: bool = False
    checked: bool = False
    strips: bool = False
    profiles: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    toolchain: int | None = None
    manifest_note: int = 0
    readme: int = 0
    ignored: int = 0
    extra: tuple[tuple[str, Entry], ...] = ()
    executable: tuple[str, ...] = ()
    name: str = "app"


@dataclass(frozen=True, slots=True)
class Unit:
    """A registry crate as cargo compiles it: two that are equal are compiled once.

    `settings` are the profile's; `host` crates may be compiled with others.
    """

    name: str
    version: str
    loud: bool
    settings: tuple[object, ...]
    needs: tuple[Unit, ...] = field(default=())

    @property
    def crate(self) -> str:
        """The crate as cargo names it when it compiles it."""
        return f"{self.name} {self.version}"


def render(blueprint: Blueprint) -> Project:
    """Return the project that the blueprint describes."""
    tree: dict[str, Entry] = {
        "README.md": _text(f"# {blueprint.name}\n\nRevision {blueprint.readme}.\n"),
        ".dockerignore": _text(IGNORE_FILE),
        "Cargo.lock": _text(_lock(blueprint)),
        f"{IGNORED_FOLDER}/notes.txt": _text(f"scratch {blueprint.ignored}\n"),
    }
    if blueprint.toolchain is not None:
        tree["rust-toolchain.toml"] = _text(_toolchain(blueprint.toolchain))
    if blueprint.vendored:
        tree[".cargo/config.toml"] = _text(registry.source_config("vendor"))
        tree.update({f"vendor/{path}": entry for path, entry in registry.tree().items()})
    if blueprint.workspace:
        tree["Cargo.toml"] = _text(
            f'[workspace]\nmembers = [{_listed(blueprint)}]\nresolver = "2"\n{_tail(blueprint)}'
        )
    for member in blueprint.members:
        tree.update(_files(blueprint, member))
    tree.update(dict(blueprint.extra))
    for path in blueprint.executable:
        entry = tree.get(path)
        if isinstance(entry, File):
            tree[path] = File(entry.content, 0o755)
    return Project(
        name=blueprint.name,
        tree=tree,
        binaries={
            binary: line
            for member in blueprint.members
            for binary, line in _lines(blueprint, member)
        },
        packages=tuple(member.name for member in blueprint.members),
        dependencies=tuple(sorted(locked(blueprint))),
    )


def locked(blueprint: Blueprint) -> dict[str, Dependency]:
    """Return every registry crate of the lock file, with those that others need."""
    found = {dependency.name: dependency for dependency in blueprint.dependencies}
    for dependency in blueprint.dependencies:
        for need in registry.BY_NAME[dependency.name].needs:
            found.setdefault(need, Dependency(need, version="1.0.0"))
    return found


def units(blueprint: Blueprint) -> dict[str, Unit]:
    """Return the registry crates that a build of the whole project compiles, by name."""
    crates = locked(blueprint)
    settings = (blueprint.checked,)

    def unit(name: str) -> Unit:
        crate = crates[name]
        needs = tuple(unit(need) for need in registry.BY_NAME[name].needs)
        return Unit(name, crate.version, crate.loud, settings, needs)

    used = {name for member in blueprint.members for name in member.uses}
    used |= {need for name in used for need in registry.BY_NAME[name].needs}
    return {name: unit(name) for name in sorted(used)}


def folder(blueprint: Blueprint, member: Member) -> str:
    """Return the member's directory with a trailing slash, empty for the root package."""
    if not blueprint.workspace:
        return ""
    return f"{member.place or f'crates/{member.name}'}/"


def _listed(blueprint: Blueprint) -> str:
    """Return what the workspace's manifest lists: each member that has a place, or a glob."""
    if not any(member.place for member in blueprint.members):
        return '"crates/*"'
    return ", ".join(f'"{folder(blueprint, m).rstrip("/")}"' for m in blueprint.members)


def root_source(blueprint: Blueprint, member: Member) -> str:
    """Return the path of the source file that holds the member's `answer`."""
    return f"{folder(blueprint, member)}{member.main if member.binaries else 'src/lib.rs'}"


def _files(blueprint: Blueprint, member: Member) -> Iterator[tuple[str, Entry]]:
    base = folder(blueprint, member)
    yield f"{base}Cargo.toml", _text(_manifest(blueprint, member))
    for name, number in member.modules:
        yield f"{base}src/{name}.rs", _text(f"pub fn value() -> i64 {{\n    {number}\n}}\n")
    if member.build_script is not None:
        yield (
            f"{base}build.rs",
            _text(
                "use std::env::var;\n"
                f'fn main() {{\n    println!("cargo:rustc-env=SCRIPT={member.build_script}");\n'
                '    println!("cargo:rustc-env=LEVEL={}", var("OPT_LEVEL").unwrap());\n}\n'
            ),
        )
    if not member.binaries:
        body = "".join(f"mod {name};\n" for name, _ in member.modules)
        body += f"// note {member.note} {WORD.decode()}\n"
        terms = "".join(f" + {name}::value()" for name, _ in member.modules)
        body += f"pub fn value() -> i64 {{\n    {member.answer}{terms}\n}}\n"
        yield f"{base}src/lib.rs", _text(body)
        return
    if member.library is not None:
        yield (
            f"{base}src/lib.rs",
            _text(f"pub fn value() -> i64 {{\n    {member.library}\n}}\n"),
        )
    for binary in member.binaries:
        first = binary == member.binaries[0]
        yield (
            f"{base}{member.main}" if first else f"{base}src/bin/{binary}.rs",
            _text(_main(blueprint, member, binary)),
        )


def _main(blueprint: Blueprint, member: Member, binary: str) -> str:
    first = binary == member.binaries[0]
    parts = [('"answer={}"', str(member.answer))] if first else []
    if first:
        parts += [(f'"{name}={{}}"', f"{name}::value()") for name, _ in member.modules]
        if member.build_script is not None:
            parts.append(('"script={}"', 'env!("SCRIPT")'))
    if member.library is not None:
        parts.append(('"lib={}"', f"{_ident(member.name)}::value()"))
    parts += [(f'"{name}={{}}"', f"{_ident(name)}::value()") for name in member.libraries]
    for name in member.uses:
        call = "epsilon::value!()" if registry.BY_NAME[name].host else f"{name}::value()"
        parts.append(('"{}"', call))
    parts.append(('"checked={}"', "cfg!(debug_assertions)"))
    up = posixpath.relpath("src", posixpath.dirname(member.main))
    at = "" if up == "." else '#[path = "{}/{}.rs"] '
    names = [name for name, _ in member.modules] if first else []
    modules = "".join(f"{at.format(up, name)}mod {name};\n" for name in names)
    level = ""
    if first and member.build_script is not None:
        words = f'concat!("{LEVEL.decode()}", env!("LEVEL"))'
        level = f"    if std::env::args().count() > 99 {{\n        print!({words});\n    }}\n"
    prints = "".join(f'    print!(concat!(" ", {hole}), {value});\n' for hole, value in parts)
    return (
        f"{modules}// note {member.note} {WORD.decode()}\n"
        "fn doubled(number: i64) -> i64 {\n    number * 2\n}\n"
        f'fn main() {{\n    print!("{binary}");\n{prints}    println!();\n'
        f'    if doubled(3) == 7 {{\n        print!("{UNOPTIMISED.decode()}");\n    }}\n{level}}}\n'
    )


def _lines(blueprint: Blueprint, member: Member) -> Iterator[tuple[str, str]]:
    """Yield what each binary of a member prints: the oracle, written apart from `_main`."""
    crates = locked(blueprint)
    numbers = {m.name: m.answer + sum(n for _, n in m.modules) for m in blueprint.members}
    for binary in member.binaries:
        words = [binary]
        if binary == member.binaries[0]:
            words.append(f"answer={member.answer}")
            words += [f"{name}={number}" for name, number in member.modules]
            if member.build_script is not None:
                words.append(f"script={member.build_script}")
        if member.library is not None:
            words.append(f"lib={member.library}")
        words += [f"{name}={numbers[name]}" for name in member.libraries]
        for name in member.uses:
            crate = crates[name]
            needs = ", ".join(
                registry.value(need, version=crates[need].version, loud=crates[need].loud)
                for need in registry.BY_NAME[name].needs
            )
            words.append(registry.value(name, version=crate.version, loud=crate.loud, needs=needs))
        words.append(f"checked={str(blueprint.checked).lower()}")
        yield binary, " ".join(words)


def _manifest(blueprint: Blueprint, member: Member) -> str:
    crates = locked(blueprint)
    text = f'[package]\nname = "{member.name}"\nversion = "{member.version}"\nedition = "2021"\n'
    if blueprint.features:
        text += "\n[features]\n" + "".join(f"{name} = []\n" for name in blueprint.features)
    at_root = member.main == MAIN
    if member.binaries and member.binaries[0] != member.name and at_root:
        text += f'\n[[bin]]\nname = "{member.binaries[0]}"\npath = "src/main.rs"\n'
    wanted = []
    for name in member.uses:
        features = ', features = ["loud"]' if crates[name].loud else ""
        wanted.append(f'{name} = {{ version = "{crates[name].requirement}"{features} }}\n')
    here = folder(blueprint, member)
    for other in (m for m in blueprint.members if m.name in member.libraries):
        path = posixpath.relpath(folder(blueprint, other), here or ".")
        wanted.append(f'{other.name} = {{ path = "{path}" }}\n')
    if wanted:
        text += "\n[dependencies]\n" + "".join(wanted)
    return text if blueprint.workspace else text + _tail(blueprint)


def _tail(blueprint: Blueprint) -> str:
    """Return the part of the root manifest that every kind of project has."""
    checked = "debug-assertions = true\n" if blueprint.checked else ""
    strip = "strip = true\n" if blueprint.strips else ""
    text = ""
    for table in TABLES:
        said = "" if table else checked + strip
        text += f"\n[profile.release{table}]\n{said}codegen-units = {NUMBER.decode()}\n"
    for name in blueprint.profiles:
        text += f'\n[profile.{name}]\ninherits = "release"\n'
    if blueprint.manifest_note:
        text += f"\n# note {blueprint.manifest_note}\n"
    return text


def _lock(blueprint: Blueprint) -> str:
    crates = locked(blueprint)
    packages: dict[str, str] = {}
    for name, crate in crates.items():
        packages[name] = (
            f'[[package]]\nname = "{name}"\nversion = "{crate.version}"\n'
            f'source = "{registry.SOURCE}"\nchecksum = "{registry.checksum(name, crate.version)}"\n'
            + _needs(registry.BY_NAME[name].needs)
        )
    for member in blueprint.members:
        packages[member.name] = (
            f'[[package]]\nname = "{member.name}"\nversion = "{member.version}"\n'
            + _needs((*member.uses, *member.libraries))
        )
    head = "# This file is automatically @generated by Cargo.\n"
    head += "# It is not intended for manual editing.\nversion = 3\n\n"
    return head + "\n".join(packages[name] for name in sorted(packages))


def _needs(names: tuple[str, ...]) -> str:
    listed = "".join(f' "{name}",\n' for name in sorted(names))
    return f"dependencies = [\n{listed}]\n" if names else ""


def _toolchain(revision: int) -> str:
    return f'[toolchain]\nprofile = "minimal"\n# revision {revision}\n'


def _ident(name: str) -> str:
    return name.replace("-", "_")


def _text(text: str) -> File:
    return File(text.encode())
