"""What a Dockerfile asks cargo for, and generated projects that have it."""

from __future__ import annotations

import posixpath
import re
import tomllib
from dataclasses import replace

import pytest

from harness import dockerfile, fitting, naming
from harness.generated.projects import render
from harness.model import File
from harness.strategies import plainest


@pytest.mark.parametrize(
    ("call", "most"),
    [
        ("cargo chef prepare", 2**16),
        ("cargo-chef cook --release", 2**16),
        ("cargo lambda build", 2**16),
        ("cargo build", 2**31),
    ],
)
def test_tools_that_read_manifests_take_no_large_number_of_codegen_units(
    call: str, most: int
) -> None:
    parsed = dockerfile.parse(f"FROM rust\nCOPY . .\nRUN {call}\n")
    assert fitting.shape(parsed).codegen_units == most


@pytest.mark.parametrize(
    ("text", "profiles", "binary"),
    [
        (
            "RUN cargo build --profile dist\nFROM scratch\nCOPY --from=0 /a/target/dist/api /",
            ("dist",),
            "api",
        ),
        ("ARG P=small\nRUN cargo build --profile=$P\nRUN cp target/small/api /", ("small",), "api"),
        ("RUN rustup toolchain install stable --profile minimal && cargo build", (), "app"),
        ("RUN cargo build --profile release && cp target/release/api /", (), "api"),
    ],
)
def test_a_profile_that_cargo_does_not_know_is_the_projects_own(
    text: str, profiles: tuple[str, ...], binary: str
) -> None:
    parsed = dockerfile.parse(f"FROM rust\nCOPY . .\n{text}\n")
    assert naming.binary_of(parsed) == binary
    shape = fitting.shape(parsed)
    assert shape.profiles == profiles
    manifest = render(plainest(shape, binary)).tree["Cargo.toml"]
    assert isinstance(manifest, File)
    said = tomllib.loads(manifest.content.decode())["profile"]
    assert {name: table["inherits"] for name, table in said.items() if name != "release"} == (
        dict.fromkeys(profiles, "release")
    )


@pytest.mark.parametrize(
    ("call", "binary", "names"),
    [
        ("cargo build --release -p resizer --bin bootstrap", "bootstrap", ["resizer"]),
        ("cargo build -p resizer && cp target/release/resizer /", "resizer", ["resizer"]),
        ("cargo clean -p b -p api && cargo build -p api --bin x", "x", ["api", "b"]),
        ("cargo build --package=api --bin bootstrap && cargo test -p b", "bootstrap", ["api", "b"]),
        ("cargo install --locked -p tool cargo-tool && cargo build --bin app", "app", ["app"]),
        ("mkdir -p api && cargo build", "app", ["app"]),
        ("cargo update -p serde && cargo tree -p serde && cargo build", "app", ["app"]),
    ],
)
def test_packages_that_are_asked_for_by_name_are_there(
    call: str, binary: str, names: list[str]
) -> None:
    parsed = dockerfile.parse(f"FROM rust\nCOPY . .\nRUN {call}\n")
    assert naming.binary_of(parsed) == binary
    made = plainest(fitting.shape(parsed, binary=binary), binary)
    assert [member.name for member in made.members] == names
    assert made.members[0].binaries == (binary,)


@pytest.mark.parametrize(
    ("text", "features"),
    [
        (
            "RUN cargo build --features otel,json --features 'api/tls default'",
            ["json", "otel", "tls"],
        ),
        ('ARG F\nRUN cargo build --features "$F" -F a', ["a"]),
        ("ARG F=x\nRUN cargo build --features=${F}", ["x"]),
        ("RUN cargo build --features ${F:-y}", ["y"]),
        ("RUN cargo install sqlx-cli --features postgres && cargo build", []),
        ("RUN grep -F x Cargo.toml && cargo build", []),
        ('RUN cargo build --features "$(cat wanted)" && cargo add y --features z', []),
    ],
)
def test_features_that_are_asked_for_are_the_packages_own(text: str, features: list[str]) -> None:
    shape = fitting.shape(dockerfile.parse(f"FROM rust\nCOPY . .\n{text}\n"))
    assert list(shape.features) == features
    manifest = render(plainest(shape, "app")).tree["Cargo.toml"]
    assert isinstance(manifest, File)
    said = tomllib.loads(manifest.content.decode())
    assert said.get("features", {}) == {name: [] for name in features}


@pytest.mark.parametrize(
    ("made", "main"),
    [
        ("mkdir -p src/bin && echo 'fn main() {}' >src/bin/x.rs", "src/bin/x.rs"),
        ("mkdir -p src/bin/x && echo 'fn main() {}' >src/bin/x/main.rs", "src/bin/x/main.rs"),
        ("mkdir -p src/bin && touch src/main.rs src/bin/x.rs", "src/main.rs"),
        ("mkdir -p src/bin && touch src/bin/other.rs", "src/main.rs"),
    ],
)
def test_the_source_of_a_program_lies_where_the_dockerfile_has_it(made: str, main: str) -> None:
    text = f"FROM rust\nCOPY Cargo.* ./\nRUN {made} && cargo build --bin x\nCOPY src src\n"
    start = plainest(fitting.shape(dockerfile.parse(text), binary="x"), "x")
    program = replace(start.members[0], modules=(("one", 1),))
    tree = render(replace(start, members=(program,))).tree
    assert {path for path in tree if path.endswith(".rs")} == {main, "src/one.rs"}
    source = tree[main]
    assert isinstance(source, File)
    module = re.search(rb'(?:#\[path = "(.*)"\] )?mod one;', source.content)
    assert module is not None
    path = (module[1] or b"one.rs").decode()
    assert posixpath.normpath(posixpath.join(posixpath.dirname(main), path)) == "src/one.rs"


@pytest.mark.parametrize(
    ("binary", "folder", "members"),
    [
        ("target/release/x", "", ("services/api",)),
        ("services/api/target/release/x", "services/api", ()),
    ],
)
def test_a_package_that_cargo_is_sent_to_is_there(
    binary: str, folder: str, members: tuple[str, ...]
) -> None:
    call = "cargo build --release --manifest-path services/api/Cargo.toml"
    text = f"FROM rust AS b\nCOPY . .\nRUN {call}\nFROM scratch\nCOPY --from=b /app/{binary} /\n"
    shape = fitting.shape(dockerfile.parse(text), binary="x")
    assert (shape.folder, shape.members, shape.package) == (folder, members, not members)
    made = plainest(shape, "x")
    assert tuple(member.place for member in made.members) == (members or ("",))
