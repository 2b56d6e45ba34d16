"""What a generated project has to be for a Dockerfile: its shape, its binary's name, its files.

A Dockerfile that copies `Cargo.toml` and `src` by name can only build a single package of that
shape; generated projects keep to what its instructions reach. Pure.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from harness.model import Dockerfile, File, Instruction, Mount, Stage, Tree
from harness.parsing import instructions
from harness.parsing.dockerignore import NOTHING, Ignore
from harness.structure import roles, shell, stagegraph
from harness.structure.roles import Role

_BINARY = re.compile(
    r"(?:/(?:release|debug|cargo/bin|(?<=target/)lambda|lambda(?=/[^\s/]+/bootstrap\b))/"
    r"|--bin[ =]"
    r"|\btarget/(?:[^\s/]+/)?\$\{?\w+\}?/(?!release/|debug/))"
    r"(?:(?P<name>[A-Za-z][A-Za-z0-9_-]*)|\$\{?(?P<variable>\w+)\}?)(?=[\s/\"'\],;)]|$)"
)
"""Where a binary's name stands: in cargo's target directory or bin folder, or after `--bin`."""
OF_LAMBDA = {"LAMBDA_TASK_ROOT": "/var/task", "LAMBDA_RUNTIME_DIR": "/var/runtime"}
"""Variables of Lambda's images (docs.aws.amazon.com/lambda, "Using environment variables")."""
NOTHING_GIVEN: Mapping[str, str] = MappingProxyType({})
_MEMBER = re.compile(r"([\w.-]+(?:/[\w.-]+)*)/Cargo\.toml")
_LOOKING = re.compile(r"\[|cat|cp|echo|grep|head|ls|rustc|rustup|set|test|true")
"""Programs that compile no project, whatever a RUN has mounted."""
CRATES = "crates"
_LIBRARIES = {CRATES, "common", "lib", "libs", "packages", "shared"}
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
_FOLDERS = {"deps", "build", "examples", "incremental"}
_CARGO_CONFIGURATION = ".cargo/config.toml"
_PATTERN_IN_CARGO = re.compile(r"\.cargo/[^/]*[*?\[]")
_ALWAYS = {"Cargo.toml", "Cargo.lock", "src", "src/main.rs"}
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
    Dockerfile then need not do.
    """

    package: bool = True
    workspace: bool = True
    vendored: bool = True
    build_script: bool = True
    toolchain: bool = True
    members: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    strips: bool = False

    def program_member(self, binary: str) -> str:
        """Return the directory of the listed member that holds `binary`; empty if none is listed.

        That is the one of its name, else the first that has a main.rs, else the first.
        """
        named = [place for place in self.members if place.rpartition("/")[2] == binary]
        return next(iter((*named, *self.programs, *self.members)), "")


def shape(parsed: Dockerfile, ignore: Ignore = NOTHING, *, binary: str = "app") -> Shape:
    """Return what the context paths that the Dockerfile reaches leave possible.

    What a dependency layer needs (members' manifests, a registry in the tree) has to be there
    before it. A toolchain file that is never named and never reached is none of the build's.
    `ignore` is the Dockerfile's own ignore file, which may keep all but some paths away.
    """
    made = _shape(parsed, binary)

    def sent(*paths: str) -> bool:
        return not any(ignore.excludes(path) for path in paths)

    return replace(
        made,
        package=made.package and (sent("src/main.rs") or not made.workspace),
        workspace=made.workspace and sent("crates/a/Cargo.toml", "crates/a/src/lib.rs"),
        vendored=made.vendored and sent("vendor/a/src/lib.rs", ".cargo/config.toml"),
        build_script=made.build_script and sent("build.rs"),
        toolchain=made.toolchain and sent("rust-toolchain.toml"),
    )


def _shape(parsed: Dockerfile, binary: str) -> Shape:
    lines = roles.infer(parsed).lines
    compiled = [line for line, role in lines.items() if role is Role.DEPENDENCIES]
    compiled = compiled or list(_calling_cargo(parsed, "fetch"))
    members = listed_members(parsed)
    if members and not compiled:  # with a member's source, so that none is seen to be
        compiled = list(_calling_cargo(parsed, "build"))[:1]
    reached = list(_context_sources(parsed, used=True))
    early = list(_context_sources(parsed, until=max(compiled), used=True)) if compiled else reached
    if any(_is_whole(source) for source in early):
        return Shape(vendored=not compiled or _vendored_arrives(parsed, compiled))
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
        toolchain=whole or has(r"(\S*/)?rust-toolchain", reached),
        members=members,
        programs=tuple(place for place in members if f"{place}/src/main.rs" in making),
    )


def _calling_cargo(parsed: Dockerfile, verb: str) -> Iterator[int]:
    """Yield the lines of RUNs that call `cargo VERB`, which needs every manifest there."""
    call = re.compile(rf"\bcargo(\s+\+\S+)? {verb}\b")
    for instruction in (i for stage in parsed.stages for i in stage.instructions):
        if instruction.keyword == "RUN" and call.search(instruction.value):
            yield instruction.line


def _vendored_arrives(parsed: Dockerfile, compiled: Collection[int]) -> bool:
    """Whether crates in the project are where dependencies are compiled, on one of these lines.

    The whole context is there in the stage itself or one that it needs, which runs nothing; or a
    script picks of it what is needed, and speaks of such crates.
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
    spoken_of = re.search(r"vendor|local-registry|\.cargo-checksum", run_texts(parsed)) is not None
    return spoken_of or any(map(_is_whole, sources))


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


def project_elsewhere(parsed: Dockerfile) -> str | None:
    """Return what is taken from the context where that cannot be a project in its root.

    None where an instruction may take the root's Cargo.toml, by name or with others.
    """
    sources = list(_context_sources(parsed))
    taken = (_is_whole(s) or re.fullmatch(r"(\*\*/)?[C*?\[]\S*|\S*\$\S*", s) for s in sources)
    return None if any(taken) else next(iter(sources), None)


def _is_whole(source: str) -> bool:
    return source.rstrip("/") in {".", "", "*"}


def required(parsed: Dockerfile) -> Tree:
    """Return a file for each path of the context that an instruction names, and so must find.

    What cargo or every generated project has is left out. A name without an extension is taken for
    a directory.
    """
    found: dict[str, File] = {}
    members = listed_members(parsed)
    for source in _context_sources(parsed):
        path = posixpath.normpath(f"/{source}").lstrip("/")
        if _PATTERN_IN_CARGO.match(path):  # the folder that it is matched in has to be there
            path = _CARGO_CONFIGURATION
        elif not path or path in _ALWAYS or re.search(r"[*?\[$]|://", source) or "<<" in source:
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
    return found


def binary_of(
    parsed: Dockerfile,
    given: Mapping[str, str] = NOTHING_GIVEN,
    target: str | None = None,
) -> str:
    """Return what the Dockerfile calls its binary, itself or by an ARG; or `app`.

    What the stage that is built (`target`, or the last) says goes before what it needs, and that
    before the rest; of several names the one that it copies. Of an ARG the value counts that is
    `given`, or its default.
    """
    if "BIN" in given:
        return given["BIN"]
    defaults = {**_defaults(parsed), **given}
    installed = _installed(parsed)
    if installed is not None:
        return installed
    graph = stagegraph.of(parsed)
    built = (parsed.stage(target or "") or parsed.stages[-1]).index
    needed, along = graph.reached_from(built), graph.chain(built)
    nearest = sorted(parsed.stages, key=lambda s: (s.index not in along, s.index not in needed))
    said = (
        name or defaults.get(variable) or ""
        for name, variable in _BINARY.findall(run_texts(parsed, nearest))
    )
    names = [value for value in said if value and value not in _FOLDERS]
    copied = {posixpath.basename(path) for path in _copied_out(graph.steps_along(built))}
    return next((name for name in names if name in copied), next(iter(names), "app"))


def _copied_out(steps: Iterable[stagegraph.Step]) -> Iterator[str]:
    """Yield the paths that these steps copy from other stages, and those that they give them."""
    for step in steps:
        if step.instruction.keyword == "COPY" and step.instruction.flag("from") is not None:
            yield from instructions.transfer_of(step.instruction).sources
            yield from destinations(step.instruction)


def _installed(parsed: Dockerfile) -> str | None:
    """Return what is copied from the `bin` folder that `cargo install --path` was given."""
    if not re.search(r"cargo\s+install\s[^\n]*--path\b", run_texts(parsed)):
        return None
    copies = (i for stage in parsed.stages for i in stage.instructions if i.keyword == "COPY")
    sources = (
        source
        for copy in copies
        if copy.flag("from") is not None
        for source in instructions.transfer_of(copy).sources
    )
    names = (re.search(r"/bin/([A-Za-z][A-Za-z0-9_-]*)$", source) for source in sources)
    return next((found[1] for found in names if found is not None), None)


def arguments(parsed: Dockerfile, binary: str) -> dict[str, str]:
    """Return the build arguments that a Dockerfile which has them needs for generated projects.

    That is `BIN`, and what a binary's name is taken from where it has no default.
    """
    declared, defaults = declared_arguments(parsed), _defaults(parsed)
    variables = {variable for _, variable in _BINARY.findall(run_texts(parsed))}
    wanted = {name for name in variables & declared if not defaults.get(name)}
    return dict.fromkeys(sorted(wanted | {"BIN"} & declared), binary)


def program_of(parsed: Dockerfile) -> str | None:
    """Return where an image of Lambda's keeps its program, which its entry point does not name.

    None where the last stage starts from another image, has an ENTRYPOINT, or copies no bootstrap.
    """
    graph = stagegraph.of(parsed)
    last = len(parsed.stages) - 1
    steps = [step.instruction for step in graph.steps_along(last)]
    if "lambda" not in graph.base_image(last) or any(i.keyword == "ENTRYPOINT" for i in steps):
        return None
    root = OF_LAMBDA["LAMBDA_TASK_ROOT"]
    programs = []
    for copy in steps:
        if copy.keyword == "WORKDIR":
            root = posixpath.join(root, _with_values(copy.value, OF_LAMBDA))
        if copy.keyword != "COPY":
            continue
        folders = [s for s in instructions.transfer_of(copy).sources if s.endswith("/")]
        for path in [d.rstrip("/") + "/bootstrap" if folders else d for d in destinations(copy)]:
            placed = posixpath.normpath(posixpath.join(root, _with_values(path, OF_LAMBDA)))
            if posixpath.basename(placed) == "bootstrap":
                programs.append(placed)
    return programs[-1] if programs else None


def _with_values(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return text


def destinations(instruction: Instruction) -> list[str]:
    """Return the paths that a COPY gives to what it names, as written."""
    copied = instructions.transfer_of(instruction)
    if not copied.destination.endswith("/") and copied.destination != ".":
        return [copied.destination]
    return [
        posixpath.join(copied.destination, posixpath.basename(source)) for source in copied.sources
    ]


def _defaults(parsed: Dockerfile) -> dict[str, str]:
    """Return the first plain value of each ARG and ENV that has one."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    found: dict[str, str] = {}
    for instruction in (*parsed.global_args, *staged):
        if instruction.keyword in {"ARG", "ENV"}:
            for name, value in instructions.assignments(instruction, escape=parsed.escape):
                if value and "$" not in value:
                    found.setdefault(name, value.strip("\"'"))
    return found


def run_texts(parsed: Dockerfile, stages: Iterable[Stage] | None = None) -> str:
    """Return what the instructions that make or copy files say, comments left out.

    `stages` are those of the Dockerfile to read, in that order; None for all.
    """
    made = (i for stage in stages or parsed.stages for i in stage.instructions)
    return "\n".join(text_of(i) for i in made if i.keyword in {"RUN", "COPY"})


def declared_arguments(parsed: Dockerfile) -> frozenset[str]:
    """Return the names of all ARGs, global and of stages."""
    staged = (i for stage in parsed.stages for i in stage.instructions)
    return frozenset(
        name
        for instruction in (*parsed.global_args, *staged)
        if instruction.keyword == "ARG"
        for name, _ in instructions.assignments(instruction, escape=parsed.escape)
    )


def compiler_flags(parsed: Dockerfile) -> str:
    """Return the flags that a stage gives the compiler by ENV, as written; empty where none does.

    They hold in a container that is made from it too, and take the place of those that the project
    configures (cargo's `build.rustflags`).
    """
    environments = (i for s in parsed.stages for i in s.instructions if i.keyword == "ENV")
    return " ".join(
        value or ""
        for instruction in environments
        for name, value in instructions.assignments(instruction, escape=parsed.escape)
        if name.endswith("RUSTFLAGS")
    )


def _context_sources(
    parsed: Dockerfile,
    *,
    until: int | None = None,
    used: bool = False,
    of: Collection[int] | None = None,
) -> Iterator[str]:
    """Yield what instructions take from the build context, those after line `until` left out.

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


def text_of(instruction: Instruction) -> str:
    """Return what an instruction says, its here-documents included."""
    bodies = "\n".join(heredoc.content for heredoc in instruction.heredocs)
    return f"{instruction.value}\n{bodies}"
