"""Property 8's judge, rule by rule, on images written down as data."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.judging import elf
from harness.judging.image import Entry, Image, resolve
from harness.judging.minimality import RULES, Expectation, judge

BINARY = "/var/runtime/bootstrap"
BASE = {"/usr/bin/sh": Entry("/usr/bin/sh", "file", 0o755, 0, 100, digest="sh")}


def file(path: str, *, size: int = 1000, mode: int = 0o755, digest: str = "x") -> Entry:
    return Entry(path, "file", mode, 0, size, digest=digest)


def whiteout(path: str, *, target: str = "") -> Entry:
    return Entry(path, "whiteout", 0, 0, 0, target=target)


GOOD = Image(
    layers=((file(BINARY),),),
    base=BASE,
    contents={BINARY: b"\x7fELF"},
    hidden={},
    user="65534:65534",
    entrypoint=(BINARY,),
    command=(),
    environment=("PATH=/bin",),
    history=("COPY bootstrap",),
)
EXPECTED = Expectation("x86_64", binary=BINARY, secrets=(b"hunter2",))


def rules(image: Image, expectation: Expectation = EXPECTED) -> set[str]:
    return {finding.rule for finding in judge(image, expectation)}


def plus(*entries: Entry) -> Image:
    return replace(GOOD, layers=(*GOOD.layers, entries))


def test_a_binary_and_nothing_else_passes() -> None:
    assert judge(GOOD, EXPECTED) == []


@pytest.mark.parametrize(
    ("rule", "image"),
    [
        ("binary", replace(GOOD, layers=())),
        ("binary", replace(GOOD, entrypoint=("/nowhere",))),
        ("binary", replace(GOOD, layers=((file(BINARY, mode=0o644),),))),
        ("toolchain", plus(file("/usr/bin/rustc"))),
        ("toolchain", replace(GOOD, base={"/usr/bin/gcc": file("/usr/bin/gcc")})),
        ("source", plus(file("/src/main.rs"))),
        ("source", plus(file("/app/Cargo.toml"))),
        ("cache", plus(file("/var/lib/apt/lists/x"))),
        ("cache", plus(file("/target/release/deps/app-123"))),
        ("unaccounted", plus(file("/app/config.yaml"))),
        ("setuid", plus(file("/app/helper", mode=0o4755))),
        ("writable", replace(GOOD, layers=((file(BINARY, mode=0o777),),))),
        ("wasted", plus(file(BINARY, digest="other"))),
        (
            "wasted",
            replace(
                plus(whiteout("/opt/big")),
                layers=((file(BINARY), file("/opt/big")), (whiteout("/opt/big"),)),
            ),
        ),
        ("size", replace(GOOD, layers=((file(BINARY), file("/opt/big", size=21)),))),
        ("user", replace(GOOD, user="")),
        ("user", replace(GOOD, user="root:root")),
        ("user", replace(GOOD, user="0:1000")),
        ("entrypoint", replace(GOOD, entrypoint=("/bin/sh", "-c", BINARY))),
        (
            "user",
            replace(
                GOOD,
                user="svc",
                contents={**GOOD.contents, "/etc/passwd": b"svc:x:0:0::/:/bin/sh\n"},
            ),
        ),
        ("secret", replace(GOOD, environment=("API_TOKEN=x",))),
        ("secret", replace(GOOD, environment=("GITHUB_PAT=x",))),
        ("secret", replace(GOOD, environment=("DATABASE_URL=postgres://me:word@db/x",))),
        ("secret", replace(GOOD, history=("RUN curl -u me:hunter2",))),
        ("secret", replace(GOOD, hidden={"/root/.netrc": b"password hunter2"})),
        ("secret", replace(GOOD, contents={BINARY: b"\x7fELF hunter2"})),
    ],
)
def test_each_rule_refuses_what_it_is_there_for(rule: str, image: Image) -> None:
    assert rule in RULES
    assert rule in rules(image)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/ssl/certs/ca-certificates.crt",
        "/usr/share/zoneinfo/UTC",
        "/lib/libz.so.1",
        "/etc/subuid-",
        "/etc/.pwd.lock",
        "/var/lib/dpkg/info/libssl3.list",
        "/var/cache/apt/archives/lock",
        "/usr/share/doc/libssl3/copyright",
    ],
)
def test_what_a_binary_may_need_is_accounted_for(path: str) -> None:
    assert judge(plus(file(path)), EXPECTED) == []


def test_a_declared_file_is_accounted_for() -> None:
    image = replace(GOOD, layers=((file(BINARY), file("/app/model.bin", size=10**6)),))
    assert rules(image) == {"unaccounted", "size"}
    assert rules(image, replace(EXPECTED, allowed=("/app/*",))) == set()
    assert rules(image, replace(EXPECTED, allowed=("/app/*.txt",))) == {"unaccounted", "size"}


def test_a_directory_that_is_hidden_takes_its_files_along() -> None:
    image = replace(GOOD, layers=((file(BINARY), file("/d/a", size=5)), (whiteout("/d"),)))
    assert image.wasted() == {"/d/a": 5}
    assert set(image.added()) == {BINARY}


def test_links_are_followed_through_directories_and_loops_end() -> None:
    files = {
        "/lib": Entry("/lib", "link", 0o777, 0, 0, target="usr/lib"),
        "/usr/lib/a": Entry("/usr/lib/a", "link", 0o777, 0, 0, target="../share/b"),
        "/usr/share/b": file("/usr/share/b"),
        "/loop": Entry("/loop", "link", 0o777, 0, 0, target="/loop"),
    }
    assert resolve(files, "/lib/a") == "/usr/share/b"
    assert resolve(files, "/loop") is None
    assert resolve(files, "/lib/nothing") is None


def test_bytes_that_are_no_elf_file_have_no_facts() -> None:
    assert elf.read(b"#!/bin/sh\n") is None
    assert elf.read(b"\x7fELF") is None
    assert elf.read(b"\x7fELF" + b"\0" * 400) is None


@pytest.mark.parametrize(
    "path",
    [
        "/var/cache/debconf/templates.dat",
        "/var/cache/ldconfig/aux-cache",
        "/var/lib/apt/extended_states",
        "/etc/localtime",
        "/lib64/ld-linux-x86-64.so.2",
    ],
)
def test_what_an_installed_package_or_a_loader_leaves_is_accounted_for(path: str) -> None:
    assert rules(plus(file(path, size=50_000))) == set()


@pytest.mark.parametrize(
    "variable", ["DB_SECRET_ARN=arn:aws:x", "TOKEN_TTL_SECONDS=3", "DATABASE_URL=postgres://db/x"]
)
def test_where_a_secret_is_kept_is_no_secret(variable: str) -> None:
    assert rules(replace(GOOD, environment=(variable,))) == set()


def test_a_shell_that_becomes_the_program_is_no_shell_form() -> None:
    assert rules(replace(GOOD, entrypoint=("/usr/bin/sh", "-c", f"exec {BINARY}"))) == set()


def test_an_account_that_is_named_is_there() -> None:
    named = replace(GOOD, user="app:app")
    assert rules(named) == {"user"}
    accounts = b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/none\nother:x:0:0::/:/none\n"
    there = replace(named, contents={**GOOD.contents, "/etc/passwd": accounts})
    assert rules(there) == set()
    assert rules(replace(there, user="other")) == {"user"}


def test_what_starts_the_program_as_process_1_is_needed() -> None:
    init = "/sbin/tini-static"
    image = replace(
        GOOD,
        layers=(*GOOD.layers, (file(init, size=50_000),)),
        contents={**GOOD.contents, init: Path(sys.executable).resolve().read_bytes()},
        entrypoint=(init, "--", BINARY),
    )
    assert rules(image) == set()
    assert "unaccounted" in rules(replace(image, entrypoint=(BINARY,)))
    of_debian = (file("/usr/bin/tini", size=50_000), file("/usr/bin/tini-static", size=800_000))
    by_name = replace(
        image,
        layers=(*GOOD.layers, of_debian),
        contents={**GOOD.contents, "/usr/bin/tini": image.contents[init]},
        environment=("PATH=/usr/sbin:/usr/bin",),
        entrypoint=("tini", "--", BINARY),
    )
    assert rules(by_name) == set()
    assert "unaccounted" in rules(replace(by_name, environment=("PATH=/bin",)))


def test_what_a_stand_in_has_already_may_be_copied() -> None:
    bundle = file("/etc/ssl/certs/ca-certificates.crt", size=200_000)
    image = replace(GOOD, base={**BASE, bundle.path: bundle}, layers=(*GOOD.layers, (bundle,)))
    assert rules(image) == {"wasted", "size"}
    stood_in_for = replace(EXPECTED, base_is_real=False)
    assert rules(image, stood_in_for) == set()
    shell = file("/usr/bin/sh")
    assert "wasted" in rules(replace(image, layers=(*GOOD.layers, (shell,))), stood_in_for)


def test_a_library_that_is_needed_may_come_by_a_link_of_the_base() -> None:
    """The engine writes through it: the file that is added has another name."""
    program = Path(sys.executable).resolve().read_bytes()
    facts = elf.read(program)
    assert facts is not None
    link = Entry("/usr/lib/libz.so.1", "link", 0o777, 0, 0, target="libz.so.1.2.13")
    needed = next(name for name, _ in facts.needs if name.startswith("libc."))
    through = replace(link, path=f"/usr/lib/{needed}")
    for name, entry in ((needed, through), ("libz.so.1", link)):
        image = replace(
            GOOD,
            base={**BASE, entry.path: entry},
            layers=(*GOOD.layers, (file("/usr/lib/libz.so.1.2.13"),)),
            contents={BINARY: program},
        )
        assert ("unaccounted" in rules(image)) == (name != needed)


def test_of_which_version_a_stand_ins_library_is_says_nothing() -> None:
    program = Path(sys.executable).resolve().read_bytes()
    facts = elf.read(program)
    assert facts is not None
    assert any(versions for _, versions in facts.needs)
    loader = file(facts.interpreter or "")
    there = {f"/usr/lib/{name}": file(f"/usr/lib/{name}") for name, _ in facts.needs}
    based = replace(
        GOOD,
        base={**BASE, **there, loader.path: loader},
        contents={BINARY: program, **dict.fromkeys(there, b"of no version")},
    )
    assert "libraries" in rules(based)
    stood_in_for = replace(EXPECTED, base_is_real=False)
    assert "libraries" not in rules(based, stood_in_for)
    names = frozenset(name for name, _ in facts.needs)
    assert "libraries" not in rules(based, replace(stood_in_for, base_libraries=names))
    assert "libraries" in rules(based, replace(stood_in_for, base_libraries=frozenset()))
    added = replace(based, layers=(*GOOD.layers, tuple(there.values())), base={**BASE})
    assert "libraries" in rules(added, stood_in_for)
