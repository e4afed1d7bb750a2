"""Probabilities of an image that the network sees at once, averaged over scales and mirror images."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Hashable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo import graph
from zoo.dilation.model import analyse
from zoo.errors import InputError
from zoo.inference.viewer import index_array
from zoo.layers import Enlarge
from zoo.layers.resize import label_set_of

_CACHE = "_zoo_probabilities"


class KerasViewer:
    """A Keras model of the zoo, see `zoo.inference.viewer`."""

    def __init__(self, model: keras.Model):
        self._model, self.name, self.labels = model, model.name, label_set_of(model)
        self.size = model.input_shape[1:3]

    @property
    def reach(self) -> tuple[int, int]:
        return reach_of(self._model)

    def probabilities(self, pixels: np.ndarray, *, scales: tuple[float, ...], flip: bool) -> np.ndarray:
        with _memory_told(pixels.shape[:2]):
            return averaged(self._model, pixels, scales=scales, flip=flip)

    def winners(self, pixels: np.ndarray) -> None:
        """None: the probabilities are computed with them."""

    def winners_of(self, images: np.ndarray) -> np.ndarray:
        with _memory_told(images.shape[1:3]):
            found = probabilities_of(self._model)(tf.convert_to_tensor(images, tf.float32))
            return index_array(tf.argmax(found, axis=-1).numpy(), len(self.labels))


@contextlib.contextmanager
def _memory_told(size: tuple[int, ...]) -> Iterator[None]:
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        height, width = size
        raise InputError(
            f"not enough memory to see {height}x{width} pixels at once; use a smaller tile"
        ) from None


def averaged(model: keras.Model, pixels: np.ndarray, *, scales: tuple[float, ...], flip: bool) -> np.ndarray:
    """Probabilities ``(height, width, classes)`` of one image ``(height, width, 3)`` in 0…255."""
    run = probabilities_of(model)
    image, size = tf.convert_to_tensor(pixels[np.newaxis], tf.float32), pixels.shape[:2]
    total = _at_scale(run, image, scales[0], size=size, flip=flip)
    for scale in scales[1:]:
        total = total + _at_scale(run, image, scale, size=size, flip=flip)
    return (total / len(scales))[0].numpy() if len(scales) > 1 else total[0].numpy()


def _at_scale(
    run: Callable[[tf.Tensor], tf.Tensor],
    image: tf.Tensor,
    scale: float,
    *,
    size: Sequence[int],
    flip: bool,
) -> tf.Tensor:
    """What the network sees at a scale, resized back to `size`."""
    scaled = _resized(image, [max(1, round(n * scale)) for n in size])
    found = run(scaled)
    if flip:
        found = (found + tf.reverse(run(tf.reverse(scaled, [2])), [2])) / 2
    return _resized(found, size)


def _resized(x: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    if tuple(x.shape[1:3]) == tuple(size):
        return x
    # Antialiasing has an effect only where this shrinks.
    return tf.image.resize(x, size, method="bilinear", antialias=True)


class _Compiled:
    """The traced functions of a model, by the mode that its layers compute in.

    A plain object: assigned to the model as it is, Keras and TensorFlow would track the functions and write
    them into a SavedModel of the model.
    """

    def __init__(self):
        self.process = os.getpid()
        self.functions: dict[Hashable, Callable[[tf.Tensor], tf.Tensor]] = {}
        self.reach: tuple[int, int] | None = None


def _compiled(model: keras.Model) -> _Compiled:
    found = getattr(model, _CACHE, None)
    if found is None:
        found = _Compiled()
        setattr(model, _CACHE, found)
    return found


def reach_of(model: keras.Model) -> tuple[int, int]:
    """Pixels above and beside one that its logits depend on, pooling of the whole map left out.

    0 where the way through the model cannot be followed.
    """
    compiled = _compiled(model)
    if compiled.reach is None:
        try:
            compiled.reach = _reach(model)
        except InputError:
            compiled.reach = 0, 0
    return compiled.reach


def _reach(model: keras.Model) -> tuple[int, int]:
    found = analyse(model)
    axes = zip(found.origin, found.counts.shape, found.output_stride, strict=True)
    # Logits are resized to the image: a pixel lies up to one and a half strides from a cell that it reads.
    rows, columns = (max(-first, first + length - 1) + -(-3 * stride // 2) for first, length, stride in axes)
    times = next((x.factor for x in graph.parts_of(model) if isinstance(x, Enlarge)), 1)
    return math.ceil(rows / times), math.ceil(columns / times)


def _mode_of(model: keras.Model) -> Hashable:
    """What a traced function has inside, and a model may change: the types that its layers compute in."""
    return tuple(layer.dtype_policy.name for layer in graph.parts_of(model))


def probabilities_of(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """``(batch, height, width, 3)`` → softmax ``(batch, height, width, classes)``, traced once per mode.

    `Model.predict` would trace, and on some machines compile by XLA, for every new image size.

    Raises:
        InputError: A child of `fork`, whose parent has used the model; it would wait for threads for ever.
    """
    compiled = _compiled(model)
    if compiled.process != os.getpid():
        raise InputError(
            "this model was used before the process was forked, which TensorFlow does not survive: start "
            'workers with multiprocessing.get_context("spawn"), or use the model in the child alone'
        )
    mode = _mode_of(model)
    if mode not in compiled.functions:
        compiled.functions[mode] = _traced(model)
    return compiled.functions[mode]


def _traced(model: keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    spec = tf.TensorSpec((None, *model.input_shape[1:3], 3), tf.float32)

    @tf.function(input_signature=[spec])
    def probabilities(images):
        logits = model(images, training=False)
        # A model for training may have an auxiliary output beside the logits.
        logits = logits["logits"] if isinstance(logits, dict) else logits
        return tf.nn.softmax(tf.cast(logits, tf.float32))

    probabilities.get_concrete_function()  # now, in the mode that it is kept under
    return probabilities
