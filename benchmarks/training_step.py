"""Where a training step of a mobile network spends its time, and how many images it takes a second.

Three ways of the same step take turns in one process: in float32; in bfloat16 as plain Keras would compute it
(batch norm cast to 32 bits and back, strided depthwise gradients by oneDNN's kernel of 16 bits); and in
bfloat16 as it is. Beside them stand the parts of the last: data, forward, loss, and the rest.

    python benchmarks/training_step.py --data CAMVID
    python benchmarks/training_step.py --data CAMVID --model deeplabv3_aspp_mobilenet_v2 --output-stride 8
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

READY = 4  # batches that a stream makes ahead, at most

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def batches(args: argparse.Namespace):
    from zoo.datasets import Augmentation, open_dataset
    from zoo.datasets import batches as stream

    dataset = open_dataset("camvid", args.data, split="train")
    strong = Augmentation(gamma=0.5, gain=0.1, shadow=0.3, blur=0.8, noise=0.03, rare=0.3, paste=0.3)
    options = {
        "batch_size": args.batch_size,
        "crop": args.crop,
        "shuffle": True,
        "repeat": None,
        "cache": True,
    }
    return dataset, {
        "usual": stream(dataset, augment=Augmentation(), **options),
        "strong": stream(dataset, augment=strong, **options),
    }


def losses(ignore: int) -> dict[str, Callable]:
    from zoo.training.losses import LovaszSoftmax, SparseCrossEntropy

    return {
        "cross-entropy": SparseCrossEntropy(ignore_label=ignore),
        "lovasz, every pixel": LovaszSoftmax(ignore_label=ignore),
        "lovasz, every third": LovaszSoftmax(ignore_label=ignore, every=3),
    }


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Batch norm and strided depthwise convolutions as they compute without this package's own ways."""
    import tensorflow as tf

    from zoo.layers import FusedBatchNormalization, convolution

    normalized = FusedBatchNormalization._normalized

    def cast(layer, x):
        y, mean, variance = normalized(layer, tf.cast(x, tf.float32))
        return tf.cast(y, x.dtype), mean, variance

    def plain(x, kernel, *, stride, padding):
        return tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], padding)

    with (
        mock.patch.object(FusedBatchNormalization, "_normalized", cast),
        mock.patch.object(convolution, "strided_depthwise_conv2d", plain),
    ):
        yield


def stepper(args: argparse.Namespace, precision: str, loss: Callable, batch) -> tuple[Callable, Callable]:
    """One training step, and one forward pass, as functions without arguments; both traced."""
    import tensorflow as tf

    import zoo
    from zoo.training import OptimizerConfig
    from zoo.training.modes import computing
    from zoo.training.optimizer import make_optimizer
    from zoo.training.step import TrainStep

    model = zoo.load(args.model, None, classes=11, output_stride=args.output_stride)
    endless = iter(tf.data.Dataset.from_tensors(batch).repeat())
    with computing(model, precision=precision, synchronized=False):
        optimizer = make_optimizer(OptimizerConfig(), model.trainable_variables)
        strategy = tf.distribute.get_strategy()
        step = TrainStep(model, loss=loss, optimizer=optimizer, strategy=strategy, ignore_label=11)

        @tf.function
        def forward():
            return tf.reduce_sum(model(batch[0], training=True))

        step(endless, step=0)
        forward()
    return lambda: step(endless, step=1), forward


def seconds(run: Callable, times: int = 1) -> float:
    since = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - since) / times


def measure(args: argparse.Namespace) -> str:
    import tensorflow as tf

    dataset, streams = batches(args)
    iterators = {name: iter(stream) for name, stream in streams.items()}
    batch = next(iterators["usual"])
    of = losses(dataset.label_set.ignore_label)
    plain = of["cross-entropy"]
    with as_before():
        before, _ = stepper(args, "bfloat16", plain, batch)
    now, forward = stepper(args, "bfloat16", plain, batch)
    ways = {"float32": stepper(args, "float32", plain, batch)[0], "bfloat16, before": before, "bfloat16": now}
    logits = tf.random.normal((args.batch_size, *args.crop, 11))
    parts: dict[str, Callable] = {"forward": forward}
    for name, loss in of.items():
        parts[f"{name}, with its gradient"] = _differentiated(loss, batch[1], logits)
    for name, iterator in iterators.items():
        parts[f"data, {name} augmentation"] = lambda iterator=iterator: next(iterator)
    found: dict[str, list[float]] = {name: [] for name in (*ways, *parts)}
    for _ in range(args.repeats):
        for name, run in {**ways, **parts}.items():
            if name.startswith("data"):
                seconds(run, READY)  # batches that were made while the others ran
            found[name].append(seconds(run, READY if name.startswith("data") else 1))
    lines = [f"{args.model}, {args.batch_size} crops of {args.crop[0]}x{args.crop[1]}, {args.repeats} turns"]
    for name, values in found.items():
        middle = statistics.median(values)
        speed = f"{args.batch_size / middle:8.1f} images/s" if name in ways else " " * 17
        lines.append(f"{name:<40} {1e3 * middle:8.0f} ms{speed}  ({1e3 * min(values):.0f} at best)")
    return "\n".join(lines)


def _differentiated(loss: Callable, mask, logits) -> Callable:
    import tensorflow as tf

    @tf.function
    def run():
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(mask, logits)
        return tape.gradient(value, logits)

    run()
    return run


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of CamVid in SegNet's layout")
    add("--model", default="deeplabv3_plus_mobilenet_v2", help="(deeplabv3_plus_mobilenet_v2)")
    add("--output-stride", type=int, default=16, help="(16)")
    add("--batch-size", type=int, default=8, help="(8)")
    add("--crop", type=lambda text: tuple(map(int, text.split("x"))), default=(288, 384), help="(288x384)")
    add("--repeats", type=int, default=7, help="turns of every way (7)")
    print(measure(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
