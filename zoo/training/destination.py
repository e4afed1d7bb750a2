"""Where a run is written: a folder here, or one in an object store with a working copy here."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.remote import RemoteFolder, is_remote
from zoo.training.checkpoints import made_folder
from zoo.training.loop import Report
from zoo.training.records import Row

# Large, and never read again by the run that wrote them.
_MODELS = (".keras",)
# Names the checkpoint that counts.
_LAST = ("checkpoints/checkpoint",)


@dataclass(frozen=True)
class Destination:
    """A run's folder on this machine.

    Attributes:
        folder: `None` where nothing is written.
        remote: What it is copied to, or `None`.
    """

    folder: Path | None
    remote: RemoteFolder | None = None

    def told(self, report: Report | None) -> Report | None:
        """`report`, with a copy made before each call."""
        if self.remote is None:
            return report

        def copied(trained: Row, scored: Row) -> None:
            self.copy()
            if report is not None:
                report(trained, scored)

        return copied

    def copy(self) -> None:
        """Bring the copy up to date, if there is one."""
        if self.remote is not None:
            self.remote.push()


@contextlib.contextmanager
def destination(output: Path | str | None, *, write: bool) -> Iterator[Destination]:
    """Where a run is written; of an address, a temporary folder that holds what was there.

    Args:
        output: Folder, address or `None`.
        write: Whether this process is the chief, who alone writes to a store. Its folder is copied at the
            end of the block in any case, after an error as well.

    Raises:
        InputError: A folder that cannot be made, or an address that cannot be written.
    """
    if output is None or not is_remote(output):
        yield Destination(None if output is None else made_folder(output))
        return
    with tempfile.TemporaryDirectory() as folder:
        remote = RemoteFolder(os.fspath(output), Path(folder), last=_LAST)
        remote.pull(but=_MODELS)
        found = Destination(Path(folder), remote if write else None)
        try:
            yield found
        finally:
            found.copy()
