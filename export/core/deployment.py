"""From a Keras model to the graph that every format starts from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from zoo._version import __version__
from zoo.errors import InputError
from zoo.export.core import mask_head
from zoo.export.core.metadata import INPUT_NAME, LAYOUTS, Metadata, check_head
from zoo.export.core.precision import float32_defaults, in_float32
from zoo.export.deploy import AGAINST_PADDING, Rewrite, check_rewrites, rewrite
from zoo.layers import forward_only
from zoo.layers.resize import SegmentationLogits, label_set_of, source_of
from zoo.models.heads.classifier import AUXILIARY, LOGITS
from zoo.models.surgery import without_auxiliary


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A model, checked and cut to the requested head, with the description that its artifact will carry.

    Attributes:
        original: From images to logits, of the size that the head has; shares the model's weights.
        network: The same, rewritten for deployment: what is written. For a mask it ends at the scores of the
            cells.
        metadata: Of the artifact to be.
        domain: What its output is compared as, see `zoo.export.proof.parity.compare`.
        rewrites: What became of each rewrite.
        head: What follows the network where the artifact gives a mask.
        scores: The original up to where the network ends, where the artifact gives a mask.
    """

    original: keras.Model
    network: keras.Model
    metadata: Metadata
    domain: str
    rewrites: tuple[Rewrite, ...]
    head: mask_head.MaskHead | None = None
    scores: keras.Model | None = None

    def reference(self, images: np.ndarray) -> np.ndarray:
        """What the Keras model itself computes for ``(height, width, 3)`` or a batch of it.

        Logits, or a mask as of `Metadata.gives_mask`.
        """
        batch = _batch(images)
        if self.metadata.head == "small_mask":
            return self.head(self.scores(batch, training=False), batch).numpy()
        logits = keras.ops.convert_to_numpy(self.original(batch, training=False))
        return logits.argmax(-1).astype(self.metadata.mask_type) if self.metadata.gives_mask else logits

    def mask(self, images: np.ndarray) -> np.ndarray:
        """Arg-max of the Keras model's logits at the size of the images, for a head that gives a mask."""
        return keras.ops.convert_to_numpy(self.original(_batch(images), training=False)).argmax(-1)


def _batch(images: np.ndarray) -> np.ndarray:
    batch = np.asarray(images, np.float32)
    return batch if batch.ndim == 4 else batch[None]


def fingerprint(model: keras.Model) -> str:
    """SHA-256 over the layers' settings and the weights of a model: equal for models that compute the same.

    The model's name, the size of its input and its training state do not count.
    """
    sha = hashlib.sha256()
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            settings = {key: value for key, value in layer.get_config().items() if _counts(key)}
            config = [type(layer).__name__, settings]
            sha.update(json.dumps(config, sort_keys=True, default=str).encode())
    for weight in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(weight))
        sha.update(f"{weight.path} {value.shape} {value.dtype}".encode())
        sha.update(value.tobytes())
    return sha.hexdigest()


def _counts(setting: str) -> bool:
    """Whether a setting of a layer changes what it computes; not where it came from, nor how it learns."""
    return setting not in ("source", "trainable", "dtype") and not setting.endswith(
        ("_initializer", "_regularizer", "_constraint")
    )


def _check_size(model: keras.Model, input_size) -> tuple[int, int] | None:
    """The static size to export: as requested, else as the model was built, else `None`."""
    built = tuple(model.input_shape[1:3])
    fixed = None if None in built else built
    if input_size is None:
        return fixed
    size = tuple(input_size) if isinstance(input_size, (tuple, list)) else ()
    whole = all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in size)
    if len(size) != 2 or not whole or min(size) < 1:
        raise InputError(f"input_size must be (height, width) in pixels, not {input_size!r}")
    if any(b not in (None, n) for b, n in zip(built, size, strict=True)):
        raise InputError(f"input_size {size} does not fit a model that was built for {built}")
    return int(size[0]), int(size[1])


def _cut(model: keras.Model, head: str) -> tuple[keras.Model, str]:
    """The network that ends at `head`, one of logits, and the domain of its output."""
    last = next(x for x in reversed(model.layers) if isinstance(x, SegmentationLogits))
    if head == "logits":
        return model, last.domain
    return keras.Model(model.input, last.input[0], name=f"{model.name}_small"), "logits"


