"""Rewrites a source archive so that equal files make equal bytes: .ci/fixed_sdist.py FILE.tar.gz SECONDS.

Members come in the order of their names, with the time SECONDS (since 1970), without owner, readable by all.
setuptools fixes all of this in wheels by itself, and in source archives it does not.
"""

import gzip
import io
import sys
import tarfile
from pathlib import Path


def fixed(content: bytes, seconds: int) -> bytes:
    """The archive with the same files."""
    plain = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as source,
        tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as target,
    ):
        for member in sorted(source.getmembers(), key=lambda member: member.name):
            made = tarfile.TarInfo(member.name)
            made.type, made.size, made.mtime = member.type, member.size, seconds
            made.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            target.addfile(made, source.extractfile(member) if member.isfile() else None)
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=9, mtime=seconds) as stream:
        stream.write(plain.getvalue())
    return packed.getvalue()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_bytes(fixed(path.read_bytes(), int(sys.argv[2])))
