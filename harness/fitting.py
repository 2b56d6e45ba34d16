"""What a generated project has to be for a Dockerfile: its shape, and its files.

A Dockerfile that copies `Cargo.toml` and `src` by name can only build a single package of that
shape; generated projects keep to what its instructions reach. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from harness import asked
from harness.generated.projects import MAIN
from harness.model import Dockerfile, File, Instruction, Mount, Tree
from harness.parsing import instructions
from harness.parsing.dockerignore import NOTHING, Ignore
from harness.structure import roles, shell, stagegraph
from harness.structure.roles import Role
from harness.texts import NOTHING_GIVEN, run_texts, text_of

_MEMBER = re.compile(r"((?!\.\./)[\w.-]+(?:/[\w.-]+)*)/Cargo\.toml")
_LOOKING = re.compile(r"\[|cat|cp|echo|grep|head|ls|rustc|rustup|set|test|true")
"""Programs that compile no project, whatever a RUN has mounted."""
CRATES = "crates"
_LIBRARIES = {CRATES, "common", "lib", "libs", "packages", "shared"}
_FOLDER = re.compile(r"(?!\.)[\w.-]+(/[\w-][\w.-]*)*")
_NO_MEMBERS = frozenset(
    [
        "assets",
        "benches",
        "bin",
        "config",
        "docs",
        "examples",
        "migrations",
        "proto",
        "scripts",
        "src",
        "static",
        "target",
        "templates",
        "tests",
        "vendor",
    ]
)
"""Folders that are copied whole and hold no members of a workspace."""
_CARGO_CONFIGURATION = ".cargo/config.toml"
_PATTERN_IN_CARGO = re.compile(r"\.cargo/[^/]*[*?\[]")
_OF_A_PACKAGE = re.compile(
    r"\bcargo\s+(install\s[^\n;&|]*--path[ =]\.?/?(?=[\s;&|]|$)"
    r"|(rustc|run)\b(?![^\n;&|]*\s(-p|--package|--manifest-path)\b))"
)
"""What cargo does with a package alone; the root of a generated workspace is none."""
_READ_BY_TOOLS = re.compile(r"\bcargo[ -](chef|lambda)\b")
_IN_A_PACKAGE = re.compile(r"\b(cat|cp|find|ls|mv|sed|touch)\s+([^\n;&|]*\s)?(\./)?src(/|\s)")
_MADE = re.compile(
    r"\bmkdir\s+([^\n;&|]*\s)?(\./)?src(/|\s|$)|\bcargo\s+(new|init)\b", re.MULTILINE
)
"""What is done with the source of a package in the root, which a generated workspace has not,
unless the Dockerfile makes one itself.
"""
_CRATES_PICKED = re.compile(r"vendor|local-registry|\.cargo-checksum")
_TOOLCHAIN_PICKED = re.compile(r"toolchain|\bcargo[ -]chef\b")  # whose recipe holds that file
_ALWAYS = {"Cargo.toml", "Cargo.lock", "src", MAIN}
_ANOTHER_CRATE = b'[package]\nname = "another"\nversion = "0.1.0"\nedition = "2021"\n'
_CONTENTS = {
    ".cargo/config": b"# nothing is set\n",
    _CARGO_CONFIGURATION: b"# nothing is set\n",
    "build.rs": b"fn main() {}\n",
    "rust-toolchain": b'[toolchain]\nprofile = "minimal"\n',
    "rust-toolchain.toml": b'[toolchain]\nprofile = "minimal"\n',
    "src/lib.rs": b"",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What kinds of generated projects the Dockerfile can build.

    `package` is one with its source in the root's `src`, `workspace` one of `crates/*`. `members`
    are the directories of a workspace whose manifests it lists one by one, `programs` those of them
    that it makes a main.rs for. `strips` says that the manifest has the program stripped, which the
    Dockerfile then need not do. `folder` is where in the context the project lies, empty for its
    root. `codegen_units` is less than what a manifest may say of them: 16 bits where tools read it
    with the crates `cargo-manifest` or `cargo_toml`. `profiles` are those that it has to have
    beside cargo's own, `features` those of its packages, `packages` the names of some of these.
    `main` is where the program's source lies in its package.
    """

    package: bool = True
    workspace: bool = True
    vendored: bool = True
    build_script: bool = True
    toolchain: bool = True
    members: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    strips: bool = False
    folder: str = ""
    codegen_units: int = 2**31
    profiles: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    main: str = MAIN

    def program_member(self, binary: str) -> str:
        """Return the directory of the listed member that holds `binary`; empty if none is listed.

        That is the one of its name, else the first that has a main.rs, else the first.
        """
        named = [place for place in self.members if place.rpartition("/")[2] == binary]
        return next(iter((*named, *self.programs, *self.members)), "")


