"""Every public name exists, and `tests/typing` shows it in use to a type checker."""

import ast
import importlib
from pathlib import Path

import pytest
from support.imports import modules

TYPED = Path(__file__).parent / "typing"
PACKAGES = (
    "zoo",
    "zoo.ablation",
    "zoo.compression",
    "zoo.datasets",
    "zoo.datasets.convert",
    "zoo.datasets.records",
    "zoo.dilation",
    "zoo.evaluation",
    "zoo.export",
    "zoo.hub",
    "zoo.images",
    "zoo.inference",
    "zoo.layers",
    "zoo.metrics",
    "zoo.models",
    "zoo.training",
    "zoo.training.losses",
    "zoo.weights",
)


def used_names() -> set[str]:
    """Names that `tests/typing` imports or reads as attributes."""
    found = set()
    for path in TYPED.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names(name):
    package = importlib.import_module(name)
    public = package.__all__
    assert len(set(public)) == len(public)
    assert [n for n in public if not hasattr(package, n)] == []
    assert set(public) <= set(dir(package))
    assert sorted(set(public) - used_names()) == [], "public, but not used in tests/typing"


@pytest.mark.parametrize("name", PACKAGES)
def test_what_is_imported_late_is_known_to_type_checkers(name):
    """A package with `__getattr__` states the same names under TYPE_CHECKING, for editors."""
    tree = ast.parse(modules()[name].read_text("utf-8"))
    if not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in tree.body):
        return
    stated = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            stated |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            stated.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stated.add(node.id)
    assert sorted(set(importlib.import_module(name).__all__) - stated) == []
