"""Memory of what people ran out of it with: photographs of 12 megapixels, loads, and models used and let go.

    python benchmarks/memory.py            # all, each in a process of its own
    python benchmarks/memory.py train      # one of: start, train, validate, load, and those below

``start`` is what importing and one load take; the others contain it. Each line is the peak of the resident
set of its process in MB (ru_maxrss), and the seconds.

``read-RGB``, ``read-RGBA``, ``read-LA`` and ``read-P`` decode a PNG of just under 50 megapixels of that mode
of Pillow; ``read-none`` is the process without it.

The rounds build a ResNet-50 model, use it once and let it go, seven times: ``segment``, ``predict``, ``fit``
(of Keras), ``zoo-fit`` (`zoo.training.fit`), ``replicas`` (the same on two logical processors), ``tflite``,
``onnx``, ``saved_model``, ``coreml`` (extra ``coreml``), and ``keras-fit``, a ResNet-50 of keras.applications
in Keras' `fit`, to compare with. Their line begins with what the five rounds after the second added to the
resident set, once the allocator gave back what it could. ``--each`` tells of every round, on standard error:
the resident set before and after that, what the C library has handed out and not got back (all that lives, of
Python and of TensorFlow), and how many objects and graphs Python holds.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import gc
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

MODEL = "deeplabv3_aspp"
HEIGHT, WIDTH = 3000, 4000
PHOTOS, CLASSES, CROP, LOADS, TILE = 4, 3, 65, 50, 513


def photos(folder: Path):
    """A data set of photographs of 12 megapixels with masks of three classes."""
    from zoo.datasets import open_dataset

    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for index in range(PHOTOS):
        coarse = Image.fromarray(random.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / "images" / f"{index}.jpg")
        labels = Image.fromarray(random.integers(0, CLASSES, (60, 80), dtype=np.uint8))
        labels.resize((WIDTH, HEIGHT), Image.Resampling.NEAREST).save(folder / "masks" / f"{index}.png")
    return open_dataset("folder", folder, split="all", classes=CLASSES)


def start() -> None:
    """Import and load."""
    import zoo

    zoo.load(MODEL)


def train(*, epochs: int = 8, tile: int | None = None) -> None:
    """Steps of four crops of 65×65 out of photographs; with `tile` a validation of whole ones as well."""
    import zoo

    with tempfile.TemporaryDirectory() as folder:
        data = photos(Path(folder))
        model = zoo.load(MODEL, classes=data.label_set)
        recipe = zoo.Recipe(epochs=epochs, batch_size=PHOTOS, crop=(CROP, CROP), validate_every=epochs)
        zoo.train(model, data, recipe, validation=data if tile else None, tile=tile, examples=0)


def validate() -> None:
    """One step, and the scores of whole photographs through windows."""
    train(epochs=1, tile=TILE)


def load() -> None:
    """The same model again and again, the last one kept."""
    import zoo

    for _ in range(LOADS):
        model = zoo.load(MODEL)
    assert model.built


# --- reading ------------------------------------------------------------------------------------------

LARGE = (9900, 5000)
MODES = ("none", "RGB", "RGBA", "LA", "P")


def _draw(mode: str, path: Path) -> None:
    image = Image.new(mode, LARGE, 1 if mode == "P" else tuple(range(9, 9 + len(mode))))
    if mode == "P":
        image.putpalette(list(range(256)) * 3)
    elif mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").point(lambda level: 255 * (level > 99)).resize(LARGE))
    image.save(path, compress_level=1)


def read(mode: str) -> None:
    """Decode one picture, which another process has drawn."""
    from zoo.images import read_image

    if mode == "none":
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.png"
        drawing = multiprocessing.get_context("spawn").Process(target=_draw, args=(mode, path))
        drawing.start()
        drawing.join()
        assert read_image(path).shape == (*reversed(LARGE), 3)


# --- rounds -------------------------------------------------------------------------------------------

ROUNDS, SIZE, FIRST = 7, 65, 2


def _made(kind: str):
    import keras

    import zoo

    if kind != "keras-fit":
        return zoo.load(f"{MODEL}_resnet50", weights=None, classes=CLASSES)
    features = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(features.output)
    return keras.Model(features.input, keras.layers.Dense(CLASSES)(pooled))


def _use(kind: str, folder: Path, strategy) -> None:
    import keras
    import tensorflow as tf

    import zoo
    from zoo import export
    from zoo.training import Settings, fit
    from zoo.training.losses import SparseCrossEntropy

    with strategy.scope():
        model = _made(kind)
    images = np.zeros((4, SIZE, SIZE, 3), np.float32)
    masks = np.zeros((4, SIZE, SIZE), np.int32)
    if kind == "predict":
        model.predict(images, verbose=0)
    elif kind == "segment":
        zoo.segment(model, images[0].astype(np.uint8))
    elif kind == "fit":
        model.compile("adam", SparseCrossEntropy())
        model.fit(images, masks, verbose=0)
    elif kind == "keras-fit":
        model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(images, masks[:, 0, 0], verbose=0)
    elif kind in ("zoo-fit", "replicas"):
        data = tf.data.Dataset.from_tensors((images, masks)).repeat()
        settings = Settings(steps=1, epoch_steps=1, progress=False)
        fit(model, lambda start: data, loss=SparseCrossEntropy(), settings=settings, strategy=strategy)
    else:
        write, name = {
            "tflite": (export.to_tflite, "m.tflite"),
            "onnx": (export.to_onnx, "m.onnx"),
            "saved_model": (export.to_saved_model, "m"),
            "coreml": (export.to_coreml, "m.mlpackage"),
        }[kind]
        write(model, folder / name, input_size=(SIZE, SIZE))


def rounds(kind: str, *, each: bool = False) -> None:
    """Print what the rounds after the second add; with `each` also how every round ended."""
    import tensorflow as tf

    from zoo.training import make_strategy

    strategy = make_strategy("one")
    if kind == "replicas":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = make_strategy("mirrored", devices=["CPU:0", "CPU:1"])
    held = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            _use(kind, Path(folder), strategy)
        gc.collect()
        before = _resident()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        held.append(_resident())
        if each:
            objects = gc.get_objects()
            graphs = sum(isinstance(found, tf.Graph) for found in objects)
            resident = f"resident {before:5.0f} MB, {held[-1]:5.0f} once trimmed"
            live = f"handed out {_handed_out():7.1f} MB; {len(objects)} objects, {graphs} graphs"
            print(f"{resident}; {live}", file=sys.stderr)
            del objects
    print(f"{held[-1] - held[FIRST - 1]:+7.0f} MB", end="  ", flush=True)


class _Heap(ctypes.Structure):
    """``struct mallinfo2`` of the GNU C library, over all its arenas."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def _handed_out() -> float:
    """MB that the C library has handed out and not got back: within arenas, and mapped by themselves."""
    ask = ctypes.CDLL("libc.so.6").mallinfo2
    ask.restype = _Heap
    heap = ask()
    return (heap.uordblks + heap.hblkhd) / 2**20


def _resident() -> float:
    """MB of the resident set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


KINDS = (
    *("segment", "predict", "fit", "zoo-fit", "replicas"),
    *("tflite", "onnx", "saved_model", "coreml", "keras-fit"),
)
TASKS: dict[str, Callable[[], None]] = {"start": start, "train": train, "validate": validate, "load": load}
TASKS |= {f"read-{mode}": functools.partial(read, mode) for mode in MODES}


def main() -> None:
    """Measure one task here, or each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", nargs="?", choices=[*TASKS, *KINDS])
    parser.add_argument("--each", action="store_true", help="tell of every round")
    args = parser.parse_args()
    task, each = args.task, ["--each"] if args.each else []
    if task is None:
        for name in (*TASKS, *KINDS):
            subprocess.run([sys.executable, __file__, name, *each], check=True)
        return
    began = time.perf_counter()
    if task in KINDS:
        rounds(task, each=args.each)
    else:
        TASKS[task]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{task:<11} {peak:7.0f} MB  {time.perf_counter() - began:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
