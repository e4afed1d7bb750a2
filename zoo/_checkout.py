"""Finds `zoo.weights` and `zoo.export` in a source checkout, where their folders stand beside this package.

Only these two names are found there: with the repository's root on the package's path, `zoo.tests` and
`zoo.zoo` would be importable as well, the latter a second copy of every class.
"""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

MAPPED = ("weights", "export")
ROOT = Path(__file__).resolve().parent.parent


class MappedPackages(MetaPathFinder):
    """Finds the packages of `MAPPED`, and nothing else."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        """The place of one of the two packages; `None` for any other name."""
        parent, _, name = fullname.rpartition(".")
        if parent != "zoo" or name not in MAPPED:
            return None
        folder = ROOT / name
        return spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def find_mapped_packages() -> None:
    """Have Python find the two packages here, before an installed copy of another checkout."""
    if not any(isinstance(finder, MappedPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, MappedPackages())
