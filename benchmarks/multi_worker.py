"""Eight workers on one machine against one device: equal weights, random kills, other numbers of workers.

    python benchmarks/multi_worker.py [--workers 8] [--kills 3]

A tiny network on drawn images, packed as records; each worker has one logical CPU device. Prints a table:
for each way of running, the largest difference of any weight from one device's, and what kills cost.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

CLASSES, SIZE, IMAGES, BATCH, EPOCHS = 3, 24, 64, 16, 6
STEPS = IMAGES // BATCH * EPOCHS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=8, metavar="N")
    parser.add_argument("--kills", type=int, default=3, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the kills")
    parser.add_argument("--work", nargs=3, metavar=("DATA", "RUN", "EPOCHS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        work(Path(args.work[0]), Path(args.work[1]), int(args.work[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), args)


def compare(folder: Path, args: argparse.Namespace) -> None:
    data, n = packed(folder, args.workers), args.workers
    one = weights(data, folder / "one", counts=[1])
    rows = [("run", "largest difference", "restarts", "steps lost", "seconds")]
    for name, counts, kills in (
        (f"{n} workers", [n], 0),
        (f"{n} workers, {args.kills} kills", [n], args.kills),
        (f"{n}, then {n // 2}, then 1 worker", [n, n // 2, 1], 0),
    ):
        start = time.monotonic()
        killer = Killer(folder / name, kills, args.seed)
        found = weights(data, folder / name, counts=counts, killer=killer)
        largest = max(float(np.abs(found[key] - one[key]).max()) for key in one)
        lost = ", ".join(map(str, killer.lost)) or "-"
        rows.append((name, f"{largest:.1e}", str(killer.done), lost, f"{time.monotonic() - start:.0f}"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print(f"{STEPS} steps of {BATCH} images, a checkpoint every {IMAGES // BATCH} steps; against one device:")
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)))


class Killer:
    """Kills one worker at random, a random while after each start, once its cluster has made a step.

    Attributes:
        done: Kills so far.
        lost: For each, the steps that were done since the checkpoint that the next start went on from.
    """

    def __init__(self, run: Path, kills: int, seed: int):
        self.run, self.kills, self.random = run, kills, random.Random(seed)
        self.done, self.lost = 0, []

    def __call__(self, processes: Sequence) -> None:
        if self.done:
            self.lost.append(steps_of(self.run) - checkpoint_of(self.run))
        if self.done < self.kills:
            threading.Thread(target=self._kill, args=(processes, time.time()), daemon=True).start()

    def _kill(self, processes: Sequence, started: float) -> None:
        target = checkpoint_of(self.run) + self.random.randint(1, IMAGES // BATCH + 1)
        while steps_of(self.run) < target or steps_of(self.run, stamp=True) <= started:
            if any(process.poll() is not None for process in processes):
                return
            time.sleep(0.002)
        os.kill(self.random.choice(processes).pid, signal.SIGKILL)
        self.done += 1


def steps_of(run: Path, *, stamp: bool = False) -> float:
    """Steps that the chief has done, as it wrote them after each; or when it wrote that."""
    path = run / "steps"
    if not path.is_file():
        return 0
    return path.stat().st_mtime if stamp else int(path.read_text() or 0)


def checkpoint_of(run: Path) -> int:
    """Steps of the last checkpoint."""
    found = [int(path.stem.split("-")[1]) for path in (run / "checkpoints").glob("step-*.index")]
    return max(found, default=0)


def packed(folder: Path, workers: int) -> Path:
    """Drawn images, whose masks follow the red channel, as records."""
    from PIL import Image

    from zoo.datasets import open_dataset
    from zoo.datasets.records import pack

    drawn = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / "drawn" / part).mkdir(parents=True)
    for index in range(IMAGES):
        image = drawn.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        mask = (image[..., 0].astype(int) * CLASSES // 256).astype(np.uint8)
        mask[: index % 5] = 255
        for part, pixels in (("images", image), ("masks", mask)):
            Image.fromarray(pixels).save(folder / "drawn" / part / f"{index}.png")
    data = open_dataset("folder", folder / "drawn", split="all", classes=CLASSES)
    return pack(data, folder / "records", shards=workers).folder


def weights(data: Path, run: Path, *, counts: Sequence[int], killer: Killer | None = None) -> dict:
    """Final weights of a run whose epochs are shared out over starts with these numbers of workers."""
    from zoo.training.launching import launch

    for number, workers in enumerate(counts, start=1):
        until = EPOCHS * number // len(counts)
        command = [sys.executable, __file__, "--work", str(data), str(run), str(until)]
        done = launch(command, workers=workers, started=killer, note=lambda line: print(f"  {line}"))
        if done.status:
            sys.exit(done.status)
    return dict(np.load(run / "weights.npz"))


def work(data: Path, run: Path, until: int) -> None:
    """One worker, to the end of epoch `until`."""
    import keras

    from zoo.datasets import Augmentation, open_dataset
    from zoo.training import Recipe, fit, make_strategy
    from zoo.training.engine import KerasStepper
    from zoo.training.runs import batches_of, loss_of, settings_of
    from zoo.training.strategy import is_chief

    alone = len(json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]) == 1
    strategy = make_strategy("one" if alone else "multi-worker")
    records = open_dataset("records", data, split="all")
    wide = Augmentation(scale=(0.8, 1.2))
    rates = {"learning_rate": 0.01, "seed": 1}
    recipe = Recipe(epochs=EPOCHS, batch_size=BATCH, crop=(16, 16), augmentation=wide, **rates)
    if is_chief(strategy):
        run.mkdir(exist_ok=True)
        KerasStepper.step = told(KerasStepper.step, run)
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model, loss = network(), loss_of(recipe, records)
    settings = replace(settings_of(recipe, records), steps=until * IMAGES // BATCH, progress=False)
    fit(model, batches_of(recipe, records), loss=loss, settings=settings, strategy=strategy, output=run)
    if is_chief(strategy):
        np.savez(run / "weights.npz", **{v.path: np.asarray(v) for v in model.variables})


def told(step: Callable, run: Path) -> Callable:
    """A step that leaves its number in a file."""

    def count(self, batches, *, number: int, stop: bool):
        result = step(self, batches, number=number, stop=stop)
        part = run / "steps.part"
        part.write_text(str(number + 1))
        part.replace(run / "steps")
        return result

    return count


def network():
    """A backbone of one convolution with batch normalization, and a classifier."""
    import keras

    from zoo.labels import numbered
    from zoo.layers import DilatedConv2D
    from zoo.models.heads.classifier import classify

    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    x = DilatedConv2D(8, kernel_size=3, strides=2, use_bias=False, name="backbone.stem.conv")(x)
    x = keras.layers.BatchNormalization(name="backbone.stem.bn")(x)
    x = keras.layers.ReLU(name="backbone.stem.relu")(x)
    x = DilatedConv2D(8, kernel_size=3, dilation_rate=2, use_bias=False, name="backbone.stem.wide")(x)
    x = keras.layers.BatchNormalization(name="backbone.stem.bn2")(x)
    labels = numbered(CLASSES)
    return keras.Model(image, classify(x, image, label_set=labels, convention="half_pixel"), name="tiny")


if __name__ == "__main__":
    main()
