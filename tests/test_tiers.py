"""The table of tests that are not quick names tests that exist."""

import ast
from pathlib import Path

import pytest
from support.tiers import MODERATE, SLOW

TESTS = Path(__file__).parent


@pytest.mark.parametrize("file", sorted({*SLOW, *MODERATE}))
def test_every_entry_exists(file):
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    named = [*SLOW.get(file, ()), *MODERATE.get(file, ())]
    assert set(named) <= defined and len(set(named)) == len(named)
