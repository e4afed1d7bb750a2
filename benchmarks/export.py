"""Speed of exported files: the zoo's against what TensorFlow and Keras make of the same network.

The same network is built from Keras' own layers, with the same weights, and must compute the same logits
before anything is timed. Then `TFLiteConverter.from_keras_model` and Keras' `export(format="onnx")` write it,
`zoo.export` writes the zoo's, and `zoo.export.bench` times the files in turns, each in a process of its own.

    python benchmarks/export.py
    python benchmarks/export.py --model deeplabv3_aspp_resnet50 --sizes 257x257 --repeats 10 --json FILE
    python benchmarks/export.py --formats onnx --sizes 513x513 --torchvision deeplabv3_resnet50.onnx
    python benchmarks/export.py --weights voc2012 --sizes 513x513 --formats tflite tflite_int8 --beside FILE

`--beside` files, such as a published one or that of an earlier version, are timed in the same turns.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import statistics
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import zoo
from zoo import export
from zoo.cli.quantization import native_output_hidden
from zoo.errors import ZooError
from zoo.export.proof.parity import synthetic_image
from zoo.export.timing.report import table

SIZES = {
    "deeplabv3_aspp_resnet50": ("257x257", "513x513"),
    "deeplabv3_aspp": ("257x257", "360x480", "513x513"),
}
# What the zoo writes: format and settings.
OURS = {
    "tflite": ("tflite", {}),
    "tflite_float16": ("tflite", {"quantize": "float16"}),
    "tflite_int8": ("tflite", {"quantize": "int8"}),
    "onnx": ("onnx", {}),
    "onnx_int8": ("onnx", {"quantize": "int8"}),
}
CALIBRATION = 8  # synthetic images: the speed of an integer does not depend on its scale
TOLERANCE = 1e-4  # of the largest logit


# --- the same network from Keras' own layers ------------------------------------------------------------


def stock_network(model: keras.Model, size: tuple[int, int]) -> keras.Model:
    """The model layer by layer from `keras.layers`, at one size, with its weights."""
    image = keras.Input((*size, 3), name="image")
    made = {}

    def call(layer, inputs, *args, **kwargs):
        first = inputs[0] if isinstance(inputs, list | tuple) else inputs
        build = _STOCK.get(type(layer).__name__)
        if build is None:
            return layer.__class__.from_config(layer.get_config())(inputs)
        output, made[layer.name] = build(layer, first, inputs)
        return output

    stock = keras.models.clone_model(
        model, input_tensors=image, clone_function=lambda layer: layer, call_function=call
    )
    for name, twin in made.items():
        if twin is not None:
            twin.set_weights(model.get_layer(name).get_weights())
    return stock


def _normalize(layer, x, _):
    # Not Normalization, whose statistics Keras' ONNX export turns into inputs of the file.
    scale = [1 / deviation for deviation in layer.scale]
    offset = [-mean * factor for mean, factor in zip(layer.mean, scale, strict=True)]
    return layers.Rescaling(scale, offset, name=layer.name)(x), None


def _convolution(kind, layer, x, **settings):
    padding = layer.padding
    if padding == "symmetric":
        padding = "same"
        if layer.strides > 1 and layer.kernel_size != (1, 1):  # "same" pads one side more than the other
            padding = "valid"
            x = layers.ZeroPadding2D(tuple(side // 2 for side in layer.kernel_size))(x)
    twin = kind(
        kernel_size=layer.kernel_size,
        strides=layer.strides,
        dilation_rate=layer.rate,
        padding=padding,
        use_bias=layer.use_bias,
        name=layer.name,
        **settings,
    )
    return twin(x), twin


def _batch_norm(layer, x, _):
    twin = layers.BatchNormalization(epsilon=layer.epsilon, name=layer.name)
    return twin(x), twin


def _broadcast(layer, cell, inputs):
    return layers.UpSampling2D(inputs[1].shape[1:3], name=layer.name)(cell), None


def _logits(layer, x, inputs):
    height, width = inputs[1].shape[1:3]
    if layer.convention != "half_pixel" or layer.domain != "logits":
        raise SystemExit(f"Keras has no layer that resizes by {layer.convention} in {layer.domain}")
    return layers.Resizing(height, width, interpolation="bilinear", name=layer.name)(x), None


_STOCK = {
    "Normalize": _normalize,
    "DilatedConv2D": lambda layer, x, _: _convolution(layers.Conv2D, layer, x, filters=layer.filters),
    "DilatedDepthwiseConv2D": lambda layer, x, _: _convolution(layers.DepthwiseConv2D, layer, x),
    "FusedBatchNormalization": _batch_norm,
    "BroadcastLike": _broadcast,
    "SegmentationLogits": _logits,
}


def largest_difference(model: keras.Model, stock: keras.Model, size: tuple[int, int]) -> float:
    """Between the two networks' logits, relative to the largest logit."""
    image = synthetic_image(*size)[None].astype(np.float32)
    found, expected = (np.asarray(network(image, training=False)) for network in (stock, model))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


# --- files ------------------------------------------------------------------------------------------------