def shape(
    parsed: Dockerfile,
    ignore: Ignore = NOTHING,
    *,
    binary: str = "app",
    given: Mapping[str, str] = NOTHING_GIVEN,
) -> Shape:
    """Return what the context paths that the Dockerfile reaches leave possible.

    What a dependency layer needs (members' manifests, a registry in the tree) has to be there
    before it. A project that a toolchain file belongs to has a Dockerfile that names it, or takes
    everything before the dependencies are compiled.
    `ignore` is the Dockerfile's own ignore file, which may keep all but some paths away, `given`
    the build arguments.
    """
    folder, said = project_folder(parsed), run_texts(parsed)
    made = _shape(parsed, binary, folder)
    packages, leading = asked.packages(parsed, given), _leading(parsed)
    source_alone = _takes_alone(leading, "src(/.*)?", CRATES)

    def sent(*paths: str) -> bool:
        return not any(ignore.excludes(posixpath.join(folder, path)) for path in paths)

    return replace(
        made,
        folder=folder,
        profiles=asked.profiles(parsed, given),
        features=asked.features(parsed, given),
        packages=packages,
        main=_main_of(said, binary),
        codegen_units=2**16 if _READ_BY_TOOLS.search(said) else 2**31,
        package=made.package
        and (sent(MAIN) or not made.workspace)
        and not _takes_alone(leading, CRATES, "src")
        and not (made.workspace and len(packages) > 1),
        workspace=made.workspace
        and not source_alone
        and not _OF_A_PACKAGE.search(said)
        and not (_IN_A_PACKAGE.search(said) and not _MADE.search(said))
        and sent("crates/a/Cargo.toml", "crates/a/src/lib.rs"),
        vendored=made.vendored and sent("vendor/a/src/lib.rs", ".cargo/config.toml"),
        build_script=made.build_script
        and sent("build.rs")
        and not (source_alone and not any(re.match(r"build\.r", s) for s in leading)),
        toolchain=made.toolchain and sent("rust-toolchain.toml"),
    )


def _main_of(said: str, binary: str) -> str:
    """Return where the source of a binary lies: in src/bin where that alone is spoken of."""
    found = re.search(rf"\bsrc/bin/{re.escape(binary)}(/main)?\.rs\b", said)
    return found.group() if found and MAIN not in said else MAIN


