"""What every source of weights gives: arrays by variable path, and what the model for them must be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from zoo import labels, provenance
from zoo.errors import InputError, MismatchError
from zoo.labels import LabelSet
from zoo.weights import containers, name_maps
from zoo.weights.cache import converted_path, load_converted, store_converted
from zoo.weights.choosing import hint, read_weights
from zoo.weights.containers import Container
from zoo.weights.entry import WeightsEntry
from zoo.weights.fetch import fetch
from zoo.weights.fitting import fits_of
from zoo.weights.folders import hint_of_shard
from zoo.weights.layouts import Layout, layouts_of
from zoo.weights.name_maps import NameMap
from zoo.weights.name_maps.conversion import convert, fit
from zoo.weights.name_maps.own import ZOO
from zoo.weights.one_channel import two_channels
from zoo.weights.transfer import sha256_of

# Part of the key of cached conversions: raise it whenever a reader, a map or a transform changes.
CONVERTER_VERSION = "1"
_SETTING = "setting:"
# Its length is the number of classes, where a file does not state that.
_CLASSIFIER_BIAS = "classifier/bias"

Converted = tuple[dict[str, np.ndarray], dict[str, float | int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint:
    """Weights of one source, ready to be assigned.

    Attributes:
        source: What messages call it: a tag of the catalog, or the name of a file.
        arrays: Float32 arrays by the paths of our variables; read-only mapping.
        name_map: How the source's names were read, and with it the part of a model that the arrays fill.
        settings: Arguments of the model's builder that the weights need; read-only.
        labels: The classes that the classifier was trained on, numbered where nobody named them; `None` where
            there is no classifier.
        is_stated: Whether the settings are the whole truth: the source, or the catalog, says them all.
        model: Name of the model that the weights are of, where the source says it.
        assumed: Settings that the source does not state, and that are taken for what is usual there.
        is_published: Whether it is an entry of the catalog, byte for byte.
        absent: Layers of ours that the source has nothing of, and that stay fresh.
    """

    source: str
    arrays: Mapping[str, np.ndarray]
    name_map: NameMap
    settings: Mapping[str, object] = field(default_factory=dict)
    labels: LabelSet | None = None
    is_stated: bool = True
    model: str | None = None
    assumed: tuple[str, ...] = ()
    is_published: bool = False
    absent: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "arrays", MappingProxyType(self.arrays))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))


def of_entry(entry: WeightsEntry, *, allow_unverified: bool = False) -> Checkpoint:
    """The checkpoint of a catalog entry, fetched if it is not here, converted once and cached.

    Raises:
        DownloadError: The file could not be fetched or verified.
        FormatError: The file is damaged.
        MismatchError: The file does not fit its name map.
    """
    path = fetch(entry, allow_unverified=allow_unverified)
    name_map = name_maps.resolve(entry.name_map)
    # A bundled file is the zoo's own form already: nothing is won by a converted copy.
    sha256 = None if entry.bundled else entry.sha256 or sha256_of(path)
    arrays, stated = convert_file(path, name_map=name_map, sha256=sha256)
    for name in ("classes", "about"):  # the entry says more
        stated.pop(name, None)
    return Checkpoint(
        source=entry.tag,
        arrays=arrays,
        name_map=name_map,
        settings={**entry.settings, **stated},
        labels=labels.resolve(entry.labels) if name_map.is_whole else None,
    )


def of_file(
    path: Path,
    *,
    model: str,
    entries: Iterable[WeightsEntry],
    partial: bool = False,
    key: str | None = None,
) -> list[Checkpoint]:
    """What a user's file of tensors may be: one checkpoint for each published form that its names fit.

    The file is read once, and its tensors are let go when this returns. Checkpoints of one name map share
    their arrays; which one's settings fit the shapes too, only a built model tells. Names of classes are the
    file's own, or those of the published file that it is, byte for byte; else they are numbered.

    Args:
        path: A file of a container that holds tensors.
        model: Name of the model, for messages.
        entries: Entries of the catalog whose conversions are tried, in this order.
        partial: Whether a file may lack its classifier, its head, or some of an auxiliary head, where no
            conversion fits as a whole.
        key: Where in the file the weights are; `None` for the set of tensors that fits.

    Raises:
        FormatError: The file is damaged, or not what its name says.
        InputError: No container of that name, no conversion from it for the model, or nothing at that key.
        MismatchError: The tensors' names fit none of the conversions.
    """
    container = containers.recognize(path)
    entries = tuple(entries)
    same = next((entry for entry in entries if _is_published(path, entry)), None)
    published = [e for e in entries if _is_foreign(name_maps.resolve(e.name_map), container)]
    usual = [x for x in layouts_of(model) if _is_foreign(name_maps.resolve(x.name_map), container)]
    maps = {row.name_map: name_maps.resolve(row.name_map) for row in (*published, *usual)}
    if ZOO.layout in container.layouts:
        maps[ZOO.key] = ZOO
    if not maps:
        raise InputError(f"{path.name}: {model} has no conversion from {_kind(path, container)} files")
    weights = read_weights(path, container, tuple(maps.values()), key=key)
    tensors = weights.tensors
    try:
        fitted = fits_of(tensors, tuple(maps.values()), container, file=path.name, partial=partial)
    except MismatchError as error:
        raise MismatchError(f"{error}{hint(weights)}{hint_of_shard(path)}") from None
    converted = {
        key: (convert(tensors, maps[key], found), dict(found.settings)) for key, found in fitted.items()
    }
    del weights, tensors
    forms = [
        _of_form(
            path,
            maps[row.name_map],
            converted[row.name_map],
            entry=row,
            is_published=row is same,
            absent=fitted[row.name_map].absent,
        )
        for row in (*published, *usual)
        if row.name_map in converted
    ]
    if ZOO.key in converted:
        # A container of somebody's own is loaded with the settings that its owner gives.
        is_stated = container.name not in containers.CONTAINERS
        own = same if same is not None and same.name_map == ZOO.key else None
        options = {"entry": own, "is_published": own is not None, "is_stated": is_stated or own is not None}
        forms.append(_of_form(path, ZOO, converted[ZOO.key], **options))
    return forms


def _kind(path: Path, container: Container) -> str:
    """What a file is called: by its suffix, or by its content where the suffix says something else."""
    return path.suffix if container.claim(path) else container.name


def _is_published(path: Path, entry: WeightsEntry) -> bool:
    """Whether a file is the one of an entry: by its digest, or by name where none was ever published."""
    if entry.sha256 is None:
        return path.name == entry.file
    as_large = path.is_file() and entry.bytes in (None, path.stat().st_size)
    return as_large and sha256_of(path) == entry.sha256


def convert_file(path: Path, *, name_map: NameMap, sha256: str | None = None) -> Converted:
    """Read and convert a file; the result is cached by the file's digest and the converter's version.

    Args:
        path: The published file.
        name_map: How to convert it.
        sha256: Digest of the file. Without one nothing is cached.

    Returns:
        Arrays by variable path, and the builder settings that the file states.
    """
    if sha256 is None:
        return _read_and_convert(path, name_map)
    cache = converted_path(source_sha256=sha256, converter_version=CONVERTER_VERSION, key=name_map.key)
    stored = load_converted(cache)
    if stored is None:
        arrays, settings = _read_and_convert(path, name_map)
        store_converted(
            cache, {**arrays, **{f"{_SETTING}{name}": np.asarray(v) for name, v in settings.items()}}
        )
        return arrays, settings
    settings = {p.removeprefix(_SETTING): a.item() for p, a in stored.items() if p.startswith(_SETTING)}
    return {p: a for p, a in stored.items() if not p.startswith(_SETTING)}, settings


def _read_and_convert(path: Path, name_map: NameMap) -> Converted:
    tensors = read_weights(path, containers.recognize(path), [name_map]).tensors
    fitted = fit(tensors, name_map)
    return convert(tensors, name_map, fitted), dict(fitted.settings)


def _is_foreign(name_map: NameMap, container: Container) -> bool:
    """Whether a file of that container may have a publisher's names of that map."""
    return name_map.layout in container.layouts and name_map.layout != ZOO.layout


