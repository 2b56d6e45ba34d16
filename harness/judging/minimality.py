"""Judges an image by what Property 8 promises: which of its contents cannot be accounted for.

Pure: an Image and what is known of the project in, findings out. Each finding names a rule, so
that a report can say which part of the promise is broken and a test can ask for just that.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.judging import elf
from harness.judging.elf import Elf
from harness.judging.image import Entry, Image, resolve
from harness.structure import shell
from harness.structure.image import starts_shell
from harness.structure.safety import SECRET_NAME

SIZE_RATIO = 1.02
LIBRARY_FOLDERS = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/var/runtime/lib",
    "/var/lang/lib",
    "/opt/lib",
)
NEEDS = re.compile(
    r"^/(etc/(ssl/.*|pki/.*|ca-certificates/.*|ld\.so\.cache|nsswitch\.conf|localtime|timezone)"
    r"|usr/share/(ca-certificates|zoneinfo)/.*|.*/(lib|ld-)[^/]*\.so(\.[0-9.]+)?)$"
)
"""What a binary may need beside itself: certificates, time zones, libraries and their loader."""
_LIBRARY = re.compile(r"/(lib|ld-)[^/]*\.so(\.[0-9.]+)?$")
_OF_THE_SYSTEM = re.compile(
    r"/(ld-[^/]*|lib(c|m|dl|rt|pthread|resolv|util|anl|gcc_s|nss_\w+)[-.][^/]*)$"
)
"""The C library's own, some of which it loads by itself, and what Rust unwinds with."""
_INSTALLED = re.compile(r"^/(var/lib/(dpkg|rpm)|lib/apk|usr/lib/sysimage)/")
"""What package managers note of what they install."""
RECORDS = re.compile(
    r"^/(etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|\.pwd\.lock)|run/adduser"
    r"|var/log/(lastlog|faillog|(dpkg|alternatives)\.log|apt/.*)"
    r"|var/(cache/apt/archives|lib/apt/lists)/lock|var/lib/apt/extended_states"
    r"|var/cache/(debconf/.*|ldconfig/aux-cache)|var/lib/(dpkg|pam)/.*"
    r"|usr/share/(doc|lintian)/.*|etc/ld\.so\.(cache|conf\.d/.*))$"
)
"""What making a user leaves, and what a package manager notes of what it installs: it comes with
the account that the program runs as, and with its libraries, and is no waste of the Dockerfile's.
"""
_TOOLS = re.compile(
    r"^/(usr/|usr/local/|opt/[^/]+/)?s?bin/(cargo|rustc|rustup|gcc|cc|clang|ld|make|cmake|git)$"
    r"|/(\.?cargo|\.?rustup)/(bin|toolchains)/"
)
_SOURCE = re.compile(
    r"\.(rs|rlib|rmeta|d)$|/(Cargo\.(toml|lock)|rust-toolchain(\.toml)?|\.git)(/|$)"
)
_CACHE = re.compile(
    r"/(\.fingerprint|incremental|deps)/|/(\.?cargo)/(registry|git)/|^/var/(cache|lib/apt/lists)/"
    r"|/(pip|npm|\.cache)/"
)
_PASSWORD_IN_URL = re.compile(r"://[^/\s:@$]*:[^/\s@$]+@")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be so. `rule` is a word of RULES, `path` where it was seen."""

    rule: str
    text: str
    path: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known of a production image before it is looked at.

    `binary` is its path, None to take the only program that was added. `allowed` are shell patterns
    of further paths that the project declares; their `*` stands for any text, with slashes too.
    `secrets` are values that were given to the build.
    `machine` is in Lambda's words; `symbols` says that the project wants the program's table kept.
    `base_is_real` is False where another image stands in for the base: of which version its
    libraries are then says nothing. `base_libraries` are the names of those that the base itself
    is known to have, None where that is not known.
    """

    machine: str
    binary: str | None = None
    allowed: tuple[str, ...] = ()
    secrets: tuple[bytes, ...] = ()
    symbols: bool = False
    base_is_real: bool = True
    base_libraries: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a rule asks of an image, and what to do where that does not hold."""

    asks: str
    hint: str


RULES = {
    "binary": Rule(
        "the program is there, once, and is what the image starts",
        "Copy the one program that was compiled, executable by all, and name its path in the "
        "ENTRYPOINT.",
    ),
    "toolchain": Rule(
        "no compiler or build tool",
        "Start the last stage from an image without tools, and copy the program into it.",
    ),
    "source": Rule(
        "no source file, manifest or compiler output",
        "Copy the program alone: COPY --from=STAGE /PATH/TO/PROGRAM, no directory.",
    ),
    "cache": Rule(
        "no cache of a package manager or of cargo",
        "Let caches lie in a cache mount, or remove them in the RUN that made them.",
    ),
    "unaccounted": Rule(
        "no file that is neither the binary nor something it needs",
        "Leave it in the stage that needs it. What the program reads itself is declared by "
        "`image-files` in layerproof.toml.",
    ),
    "secret": Rule(
        "no secret in a layer, in the environment or in the history",
        "Give it by RUN --mount=type=secret in a stage that is not shipped, never by ARG, ENV or "
        "COPY.",
    ),
    "setuid": Rule(
        "no added file with setuid or setgid",
        "Install programs with mode 0755: COPY --chmod=0755.",
    ),
    "writable": Rule(
        "no added file that everybody may change",
        "Install programs with mode 0755: COPY --chmod=0755.",
    ),
    "wasted": Rule(
        "no bytes that a later layer hides",
        "Change or remove a file in the RUN that made it, or in a stage before: a later layer only "
        "hides it.",
    ),
    "size": Rule(
        f"the layers weigh at most {SIZE_RATIO} times the binary",
        "Look for a file that two layers hold: a chmod or chown in a RUN of its own copies it.",
    ),
    "user": Rule(
        "the program does not run as root",
        "Add USER to the last stage, with a number: USER 65532.",
    ),
    "entrypoint": Rule(
        "the entry point is in exec form, so that signals reach the program",
        'Write it as a list: ENTRYPOINT ["/PATH/TO/PROGRAM"].',
    ),
    "architecture": Rule(
        "the program is of the architecture asked for",
        "Compile for the target that the image is for (cargo build --target), or build with "
        "--platform.",
    ),
    "libraries": Rule(
        "every shared library and symbol version the program needs is there",
        "Compile in an image whose glibc is no newer than that of the last stage, or for a musl "
        "target; install the other libraries in the last stage.",
    ),
    "stripped": Rule(
        "no debug information and no symbol table",
        "Ship what `cargo build --release` made, and strip it. A symbol table may ship where the "
        "Dockerfile does not speak of stripping, or the project's manifest has it kept.",
    ),
}
"""The rules, most telling first."""


def judge(image: Image, expectation: Expectation) -> list[Finding]:
    """Return what is wrong with an image, most telling first; an empty list is a pass."""
    started, init = _started(image), _init(image)
    if init is not None:
        allowed = (*expectation.allowed, init, f"{init}-static")
        expectation = replace(expectation, allowed=allowed)
    programs = {
        path: facts
        for path in image.added()
        if path in image.contents
        and path != init
        and (facts := elf.read(image.contents[path])) is not None
        and (path == started or (facts.interpreter is not None and not _LIBRARY.search(path)))
    }
    found = [*_program(image, expectation, programs)]
    binary = expectation.binary or _the_program(image, programs)
    found += _contents(image, expectation, binary)
    found += _spare_libraries(image, expectation)
    found += _weight(image, binary, expectation)
    found += _configuration(image)
    found += _secrets(image, expectation)
    if binary in programs:
        found += _runs(image, programs[binary], binary, expectation)
    return found


def _the_program(image: Image, programs: Mapping[str, Elf]) -> str | None:
    """Return which of the programs that were added is meant: what is started, else the shortest."""
    path = _started(image)
    if path in programs:
        return path
    return min(programs, key=len) if programs else None


def _started(image: Image) -> str | None:
    """Return the program that the image comes to, links followed; None where it names none by
    path.
    """
    program = shell.started(image.entrypoint or image.command)
    return resolve(image.files(), program) if program else None


def _init(image: Image) -> str | None:
    """Return the file that the image starts as process 1 to start the program; None for none.

    Debian's package of tini brings the same linked statically beside it.
    """
    words = image.entrypoint or image.command
    if not words or not shell.INIT.fullmatch(posixpath.basename(words[0])):
        return None
    files = image.files()
    path = next((v[5:] for v in image.environment if v.startswith("PATH=")), "")
    folders = [""] if "/" in words[0] else path.split(":")
    places = (resolve(files, posixpath.join(folder, words[0])) for folder in folders)
    return next((place for place in places if place is not None), None)


def _program(
    image: Image, expectation: Expectation, programs: Mapping[str, Elf]
) -> Iterator[Finding]:
    if expectation.binary is not None and expectation.binary not in image.added():
        yield Finding("binary", "the image adds no such file", expectation.binary)
    elif not programs and expectation.binary is None:
        static = [p for p in image.added() if image.contents.get(p, b"").startswith(b"\x7fELF")]
        if not static:
            yield Finding("binary", "the image adds no program")
    elif len(programs) > 1:
        names = ", ".join(sorted(programs)[:4]) + (", …" if len(programs) > 4 else "")
        yield Finding("binary", f"the image adds {len(programs)} programs: {names}")
    started = image.entrypoint or image.command
    if started and started[0].startswith("/"):
        files = image.files()
        target = resolve(files, started[0])
        if target is None:
            yield Finding("binary", "the image starts a file that is not there", started[0])
        elif files[target].kind == "file" and not files[target].mode & 0o001:
            mode = f"{files[target].mode:04o}"
            yield Finding("binary", f"not everybody may run it: mode {mode}", started[0])


def _contents(image: Image, expectation: Expectation, binary: str | None) -> Iterator[Finding]:
    for path in sorted(image.base):
        if _TOOLS.search(path):
            yield Finding("toolchain", "the runtime stage starts from an image with tools", path)
            break
    for path, entry in sorted(image.added().items()):
        if entry.kind == "file" and entry.mode & 0o6000:
            yield Finding("setuid", f"mode {entry.mode:04o}", path)
        elif entry.kind == "file" and entry.mode & 0o002:
            yield Finding("writable", f"mode {entry.mode:04o}", path)
        if path == binary or _is_declared(path, expectation):
            continue
        if _TOOLS.search(path):
            yield Finding("toolchain", "a build tool was added", path)
        elif _SOURCE.search(path):
            yield Finding("source", "source or compiler output was added", path)
        elif _CACHE.search(path) and not RECORDS.match(path):
            yield Finding("cache", "a cache was added", path)
        elif not _is_accounted(path) and not _same_file(image, path, binary):
            yield Finding("unaccounted", "neither the binary nor something it needs", path)


def _spare_libraries(image: Image, expectation: Expectation) -> Iterator[Finding]:
    """Libraries that no added program needs, where no package manager brought them along."""
    added, files = image.added(), image.files()
    libraries = {p for p, entry in added.items() if entry.kind == "file" and _LIBRARY.search(p)}
    programs = [facts for p in added.keys() - libraries if (facts := _elf(image, p)) is not None]
    if not programs or any(map(_INSTALLED.match, added)):
        return
    needed: set[str] = set()
    pending = [name for facts in programs for name, _ in facts.needs]
    while pending:
        name = pending.pop()
        named = (resolve(files, path) for path in files if path.rpartition("/")[2] == name)
        for path in {path for path in named if path in libraries and path not in needed}:
            needed.add(path)
            facts = _elf(image, path)
            pending += [other for other, _ in facts.needs] if facts is not None else []
    spare = sorted(
        path
        for path in libraries - needed
        if not _OF_THE_SYSTEM.search(path) and not _is_declared(path, expectation)
    )
    if spare:
        others = f", like {len(spare) - 1} more" if len(spare) > 1 else ""
        yield Finding("unaccounted", f"a library that no program here needs{others}", spare[0])


def _elf(image: Image, path: str) -> Elf | None:
    return elf.read(image.contents.get(path, b""))


def _is_declared(path: str, expectation: Expectation) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in expectation.allowed)


def _is_accounted(path: str) -> bool:
    return NEEDS.match(path) is not None or RECORDS.match(path) is not None


def _same_file(image: Image, path: str, binary: str | None) -> bool:
    """Whether a link is just another name of the binary."""
    return binary is not None and resolve(image.files(), path) == binary


def _weight(image: Image, binary: str | None, expectation: Expectation) -> Iterator[Finding]:
    wasted = image.wasted()
    excused = {path for path in wasted if _may_be_replaced(path, image, expectation)}
    for path, size in sorted(wasted.items()):
        if path in excused:
            continue
        yield Finding("wasted", f"{size} bytes that a later layer hides or replaces", path)
    entries: dict[str, Entry] = image.added()
    if binary is None or binary not in entries:
        return
    total = sum(entry.size for layer in image.layers for entry in layer)
    beside = {path: entry for path, entry in entries.items() if path != binary}
    needs = sum(
        entry.size
        for path, entry in beside.items()
        if _is_accounted(path) or _is_declared(path, expectation)
    )
    needs += sum(wasted[path] for path in excused)
    size = entries[binary].size
    if total - needs > SIZE_RATIO * size:
        yield Finding(
            "size", f"the layers weigh {total} bytes beyond the base, the binary {size}", binary
        )


def _may_be_replaced(path: str, image: Image, expectation: Expectation) -> bool:
    """Whether bytes in vain are nobody's fault: a package manager's records, or what a program
    needs and only a stand-in for the base has already.
    """
    stood_in_for = not expectation.base_is_real and path in image.base
    return RECORDS.match(path) is not None or (stood_in_for and _is_accounted(path))


def _configuration(image: Image) -> Iterator[Finding]:
    user = image.user.partition(":")[0]
    if user in {"", "0", "root"} or user in _names_of_root(image):
        yield Finding("user", f"expected a user other than root, found {image.user!r}")
    elif not user.isdigit() and user not in _accounts(image):
        yield Finding("user", f"there is no account {user!r} in the image: it does not start")
    started: Sequence[str] = image.entrypoint or image.command
    if starts_shell(started):
        yield Finding("entrypoint", f"expected the exec form, found {list(started)!r}")


def _names_of_root(image: Image) -> set[str]:
    """Return the accounts that have root's number."""
    return {name for name, number in _accounts(image).items() if number == "0"}


