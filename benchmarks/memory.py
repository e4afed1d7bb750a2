"""Peak memory of what people ran out of it with: photographs of 12 megapixels, and fifty loads of a model.

    python benchmarks/memory.py            # all, each in a process of its own
    python benchmarks/memory.py train      # one of: start, train, validate, load

``start`` is what importing and one load take; the others contain it. Each line is the peak of the resident
set of its process in MB (ru_maxrss), and the seconds.
"""

from __future__ import annotations

import argparse
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


TASKS: dict[str, Callable[[], None]] = {"start": start, "train": train, "validate": validate, "load": load}


def main() -> None:
    """Measure one task here, or each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", nargs="?", choices=TASKS)
    task = parser.parse_args().task
    if task is None:
        for name in TASKS:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    began = time.perf_counter()
    TASKS[task]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{task:<9} {peak:7.0f} MB  {time.perf_counter() - began:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
