"""How far a download is: for the caller, or a bar in a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

# Called with the bytes that are there, and those of the whole file where that is known.
Progress = Callable[[int, int | None], None]


@contextlib.contextmanager
def reporting(file: str, progress: Progress | None) -> Iterator[Progress]:
    """The caller's hook, or a bar with the name of the file on stderr if that is a terminal."""
    if progress is not None or not sys.stderr.isatty():
        yield progress or (lambda done, total: None)
        return
    from tqdm import tqdm

    with tqdm(desc=file, unit="B", unit_scale=True, file=sys.stderr) as bar:

        def report(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield report