def stock_tflite(stock: keras.Model, path: Path) -> None:
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(stock).convert())


def stock_onnx(stock: keras.Model, path: Path) -> None:
    stock.export(path, format="onnx", verbose=False)


def zoo_file(model: keras.Model, name: str, path: Path, size: tuple[int, int]) -> None:
    """What `zoo.export` writes; a `ZooError` says why it cannot."""
    format, settings = OURS[name]
    if settings.get("quantize") == "int8":
        settings = {**settings, "calibration": [synthetic_image(*size, seed=i) for i in range(CALIBRATION)]}
    export.to_format(format, model, path, input_size=size, **settings)


@contextlib.contextmanager
def _quiet():
    """Without what converters print."""
    with native_output_hidden(), contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def files(model, stock, format: str, args: argparse.Namespace, size, folder: Path) -> dict[str, Path]:
    """Names and paths of all files of a format; the first is what the others are compared with."""
    names = {"tflite": "TFLiteConverter.from_keras_model", "onnx": "keras export"}
    write = {"tflite": stock_tflite, "onnx": stock_onnx}[format]
    paths = {}
    if stock is not None:
        paths[names[format]] = folder / f"stock.{format}"
        with _quiet():
            write(stock, paths[names[format]])
    for name in args.formats:
        if OURS[name][0] != format:
            continue
        path = folder / f"{name}.{format}"
        try:
            with _quiet():
                zoo_file(model, name, path, size)
        except ZooError as error:
            print(f"left out: {name}: {str(error)[:200]}", file=sys.stderr)
            continue
        paths[f"zoo {name}"] = path
    if format == "onnx" and args.torchvision:
        paths["torchvision"] = args.torchvision
    paths |= {path.name: path for path in args.beside if path.suffix == f".{format}"}
    return paths


# --- the comparison ---------------------------------------------------------------------------------------


def versus(result, name: str) -> dict[str, float]:
    """How many times faster the other files are than the one of that name: medians over the rounds."""
    base = next((t.seconds for t in result.timings if t.name == name), None)
    if base is None:
        return {}
    return {
        timing.name: statistics.median(a / b for a, b in zip(base, timing.seconds, strict=True))
        for timing in result.timings
        if timing.name != name
    }


def compare(args: argparse.Namespace, size: tuple[int, int]) -> list[dict]:
    """Files of each format at one size, in turns."""
    keras.utils.set_random_seed(0)
    weights = args.weights or ("default" if args.model == "deeplabv3_aspp" else None)
    model = zoo.load(args.model, weights)
    stock, difference = None, None
    if args.weights is None:  # Keras has not every network's way to resize
        stock = stock_network(model, size)
        difference = largest_difference(model, stock, size)
        if not difference < TOLERANCE:
            raise SystemExit(f"the networks differ: {difference:.1e} of the largest logit")
        print(f"\n{args.model}: logits of the two networks agree to {difference:.1e} of the largest")
    results = []
    for format in dict.fromkeys(OURS[name][0] for name in args.formats):
        with tempfile.TemporaryDirectory() as folder:
            paths = files(model, stock, format, args, size, Path(folder))
            result = export.bench(
                paths, threads=args.threads, repeats=args.repeats, size=size, operations=False
            )
        print(table(result))
        ours = versus(result, f"zoo {format}")
        for name, ratio in ours.items():
            if name.startswith("zoo ") or name in [path.name for path in args.beside]:
                print(f"{name}: {ratio:.2f} times as fast as zoo {format}")
        facts = {"model": args.model, "format": format, "difference": difference}
        results.append({**facts, "faster_than_zoo_float32": ours, **result.to_dict()})
    return results


def parse_size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH in pixels, not {text!r}")
    return int(height), int(width)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", choices=SIZES, default="deeplabv3_aspp", help="network (deeplabv3_aspp)")
    add("--sizes", nargs="+", type=parse_size, metavar="HxW", help="of the image (257 and 513 squared, …)")
    add("--formats", nargs="+", choices=OURS, default=["tflite", "onnx"], help="what the zoo writes")
    add("--repeats", type=int, default=20, help="rounds (20)")
    add("--threads", type=int, default=2, help="of each runtime (2)")
    add("--torchvision", type=Path, metavar="ONNX", help="file of the same network, exported elsewhere")
    add("--weights", metavar="TAG", help="other weights, without a comparison with Keras' own layers")
    add("--beside", type=Path, nargs="+", default=[], metavar="FILE", help="other files of the same size")
    add("--json", type=Path, metavar="FILE", help="write all numbers to this file")
    args = parser.parse_args()
    args.sizes = args.sizes or list(map(parse_size, SIZES[args.model]))
    if min(args.repeats, args.threads) < 1:
        parser.error("--repeats and --threads must be 1 or more")
    if args.torchvision and not args.torchvision.is_file():
        parser.error(f"there is no file {args.torchvision}")
    return args


def main() -> int:
    args = parse()
    for name in ("tensorflow", "absl", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    results = [entry for size in args.sizes for entry in compare(args, size)]
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
