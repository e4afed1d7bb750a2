"""Files of a model hub (Hugging Face), by the client of the extra ``hub``: pinned, verified and kept.

An address is ``hf://owner/name``, with ``@revision`` and ``/file`` behind where wanted. A revision
becomes the hash of a commit, and what was seen of that commit, with the SHA-256 of each file, is written down
in the cache folder::

    hub/models--…                            files, as the client keeps them
    hub/seen/<owner>--<name>/<commit>.json   their names, sizes and digests
    hub/seen/<owner>--<name>/revisions.json  commit by revision that was asked for

From then on another digest for the same commit is an error, and ``ZOO_OFFLINE`` reads what is there.
``HF_ENDPOINT`` is another server, read at each call.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import DownloadError, InputError
from zoo.files import cache_dir, write_text
from zoo.weights.addresses import is_offline
from zoo.weights.transfer import sha256_of

SCHEME = "hf://"
MOST_BYTES = 16 << 30  # of a file
_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}"
_ADDRESS = re.compile(rf"hf://({_WORD}/{_WORD})(?:@([A-Za-z0-9][A-Za-z0-9._%-]*))?(?:/({_WORD}))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DEFAULT = "main"
_STATUS = re.compile(r"\d{3} (Client|Server) Error\.")


@dataclass(frozen=True, kw_only=True)
class HubAddress:
    """A repository, and in it a revision and a file.

    Attributes:
        repository: ``owner/name``.
        revision: Branch, tag or hash of a commit; `None` for the main branch.
        file: Name of a file; `None` where the repository says which.
    """

    repository: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.repository}{revision}{f'/{self.file}' if self.file else ''}"


@dataclass(frozen=True, kw_only=True)
class HubFiles:
    """Verified files of one commit.

    Attributes:
        address: With the hash of the commit for its revision.
        paths: Local files by name; do not write to them.
        digests: SHA-256 by name.
    """

    address: HubAddress
    paths: Mapping[str, Path]
    digests: Mapping[str, str]


def is_hub_address(text: object) -> bool:
    """Whether it is ``hf://…``."""
    return isinstance(text, str) and text.startswith(SCHEME)


def parse_address(text: str) -> HubAddress:
    """The parts of an address; `InputError` where it has not the form."""
    found = _ADDRESS.fullmatch(text.rstrip("/"))
    if found is None or ".." in text:
        raise InputError(
            f"an address of the hub is hf://owner/name, @revision or /file behind it, not {text!r}"
        )
    return HubAddress(repository=found[1], revision=found[2], file=found[3])


def hub_files(address: HubAddress, choose: Callable[[Mapping[str, int]], Sequence[str]]) -> HubFiles:
    """Fetch files of a repository, or take them from the cache.

    Args:
        address: Whose file is for `choose` to look at.
        choose: From ``{name: bytes}`` of all files in the repository to the names that are wanted.

    Raises:
        InputError: What `choose` raises, or the client is not installed.
        DownloadError: No such repository, revision or file; one that is too large; another content than was
            published or seen before; or with ``ZOO_OFFLINE`` what was never loaded.
    """
    revision = address.revision or _DEFAULT
    folder = cache_dir() / "hub" / "seen" / address.repository.replace("/", "--")
    commit = revision if _COMMIT.fullmatch(revision) else None
    if is_offline():
        commit = commit or _read(folder / "revisions.json").get(revision)
    seen = _read(folder / f"{commit}.json") if commit else {}
    if is_offline() and not seen:
        raise DownloadError(f"{address}: was never loaded on this machine, and ZOO_OFFLINE is set")
    if not seen or (commit is None):
        commit, seen = _listed(address, revision)
        before = _read(folder / f"{commit}.json")
        seen = {name: {**facts, **before.get(name, {})} for name, facts in seen.items()}
    pinned = HubAddress(repository=address.repository, revision=commit, file=address.file)
    names = choose({name: facts["bytes"] for name, facts in seen.items()})
    paths = {name: _obtained(pinned, name, seen[name]) for name in names}
    for name, path in paths.items():
        seen[name]["sha256"] = _checked(pinned, name, path, seen[name])
    _write(folder / f"{commit}.json", seen)
    if not is_offline():
        _write(folder / "revisions.json", {**_read(folder / "revisions.json"), revision: commit})
    return HubFiles(address=pinned, paths=paths, digests={name: seen[name]["sha256"] for name in names})


def client() -> Any:
    """The package ``huggingface_hub``."""
    try:
        import huggingface_hub
    except ImportError:
        raise InputError(
            "hf:// addresses are read and written by huggingface_hub: pip install 'atrous-zoo[hub]'"
        ) from None
    return huggingface_hub


def endpoint() -> str | None:
    """The server that ``HF_ENDPOINT`` names; `None` for the client's own."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


@contextmanager
def told(address: HubAddress) -> Iterator[None]:
    """What the client raises, as one line."""
    try:
        yield
    except (DownloadError, InputError):
        raise
    except Exception as error:  # its own errors and those of its HTTP library have no common base
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        telling = [line for line in lines if not _STATUS.match(line)]  # "404 Client Error." says little
        text = next(iter(telling or lines), type(error).__name__)
        raise DownloadError(f"{address}: {text[:300]}") from error


def _listed(address: HubAddress, revision: str) -> tuple[str, dict[str, dict]]:
    """Hash of the commit, and its files with their sizes and published digests."""
    with told(address):
        api = client().HfApi(endpoint=endpoint(), library_name="atrous-zoo")
        info = api.model_info(address.repository, revision=revision, files_metadata=True, timeout=30)
    if not isinstance(info.sha, str) or not _COMMIT.fullmatch(info.sha):
        raise DownloadError(f"{address}: the server names no commit")
    found = {}
    for file in info.siblings or []:
        published = {"sha256": file.lfs.sha256} if file.lfs else {"blob": file.blob_id}
        if isinstance(file.size, int):
            found[file.rfilename] = {"bytes": file.size, **published}
    return info.sha, found


def _obtained(address: HubAddress, name: str, facts: Mapping) -> Path:
    if facts["bytes"] > MOST_BYTES:
        raise DownloadError(f"{address}: {name} has {facts['bytes']:,} bytes, of {MOST_BYTES:,} at most")
    options = {"revision": address.revision, "cache_dir": cache_dir() / "hub", "library_name": "atrous-zoo"}
    with told(address):
        return Path(
            client().hf_hub_download(
                address.repository, name, **options, endpoint=endpoint(), local_files_only=is_offline()
            )
        )


def _checked(address: HubAddress, name: str, path: Path, facts: Mapping) -> str:
    """SHA-256 of a file that is what was published and seen before."""
    size, digest = path.stat().st_size, sha256_of(path)
    expected = facts.get("sha256")
    blob = facts.get("blob")
    if size != facts["bytes"]:
        problem = f"has {size:,} bytes, expected {facts['bytes']:,}"
    elif expected not in (None, digest):
        problem = f"has the SHA-256 {digest}, expected {expected}"
    elif expected is None and blob is not None and _blob_of(path) != blob:
        problem = f"is another file than git's {blob}"
    else:
        return digest
    path.resolve().unlink(missing_ok=True)  # so that the next call fetches it again
    raise DownloadError(f"{address}: {name} {problem}; it was removed from the cache")


def _blob_of(path: Path) -> str:
    """The name that git gives to a content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, document: Mapping) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(document, indent=1, sort_keys=True) + "\n")
