"""Training speed of DeepLabv3-ResNet50: the zoo's model and loop against stock Keras layers and `model.fit`.

Both are the same network (output stride 16, multi-grid 1-2-4, ASPP 6-12-18), optimizer, batch and loss;
before anything is timed, they must compute the same logits from the same weights. Every run is a process of
its own, the two take turns, and the steps that compile are not timed.

    python benchmarks/training.py
    python benchmarks/training.py --size 257 --batch-size 2 --steps 8 --repeats 5 --onednn unset 1 --json FILE
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CLASSES, IGNORE, STRIDE = 21, 255, 16
# (blocks, width, stride, rates of the 3×3 convolutions) of the four stages at output stride 16.
STAGES = ((3, 64, 1, (1,) * 3), (4, 128, 2, (1,) * 4), (6, 256, 2, (1,) * 6), (3, 512, 1, (2, 4, 8)))
ASPP_RATES = (6, 12, 18)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TOLERANCE = 1e-4  # of the logits' largest value
LEARNING_RATE, MOMENTUM = 1e-4, 0.9


# --- the two models -----------------------------------------------------------------------------------


def zoo_model(size: int):
    import zoo

    return zoo.load("deeplabv3_aspp_resnet50", None, input_shape=(size, size, 3), output_stride=STRIDE)


def stock_model(size: int):
    """The network from Keras' own layers; those with weights have the names that they have in the zoo."""
    from keras import Input, Model, layers

    image = Input((size, size, 3))
    x = layers.Normalization(
        mean=[255 * m for m in MEAN], variance=[(255 * d) ** 2 for d in DEVIATION], name="normalize"
    )(image)
    x = _conv(x, 64, 7, strides=2, name="backbone.stem")
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    for stage, (blocks, width, stride, rates) in enumerate(STAGES, start=1):
        for block in range(blocks):
            name = f"backbone.stage{stage}.block{block}"
            strides = stride if block == 0 else 1
            x = _bottleneck(x, width, strides=strides, rate=rates[block], project=block == 0, name=name)
    x = _aspp(x, cells=(size - 1) // STRIDE + 1)
    x = layers.Conv2D(CLASSES, 1, name="classifier")(x)
    return Model(image, layers.Resizing(size, size, interpolation="bilinear")(x))


def _conv(x, filters: int, kernel: int, *, name: str, strides: int = 1, rate: int = 1, relu: bool = True):
    from keras import layers

    padding = "same"
    if strides > 1 and kernel > 1:  # "same" pads one side more than the other
        x, padding = layers.ZeroPadding2D(kernel // 2)(x), "valid"
    x = layers.Conv2D(
        filters,
        kernel,
        strides=strides,
        dilation_rate=rate,
        padding=padding,
        use_bias=False,
        name=f"{name}.conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}.bn")(x)
    return layers.ReLU()(x) if relu else x


def _bottleneck(x, width: int, *, strides: int, rate: int, project: bool, name: str):
    from keras import layers

    shortcut = x
    if project:
        shortcut = _conv(x, 4 * width, 1, strides=strides, relu=False, name=f"{name}.shortcut")
    x = _conv(x, width, 1, name=f"{name}.reduce")
    x = _conv(x, width, 3, strides=strides, rate=rate, name=f"{name}.middle")
    x = _conv(x, 4 * width, 1, relu=False, name=f"{name}.increase")
    return layers.ReLU()(layers.Add()([shortcut, x]))


def _aspp(x, *, cells: int):
    from keras import layers

    branches = [_conv(x, 256, 1, name="aspp.conv0")]
    for index, rate in enumerate(ASPP_RATES, start=1):
        branches.append(_conv(x, 256, 3, rate=rate, name=f"aspp.conv{index}"))
    pooled = _conv(layers.GlobalAveragePooling2D(keepdims=True)(x), 256, 1, name="aspp.pool")
    branches.append(layers.UpSampling2D(cells)(pooled))
    x = _conv(layers.Concatenate()(branches), 256, 1, name="aspp.project")
    return layers.Dropout(0.1)(x)


# --- in a process of its own --------------------------------------------------------------------------


def data(size: int, batch_size: int):
    """One batch, again and again: reading images is no part of what is compared."""
    import numpy as np

    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (batch_size, size, size, 3)).astype("float32")
    mask = rng.integers(0, CLASSES, (batch_size, size, size)).astype("int32")
    mask[:, : size // 20] = IGNORE
    return image, mask


def largest_difference(size: int) -> float:
    """Between the two models' logits at the same random weights, relative to the largest logit."""
    import numpy as np

    ours, stock = zoo_model(size), stock_model(size)
    rng = np.random.default_rng(1)
    for layer in stock.layers:
        if not layer.trainable_weights:
            continue
        twin = ours.get_layer(layer.name)
        # Statistics that are not those of a fresh network, so that each of them matters.
        values = [w * rng.uniform(0.8, 1.2, w.shape) + rng.uniform(0, 0.02) for w in twin.get_weights()]
        twin.set_weights(values)
        layer.set_weights(values)
    counts = [sum(w.shape.num_elements() for w in m.trainable_weights) for m in (ours, stock)]
    if counts[0] != counts[1]:
        raise SystemExit(f"the models have {counts[0]:,} and {counts[1]:,} parameters")
    image = data(size, 1)[0]
    found, expected = (np.asarray(model(image, training=False)) for model in (ours, stock))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def zoo_speed(size: int, batch_size: int, steps: int) -> float:
    """Batches a second of `zoo.training.fit`."""
    import tensorflow as tf

    from zoo.training import OptimizerConfig, Settings, fit
    from zoo.training.losses import SparseCrossEntropy

    sgd = {"kind": "sgd", "learning_rate": LEARNING_RATE, "momentum": MOMENTUM, "weight_decay": 0.0}
    settings = Settings(
        steps=2 * steps,
        epoch_steps=steps,
        optimizer=OptimizerConfig(**sgd),
        ignore_label=IGNORE,
        progress=False,
    )
    endless = tf.data.Dataset.from_tensors(data(size, batch_size)).repeat()
    loss = SparseCrossEntropy(ignore_label=IGNORE)
    history = fit(zoo_model(size), lambda start: endless, loss=loss, settings=settings)
    return history.training[-1]["batches_per_second"]


def stock_speed(size: int, batch_size: int, steps: int) -> float:
    """Batches a second of Keras' ``fit``."""
    import keras
    import tensorflow as tf

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.since = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.since

    model, clock = stock_model(size), Clock()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=IGNORE)
    model.compile(keras.optimizers.SGD(LEARNING_RATE, momentum=MOMENTUM), loss)
    endless = tf.data.Dataset.from_tensors(data(size, batch_size)).repeat()
    model.fit(endless, steps_per_epoch=steps, epochs=2, verbose=0, callbacks=[clock])
    return steps / clock.seconds


TASKS = {
    "zoo": lambda a: zoo_speed(a.size, a.batch_size, a.steps) * a.batch_size,
    "stock": lambda a: stock_speed(a.size, a.batch_size, a.steps) * a.batch_size,
    "check": lambda a: largest_difference(a.size),
}


# --- the comparison -----------------------------------------------------------------------------------


def run(task: str, args: argparse.Namespace, onednn: str) -> float:
    """The number that a task prints in a fresh process."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("TF_ENABLE_ONEDNN_OPTS", None)
    if onednn != "unset":
        environment["TF_ENABLE_ONEDNN_OPTS"] = onednn
    sizes = ["--size", args.size, "--batch-size", args.batch_size, "--steps", args.steps]
    command = [sys.executable, __file__, "--task", task, *map(str, sizes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{task} failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.split()[-1])


def compare(args: argparse.Namespace, onednn: str) -> dict:
    """Both models' images a second, in turns; which one goes first changes from repeat to repeat."""
    runs = {"zoo": [], "stock": []}
    for repeat in range(args.repeats):
        for task in sorted(runs, reverse=repeat % 2 == 0):
            runs[task].append(run(task, args, onednn))
            done = f"{repeat + 1}/{args.repeats} {task}: {runs[task][-1]:.3f} images/s"
            print(done, file=sys.stderr, flush=True)
    medians = {task: statistics.median(speeds) for task, speeds in runs.items()}
    return {
        "onednn": onednn,
        "images_per_second": runs,
        "median": medians,
        "ratio": medians["zoo"] / medians["stock"],
        "ratios": [ours / theirs for ours, theirs in zip(runs["zoo"], runs["stock"], strict=True)],
    }


def table(args: argparse.Namespace, difference: float, results: list[dict]) -> str:
    lines = [
        f"deeplabv3_aspp_resnet50, {args.size}x{args.size}, output stride {STRIDE}, batch {args.batch_size}, "
        f"float32, forward and backward; {args.steps} steps a run, {args.repeats} runs of each",
        f"logits agree to {difference:.1e} of the largest",
        f"{'images/s':<34} {'median':>8} {'lowest':>8} {'highest':>8}",
    ]
    names = {"zoo": "zoo, engine.fit", "stock": "stock Keras layers, model.fit"}
    for result in results:
        suffix = "" if result["onednn"] == "unset" else f" (oneDNN {result['onednn']})"
        for task, name in names.items():
            speeds = result["images_per_second"][task]
            row = (result["median"][task], min(speeds), max(speeds))
            lines.append(f"{name + suffix:<34} " + " ".join(f"{value:8.3f}" for value in row))
        low, high = min(result["ratios"]), max(result["ratios"])
        lines.append(f"{'ratio' + suffix:<34} {result['ratio']:8.2f} {low:8.2f} {high:8.2f}")
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--size", type=int, default=257, help="height and width, 16 n + 1 (257)")
    add("--batch-size", type=int, default=2, help="images a step (2)")
    add("--steps", type=int, default=8, help="timed steps of a run, after as many that are not (8)")
    add("--repeats", type=int, default=5, help="runs of each model (5)")
    choices = ("unset", "0", "1")
    add("--onednn", nargs="+", choices=choices, default=["unset"], help="values of TF_ENABLE_ONEDNN_OPTS")
    add("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    add("--task", choices=TASKS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.size % STRIDE != 1 or min(args.batch_size, args.steps, args.repeats) < 1:
        parser.error("--size must be 16 n + 1, the other numbers 1 or more")
    return args


def main() -> int:
    args = parse()
    if args.task:
        print(TASKS[args.task](args))
        return 0
    difference = run("check", args, args.onednn[0])
    if not difference < TOLERANCE:
        print(f"the models differ: {difference:.1e} of the largest logit", file=sys.stderr)
        return 1
    results = [compare(args, onednn) for onednn in args.onednn]
    print(table(args, difference, results))
    if args.json:
        from importlib.metadata import version

        versions = {name: version(name) for name in ("tensorflow", "keras", "atrous-zoo")}
        settings = {name: getattr(args, name) for name in ("size", "batch_size", "steps", "repeats")}
        about = {"versions": versions, "processors": os.cpu_count(), **settings, "difference": difference}
        args.json.write_text(json.dumps({**about, "results": results}, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
