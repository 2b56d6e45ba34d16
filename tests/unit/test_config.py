"""What `layerproof.toml` may say, and that the documentation of it is true."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from harness import config, dockerfile
from harness.errors import UsageError
from harness.structure import checks as structure
from harness.structure import docs as structure_docs
from harness.structure import roles
from harness.structure.roles import Role

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DESIGNS = ROOT / "fixtures" / "dockerfiles" / "designs"
EXAMPLES = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)


def _written(directory: Path, text: str, name: str = config.FILE) -> config.Config:
    (directory / name).write_text(text)
    return config.find(directory)


def test_without_a_file_everything_is_left_to_inference(tmp_path: Path) -> None:
    assert config.find(tmp_path) == config.Config(directory=tmp_path)


def test_every_key_is_read(tmp_path: Path) -> None:
    found = _written(
        tmp_path,
        """
        dockerfile = "docker/Dockerfile"
        scripts-dir = "tools"
        target = "run"
        binary = "/app"
        allow = ["runs-as-root"]
        image-files = ["/app/templates/*"]
        [roles]
        base = "chef"
        [images]
        build = "RUST"
        [build-args]
        A = "1"
        [secrets]
        ca = "/ca.pem"
        [depends-on]
        plan = ["Cargo.lock", "$A"]
        [not-claimed]
        P2 = "no dev container"
        """,
    )
    assert found == config.Config(
        directory=tmp_path,
        source=str(tmp_path / "layerproof.toml"),
        dockerfile="docker/Dockerfile",
        scripts="tools",
        target="run",
        binary="/app",
        roles={"base": "chef"},
        images={"build": "RUST"},
        build_args={"A": "1"},
        secrets={"ca": "/ca.pem"},
        depends_on={"plan": ("Cargo.lock", "$A")},
        not_claimed={"P2": "no dev container"},
        allowed=("runs-as-root",),
        image_files=("/app/templates/*",),
    )


def test_pyproject_is_read_where_there_is_no_file_of_ours(tmp_path: Path) -> None:
    found = _written(tmp_path, '[tool.layerproof]\ntarget = "a"\n', config.PYPROJECT)
    assert found.target == "a"
    assert _written(tmp_path, 'target = "b"\n').target == "b"


def test_a_pyproject_of_something_else_says_nothing(tmp_path: Path) -> None:
    found = _written(tmp_path, "[tool.other]\nlayerproof = 1\n", config.PYPROJECT)
    assert found == config.Config(directory=tmp_path)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("targt = 'a'", "targt", "target"),
        ("target = 1", "target", "a string"),
        ("target = ''", "target", "a string"),
        ("roles = 'x'", "roles", "a table"),
        ("[roles]\ncompile = 'x'", "roles.compile", "dependencies"),
        ("[roles]\nbuild = 1", "roles.build", "a string"),
        ("[not-claimed]\nP9 = 'x'", "not-claimed.P9", "P8"),
        ("[images]\nbase = 'X'", "images.base", "runtime"),
        ("[depends-on]\nplan = 'Cargo.lock'", "depends-on.plan", "a list of strings"),
        ("allow = [1]", "allow", "a list of strings"),
    ],
)
def test_a_wrong_key_is_an_error_that_names_it(
    tmp_path: Path, text: str, key: str, expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        _written(tmp_path, text)
    assert repr(key) in caught.value.message
    assert expected in caught.value.render()
    assert caught.value.exit_code == 2


def test_what_is_no_toml_is_an_error_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 2"):
        _written(tmp_path, "a = 1\nb = \n")


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_documented_example_is_valid(text: str) -> None:
    table = tomllib.loads(text)
    table = table.get("tool", {}).get("layerproof", table)
    found = config.parse(table, source="docs")
    path = DESIGNS / (found.dockerfile or "")
    if path.is_file():
        parsed = dockerfile.load(path)
        assert structure.check(parsed, overrides=found.roles) == ()
        names = {stage.name for stage in parsed.stages}
        assert {*found.depends_on, *([found.target] if found.target else [])} <= names


def test_there_is_an_example_for_each_design() -> None:
    documented = {tomllib.loads(text).get("dockerfile") for text in EXAMPLES}
    assert {path.name for path in DESIGNS.iterdir()} <= documented


def test_the_stated_roles_of_the_stub_design_are_the_inferred_ones() -> None:
    parsed = dockerfile.load(DESIGNS / "stubs.Dockerfile")
    text = next(t for t in EXAMPLES if 'dockerfile = "stubs.Dockerfile"' in t)
    stated = config.parse(tomllib.loads(text), source="docs").roles
    inferred = roles.infer(parsed)
    for name, stage_name in stated.items():
        assert parsed.stage(stage_name) is inferred.stage(Role(name))


def test_every_key_is_documented() -> None:
    page = (DOCS / "configuration.md").read_text()
    for key in config._KEYS:
        assert f"`{key}`" in page or f"`[{key}]`" in page


def test_the_page_of_structure_checks_is_made_from_the_rules() -> None:
    assert (DOCS / "structure-checks.md").read_text() == structure_docs.document()
