"""checkouts: a real project is read and never written, and its edits are each scenario's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ProjectError
from harness.generated import checkouts, edits
from harness.generated.projects import WORD
from harness.model import EditClass, File
from harness.strategies import each_file_in_turn

OFFLINE = Path(__file__).parents[2] / "fixtures" / "hello-offline"
CHANGING = [
    EditClass.SOURCE,
    EditClass.SOURCE_COMMENT,
    EditClass.ODD_NAME,
    EditClass.README,
    EditClass.MANIFEST_COMMENT,
    EditClass.PROFILE,
]


@pytest.mark.parametrize("edit_class", CHANGING)
def test_what_an_edit_writes_no_other_scenario_has_built(edit_class: EditClass) -> None:
    made = checkouts.apply(edit_class, checkouts.load(OFFLINE), 0)
    assert made is not None
    edit, after = made
    (entry,) = edit.changes.values()
    assert isinstance(entry, File)
    assert WORD in entry.content
    assert edits.applied(checkouts.load(OFFLINE).tree, edit) == after.tree


def test_each_edit_of_the_source_has_a_marker_of_its_own() -> None:
    first = checkouts.apply(EditClass.SOURCE, checkouts.load(OFFLINE), 0)
    assert first is not None
    second = checkouts.apply(EditClass.SOURCE, first[1], 0)
    assert second is not None
    assert (first[1].marker, second[1].marker) == ("layerproof-marker-1", "layerproof-marker-2")
    source = second[1].tree[second[1].source]
    assert isinstance(source, File)
    assert b"layerproof-marker-1" not in source.content


FORBIDS = """\
#![forbid(unsafe_code)]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    Ok(())
}
"""


@pytest.mark.parametrize(
    ("source", "by_main"),
    [
        ("fn main() {}\n", True),
        (FORBIDS, True),
        ("fn main()\n{\n    go();\n}\n", True),
        ("// fn main() {\nstarts!(go);\n", False),
        ("fn main() {\n    #![allow(unused)]\n}\n", False),
    ],
)
def test_the_marker_is_put_where_it_is_safe(tmp_path: Path, source: str, by_main: bool) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.rs").write_text(source)
    (tmp_path / "Cargo.toml").write_text('[package]\nname = "a"\n')
    made = checkouts.apply(EditClass.SOURCE, checkouts.load(tmp_path), 0)
    assert made is not None
    (entry,) = made[0].changes.values()
    assert isinstance(entry, File)
    assert b"layerproof-marker-1" in entry.content
    assert (b"link_section" not in entry.content) is by_main


def test_the_way_back_is_the_way_there() -> None:
    start = checkouts.load(OFFLINE)
    made = checkouts.apply(EditClass.ODD_NAME, start, 0)
    assert made is not None
    edit, after = checkouts.back(made[1], start)
    assert list(edit.changes.values()) == [None]
    assert after == start


def test_a_project_without_a_binary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no binary to edit"):
        checkouts.load(tmp_path)


@pytest.mark.parametrize(
    ("binary", "source"),
    [
        ("worker", "lambdas/worker/src/main.rs"),
        ("tool", "lambdas/worker/src/bin/tool.rs"),
        ("renamed", "lambdas/api/src/main.rs"),
        ("elsewhere", "lambdas/api/zz/app.rs"),
        ("unknown", "lambdas/api/src/main.rs"),
        (None, "lambdas/api/src/main.rs"),
    ],
)
def test_the_program_that_is_shipped_is_the_one_that_is_edited(
    tmp_path: Path, binary: str | None, source: str
) -> None:
    renamed = '[[bin]]\nname = "renamed"\npath = "src/main.rs"\n'
    renamed += '[[bin]]\nname = "elsewhere"\npath = "./zz/app.rs"\n'
    (tmp_path / "lambdas" / "api" / "zz").mkdir(parents=True)
    (tmp_path / "lambdas" / "api" / "zz" / "app.rs").write_text("fn main() {}\n")
    for name, more in {"api": renamed, "worker": ""}.items():
        (tmp_path / "lambdas" / name / "src" / "bin").mkdir(parents=True)
        (tmp_path / "lambdas" / name / "src" / "main.rs").write_text("fn main() {}\n")
        manifest = f'[package]\nname = "{name}"\n\n{more}'
        (tmp_path / "lambdas" / name / "Cargo.toml").write_text(manifest)
    (tmp_path / "lambdas" / "worker" / "src" / "bin" / "tool.rs").write_text("fn main() {}\n")
    assert checkouts.load(tmp_path, binary=binary).source == source


@pytest.mark.parametrize(
    ("dependency", "found"),
    [
        ('core = { path = "../core" }', True),
        ("core.workspace = true", True),
        ('core = { path = "../core", optional = true }', False),
        ('core = "1"', False),
        ("", False),
    ],
)
def test_the_library_that_is_edited_is_one_that_the_program_needs(
    tmp_path: Path, dependency: str, found: bool
) -> None:
    texts = {
        "Cargo.toml": '[workspace]\n[workspace.dependencies]\ncore = { path = "crates/core" }\n',
        "crates/app/Cargo.toml": f'[package]\nname = "app"\n[dependencies]\n{dependency}\n',
        "crates/app/src/main.rs": "fn main() {}\n",
        "crates/core/Cargo.toml": '[package]\nname = "the-core"\n',
        "crates/core/src/lib.rs": "//! It.\n",
    }
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    made = checkouts.edit_of_a_library(checkouts.load(tmp_path))
    assert (made is not None) is found
    if made is not None:
        edit, package = made
        assert (list(edit.changes), package) == (["crates/core/src/lib.rs"], "the-core")


@pytest.mark.parametrize(
    ("workspace", "commented"),
    [
        ('[workspace]\nmembers = ["crates/*"]\nexclude = ["crates/old"]\n', {"core"}),
        ('[workspace]\nmembers = ["./crates/old/", "crates/app"]\n', {"old"}),
        ('[workspace]\nmembers = ["crates/a*"]\n', set()),
        ("", set()),
    ],
)
def test_every_library_of_the_workspace_is_a_source(
    tmp_path: Path, workspace: str, commented: set[str]
) -> None:
    texts = {"Cargo.toml": workspace, "vendor/x/Cargo.toml": '[package]\nname = "x"\n'}
    for name in ("app", "core", "old"):
        texts[f"crates/{name}/Cargo.toml"] = f'[package]\nname = "{name}"\n'
        texts[f"crates/{name}/src/lib.rs"] = "//! It.\n"
    texts["vendor/x/src/lib.rs"] = "//! It.\n"
    texts["crates/app/src/main.rs"] = "fn main() {}\n"
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    start = checkouts.load(tmp_path)
    made = [checkouts.apply(EditClass.SOURCE_COMMENT, start, choice) for choice in range(5)]
    paths = [path for each in made if each is not None for path in each[0].changes]
    assert paths[:2] == ["crates/app/src/main.rs", "crates/app/src/lib.rs"]
    assert set(paths[2:]) == {f"crates/{name}/src/lib.rs" for name in commented}


@pytest.mark.parametrize(
    ("said", "path"),
    [("", "build.rs"), ('build = "tools/make.rs"\n', "tools/make.rs"), ("build = false\n", None)],
)
def test_the_build_script_that_is_edited_is_the_packages_own(
    tmp_path: Path, said: str, path: str | None
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "tools").mkdir()
    for name in ("src/main.rs", "build.rs", "tools/make.rs"):
        (tmp_path / name).write_text("fn main() {}\n")
    (tmp_path / "Cargo.toml").write_text(f'[package]\nname = "a"\n{said}')
    made = checkouts.apply(EditClass.BUILD_SCRIPT, checkouts.load(tmp_path), 0)
    assert (list(made[0].changes) if made is not None else [None]) == [path]


def test_an_edit_that_needs_knowledge_of_the_project_is_none_of_a_real_one() -> None:
    start = checkouts.load(OFFLINE)
    for edit_class in set(EditClass) - set(checkouts.CLASSES):
        assert checkouts.apply(edit_class, start, 0) is None
    plan = each_file_in_turn(start)
    source, library, back, readme = plan.steps
    assert [step.edit.edit_class for step in plan.steps] == [
        EditClass.SOURCE,
        EditClass.SOURCE_COMMENT,
        EditClass.REVERT,
        EditClass.README,
    ]
    assert library.edit.changes.keys() == {"src/lib.rs"}
    assert back.after == start
    assert readme.edit.changes.keys() == {"README.md"}
    assert source.after != readme.after


IN_A_FOLDER = {
    "tools/src/main.rs": "fn main() {}\n",
    "tools/Cargo.toml": '[package]\nname = "tools"\n',
    "services/Cargo.toml": '[workspace]\nmembers = ["api", "lib-*"]\nexclude = ["lib-old"]\n'
    '[workspace.dependencies]\nlib-one = { path = "lib-one" }\n',
    "services/Cargo.lock": '[[package]]\nname = "itoa"\nversion = "1.0.0"\nsource = "crates"\n',
    "services/api/Cargo.toml": '[package]\nname = "api"\n[dependencies]\n'
    "lib-one = { workspace = true }\n",
    "services/api/src/main.rs": "fn main() {\n}\n",
    "services/lib-one/Cargo.toml": '[package]\nname = "lib-one"\n[lib]\npath = "all/of.rs"\n',
    "services/lib-one/all/of.rs": "",
    "services/lib-old/Cargo.toml": '[package]\nname = "lib-old"\n',
    "services/lib-old/src/lib.rs": "",
}


def test_a_project_in_a_folder_is_edited_there(tmp_path: Path) -> None:
    for path, content in IN_A_FOLDER.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    now = checkouts.load(tmp_path, folder="services")
    assert now.source == "services/api/src/main.rs"
    assert now.others == ("services/lib-one/all/of.rs",)
    assert checkouts.locked(now) == {"itoa 1.0.0"}
    library = checkouts.edit_of_a_library(now)
    assert library is not None
    assert (tuple(library[0].changes), library[1]) == (("services/lib-one/all/of.rs",), "lib-one")
    profile = checkouts.apply(EditClass.PROFILE, now, 0)
    assert profile is not None
    assert tuple(profile[0].changes) == ("services/Cargo.toml",)
    assert "tools/src/main.rs" in now.tree


EMBEDDING = {
    "Cargo.toml": '[package]\nname = "app"\n[[bin]]\nname = "x"\npath = "cmd/x.rs"\n',
    "cmd/x.rs": 'const X: &str = include_str!("x.txt");\n',
    "cmd/x.txt": "",
    "src/main.rs": 'const A: &str = include_str!("../sql/a.sql");\nfn main() {\n}\n',
    "src/pages/mod.rs": "const B: &[u8] =\n    include_bytes!(concat!(env!("
    '"CARGO_MANIFEST_DIR"), "/pages/b.html"));\n'
    'const C: &str = include_str!("gone.txt");\n',
    "src/lib.rs": "",
    "tests/all.rs": 'const D: &str = include_str!("d.txt");\n',
    "tests/d.txt": "",
    "sql/a.sql": "SELECT 1;",
    "pages/b.html": "<b>",
    "notes/c.txt": "",
}


@pytest.mark.parametrize(
    ("left_out", "others"),
    [
        ((), ("src/lib.rs", "cmd/x.txt")),
        (("src/lib.rs", "cmd/x.rs"), ("sql/a.sql",)),
        (("cmd/x.txt", "sql/a.sql"), ("src/lib.rs", "pages/b.html")),
    ],
)
def test_a_file_that_is_compiled_in_is_a_source(
    left_out: tuple[str, ...], others: tuple[str, ...], tmp_path: Path
) -> None:
    for path, content in EMBEDDING.items():
        if path not in left_out:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
    now = checkouts.load(tmp_path)
    assert now.others == others
    made = checkouts.apply(EditClass.SOURCE_COMMENT, now, len(others))
    assert made is not None
    (entry,) = (made[1].tree[path] for path in made[0].changes)
    assert isinstance(entry, File)
    assert entry.content == (EMBEDDING[others[-1]]).encode() + WORD + b"\n"
