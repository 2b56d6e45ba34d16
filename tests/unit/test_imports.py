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
RIM = ("process", "engine", "running.builder", "running.bases", "scenario")
"""The effectful layers, each of which may import those before it. Others are pure, or above."""


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
def test_nothing_below_the_rim_imports_it(name: str) -> None:
    if name in RIM:
        above = set(RIM[RIM.index(name) + 1 :])
        assert not ours(name) & above


@pytest.mark.parametrize("name", sorted(MODULES))
def test_the_harness_imports_neither_properties_nor_tests(name: str) -> None:
    roots = {module.partition(".")[0] for module in imported(MODULES[name])}
    assert not roots & {"properties", "tests", "conftest", "benchmarks"}


PURE = (
    *("model", "progress", "commands", "dockerfile", "cache", "strategies"),
    *(name for name in MODULES if name.startswith(("parsing.", "structure.", "keys."))),
    *("generated.projects", "generated.registry", "generated.edits", "generated.recipe"),
    *("judging.report", "judging.minimality", "judging.legacy", "judging.elf"),
)


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_reach_no_effects(name: str) -> None:
    assert not reached(name) & set(RIM)
