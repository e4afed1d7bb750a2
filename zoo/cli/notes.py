"""Lines on standard error about what is no error and should be known."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator


def note(message: object) -> None:
    """A line on standard error about what should be known."""
    print(f"zoo: note: {' '.join(str(message).split())}", file=sys.stderr, flush=True)


def progress_of_samples(samples: Iterable) -> Iterable:
    """The samples, with a bar on standard error where that is a terminal."""
    from tqdm import tqdm

    return tqdm(samples, unit=" samples", leave=False, disable=None, file=sys.stderr)


@contextlib.contextmanager
def warnings_as_notes() -> Iterator[Callable[[object], None]]:
    """Within it the zoo's own warnings are one line each; gives `note`, which tells each line once."""
    before, told = warnings.showwarning, set()

    def tell(message: object) -> None:
        if str(message) not in told:
            told.add(str(message))
            note(message)

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        if category is not UserWarning or f"{os.sep}zoo{os.sep}" not in filename:
            before(message, category, filename, lineno, file, line)
        else:
            tell(message)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield tell
