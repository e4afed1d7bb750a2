"""Models in repositories of a hub: which file holds the weights, and what model it is of."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo import provenance
from zoo.errors import FormatError, InputError
from zoo.files import cache_dir, written_whole
from zoo.weights import containers
from zoo.weights.hub import HubAddress, hub_files, parse_address
from zoo.weights.npz import ABOUT
from zoo.weights.readers import archive
from zoo.weights.readers.hdf5 import CONFIG

# What Keras writes for `model.save("hf://…")`: the members of a .keras file, each by itself.
PRESET = ("config.json", "metadata.json", "model.weights.h5")
_WHOLE = (".keras", ".npz")  # which say what model they are of, the surest first
_LONGEST = 64 << 20  # of a description


def fetched_weights(text: str) -> tuple[Path, HubAddress]:
    """The weights file of an address, and the address with its commit.

    Raises:
        InputError: A repository without a weights file, or with several.
        DownloadError: As of `zoo.weights.hub.hub_files`.
    """
    address = parse_address(text)
    found = hub_files(address, lambda sizes: _chosen(address, sizes))
    if set(found.paths) == set(PRESET):
        return _packed(found.paths, found.digests), found.address
    (path,) = found.paths.values()
    return path, found.address


def model_named_in(path: Path, address: HubAddress) -> str:
    """Name of the model whose weights a file has.

    Raises:
        InputError: A kind of file that does not say it, or another library's model.
        FormatError: A damaged file.
    """
    suffix = path.suffix.lower()
    if suffix == ".keras":
        return _name_in_keras(path, address)
    if suffix == ".npz":
        with archive.opened(path, kind=".npz") as file:
            about = {member.filename: member for member in file.infolist()}.get(f"{ABOUT}.npy")
            if about is not None:
                return provenance.from_text(str(archive.read_array(file, about)), file=path.name)[0]
    raise InputError(
        f"{address}: {path.name} does not say of what model it is: zoo.load(MODEL, {str(address)!r})"
    )


def _chosen(address: HubAddress, sizes: Mapping[str, int]) -> Sequence[str]:
    if address.file is not None:
        if address.file not in sizes:
            raise InputError(f"{address}: there is no such file; there are {_listed(sizes)}")
        return [address.file]
    known = [name for name in sizes if "/" not in name and name.lower().endswith(containers.suffixes())]
    for suffix in _WHOLE:
        fits = [name for name in known if name.lower().endswith(suffix)]
        if fits:
            return [_only(address, fits)]
    if set(PRESET) <= set(sizes):
        return PRESET
    return [_only(address, [name for name in known if not name.endswith(".index.json")] or known)]


def _only(address: HubAddress, names: Sequence[str]) -> str:
    if not names:
        raise InputError(f"{address}: there is no file of weights")
    if len(names) > 1:
        named = f"hf://{address.repository}/FILE names one"
        raise InputError(f"{address}: several files may be meant: {_listed(names)}; {named}")
    return names[0]


def _listed(names: Sequence[str] | Mapping[str, int]) -> str:
    return ", ".join(sorted(names)[:8]) or "none"


def _packed(paths: Mapping[str, Path], digests: Mapping[str, str]) -> Path:
    """The members of a ``.keras`` file as one."""
    target = cache_dir() / "hub" / "keras" / f"{digests[PRESET[2]][:32]}-{digests[PRESET[0]][:16]}.keras"
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as packed:
        for name, path in paths.items():
            packed.write(path, name)
    return target


def _name_in_keras(path: Path, address: HubAddress) -> str:
    with archive.opened(path, kind=".keras") as file:
        try:
            if file.getinfo(CONFIG).file_size > _LONGEST:
                raise FormatError(f"{path.name}: a description of more than {_LONGEST:,} bytes")
            config = json.loads(file.read(CONFIG))
            origin, name = f"{config.get('module')}.{config.get('class_name')}", config["config"]["name"]
        except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise FormatError(f"{address} describes no Keras model") from error
    if not isinstance(name, str) or origin.startswith(("keras_hub.", "keras_cv.", "keras_nlp.")):
        raise InputError(f"{address}: holds {origin}, a preset of another library and no model of the zoo")
    return name
