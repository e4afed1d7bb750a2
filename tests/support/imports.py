"""Imports as the source states them: at the top, inside functions, for type checkers, and by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[2]


class Import(NamedTuple):
    """`place` is ``path:line`` in the repository."""

    importer: str
    imported: str
    place: str


def modules(repository: Path = REPOSITORY) -> dict[str, Path]:
    """Every module of the package by the name that it is imported under."""
    found = {}
    for folder in ("zoo", "weights", "export"):
        for path in sorted((repository / folder).rglob("*.py")):
            parts = path.relative_to(repository).with_suffix("").parts
            parts = parts if folder == "zoo" else ("zoo", *parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(repository: Path = REPOSITORY) -> list[Import]:
    """Every import of one module of the package by another."""
    known = modules(repository)
    return [
        Import(importer, imported, f"{path.relative_to(repository)}:{line}")
        for importer, path in known.items()
        for imported, line in imported_names(path.read_text("utf-8"), importer, known)
        if imported != importer
    ]


def imported_names(source: str, importer: str, known: dict[str, Path]) -> Iterator[tuple[str, int]]:
    """``(module, line)`` of each module in `known` that the source imports, wherever it does.

    A string that is the name of a module counts: tables of what is imported later hold such names, with or
    without ``:name`` behind them.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = importer if known[importer].name == "__init__.py" else importer.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            below = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in known else base for name in below]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            names = [node.value.partition(":")[0]]
        else:
            continue
        yield from ((name, node.lineno) for name in dict.fromkeys(names) if name in known)
