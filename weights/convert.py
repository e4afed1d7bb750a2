"""Published tensors to Keras variables: strict in both directions, cached on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.weights.cache import converted_path, load_converted, store_converted
from zoo.weights.name_maps import NameMap
from zoo.weights.name_maps.base import RULES, arrays_of, raise_mismatch, summarize

# Part of the key of cached conversions: raise it whenever a reader, a map or a transform changes.
CONVERTER_VERSION = "1"
SETTING = "setting:"


def read_source(path: Path, *, reader: str) -> dict[str, np.ndarray]:
    """The tensors of a published file by name; no code in the file is executed."""
    if reader == "torch":
        from zoo.weights.readers.torch_file import read_torch

        return read_torch(path)
    if reader == "tflite":
        from zoo.weights.readers.tflite_file import read_tflite

        return read_tflite(path)
    if reader == "onnx":
        from zoo.weights.readers.onnx_file import read_onnx

        return read_onnx(path)
    if reader == "caffe":
        from zoo.weights.readers.caffe_file import read_caffe

        return read_caffe(path)
    if reader == "npz":
        from zoo.weights.readers.npz_file import read_npz

        return read_npz(path)
    raise FormatError(f"{path.name}: no reader for {reader!r} files")


def convert(source: Mapping[str, np.ndarray], name_map: NameMap) -> dict[str, np.ndarray]:
    """Arrays by variable path; every source tensor is used once or listed as ignored.

    What the file states for the builder is among them as ``setting:<name>``; `split_settings` takes it out.

    Raises:
        MismatchError: A tensor that the map names is absent, or one of the source is left over.
    """
    names = frozenset(source)
    to_rules = RULES[name_map.reader]
    rules = [rule for layer, prefix in name_map.layers.items() for rule in to_rules(layer, prefix, names)]
    extra = [rule for layer, prefix in name_map.optional.items() for rule in to_rules(layer, prefix, names)]
    if any(rule.source in names for rule in extra):
        rules += extra
    used = [rule.source for rule in rules]
    wanted = {*used, *name_map.fixed}
    left = [n for n in source if n not in wanted and not any(fnmatchcase(n, p) for p in name_map.ignored)]
    raise_mismatch(
        f"the file does not fit name map {name_map.key!r}",
        summarize("missing in the file", [n for n in (*used, *name_map.fixed) if n not in names]),
        summarize("unknown in the file", left),
        summarize("used more than once", sorted(n for n in wanted if used.count(n) > 1)),
        summarize("of other values than the model computes", _unexpected(source, name_map)),
    )
    source = {**source, **_reshaped(source, name_map)}
    settings = name_map.settings(source) if name_map.settings else {}
    arrays = arrays_of(source, rules)
    for pattern, transform in name_map.transforms.items():
        for path in [p for p in arrays if fnmatchcase(p, pattern)]:
            arrays[path] = transform(arrays[path], settings)
    return {**arrays, **{f"{SETTING}{name}": np.asarray(value) for name, value in settings.items()}}


def _unexpected(source: Mapping[str, np.ndarray], name_map: NameMap) -> list[str]:
    """Tensors that must have certain values and have others."""
    found = {name: source[name] for name in name_map.fixed if name in source}
    return [n for n, a in found.items() if not np.allclose(a, name_map.fixed[n](a.shape), atol=1e-6)]


def _reshaped(source: Mapping[str, np.ndarray], name_map: NameMap) -> dict[str, np.ndarray]:
    """Tensors that the rules take in another shape."""
    wrong = [n for n, shape in name_map.reshaped.items() if source[n].size != np.prod(shape)]
    raise_mismatch(f"the file does not fit name map {name_map.key!r}", summarize("of other sizes", wrong))
    return {n: np.reshape(source[n], shape) for n, shape in name_map.reshaped.items()}


def split_settings(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, float | int]]:
    """The variables' arrays, and the builder settings that the file stated, of what `convert` returned."""
    settings = {p.removeprefix(SETTING): a.item() for p, a in arrays.items() if p.startswith(SETTING)}
    return {p: a for p, a in arrays.items() if not p.startswith(SETTING)}, settings


def convert_file(path: Path, *, name_map: NameMap, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read and convert a file; the result is cached by the file's digest and the converter's version.

    Args:
        path: The published file.
        name_map: How to convert it.
        sha256: Digest of the file. Without one nothing is cached.
    """
    if sha256 is None:
        return convert(read_source(path, reader=name_map.reader), name_map)
    cache = converted_path(source_sha256=sha256, converter_version=CONVERTER_VERSION, key=name_map.key)
    arrays = load_converted(cache)
    if arrays is None:
        arrays = convert(read_source(path, reader=name_map.reader), name_map)
        store_converted(cache, arrays)
    return arrays


def assign(
    variables: Mapping[str, object],
    arrays: Mapping[str, np.ndarray],
    *,
    subject: str,
    scope: Iterable[str] = ("",),
    skip: Iterable[str] = (),
) -> list[str]:
    """Set every variable in scope once, or raise and set none.

    Args:
        variables: Variables by path; each has ``shape`` and ``assign``.
        arrays: Values by the same paths.
        subject: What the error speaks of.
        scope: Prefixes of the paths that must be set.
        skip: Prefixes of paths that stay as they are, although the arrays may hold them.

    Returns:
        The paths that were set.

    Raises:
        MismatchError: Shows missing and unexpected names and different shapes.
    """
    scope, skip = tuple(scope), tuple(skip)
    wanted = [p for p in variables if p.startswith(scope) and not p.startswith(skip)]
    offered = {p: a for p, a in arrays.items() if not p.startswith(skip)}
    shapes = [
        f"{p} {tuple(offered[p].shape)} for {tuple(variables[p].shape)}"
        for p in wanted
        if p in offered and tuple(offered[p].shape) != tuple(variables[p].shape)
    ]
    raise_mismatch(
        subject,
        summarize("variables without a value", [p for p in wanted if p not in offered]),
        summarize("values without a variable", sorted(set(offered) - set(wanted))),
        summarize("different shapes", shapes),
    )
    for path in wanted:
        variables[path].assign(offered[path])
    return wanted
