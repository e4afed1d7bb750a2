"""The table of formats: the only place that knows them all.

A format is a folder of modules and a row here. A row names its parts as ``"module:name"``, which are imported
when they are needed: neither this module nor a file of one format imports what only another one needs.

A format of other software joins by `register`::

    with register(Format(name="toy", shape=Shape(title=".toy file", suffix=".toy"), writer="mine:write",
                         artifact="mine:ToyArtifact")):
        zoo.export.to_format("toy", model, "m.toy")
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import InputError
from zoo.export.core import staging
from zoo.export.core.format import Format, Option
from zoo.export.core.kinds import KINDS
from zoo.export.core.staging import Shape

__all__ = [
    "FORMATS",
    "Format",
    "Option",
    "Registration",
    "Shape",
    "check_target",
    "find",
    "names",
    "register",
    "rows",
]


FORMATS: tuple[Format, ...] = (
    Format(
        name="tflite",
        shape=Shape(title=".tflite file", suffix=".tflite"),
        writer="zoo.export.tflite.writer:write",
        artifact="zoo.export.tflite.artifact:TFLiteArtifact",
        runner="zoo.export.tflite.runner:TFLiteRunner",
        probe="zoo.export.tflite.probe:tensors",
        quantizations=("float16", "dynamic", "int8", "int16x8"),
        static_size=True,
        multiplies_padding=True,
        runtime="ai-edge-litert",
        packages=("ai-edge-litert",),
    ),
    Format(
        name="onnx",
        shape=Shape(title=".onnx file", suffix=".onnx"),
        writer="zoo.export.onnx.writer:write",
        artifact="zoo.export.onnx.artifact:ONNXArtifact",
        runner="zoo.export.onnx.runner:ONNXRunner",
        probe="zoo.export.onnx.probe:tensors",
        check="zoo.export.onnx.writer:check_options",
        options=(
            Option(name="opset", type=int, help="operator set (18, or 21 with int16x8)"),
            Option(
                name="symmetric", type=bool, help="integers with zero points of 0, as TensorRT takes int8"
            ),
        ),
        quantizations=("int8", "int16x8"),
        layouts=("nhwc", "nchw"),
        runtime="onnxruntime",
        packages=("onnx", "onnxruntime", "tf2onnx"),
    ),
    Format(
        name="saved_model",
        shape=Shape(title="SavedModel folder", marker="saved_model.pb"),
        writer="zoo.export.saved_model.writer:write",
        artifact="zoo.export.saved_model.artifact:SavedModelArtifact",
        runner="zoo.export.saved_model.runner:SavedModelRunner",
        probe="zoo.export.saved_model.probe:tensors",
        check="zoo.export.saved_model.writer:check_serving_bytes",
        options=(
            Option(
                name="serving_bytes",
                type=bool,
                help="the signature that takes files; converters to other formats want none",
            ),
        ),
        runtime="tensorflow",
        packages=("tensorflow",),
    ),
    Format(
        name="coreml",
        shape=Shape(title=".mlpackage folder", suffix=".mlpackage", marker="Manifest.json"),
        writer="zoo.export.coreml.writer:write",
        artifact="zoo.export.coreml.artifact:CoreMLArtifact",
        probe="zoo.export.coreml.probe:tensors",
        check="zoo.export.coreml.writer:check_options",
        options=(
            Option(name="palette_bits", type=int, help="widest index of a palette: 1, 2, 4, 6 or 8 (8)"),
        ),
        quantizations=("float16", "weights8", "palette"),
        layouts=("nchw",),
        static_size=True,
        packages=("coremltools",),
        extra="coreml",
        proof="interpreted, not run on Apple hardware",
    ),
    Format(
        name="keras",
        shape=Shape(title=".keras file", suffix=".keras"),
        runner="zoo.export.keras_file.runner:KerasRunner",
        runtime="tensorflow",
        packages=("tensorflow", "keras"),
    ),
)

# Those of other software, by name.
_registered: dict[str, Format] = {}


@dataclass(frozen=True)
class Registration:
    """A format that was added; as a context manager, for as long as the context lasts."""

    format: Format

    def undo(self) -> None:
        """Take the format out of the table again."""
        _registered.pop(self.format.name, None)

    def __enter__(self) -> Format:
        return self.format

    def __exit__(self, *error) -> None:
        self.undo()


def register(format: Format) -> Registration:
    """Add a format to the table of this process.

    Returns:
        What undoes it, which is also a context manager.

    Raises:
        InputError: A name, suffix or marker that another format has.
    """
    for other in rows():
        if other.name == format.name:
            raise InputError(f"there is a format {format.name!r} already")
        # Where both have a suffix, that tells them.
        suffixed = format.shape.suffix is not None and other.shape.suffix is not None
        for what in ("suffix",) if suffixed else ("marker",):
            own = getattr(format.shape, what)
            if own is not None and own == getattr(other.shape, what):
                raise InputError(f"{what} {own!r} is that of the format {other.name!r}")
    _registered[format.name] = format
    return Registration(format)


def rows(part: str | None = None) -> tuple[Format, ...]:
    """All formats, or those that have a part, such as ``"writer"``."""
    every = (*FORMATS, *_registered.values())
    return tuple(row for row in every if part is None or getattr(row, part))


def names(part: str = "writer") -> tuple[str, ...]:
    """Names of the formats that have a part; those that can be written by default."""
    return tuple(row.name for row in rows(part))


def find(name: str, *, part: str = "writer") -> Format:
    """The format of that name, one that has a part.

    Raises:
        InputError: None has it.
    """
    for row in rows(part):
        if row.name == name:
            return row
    raise InputError(f"format must be one of {', '.join(names(part))}, not {name!r}")


def at(path: Path, *, part: str = "artifact") -> Format:
    """The format of the file or folder that stands at a path, among those that have a part.

    Raises:
        InputError: Nothing is there, or it is of none of the formats.
    """
    if not path.exists():
        raise InputError(f"there is no artifact {str(path)!r}")
    for row in rows(part):
        if row.shape.stands_at(path):
            return row
    raise InputError(f"{path} is no {titles(part)}")


def titles(part: str = "artifact") -> str:
    """``.tflite file, .onnx file or SavedModel folder``."""
    return either(row.shape.title for row in rows(part))


def either(words: Iterable[str]) -> str:
    """``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def check_target(path: str | os.PathLike, *, format: str) -> Path:
    """`path` when an artifact of that format may be written there, see `zoo.export.core.staging`.

    Raises:
        InputError: It may not.
    """
    suffixes = [row.shape.suffix for row in rows() if row.shape.suffix]
    return staging.check_target(path, format=format, shape=find(format).shape, suffixes=suffixes)


def quantizations() -> tuple[str, ...]:
    """Kinds that at least one format has."""
    return tuple(kind for kind in KINDS if any(kind in row.quantizations for row in rows()))


def options() -> tuple[Option, ...]:
    """Settings that only some formats have, each once."""
    return tuple({option.name: option for row in rows("writer") for option in row.options}.values())


def layouts() -> tuple[str, ...]:
    """Those that at least one format has."""
    return tuple(dict.fromkeys(layout for row in rows("writer") for layout in row.layouts))


def version(distribution: str) -> str | None:
    """Of an installed distribution; `None` where it is not installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
