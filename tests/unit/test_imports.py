"""Imports point one way, effects stay at the rim, and only `process` runs commands."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"
MODULES = {
    ".".join(path.relative_to(HARNESS).with_suffix("").parts): path
    for path in sorted(HARNESS.rglob("*.py"))
}
LAYERS = (
    ("__init__", "errors", "brief"),
    ("model",),
    (
        *("parsing", "dockerfile", "structure", "keys", "cache", "generated", "strategies"),
        *("judging", "progress", "commands", "config", "subject"),
        *("texts", "asked", "naming", "fitting", "for_scripts", "exported", "outside"),
    ),
    ("process",),
    ("engine",),
    tuple(
        f"running.{n}"
        for n in (
            *(
                "builder",
                "bases",
                "derive",
                "promises",
                "stand_ins",
                "tools",
                "trust",
                "layer_folders",
                "images",
                "programs",
            ),
            *("sweep", "execution", "noting"),
        )
    ),
    ("scenario",),
    ("running",),
    ("cli", "__main__"),
)
"""Modules and rooms, each of which may import those of its own layer and of the ones before it."""
PURE_LAYERS = 3
"""So many of the first have no effects but reading what they are named and writing trees."""


def layer(name: str) -> int:
    """Return the number of a module's layer: that of the module itself, or of its room."""
    room = name.partition(".")[0]
    found = [n for n, names in enumerate(LAYERS) for each in names if each in {name, room}]
    assert found, f"harness.{name} has no layer: say in LAYERS what it may import"
    return found[0]


def imported(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, ours as `harness.x`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            if node.module.startswith("harness"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(name: str) -> set[str]:
    """Return the names of the harness modules that a module imports."""
    named = {n.removeprefix("harness.") for n in imported(MODULES[name])}
    return named & set(MODULES)


def reached(name: str) -> set[str]:
    """Return the modules that a module imports, directly or not."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for found in ours(todo.pop()) & set(MODULES):
            if found not in seen:
                seen.add(found)
                todo.append(found)
    return seen


def test_only_process_imports_subprocess() -> None:
    users = [name for name, path in MODULES.items() if "subprocess" in imported(path)]
    assert users == ["process"]


def test_errors_imports_nothing_of_ours_and_model_nothing_at_all() -> None:
    assert ours("errors") == set()
    assert ours("model") == set()


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_imports_itself_by_way_of_others(name: str) -> None:
    assert name not in reached(name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_no_module_imports_one_of_a_layer_above_it(name: str) -> None:
    assert [each for each in ours(name) if layer(each) > layer(name)] == []


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_harness_imports_neither_properties_nor_tests(name: str) -> None:
    roots = {module.partition(".")[0] for module in imported(MODULES[name])}
    assert not roots & {"properties", "tests", "conftest", "benchmarks"}


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if layer(name) < PURE_LAYERS])
def test_pure_modules_reach_no_effects(name: str) -> None:
    assert max(map(layer, reached(name)), default=0) < PURE_LAYERS
