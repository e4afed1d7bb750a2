"""``.nam`` files of drawn numbers, for tests."""

import json
from pathlib import Path

from goldens.nam_documents import documents

GOLDENS = Path(__file__).parents[1] / "goldens"


def write_nam(path: Path, content: dict | None = None) -> Path:
    """A file of that document, by default of two arrays."""
    path.write_text(json.dumps(documents()["two_arrays"] if content is None else content))
    return path