def _shape(parsed: Dockerfile, binary: str, folder: str) -> Shape:
    lines = roles.infer(parsed).lines
    compiled = [line for line, role in lines.items() if role is Role.DEPENDENCIES]
    compiled = compiled or list(_calling_cargo(parsed, "fetch"))
    members = listed_members(parsed)
    if members and not compiled:  # with a member's source, so that none is seen to be
        compiled = list(_calling_cargo(parsed, "build"))[:1]
    reached = list(_context_sources(parsed, used=True))
    early = list(_context_sources(parsed, until=max(compiled), used=True)) if compiled else reached
    if any(_is_whole(source) for source in early):
        members = () if folder else asked.folders(parsed)
        return Shape(
            package=not members,
            vendored=not compiled or _arrives(parsed, compiled, _CRATES_PICKED),
            toolchain=not compiled or _arrives(parsed, compiled, _TOOLCHAIN_PICKED),
            members=members,
        )
    whole = any(_is_whole(source) for source in reached)
    making = run_texts(parsed)

    def has(name: str, sources: Iterable[str] = early) -> bool:
        return any(re.match(name, source) for source in sources)

    source = has(r"src(/|$)", reached)
    folders = [] if source or members or whole else member_folders(early)
    if folders and folders != [CRATES]:
        wanted = ((folders[-1], binary), (folders[0], "core1"))
        members = tuple(
            dict.fromkeys(
                folder if f"{folder}/src/" in making else f"{folder}/{name}"
                for folder, name in wanted
            )
        )
    workspace = (bool(folders) or has(CRATES) or has(r"\*\*/Cargo")) and not source
    return Shape(
        package=whole or source or not workspace,
        workspace=workspace,
        vendored=has("vendor") and has(r"\.cargo"),
        build_script=whole or has(r"build\.?r?", reached),
        toolchain=has(r"(\S*/)?rust-toolchain", reached),
        members=members,
        programs=tuple(
            place
            for place in members
            if re.search(rf"(?<![\w-]){re.escape(place)}/src/(main\.rs|bin/)", making)
        ),
    )


def _leading(parsed: Dockerfile) -> list[str]:
    """Return what the steps that lead to the build take from the context themselves.

    Another stage may take all of it, to pick the manifests.
    """
    leading = {Role.BASE, Role.DEPENDENCIES, Role.BUILD}
    lines = [line for line, role in roles.infer(parsed).lines.items() if role in leading]
    return [source.rstrip("/") for source in _context_sources(parsed, of=lines)]


def _takes_alone(taken: Iterable[str], wanted: str, others: str) -> bool:
    """Whether a folder is taken by its name, and nothing with the others."""
    everything = any(_is_whole(s) or re.match(rf"{others}(/|$)|\*|\$", s) for s in taken)
    return any(re.fullmatch(wanted, source) for source in taken) and not everything


def _calling_cargo(parsed: Dockerfile, verb: str) -> Iterator[int]:
    """Yield the lines of RUNs that call `cargo VERB`, which needs every manifest there."""
    call = re.compile(rf"\bcargo(\s+\+\S+)? {verb}\b")
    for instruction in (i for stage in parsed.stages for i in stage.instructions):
        if instruction.keyword == "RUN" and call.search(instruction.value):
            yield instruction.line


def _arrives(parsed: Dockerfile, compiled: Collection[int], picked: re.Pattern[str]) -> bool:
    """Whether a file of the project is where dependencies are compiled, on one of these lines.

    The whole context is there in the stage itself or one that it needs, which runs nothing; or a
    script picks of it what is needed, and speaks of such files.
    """
    graph = stagegraph.of(parsed)
    compiling = [s.index for s in parsed.stages if any(i.line in compiled for i in s.instructions)]
    below = {index for stage in compiling for index in graph.chain(stage)}
    needed = {index for stage in compiling for index in graph.reached_from(stage)}
    lines = {
        instruction.line
        for index in needed
        for instruction in parsed.stages[index].instructions
        if index in below or all(i.keyword != "RUN" for i in parsed.stages[index].instructions)
    }
    sources = _context_sources(parsed, until=max(compiled), used=True, of=lines)
    return picked.search(run_texts(parsed)) is not None or any(map(_is_whole, sources))


def member_folders(sources: Iterable[str]) -> list[str]:
    """Return the folders that are taken whole and may hold members, those of libraries first."""
    named = dict.fromkeys(source.rstrip("/") for source in sources)
    folders = [
        name for name in named if re.fullmatch(r"\w[\w-]*", name) and name not in _NO_MEMBERS
    ]
    return sorted(folders, key=lambda name: name not in _LIBRARIES)


