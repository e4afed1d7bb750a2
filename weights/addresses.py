"""Where a file may be had: the mirrors that the environment names, and whether the network may be used."""

import os
import re
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from zoo.errors import DownloadError


def mirrors(file: str) -> list[str]:
    """Folders of ``ZOO_MIRROR`` and URLs of the file below its base URLs."""
    found = []
    for part in filter(None, map(str.strip, os.environ.get("ZOO_MIRROR", "").split(";"))):
        scheme = urlsplit(part).scheme if "://" in part else ""
        if scheme == "file":
            found.append(url2pathname(urlsplit(part).path))
        elif scheme in ("", "http", "https"):
            url = f"{part.rstrip('/')}/{quote(file)}"
            found.append(url if scheme else str(Path(part).expanduser()))
        else:
            raise DownloadError(f"ZOO_MIRROR: {part!r} is not a folder, http:// or https:// URL")
    return found


def is_offline() -> bool:
    """Whether ``ZOO_OFFLINE`` forbids network access."""
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no", "off")


def is_url(address: str) -> bool:
    """Whether an address needs the network; else it is a folder."""
    return address.startswith(("http://", "https://"))


def shown(address: str) -> str:
    """An address for a message, without a password."""
    return re.sub(r"//[^/@]*@", "//", address)
