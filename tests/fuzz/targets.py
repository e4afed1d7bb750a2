"""What is fuzzed: every reader of files from outside, and what each of them may do with any bytes.

It may return, or raise one of the library's own errors in one line; within five seconds and a gigabyte.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import resource
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from support.tf_tables import table_around

SECONDS = 5.0  # of computing per input
MEMORY = 1 << 30  # bytes that reading may add to the process


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader under test.

    Attributes:
        file: Name that the input has on disk.
        reader: ``"module:function"``, or with a method; from the path.
        imports: Modules that it imports late.
        wrap: Makes the file of the input: the readers of archives get an intact one around damaged content.
    """

    file: str
    reader: str
    wrap: Callable[[bytes], bytes] = bytes
    imports: tuple[str, ...] = ()

    def load(self) -> Callable[[Path], object]:
        """The function, with all that it imports when it is first called."""
        for name in self.imports:
            importlib.import_module(name)
        module, _, names = self.reader.partition(":")
        found = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
        return found


def archive(*members: tuple[str, bytes | None]) -> Callable[[bytes], bytes]:
    """Makes a zip archive of these members; the input takes the place of a `None`."""

    def wrap(data: bytes) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as file:
            for name, content in members:
                file.writestr(zipfile.ZipInfo(name), data if content is None else content)
        return stream.getvalue()

    return wrap


def _npy(values: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(values), allow_pickle=False)
    return stream.getvalue()


def read_metadata(path: Path) -> object:
    """The metadata of an artifact, in whatever it is kept."""
    from zoo.export.core.metadata import Metadata

    return Metadata.from_json(path.read_bytes(), path=path.name)


def read_pixels(path: Path) -> object:
    """A picture as it is, and as one of 12 bits in 16."""
    from zoo.errors import FormatError
    from zoo.images import read_image

    with contextlib.suppress(FormatError):
        read_image(path, bits=12)
    return read_image(path)


def read_scores(path: Path) -> object:
    """The result of a run, of any setup."""
    from zoo.ablation import runner

    return runner._read(path, {})


def read_weights_of(path: Path) -> object:
    """Every set of tensors in a file with all its numbers, and the one of them that is most like a model."""
    from zoo.errors import MismatchError
    from zoo.weights import choosing, containers
    from zoo.weights.name_maps.base import NameMap

    layers = {"conv": "conv", "conv.bn": "bn", "classifier": "classifier"}
    name_map = NameMap(key="tiny", layout="torch", layers=layers)
    kind = containers.recognize(path)
    if kind.holds != containers.TENSORS:
        return kind
    found = kind.read(path)
    try:
        return dict(choosing.choose(found, [name_map], key=None, file=path.name)[0].tensors)
    except MismatchError:  # of several that fit
        return [dict(tensors.tensors) for tensors in found[:3]]


def read_manifest(path: Path) -> object:
    """A Core ML package with that manifest."""
    return _read_package(path, "manifest")


def read_program(path: Path) -> object:
    """A Core ML package with that program."""
    return _read_package(path, "program")


def read_blob(path: Path) -> object:
    """A Core ML package with that file of weights."""
    return _read_package(path, "weights")


def _read_package(path: Path, part: str) -> object:
    from support import mlpackage_files

    from zoo.export.coreml.interpreter import Interpreter
    from zoo.export.lint.operations import read

    package = mlpackage_files.write(path.with_name("m.mlpackage"), **{part: path.read_bytes()})
    return Interpreter(package), read(package)


_COREML = ("zoo.export.coreml.interpreter", "zoo.export.lint.operations", "support.mlpackage_files")
_READERS = ("zoo.weights.choosing", "zoo.weights.readers.torch_file", "zoo.weights.readers.safetensors_file")
_CONVERTERS = (
    "zoo.datasets.convert.conversion",
    *(f"zoo.datasets.convert.{name}" for name in ("coco", "labelme", "cvat", "supervisely", "label_studio")),
    *(f"zoo.datasets.convert.{name}" for name in ("yolo", "via", "roboflow", "parquet", "color_masks")),
)
_VALUES = bytes(range(64)) + bytes(64)


def framed_record(record: bytes) -> bytes:
    """A shard that holds it."""
    from zoo.datasets.records.framing import framed

    return framed(record)