def listed_members(parsed: Dockerfile) -> tuple[str, ...]:
    """Return the directories whose manifests are named, in the order in which they are.

    A folder beside one of them that is taken whole is one too. None are where the root has a source
    of its own, or a stand-in for one, by name: then it is the package that is built.
    """
    sources = list(_context_sources(parsed))
    if any(re.match(r"src(/|$)", source) for source in sources):
        return ()
    if re.search(r"(?<![\w./-])(\./)?src/(main|lib)\.rs", run_texts(parsed)):
        return ()
    found = [match[1] for match in map(_MEMBER.fullmatch, sources) if match is not None]
    parents = {posixpath.dirname(place) for place in found} - {""}
    whole = (posixpath.normpath(source) for source in sources)
    beside = [
        path
        for path in whole
        if posixpath.dirname(path) in parents and re.fullmatch(r"[\w-]+", posixpath.basename(path))
    ]
    return tuple(dict.fromkeys([*found, *beside]))


def project_folder(parsed: Dockerfile) -> str:
    """Return the folder of the context that holds the project, where it is not the root.

    That is the one whose manifest is named, or the only one that is taken whole and may hold one;
    where all is taken, the one that cargo is sent to and that has a target directory of its own.
    Empty for the root, and where no folder can be told.
    """
    taken = (s for s in _taken_from_context(parsed) if "://" not in s and "<<" not in s)
    sources = [posixpath.normpath(source) for source in taken]
    if _takes_root(sources):
        folders = asked.folders(parsed)
        alone = len(folders) == 1 and f"{folders[0]}/target/" in run_texts(parsed)
        return folders[0] if alone else ""
    manifests = [posixpath.dirname(s) for s in sources if re.fullmatch(r"\S+/Cargo\.\S+", s)]
    if manifests:
        common = posixpath.commonpath(manifests)
        return common if common in manifests and _FOLDER.fullmatch(common) else ""
    whole = {s for s in sources if _FOLDER.fullmatch(s) and "." not in posixpath.basename(s)}
    whole -= _NO_MEMBERS
    return whole.pop() if len(whole) == 1 else ""


def project_elsewhere(parsed: Dockerfile) -> str | None:
    """Return what is taken from the context where that can be no project that is generated.

    None where an instruction may take a Cargo.toml, by name or with others.
    """
    sources = list(_taken_from_context(parsed))
    if _takes_root(sources) or project_folder(parsed):
        return None
    return next(iter(sources), None)


def _takes_root(sources: Iterable[str]) -> bool:
    """Whether one of these paths may take the Cargo.toml of the context's root."""
    pattern = re.compile(r"(\*\*/)?[C*?\[]\S*|\S*\$\S*")
    return any(_is_whole(source) or pattern.fullmatch(source) for source in sources)


def _is_whole(source: str) -> bool:
    return source.rstrip("/") in {".", "", "*"}


def required(parsed: Dockerfile) -> Tree:
    """Return a file for each path of the context that an instruction names, and so must find, by
    its path from the context's root.

    What cargo or every generated project has is left out. A name without an extension is taken for
    a directory.
    """
    found: dict[str, File] = {}
    members, root = listed_members(parsed), project_folder(parsed)
    for source in _context_sources(parsed):
        path = posixpath.normpath(source) if root else _cleaned(source) or "."
        if _PATTERN_IN_CARGO.match(path):  # the folder that it is matched in has to be there
            path = _CARGO_CONFIGURATION
        elif path in {".", *_ALWAYS} or re.search(r"[*?\[$]|://", source) or "<<" in source:
            continue
        folder, _, name = path.rpartition("/")
        if name == "Cargo.toml":
            if folder not in members:
                found[path] = File(_ANOTHER_CRATE)
                found[f"{folder}/src/lib.rs"] = File(b"")
        elif path in _CONTENTS:
            found[path] = File(_CONTENTS[path])
        elif name == ".cargo":
            found[_CARGO_CONFIGURATION] = File(_CONTENTS[_CARGO_CONFIGURATION])
        elif source.endswith("/") or "." not in name.lstrip("."):
            found[f"{path}/.keep"] = File(b"")
        else:
            found[path] = File(b"fn main() {}\n" if name.endswith(".rs") else b"")
    if not root:
        for path in _shipped(parsed):
            found.setdefault(
                path if "." in posixpath.basename(path) else f"{path}/.keep", File(b"")
            )
    return {_cleaned(f"{root}/{path}"): file for path, file in found.items()}


