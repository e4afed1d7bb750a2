"""Opens a file for timing with the runner of its format."""

from __future__ import annotations

from pathlib import Path

from zoo.errors import FormatError, InputError
from zoo.export import formats
from zoo.export.core.runner import Runner


def runner_class(path: Path) -> type[Runner]:
    """Which runner takes a file or folder; imports no runtime.

    Raises:
        InputError: It does not exist, or is none of the formats.
    """
    return formats.at(path, part="runner").load("runner")


def open_runner(path: Path, *, threads: int, kind: type[Runner] | None = None) -> Runner:
    """Load a file or folder.

    Args:
        path: Of the file or folder.
        threads: Of the runtime.
        kind: Which runner; `None` for that of the format.

    Raises:
        InputError: As `runner_class`, or an input that is no RGB image.
        FormatError: A damaged file.
    """
    kind = kind or runner_class(path)
    try:
        return kind(path, threads=threads)
    except InputError:
        raise
    except Exception as error:  # each runtime has errors of its own, without a common base
        text = " ".join(str(error).split())[:300]
        raise FormatError(f"{path} cannot be loaded as {kind.format}: {text}") from error
