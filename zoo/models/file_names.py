"""Files by another name, for libraries that tell kinds of files by their suffixes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def called(path: Path, *suffixes: str) -> Iterator[Path]:
    """The file under a name with one of these suffixes: its own, or within the block another one."""
    if path.name.endswith(suffixes):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        named = Path(folder) / f"file{suffixes[0]}"
        try:
            named.symlink_to(path.resolve())
        except OSError:  # where links are not for everybody
            shutil.copyfile(path, named)
        yield named
