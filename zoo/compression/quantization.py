"""Quantization-aware training (Jacob et al. 2018, section 3), and the full-integer file of its result."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable

import keras
import numpy as np

from zoo.compression.bridge import to_tf_keras
from zoo.compression.compressed import Compressed, copied
from zoo.compression.quantizable import (
    Quantizable,
    left_in_float,
    quantizable,
    round_kernels,
    with_rounded_resizes,
)
from zoo.compression.selection import sparsity
from zoo.compression.standard import standard_frameworks
from zoo.compression.training import FineTuning, best_of, train
from zoo.errors import InputError
from zoo.export.core.deployment import prepare
from zoo.export.formats import check_target
from zoo.export.publish import publish
from zoo.export.report import ExportReport
from zoo.export.tflite import trained_ranges
from zoo.layers.fake_quantization import FakeQuantize, Scale, Shift
from zoo.training.optimizer import frozen

# Share of the pixels whose class the file and the fake-quantized model must agree on.
AGREEMENT = 0.99
# Those that add no sum, whose range nothing would have learned.
_REWRITES = ("drop_training_only", "static_shapes", "fold_batch_norm", "drop_dead_taps")
CALIBRATION_BATCHES = 16


class _Quantized:
    """A network that rounds in every step; see `zoo.compression.stepper.Student`."""

    def __init__(self, made: Quantizable):
        from zoo.compression.quantizers import quantized_kernel, rounding
        from zoo.compression.tf_layers import Operation

        self.made = made

        def operation(layer):
            return Operation(type(layer).from_config(layer.get_config()), name=layer.name)

        def wrap(layer, original):
            return quantized_kernel(layer) if original.name in made.kernels else layer

        translate = {FakeQuantize: rounding, Shift: operation, Scale: operation}
        self.bridge = to_tf_keras(made.model, wrap=wrap, translate=translate)

    def before_step(self, step: int) -> None:
        """Nothing: the kernels are rounded when they are read."""

    def is_complete(self, step: int) -> bool:
        return True

    def snapshot(self) -> keras.Model:
        model = self.bridge.to_keras()
        round_kernels(model, self.made.kernels)
        return model


@standard_frameworks()
def quantize(
    model: keras.Model, tuning: FineTuning, *, calibration: Iterable[np.ndarray] | None = None
) -> Compressed:
    """Fine-tune a model while its kernels and tensors are rounded as an 8-bit runtime rounds them.

    Kernels have a scale for each output channel, tensors one range each, which training goes on learning.
    Between a convolution, its batch norm and its activation nothing is rounded, because the runtime computes
    them as one.

    Args:
        model: A trained zoo model; it stays as it is.
        tuning: How it is fine-tuned. Of the freezable parts, ``"batch_norm"`` keeps the statistics.
        calibration: Batches of images ``(batch, height, width, 3)`` in 0…255 for the first ranges; the first
            batches of the training by default.

    Returns:
        The model with rounded kernels and `FakeQuantize` layers: it computes what the integers compute.
        `to_tflite` exports it. Of the best validation, where there is one and a folder keeps it.

    Raises:
        InputError: A model or setting that cannot be used, or missing packages.
        DivergedError: A loss that is not finite.
    """
    if calibration is None:
        batches = tuning.batches(0).take(CALIBRATION_BATCHES)
        calibration = (image for image, _ in batches)
    made = quantizable(copied(model), calibration)
    with frozen(made.model, tuning.settings.freeze):
        student = _Quantized(made)
        history = train(student, tuning)
        trained = best_of(student, tuning, history)
    result = with_rounded_resizes(trained)
    return Compressed(result, history, sparsity(result), dict(made.float_layers))


def is_quantized(model: keras.Model) -> bool:
    """Whether a model is a result of `quantize`."""
    return any(isinstance(layer, FakeQuantize) for layer in model.layers)


# --- the file ---------------------------------------------------------------------------------------------


def to_tflite(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int],
    images: Iterable[np.ndarray] | None = None,
) -> ExportReport:
    """Write a quantized model as a TFLite file that computes in integers.

    Bytes go in and, but for a model that resizes probabilities, come out. The file is run and compared with
    the fake-quantized model before it appears; the report stands at ``<path>.json``.

    Args:
        model: From `quantize`.
        path: File to write, ``*.tflite``.
        input_size: (height, width) in pixels.
        images: RGB images ``(height, width, 3)`` in 0…255 for the comparison; `None` for synthetic ones.

    Returns:
        The report, whose ``quantization.float_operations`` are all operations in float.

    Raises:
        InputError: A model that is not quantized, or a path that cannot be written.
        ParityError: Less than 99 % of the pixels have the model's class, or a layer computes in float that
            should not.
    """
    if not isinstance(model, keras.Model) or not is_quantized(model):
        raise InputError("an integer file is made of a model from zoo.compression.quantize")
    target = check_target(path, format="tflite")
    deployment = prepare(model, input_size=input_size, rewrites=_REWRITES)
    return publish(
        deployment,
        target,
        write=functools.partial(trained_ranges.write, left=left_in_float(model)),
        images=images,
        stored={"kind": "int8", "max_drop": 1 - AGREEMENT},
        bound=1 - AGREEMENT,
    )
