"""A quantized file beside the float file of the same network, on the masks of a data set, in one pass.

    python benchmarks/quantized_masks.py q16.tflite f.tflite --dataset camvid --data camvid/ --split val
    python benchmarks/quantized_masks.py q16.tflite f.tflite --data camvid/ --every 4

Printed are the mean IoU of both, and on how many pixels the masks have the same class: of all, and of those
farther than `--boundary` pixels from a border of the float file's mask. Files with 16-bit activations run in
TFLite's reference kernels, seconds for each image: `--every` takes a part of the images, evenly chosen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import zoo
from zoo.datasets import open_dataset
from zoo.export import open_artifact
from zoo.labels import class_order
from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix


def compare(quantized, reference, dataset, *, every: int, boundary: int) -> dict[str, float]:
    """The figures by name; see the module."""
    labels = dataset.label_set
    order = class_order(reference.label_set, labels)
    matrices = [ConfusionMatrix(len(labels), labels.ignore_label) for _ in range(2)]
    same = inner_same = pixels = inner_pixels = 0
    began = time.perf_counter()
    numbers = range(0, len(dataset), every)
    for number in numbers:
        image, true = dataset.read(number)
        masks = [zoo.segment(model, image).mask for model in (quantized, reference)]
        for matrix, mask in zip(matrices, masks, strict=True):
            matrix.update(true, order[mask])
        equal, inner = masks[0] == masks[1], ~boundary_band(masks[1], distance=boundary)
        same, pixels = same + int(equal.sum()), pixels + equal.size
        inner_same, inner_pixels = inner_same + int(equal[inner].sum()), inner_pixels + int(inner.sum())
    quantized_iou, reference_iou = (100 * matrix.mean_iou for matrix in matrices)
    return {
        "images": len(numbers),
        "mean IoU of the file": quantized_iou,
        "mean IoU in float": reference_iou,
        "points below float": reference_iou - quantized_iou,
        "agreement, %": 100 * same / pixels,
        "agreement off borders, %": 100 * inner_same / inner_pixels,
        "seconds for each image": (time.perf_counter() - began) / len(numbers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("quantized", type=Path)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--dataset", default="camvid")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--boundary", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    files = [open_artifact(path, threads=args.threads) for path in (args.quantized, args.reference)]
    dataset = open_dataset(args.dataset, args.data, split=args.split)
    settings = {"every": args.every, "boundary": args.boundary}
    for name, value in compare(*files, dataset, **settings).items():
        print(f"{name:<26} {value:g}" if name == "images" else f"{name:<26} {value:.4f}")


if __name__ == "__main__":
    main()