def _shipped(parsed: Dockerfile) -> Iterator[str]:
    """Yield the paths of the context that the last stage ships from one which took all of it.

    What a RUN speaks of may be made by it; of names without an extension those of folders are
    known that hold no members.
    """
    everything = [i for stage in parsed.stages for i in stage.instructions]
    said = "\n".join(text_of(i) for i in everything if i.keyword == "RUN")
    for instruction in parsed.stages[-1].instructions:
        stage = parsed.stage(instruction.flag("from") or "")
        if instruction.keyword != "COPY" or stage is None:
            continue
        for source in instructions.transfer_of(instruction).sources:
            for whole in _taken_whole(parsed, stage.index):
                path = posixpath.relpath(posixpath.normpath(f"/{source}"), whole)
                name = posixpath.basename(path)
                if not re.fullmatch(r"(?!\.\.|target/|src/)\w[\w./-]*", path) or name in said:
                    continue
                if "." in name or name in _NO_MEMBERS - {"target", "bin", "src"}:
                    yield path


def _taken_whole(parsed: Dockerfile, stage: int) -> set[str]:
    """Return the absolute paths at which a stage has the whole context."""
    below = stagegraph.of(parsed).chain(stage)
    steps = [i for index in below for i in parsed.stages[index].instructions]
    found, here = set(), "/"
    for step in steps:
        if step.keyword == "WORKDIR":
            here = posixpath.join(here, step.value)
        elif step.keyword == "COPY" and step.flag("from") is None:
            copied = instructions.transfer_of(step)
            if any(map(_is_whole, copied.sources)):
                found.add(posixpath.normpath(posixpath.join(here, copied.destination)))
    return found


def _cleaned(path: str) -> str:
    """Return a path of the context as the engine takes it: nothing leads out of there."""
    return posixpath.normpath(f"/{path}").lstrip("/")


def _context_sources(
    parsed: Dockerfile,
    *,
    until: int | None = None,
    used: bool = False,
    of: Collection[int] | None = None,
) -> Iterator[str]:
    """Yield what `_taken_from_context` does, by its path from where the project lies."""
    folder = project_folder(parsed)
    for source in _taken_from_context(parsed, until=until, used=used, of=of):
        inside = source.rstrip("/") == folder or source.startswith(f"{folder}/")
        if not folder:
            yield source
        elif inside:
            yield source[len(folder) :].lstrip("/") or "."
        else:
            yield posixpath.join(*[".."] * len(folder.split("/")), source)


def _taken_from_context(
    parsed: Dockerfile,
    *,
    until: int | None = None,
    used: bool = False,
    of: Collection[int] | None = None,
) -> Iterator[str]:
    """Yield what instructions take from the build context, by its path from there.

    What is after line `until` is left out.

    With `used`, what is mounted only to be looked into is left out too; with `of`, what
    instructions on other lines take.
    """
    for instruction in (i for stage in parsed.stages for i in stage.instructions):
        if until is not None and instruction.line > until:
            return
        if of is not None and instruction.line not in of:
            continue
        if instruction.keyword in {"COPY", "ADD"} and instruction.flag("from") is None:
            yield from map(_from_root, instructions.transfer_of(instruction).sources)
        elif instruction.keyword == "RUN":
            for mount in instructions.mounts_of(instruction):
                if mount.kind == "bind" and mount.from_stage is None:
                    if used and _only_looked_into(instruction, mount):
                        continue
                    yield _from_root(mount.source or ".")


def _from_root(source: str) -> str:
    """Return a path of the context as it is written most plainly: all start at its root."""
    return source.removeprefix("./").lstrip("/") or "."


def _only_looked_into(instruction: Instruction, mount: Mount) -> bool:
    """Whether a RUN neither compiles in what it mounts nor takes all of it along."""
    commands = shell.commands_of(instruction)
    target = (mount.target or "").rstrip("/")
    whole = (target, f"{target}/", f"{target}/.", f"{target}/*")
    return all(_LOOKING.fullmatch(command.program) for command in commands) and not any(
        word in whole for command in commands if command.program == "cp" for word in command.words
    )