def _of_form(
    path: Path,
    name_map: NameMap,
    converted: Converted,
    *,
    entry: WeightsEntry | Layout | None = None,
    is_published: bool = False,
    is_stated: bool = True,
    absent: tuple[str, ...] = (),
) -> Checkpoint:
    """One form of a user's file: that of an entry or of a package, or the zoo's own."""
    arrays, stated = converted[0], dict(converted[1])
    bias = arrays.get(_CLASSIFIER_BIAS)
    count, about = stated.pop("classes", None if bias is None else len(bias)), stated.pop("about", None)
    if count == 1:
        arrays, count = two_channels(arrays, file=path.name), 2
    found = None if count is None else labels.numbered(count)
    common = {"source": path.name, "arrays": arrays, "name_map": name_map}
    if about is not None and not is_published:
        model, settings, found = provenance.from_text(about, file=path.name)
        return Checkpoint(**common, settings=settings, labels=found, model=model)
    if is_published and name_map.is_whole:
        found = labels.resolve(entry.labels)
    settings = {} if entry is None else entry.settings
    assumed = entry.assumed if isinstance(entry, Layout) else ()
    flags = {"is_stated": is_stated, "is_published": is_published, "assumed": assumed, "absent": absent}
    return Checkpoint(**common, settings={**settings, **stated}, labels=found, **flags)
