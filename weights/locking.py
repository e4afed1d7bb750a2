"""One process at a time, where the file system can tell; the callers end well where it cannot."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import DownloadError
from zoo.weights.reasons import why

# What file systems without locks answer: some network and user-space ones.
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}


@contextlib.contextmanager
def locked(target: Path, *, timeout: float = -1) -> Iterator[None]:
    """Hold the lock beside `target`; it is released even if the process is killed.

    Where the file system has no locks, nothing is held.

    Args:
        target: What is to be changed; its folder is made.
        timeout: Seconds to wait for another process, -1 for as long as it takes.

    Raises:
        DownloadError: Another process holds the lock, or the folder cannot be written.
    """
    import filelock

    lock = filelock.FileLock(f"{target}.lock", timeout=timeout)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise DownloadError(f"{target} is in use by another process; try again later") from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise DownloadError(
                f"the cache folder {target.parent} cannot be written: {why(error)};"
                " set ZOO_CACHE to a folder that can"
            ) from error
    try:
        yield
    finally:
        lock.release()
