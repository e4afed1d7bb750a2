"""One epoch of fine-tuning the bundled CamVid weights by Keras' own `model.fit`, with few images a batch.

The model is compiled with AdamW at a rate that stays as it is, by default the one that `zoo.train` begins
with where a trained classifier meets small batches and no rate is given. It sees the training part in the
crops and the augmentation of the usual recipe, or, with ``--crop none``, the images as they are. Printed is
the mean IoU on the validation part before and after, by `zoo.evaluate`.

    python benchmarks/small_batches.py --data DIR
    python benchmarks/small_batches.py --data DIR --batch-size 2 --crop none --learning-rate 1e-4
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import zoo
from zoo.datasets import batches, open_dataset
from zoo.training.losses import SparseCrossEntropy

MODEL = "deeplabv3_aspp"
_CROPS = {"recipe": zoo.Recipe().crop, "none": None}


def main() -> None:
    """Train, and print both scores."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of CamVid, see docs/datasets.md")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--crop", choices=_CROPS, default="recipe")
    parser.add_argument("--learning-rate", type=float, help="(that of zoo.train)")
    args = parser.parse_args()
    recipe = zoo.Recipe(batch_size=args.batch_size, epochs=1)
    rate = args.learning_rate or recipe.rate(is_tuning=True)
    training, held_out = (open_dataset("camvid", args.data, split=split) for split in ("train", "val"))
    crop = _CROPS[args.crop]
    keras.utils.set_random_seed(recipe.seed)
    model = zoo.load(MODEL, "camvid")
    before = zoo.evaluate(model, held_out)
    stream = batches(
        training,
        batch_size=args.batch_size,
        crop=crop,
        augment=recipe.augmentation if crop else None,
        shuffle=True,
    )
    model.compile(
        keras.optimizers.AdamW(rate),
        SparseCrossEntropy(ignore_label=training.label_set.ignore_label),
    )
    began = time.perf_counter()
    loss = model.fit(stream, verbose=0).history["loss"][0]
    seconds = time.perf_counter() - began
    after = zoo.evaluate(model, held_out)
    words = f"batch {args.batch_size}, crop {args.crop}, rate {rate:.3g}, {len(training)} images"
    print(f"{MODEL}, {words}: loss {loss:.4f}, {seconds:.0f} s")
    print(f"mean IoU on val {100 * before.mean_iou:.2f} before, {100 * after.mean_iou:.2f} after", flush=True)


if __name__ == "__main__":
    main()
