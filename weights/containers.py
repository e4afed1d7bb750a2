"""The kinds of file that hold weights: how each is recognized, and what reads it.

A container says how tensors are packed; how they are named is the matter of `zoo.weights.name_maps`. A new
container of the zoo is a module in `zoo.weights.readers` and one row here. One of somebody's own is
registered::

    def read_toy(path):  # pathlib.Path → arrays by name
        ...

    register_container(Container(name="toy", suffixes=(".toy",), layouts=("zoo",), reader=read_toy))
    zoo.load("deeplabv3_aspp_mobilenet_v2", "mine.toy")
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from zoo.errors import InputError
from zoo.weights.name_maps.base import RULES
from zoo.weights.readers.recognition import kind_of, likely_kind
from zoo.weights.readers.tensor_sets import TensorSet

TENSORS, MODEL, VARIABLES = "tensors", "model", "variables"


@dataclass(frozen=True, kw_only=True)
class Container:
    """One row of the table: a kind of file.

    Attributes:
        name: Name in messages and tables.
        suffixes: Ends of the names of such files, in lower case, such as ``(".pth", ".pt")``.
        holds: ``"tensors"`` by name; ``"model"``, a whole one as Keras saves it; or ``"variables"``, those of
            a Keras model in the order of its layers, without a name that outlives the process.
        layouts: Layouts of names that the tensors may have, of `zoo.weights.name_maps.base.RULES`.
            ``"zoo"`` are the variables' own paths, with the number of classes as the integer ``classes``,
            which a file with a ``classifier/bias`` of that length may leave out.
        reader: ``"module:function"``, or the function itself: from the path to float arrays by name, or to
            several `TensorSet`. It must raise `FormatError` for a file that is damaged and execute nothing of
            what is in it. `None` exactly where the file does not hold tensors by name.

    Raises:
        InputError: A row that contradicts itself.
    """

    name: str
    suffixes: tuple[str, ...]
    holds: str = TENSORS
    layouts: tuple[str, ...] = ()
    reader: str | Callable[[Path], Mapping[str, np.ndarray] | tuple[TensorSet, ...]] | None = None

    def __post_init__(self) -> None:
        wrong = [s for s in self.suffixes if not s.startswith(".") or s != s.lower()]
        if isinstance(self.suffixes, str) or not self.suffixes or wrong:
            raise InputError(
                f"container {self.name!r}: suffixes are lower case, with a dot first, not {self.suffixes!r}"
            )
        if self.holds not in (TENSORS, MODEL, VARIABLES):
            raise InputError(f"container {self.name!r} holds tensors, model or variables, not {self.holds!r}")
        named = self.holds == TENSORS
        if bool(self.layouts) != named or (self.reader is not None) != named:
            raise InputError(f"container {self.name!r} has layouts and a reader exactly if it holds tensors")
        if isinstance(self.layouts, str) or not set(self.layouts) <= set(RULES):
            raise InputError(
                f"container {self.name!r}: layouts are of {', '.join(RULES)}, got {self.layouts!r}"
            )

    def claim(self, path: Path) -> int:
        """How surely a file is of this kind, 0 for not at all: the length of the suffix that it has."""
        name = path.name.lower()
        return max((len(suffix) for suffix in self.suffixes if name.endswith(suffix)), default=0)

    def read(self, path: Path) -> tuple[TensorSet, ...]:
        """The tensors of a file by name, in as many sets as it holds; no code in the file is executed.

        Raises:
            FormatError: A file that is damaged, or not of this kind.
        """
        reader = self.reader
        if not callable(reader):
            module, function = reader.split(":")
            reader = getattr(importlib.import_module(module), function)
        found = reader(path)
        return found if isinstance(found, tuple) else (TensorSet(key="", tensors=found),)


_ROWS = (
    # Whole files of Keras: it reads them itself, together with the model.
    Container(name="keras", suffixes=(".keras",), holds=MODEL),
    Container(name="keras_weights", suffixes=(".weights.h5",), holds=VARIABLES),
    Container(name="keras_shards", suffixes=(".weights.json",), holds=VARIABLES),
    # Keras 2: a whole model or its weights.
    Container(
        name="keras2",
        suffixes=(".h5", ".hdf5"),
        layouts=("zoo", "keras"),
        reader="zoo.weights.readers.keras2_file:read_keras2",
    ),
    Container(name="npz", suffixes=(".npz",), layouts=("zoo",), reader="zoo.weights.npz:read_npz"),
    # Torch's containers, the zip and the older one, and plain pickles; the first bytes tell which.
    Container(
        name="torch",
        suffixes=(".pth", ".pt", ".pth.tar", ".pt.tar", ".ckpt", ".bin", ".pkl"),
        layouts=("torch",),
        reader="zoo.weights.readers.torch_file:read_torch_sets",
    ),
    Container(
        name="safetensors",
        suffixes=(".safetensors",),
        layouts=("torch",),
        reader="zoo.weights.readers.safetensors_file:read_safetensors",
    ),
    # What says which of several files of the two kinds above has which tensor.
    Container(
        name="shards",
        suffixes=(".index.json",),
        layouts=("torch",),
        reader="zoo.weights.readers.safetensors_file:read_shards",
    ),
    Container(
        name="tflite",
        suffixes=(".tflite",),
        layouts=("tflite",),
        reader="zoo.weights.readers.tflite_file:read_tflite",
    ),
    Container(
        name="onnx", suffixes=(".onnx",), layouts=("onnx",), reader="zoo.weights.readers.onnx_file:read_onnx"
    ),
    Container(
        name="caffe",
        suffixes=(".caffemodel",),
        layouts=("caffe",),
        reader="zoo.weights.readers.caffe_file:read_caffe",
    ),
    # Of TensorFlow 1: a checkpoint is several files, of which any is given.
    Container(
        name="tf_checkpoint",
        suffixes=(".index", ".data-00000-of-00001", ".meta"),
        layouts=("tensorflow",),
        reader="zoo.weights.readers.tf_checkpoint:read_checkpoint",
    ),
    Container(
        name="tf_graph",
        suffixes=(".pb",),
        layouts=("tensorflow",),
        reader="zoo.weights.readers.tf_graph:read_graph",
    ),
    Container(
        name="tf_archive",
        suffixes=(".tar.gz", ".tgz", ".tar"),
        layouts=("tensorflow",),
        reader="zoo.weights.readers.tf_archive:read_archive",
    ),
)
CONTAINERS: Mapping[str, Container] = MappingProxyType({row.name: row for row in _ROWS})
"""The zoo's own containers by name."""

