"""The table of tests that are not quick names tests that exist."""

import ast
from pathlib import Path

import pytest
from support.tiers import FIXTURES, MODERATE, SLOW

TESTS = Path(__file__).parent


@pytest.mark.parametrize("folder", sorted({*SLOW, *MODERATE, *FIXTURES}))
def test_every_entry_exists(folder):
    trees = [
        ast.parse(path.read_text("utf-8"))
        for path in [*(TESTS / folder).glob("test_*.py"), *(TESTS / folder).glob("conftest.py")]
    ]
    defined = {node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)}
    slow, moderate = SLOW.get(folder, set()), MODERATE.get(folder, set())
    assert sorted((slow | moderate | FIXTURES.get(folder, set())) - defined) == []
    assert not slow & moderate