def _single_output(model: keras.Model) -> keras.Model:
    """The model without an auxiliary head, which only training has a use for."""
    has_auxiliary = isinstance(model.output, dict) and set(model.output) == {LOGITS, AUXILIARY}
    return without_auxiliary(model) if has_auxiliary else model


def prepare(
    model,
    *,
    input_size=None,
    head: str = "logits",
    layout: str = "nhwc",
    rewrites: Iterable[str] | None = None,
    multiplies_padding: bool = False,
    keep_tables: bool = False,
) -> Deployment:
    """Check a model and the settings of an export, and rewrite the model for it.

    Args:
        model: A zoo model.
        input_size: (height, width), or `None` for the size the model was built for (any, mostly).
        head: ``"logits"`` at the size of the image, ``"small_logits"`` at the network's stride, ``"mask"``
            or ``"small_mask"``, see `zoo.export.core.mask_head`.
        layout: ``"nhwc"`` or ``"nchw"``.
        rewrites: Names in `zoo.export.deploy.REWRITES`; `None` for all.
        multiplies_padding: Whether the runtime does, so that `zoo.export.deploy.AGAINST_PADDING` can help.
        keep_tables: Whether kernels are to be tables of values.

    Raises:
        InputError: Not a zoo model with one input and one output, or a setting outside of the above.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"an export takes a keras.Model, not {type(model).__name__}")
    label_set = label_set_of(model)
    source = source_of(model)
    model = _single_output(model)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"an export takes a model with one input and one output; {model.name!r} has"
            f" {len(model.inputs)} and {len(model.outputs)}"
        )
    model = in_float32(model)
    if layout not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    metadata = Metadata(
        model=model.name,
        source=source,
        label_set=label_set,
        head=check_head(head),
        layout=layout,
        input_size=_check_size(model, input_size),
        fingerprint=fingerprint(model),
        producer=f"atrous-zoo {__version__}",
    )
    rewrites = check_rewrites(rewrites)
    if not multiplies_padding:
        rewrites = [name for name in rewrites if name not in AGAINST_PADDING]
    with float32_defaults():
        if metadata.gives_mask:
            return _prepare_mask(model, metadata, rewrites, keep_tables=keep_tables)
        original, domain = _cut(model, head)
        settings = {"input_size": metadata.input_size, "rewrites": rewrites, "keep_tables": keep_tables}
        network, done = rewrite(original, **settings)
    return Deployment(original=original, network=network, metadata=metadata, domain=domain, rewrites=done)


def _prepare_mask(
    model: keras.Model, metadata: Metadata, rewrites: Iterable[str], *, keep_tables: bool
) -> Deployment:
    scores, head = mask_head.split(model, small=metadata.head == "small_mask")
    settings = {"input_size": metadata.input_size, "rewrites": rewrites, "keep_tables": keep_tables}
    network, done = rewrite(scores, **settings)
    return Deployment(
        original=model,
        network=network,
        metadata=metadata,
        domain="mask",
        rewrites=done,
        head=head,
        scores=scores,
    )


def variables_of(function) -> list[tf.Variable]:
    """Variables that a concrete function reads, in the order in which it does; `graph.variables` has none."""
    variables = {id(variable.handle): variable for variable in function.graph.variables}
    return [variables[id(outer)] for outer, _ in function.graph.captures if id(outer) in variables]


def serving_function(deployment: Deployment, *, depthwise: str, products: bool = False):
    """A `tf.function` from float32 NHWC images to ``{"logits": …}`` or ``{"mask": …}``, and its input's spec.

    The batch is 1 where the size is static (static shapes are what mobile converters and accelerators want),
    and free where it is not. See `zoo.layers.forward_only` for `depthwise`, `MaskHead` for `products`.
    """
    metadata = deployment.metadata
    size = metadata.input_size
    shape = [None, None, None, 3] if size is None else [1, *size, 3]

    @tf.function(autograph=False)
    def serve(image):
        with float32_defaults(), forward_only(depthwise=depthwise):
            x = deployment.network(image, training=False)
            x = deployment.head(x, image, products=products) if metadata.gives_mask else x
            return {metadata.output_name: x}

    return serve, tf.TensorSpec(shape, tf.float32, name=INPUT_NAME)
