"""One page for each public package, from its docstrings and types; nothing is imported for it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
# Packages within the members of `zoo` that are public themselves.
NESTED = ("zoo.datasets.convert", "zoo.training.losses")
FOLDER = "api/"
_tree = tempfile.TemporaryDirectory(prefix="zoo-api-")


@event_priority(100)  # before mkdocstrings makes its handlers
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Shows mkdocstrings the package as it is installed, and the pages to the navigation."""
    link_sources()
    config.plugins["mkdocstrings"].config.handlers["python"]["paths"] = [_tree.name]
    names = sorted(_packages())
    config.nav = expand(config.nav, FOLDER + "*", [{name: f"{FOLDER}{name}.md"} for name in names])
    return config


def link_sources() -> None:
    """Makes a folder with the package as it is installed: `weights` and `export` are part of `zoo`."""
    package = Path(_tree.name) / "zoo"
    if not package.exists():
        package.mkdir()
        for path in [*(REPOSITORY / "zoo").iterdir(), REPOSITORY / "weights", REPOSITORY / "export"]:
            os.symlink(path, package / path.name)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    for name, members in _packages().items():
        files.append(File.generated(config, f"{FOLDER}{name}.md", content=_page(name, members)))
    return files


def on_shutdown() -> None:
    """Removes the tree."""
    _tree.cleanup()


def expand(nav: list, pattern: str, pages: list[dict]) -> list:
    """The navigation with a list of pages in place of a pattern."""
    found = []
    for item in nav:
        if isinstance(item, dict):
            ((title, value),) = item.items()
            if value == pattern:
                item = {title: pages}
            elif isinstance(value, list):
                item = {title: expand(value, pattern, pages)}
        found.append(item)
    return found


def _packages() -> dict[str, list[str]]:
    """Public names by public package."""
    zoo = griffe.load("zoo", search_paths=[_tree.name], try_relative_path=False)
    inner = [f"zoo.{name}" for name in zoo.exports if name in zoo.modules]
    found = {}
    for name in ("zoo", *inner, *NESTED):
        module = zoo if name == "zoo" else zoo[name.removeprefix("zoo.")]
        public = module.exports or [
            key for key, member in module.members.items() if not (key.startswith("_") or member.is_alias)
        ]
        own = [key for key in map(str, public) if f"{name}.{key}" not in (*inner, *NESTED)]
        found[name] = [_path(module, key) for key in own]
    return found


def _path(module: griffe.Module, name: str) -> str:
    """Where a public name is found from its package: a module of the same name hides a function."""
    hidden = name in module.modules and name in module.modules[name].members
    return f"{name}.{name}" if hidden else name


def _page(name: str, members: list[str]) -> str:
    unnamed = "{members: false, show_root_heading: false, show_root_toc_entry: false}"
    parts = [f"# {name}\n", f"::: {name}\n    options: {unnamed}\n"]
    parts += [f"::: {name}.{member}\n" for member in members if not member.startswith("__")]
    return "\n".join(parts)
