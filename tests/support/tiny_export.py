"""A zoo model of five layers with seeded weights, and its exports."""

import importlib

import keras
import numpy as np

from zoo import export
from zoo.export.formats import rows
from zoo.labels import VOC21, named
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import SegmentationLogits, set_source
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp

LABELS = named(("road", "sky", "naïve ☂"))
SIZE = (33, 47)
ROWS = {row.name: row for row in rows("writer")}
NAMES = {name: f"m{row.shape.suffix or ''}" for name, row in ROWS.items()}
EXPORTS = {name: getattr(export, f"to_{name}") for name in ROWS}
# The modules, in which tests put other writers.
WRITERS = {name: importlib.import_module(row.writer.split(":")[0]) for name, row in ROWS.items()}
FORMATS = sorted(EXPORTS)
# Settings of models of the registry, by architecture.
NARROW_HEADS = {
    "deeplabv3_aspp": {"aspp_channels": 16},
    "deeplabv3_plus": {"aspp_channels": 16, "decoder_channels": 16},
    "lraspp": {"channels": 16},
    "pspnet": {"channels": 16},
}


def seeded(model, seed=0):
    """Weights and batch-norm statistics that are not the trivial ones of a fresh model."""
    rng = np.random.default_rng(seed)
    draw = {
        "kernel": lambda s: rng.normal(0, 1.2 / np.sqrt(np.prod(s[:-2]) * (s[-2] if s[-1] > 1 else 1)), s),
        "bias": lambda s: rng.normal(0, 0.1, s),
        "beta": lambda s: rng.normal(0, 0.1, s),
        "gamma": lambda s: rng.uniform(0.7, 1.4, s),
        "moving_mean": lambda s: rng.normal(0, 0.1, s),
        "moving_variance": lambda s: rng.uniform(0.5, 2, s),
    }
    for weight in model.weights:
        weight.assign(draw[weight.path.rsplit("/", 1)[1]](weight.shape))
    return model


def tiny(convention="half_pixel", *, domain="logits", channels=8, rate=2, seed=0):
    """A zoo model of five layers, with one dense and one depthwise dilated convolution."""
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=(128,) * 3, scale=(64,) * 3, name="normalize")(image)
    x = DilatedConv2D(channels, kernel_size=3, strides=4, padding="symmetric", name="stem")(x)
    x = DilatedDepthwiseConv2D(kernel_size=3, rate=rate, name="depthwise")(x)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.Dropout(0.5, name="dropout")(keras.layers.ReLU(name="relu")(x))
    x = DilatedConv2D(3, kernel_size=3, rate=3, use_bias=True, name="classifier")(x)
    last = SegmentationLogits(convention=convention, label_set=LABELS, domain=domain, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="tiny"), seed)


def write(format, model, folder, **options):
    if ROWS[format].static_size:
        options.setdefault("input_size", SIZE)
    return EXPORTS[format](model, folder / NAMES[format], **options)


def all_formats(model, folder):
    """The model in all formats in a folder, with their reports by format."""
    set_source(model, name="tiny", weights="seeded")
    return folder, {format: write(format, model, folder) for format in FORMATS}


def deeplab(convention, output_stride, **settings):
    """A narrow DeepLab with seeded weights."""
    keras.utils.set_random_seed(0)
    model = deeplabv3_aspp(
        backbone="mobilenet_v2",
        label_set=VOC21,
        convention=convention,
        output_stride=output_stride,
        aspp_channels=32,
        **settings,
    )
    return seeded(model)
