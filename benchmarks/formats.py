"""Every model of the registry, whole, in every format: size of the files and how exactly they compute.

Weights are random, of the size that keeps activations alive through the depth. Each file is held against the
Keras model at three sizes (a file of one size is written for each); printed are megabytes, the largest error
of a logit as a share of the largest logit, and the share of the pixels with the same class where that is not
all of them. The export itself refuses a file that misses its limits.

    python benchmarks/formats.py
    python benchmarks/formats.py --models pspnet_resnet50 --sizes 96x96 65x129
    python benchmarks/formats.py --formats coreml --quantize float16 --sizes 65x65
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import zoo
from zoo import export
from zoo.cli.quantization import native_output_hidden
from zoo.cli.values import parse_size
from zoo.errors import ZooError
from zoo.export.formats import Format, rows
from zoo.export.proof.parity import synthetic_image
from zoo.models import registry

SIZES = ((96, 96), (65, 65), (64, 97))


def randomize(model: keras.Model, seed: int = 0) -> None:
    """Kernels by their number of inputs; batch norm and biases near those of a fresh model, but not equal."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        kind, shape = variable.path.rsplit("/", 1)[1], variable.shape
        if kind == "kernel":
            inputs = np.prod(shape[:-2]) * (shape[-2] if shape[-1] > 1 else 1)
            value = rng.normal(0, 1.2 / np.sqrt(inputs), shape)
        elif kind in ("gamma", "moving_variance"):
            value = rng.uniform(0.7, 1.4, shape)
        elif kind in ("beta", "bias", "moving_mean"):
            value = rng.normal(0, 0.1, shape)
        else:
            continue
        variable.assign(value)


def reports(model: keras.Model, format: Format, sizes, folder: Path, *, quantize: str | None) -> list:
    """The reports of a format's exports: of one file for all sizes, or of one for each."""
    images = [synthetic_image(*size) for size in sizes]
    suffix, kind = format.shape.suffix or "", {"quantize": quantize}
    if not format.static_size:
        return [export.to_format(format.name, model, folder / f"m{suffix}", images=images, **kind)]
    return [
        export.to_format(format.name, model, folder / f"{h}x{w}{suffix}", input_size=(h, w), **kind)
        for h, w in sizes
    ]


def cell(model: keras.Model, format: Format, sizes, *, quantize: str | None) -> str:
    """``MB, error``, the worst of the files; or why there is none."""
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            done = reports(model, format, sizes, Path(folder), quantize=quantize)
        except ZooError as error:
            return f"none: {error}"
    size = max(report.bytes for report in done)
    worst = max(report.parity.max_error / report.parity.max_logit for report in done)
    agreement = min(report.parity.argmax_agreement for report in done)
    rest = "" if agreement == 1 else f", {agreement:.2%}"
    return f"{size / 1e6:.1f} MB, {f'{worst:.0e}' if worst else 0}{rest}"


@contextlib.contextmanager
def _quiet():
    """Without what converters print."""
    with native_output_hidden(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [spec.name for spec in registry.MODELS]
    parser.add_argument("--models", nargs="+", choices=names, default=names, metavar="MODEL")
    written = export.formats.names()
    parser.add_argument("--formats", nargs="+", choices=written, default=written, metavar="FORMAT")
    parser.add_argument("--quantize", metavar="KIND", help="one of the formats' kinds (float32)")
    usual = " ".join(f"{height}x{width}" for height, width in SIZES)
    parser.add_argument(
        "--sizes", nargs="+", type=parse_size, default=SIZES, metavar="HxW", help=f"({usual})"
    )
    return parser.parse_args()


def main() -> int:
    args = parse()
    for name in ("tensorflow", "absl", "tf2onnx", "zoo"):
        logging.getLogger(name).setLevel(logging.ERROR)
    written = [row for row in rows("writer") if row.name in args.formats]
    print(f"| model | {' | '.join(row.name for row in written)} |\n|---|{'---|' * len(written)}", flush=True)
    for name in args.models:
        model = zoo.load(name, weights=None)
        randomize(model)
        cells = [cell(model, format, args.sizes, quantize=args.quantize) for format in written]
        print(f"| `{name}` | {' | '.join(cells)} |", flush=True)
        del model
        keras.backend.clear_session()
        gc.collect()
    return 0


if __name__ == "__main__":
    sys.exit(main())
