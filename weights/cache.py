"""Where downloaded and converted weights live, and the cache of converted weights.

Layout of the cache folder (``ZOO_CACHE``, else the user's cache folder of the platform)::

    files/<file>            a complete, verified download
    files/<file>.part       a download that was killed or cut off; the next fetch resumes it
    files/<file>.lock       held by the process that downloads the file
    seen/<file>.json        digest of a file whose publisher never stated one
    converted/<...>.npz     arrays converted from a file, ready to assign
"""

import contextlib
import hashlib
import os
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.files import cache_dir as cache_dir
from zoo.weights.readers import archive

_STALE_SECONDS = 3600


def files_dir() -> Path:
    """Folder of downloaded files, each under its published name."""
    return cache_dir() / "files"


def seen_dir() -> Path:
    """Folder of the digests recorded for files without a published one."""
    return cache_dir() / "seen"


def converted_dir() -> Path:
    """Folder of converted weights."""
    return cache_dir() / "converted"


def converted_path(*, source_sha256: str, converter_version: str, key: str) -> Path:
    """Cached file of one conversion; another source, converter or key gives another file.

    Args:
        source_sha256: 64 hex digits, the digest of the file that was converted.
        converter_version: Changes whenever the converter's result changes.
        key: What else the result depends on, such as the name map and the model.
    """
    identity = "\0".join((source_sha256, converter_version, key)).encode()
    return converted_dir() / f"{source_sha256[:16]}-{hashlib.sha256(identity).hexdigest()[:16]}.npz"


def load_converted(path: Path) -> dict[str, np.ndarray] | None:
    """Arrays that `store_converted` wrote, or ``None`` if the file is absent or damaged.

    Each array's checksum is verified while it is read; nothing in the file can execute.
    """
    try:
        with archive.opened(path, kind=".npz") as file:
            members = file.infolist()
            if file.comment != _comment(len(members)):
                return None
            return {m.filename.removesuffix(".npy"): archive.read_array(file, m) for m in members}
    except Exception:  # whatever is wrong with a cached file, the weights are converted again
        return None


def store_converted(path: Path, arrays: dict[str, np.ndarray]) -> bool:
    """Write arrays beside `path`, then rename; a reader never sees half a file.

    Args:
        path: A path from `converted_path`; its folder is created.
        arrays: Arrays by name (names may contain ``/``); uncompressed, so that loading is quick.

    Returns:
        Whether the file was stored. A full or unwritable disk gives ``False`` and leaves nothing
        behind: the cache only saves time.

    Raises:
        InputError: An array has a dtype that would need pickle.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject or np.asarray(array).dtype.kind == "V":
            raise InputError(f"array {name!r} of dtype {array.dtype} cannot be stored")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            _write_arrays(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        return False
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
    return True


def _write_arrays(file, arrays: dict[str, np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as stored:
        stored.comment = _comment(len(arrays))
        for name, array in arrays.items():
            with stored.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _comment(count: int) -> bytes:
    """A damaged directory could hide arrays; their number is stored a second time."""
    return b"zoo %d" % count


def _sweep(folder: Path) -> None:
    """Remove what a killed process left behind long ago."""
    for path in folder.glob("*.tmp"):
        with contextlib.suppress(FileNotFoundError):  # another process swept it first
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