TARGETS: dict[str, Target] = {
    "npz": Target(file="m.npz", reader="zoo.weights.npz:read_npz"),
    "npz_array": Target(
        file="m.npz",
        reader="zoo.weights.npz:read_npz",
        wrap=archive(("w.npy", None), ("classes.npy", _npy(np.int64(2)))),
    ),
    "torch": Target(file="m.pth", reader="fuzz.targets:read_weights_of", imports=_READERS),
    "torch_pickle": Target(
        file="m.pth",
        reader="fuzz.targets:read_weights_of",
        imports=_READERS,
        wrap=archive(
            ("archive/data.pkl", None),
            *((f"archive/data/{key}", _VALUES[32 * key :]) for key in range(3)),
            ("archive/version", b"3\n"),
        ),
    ),
    "safetensors": Target(file="m", reader="fuzz.targets:read_weights_of", imports=_READERS),
    "onnx": Target(file="m.onnx", reader="zoo.weights.readers.onnx_file:read_onnx", imports=("onnx",)),
    "tflite": Target(file="m.tflite", reader="zoo.weights.readers.tflite_file:read_tflite"),
    "caffe": Target(file="m.caffemodel", reader="zoo.weights.readers.caffe_file:read_caffe"),
    "tf_index": Target(file="m.index", reader="fuzz.targets:read_checkpoint"),
    # Checksums would keep all damage out of the entries.
    "tf_entries": Target(file="m.index", reader="fuzz.targets:read_checkpoint", wrap=table_around),
    "tf_graph": Target(file="m.pb", reader="zoo.weights.readers.tf_graph:read_graph"),
    "tf_archive": Target(file="m.tar.gz", reader="zoo.weights.readers.tf_archive:read_archive"),
    "h5": Target(file="m.weights.h5", reader="zoo.weights.readers.hdf5:check_h5"),
    "keras2": Target(file="m.h5", reader="zoo.weights.readers.keras2_file:read_keras2"),
    "keras_shards": Target(file="m.weights.json", reader="fuzz.targets:read_shards"),
    "keras": Target(file="m.keras", reader="zoo.weights.readers.hdf5:check_keras"),
    "nam": Target(file="m.nam", reader="zoo.sequence.nam.reader:read_nam"),
    "sound": Target(file="m.wav", reader="zoo.sequence.sound:read_sound", imports=("soundfile",)),
    "image": Target(file="m.png", reader="fuzz.targets:read_pixels", imports=("zoo.images",)),
    "mask": Target(file="m.png", reader="zoo.images:read_mask"),
    "recipe_json": Target(
        file="m.json", reader="zoo.training.recipe:Recipe.read", imports=("zoo.training.recipe_files",)
    ),
    "recipe_yaml": Target(
        file="m.yaml", reader="zoo.training.recipe:Recipe.read", imports=("zoo.training.recipe_files",)
    ),
    # Checksums would keep all damage out of the record.
    "record": Target(
        file="train-00000-of-00001.tfrecord",
        reader="fuzz.targets:read_record",
        wrap=framed_record,
        imports=("zoo.datasets.records.member",),
    ),
    "records_index": Target(
        file="train.index.json",
        reader="zoo.datasets.records.index:read_index",
        imports=("zoo.datasets.records.index",),
    ),
    "list": Target(
        file="train.txt",
        reader="fuzz.targets:read_list",
        imports=("zoo.datasets.camvid", "zoo.datasets.folder"),
    ),
    "metadata": Target(
        file="m.json", reader="fuzz.targets:read_metadata", imports=("zoo.export.core.metadata",)
    ),
    # Each is several readers, of which the first byte picks one, see `fuzz.labels`.
    "labels_text": Target(file="m", reader="fuzz.labels:read_texts", imports=_CONVERTERS),
    "labels_table": Target(file="m", reader="fuzz.labels:read_tables", imports=_CONVERTERS),
    "labels_packed": Target(file="m", reader="fuzz.labels:read_packed", imports=_CONVERTERS),
    "coreml_manifest": Target(file="m.json", reader="fuzz.targets:read_manifest", imports=_COREML),
    "coreml_program": Target(file="m.mlmodel", reader="fuzz.targets:read_program", imports=_COREML),
    "coreml_weights": Target(file="m.bin", reader="fuzz.targets:read_blob", imports=_COREML),
    "result": Target(file="result.json", reader="fuzz.targets:read_scores", imports=("zoo.ablation.runner",)),
}


def read_checkpoint(path: Path) -> object:
    """A checkpoint whose values are there, whatever its index says."""
    from zoo.weights.readers import tf_checkpoint

    path.with_name("m.data-00000-of-00001").write_bytes(bytes(4096))
    return tf_checkpoint.read_checkpoint(path)


def read_shards(path: Path) -> object:
    """The table of weights in several files, of which there is one."""
    import h5py

    from zoo.weights.readers import keras_shards

    with h5py.File(path.with_name("m_00000.weights.h5"), "w") as file:
        file["layers/a/vars/0"] = np.zeros(3, np.float32)
    return list(keras_shards.groups_of(path))


def read_record(path: Path) -> object:
    """The image and the mask of a shard with one record."""
    from zoo.datasets.records.index import Entry
    from zoo.datasets.records.member import pair_of
    from zoo.images import read_image, read_mask

    entry = Entry(0, path.stat().st_size - 16, "a.png", 1 << 10, "b.png", 1 << 10, True)
    image, mask = pair_of(path, entry)
    return read_image(image), read_mask(mask)


def read_list(path: Path) -> object:
    """A list of pairs, as CamVid's layout has it, and a list of class names."""
    from zoo.datasets import camvid, folder
    from zoo.errors import ZooError

    try:
        return camvid.list_split(path.parent, path.stem).missing()
    except ZooError:
        return folder.label_set(path.parent, path)


def attempt(target: Target, read: Callable[[Path], object], data: bytes, folder: Path) -> bool:
    """Read one input; whether it was accepted.

    Raises:
        AssertionError: An error of several lines, too much time or too much memory. Any error that is not the
            library's own passes through.
    """
    from zoo.errors import ZooError

    path = folder / target.file
    path.write_bytes(target.wrap(data))
    before, began = _peak(), time.process_time()
    try:
        read(path)
        accepted = True
    except ZooError as error:
        accepted = False
        assert "\n" not in str(error), f"an error of several lines: {error!r}"
        assert len(str(error)) < 2000, f"an error of {len(str(error))} characters"
    taken, grown = time.process_time() - began, _peak() - before
    assert taken < SECONDS, f"reading took {taken:.1f} s"
    assert grown < MEMORY, f"reading took {grown:,} bytes"
    return accepted


def _peak() -> int:
    """Most bytes that this process has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