# Those whose files are known by their first bytes: others that are called like them may be anything.
_MARKED = ("torch", "safetensors", "npz", "keras", "tflite")

_REGISTERED: dict[str, Container] = {}


def register_container(row: Container) -> None:
    """Add a container of one's own: `zoo.load` then takes such files by path.

    For this process; `unregister_container` takes it away again.

    Raises:
        InputError: Not a row, or a name or a suffix that is taken.
    """
    if not isinstance(row, Container):
        raise InputError(f"a container is a zoo.weights.Container, not {row!r}")
    names = [other.name for other in containers()]
    if row.name in names:
        raise InputError(f"a container named {row.name!r} is there already; names: {', '.join(names)}")
    taken = [suffix for suffix in row.suffixes if suffix in suffixes()]
    if taken:
        raise InputError(
            f"{', '.join(taken)} is the suffix of a container already; taken: {', '.join(suffixes())}"
        )
    _REGISTERED[row.name] = row


def unregister_container(name: str) -> None:
    """Take away a container that `register_container` added; `InputError` for any other name."""
    if name not in _REGISTERED:
        raise InputError(f"{name!r} was not registered; registered: {', '.join(_REGISTERED) or 'none'}")
    del _REGISTERED[name]


def containers() -> tuple[Container, ...]:
    """All containers there are, registered ones last."""
    return (*CONTAINERS.values(), *_REGISTERED.values())


def suffixes() -> tuple[str, ...]:
    """The suffixes of all containers."""
    return tuple(suffix for row in containers() for suffix in row.suffixes)


def recognize(path: Path) -> Container:
    """The container of a file: by its content where that tells, else by its name.

    A registered container has all files of its suffixes.

    Raises:
        InputError: Neither tells; lists the known suffixes.
    """
    claiming = max(containers(), key=lambda row: row.claim(path))
    if claiming.claim(path) and claiming.name in _REGISTERED:
        return claiming
    kind = kind_of(path)
    if kind is None and (not claiming.claim(path) or claiming.name in _MARKED):
        kind = likely_kind(path)
    if kind is not None:
        return CONTAINERS[kind]
    if not claiming.claim(path):
        raise InputError(f"{path.name}: unknown kind of weights file; allowed: {', '.join(suffixes())}")
    return claiming