def _accounts(image: Image) -> dict[str, str]:
    """Return the numbers of the accounts that the image has, by name."""
    lines = image.contents.get("/etc/passwd", b"").decode(errors="replace").splitlines()
    fields = (line.split(":") for line in lines)
    return {name: rest[1] for name, *rest in fields if len(rest) > 1}


def _secrets(image: Image, expectation: Expectation) -> Iterator[Finding]:
    for variable in image.environment:
        name, _, value = variable.partition("=")
        if value and SECRET_NAME.search(name):
            yield Finding("secret", f"the environment holds {name}")
        elif _PASSWORD_IN_URL.search(value):
            yield Finding("secret", f"the environment holds a password, in the URL of {name}")
    places = {f"history: {line[:60]}": line.encode() for line in image.history}
    places |= {f"environment: {v.partition('=')[0]}": v.encode() for v in image.environment}
    places |= {**image.contents, **{f"{path} (hidden)": c for path, c in image.hidden.items()}}
    for secret in expectation.secrets:
        for place, content in places.items():
            if secret in content:
                yield Finding("secret", "a secret given to the build is in the image", place)


def _runs(image: Image, facts: Elf, binary: str, expectation: Expectation) -> Iterator[Finding]:
    if facts.machine != expectation.machine:
        yield Finding(
            "architecture", f"expected {expectation.machine}, found {facts.machine}", binary
        )
    if facts.debug_info or (facts.symbols and not expectation.symbols):
        what = "debug information" if facts.debug_info else "its symbol table"
        found = f"the binary still has {what}: `strip = true` in [profile.release] leaves it out"
        yield Finding("stripped", found, binary)
    files = image.files()
    if facts.interpreter and resolve(files, facts.interpreter) is None:
        yield Finding("libraries", f"its loader {facts.interpreter} is not in the image", binary)
    for library, versions in facts.needs:
        places = (resolve(files, f"{folder}/{library}") for folder in LIBRARY_FOLDERS)
        place = next((p for p in places if p is not None), None)
        if place is None:
            yield Finding("libraries", f"it needs {library}, which is not in the image", binary)
            continue
        if place not in image.added() and not expectation.base_is_real:
            known = expectation.base_libraries
            if known is not None and library not in known:
                yield Finding("libraries", f"it needs {library}, which its base has not", binary)
            continue
        provided = elf.read(image.contents.get(place, b""))
        lacking = [v for v in versions if provided is None or v not in provided.provides]
        if lacking:
            yield Finding("libraries", f"it needs {', '.join(lacking)} of {library}", place)
