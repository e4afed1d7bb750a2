"""Bilinear resizing, with the convention for where pixels lie stated by every caller."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import keras
import tensorflow as tf

from zoo import provenance
from zoo.errors import InputError
from zoo.labels import LabelSet
from zoo.layers.common import PACKAGE, shaped, whole

log = logging.getLogger("zoo")

CONVENTIONS = ("half_pixel", "align_corners", "asymmetric")
DOMAINS = ("logits", "probabilities")
# Below this a probability counts as this: its logarithm (-69) and its gradient (1 / p) stay finite.
FLOOR = 1e-30


def check_convention(convention: str) -> str:
    """`convention` itself, or an `InputError` that lists the known ones."""
    if convention not in CONVENTIONS:
        raise InputError(f"convention must be one of {', '.join(CONVENTIONS)}, not {convention!r}")
    return convention


def resize_bilinear(x: tf.Tensor, size, *, convention: str) -> tf.Tensor:
    """Resize ``(batch, height, width, channels)`` to `size` = (height, width), as float32.

    Args:
        x: Float tensor.
        size: Target height and width: integers, or an int32 tensor of two.
        convention: ``"half_pixel"``: pixel centres at i + ½, source = (i + ½)·in/out − ½ (PyTorch's default,
            TensorFlow 2). ``"align_corners"``: the corner pixels' centres coincide, source = i·(in − 1)/
            (out − 1) (TF-DeepLab). ``"asymmetric"``: the first pixels' centres coincide, source = i·in/out
            (fyu/dilation; ONNX's name). They differ by up to half a source pixel; the last reaches past
            the last source pixel, which it repeats there.
    """
    check_convention(convention)
    return tf.raw_ops.ResizeBilinear(
        images=tf.cast(x, tf.float32),
        size=size,
        half_pixel_centers=convention == "half_pixel",
        align_corners=convention == "align_corners",
    )


@keras.saving.register_keras_serializable(PACKAGE)
class Resize(keras.layers.Layer):
    """Bilinear resize of the first input to the height and width of the second, as float32.

    ``[(batch, h, w, channels), (batch, height, width, any)]`` → ``(batch, height, width, channels)``.

    Args:
        convention: See `resize_bilinear`; there is no default, because sources of weights differ.
        factor: Enlarge exactly so many times and keep the top left part that the second input covers, for a
            map that was computed on a padded image; `None` resizes to that input's own size. Where corners
            are aligned, n cells become ``factor · (n − 1) + 1`` pixels: as many between two cells.
        **kwargs: ``name`` of a Keras layer.

    Raises:
        InputError: An unknown convention, a factor below 1, or a map that, enlarged, is smaller than the
            second input.
    """

    def __init__(self, *, convention: str, factor: int | None = None, **kwargs):
        # Logits leave the network in float32 under any mixed-precision policy.
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.convention = check_convention(convention)
        self.factor = None if factor is None else whole(factor, "factor", also=" or None")

    def build(self, input_shape):
        x, like = (shape[1:3] for shape in input_shape)
        if self.factor is None or None in (*x, *like):
            return
        if any(self._enlarged(cells) < pixels for cells, pixels in zip(x, like, strict=True)):
            raise InputError(f"{self.factor} times {x} does not cover an image of {like}")

    def _enlarged(self, cells):
        """Pixels that so many cells become, with a factor."""
        return self.factor * (cells - 1) + 1 if self.convention == "align_corners" else self.factor * cells

    def call(self, inputs):
        return self._resized(*inputs)

    def _resized(self, x, like):
        if self.factor is None:
            static = like.shape[1:3]
            size = static if static.is_fully_defined() else tf.shape(like)[1:3]
            return resize_bilinear(x, size, convention=self.convention)
        if self.factor > 1:
            x = resize_bilinear(x, self._enlarged(tf.shape(x)[1:3]), convention=self.convention)
        if x.shape[1:3].is_fully_defined() and x.shape[1:3] == like.shape[1:3]:
            return x
        size = tf.shape(like)
        return shaped(x[:, : size[1], : size[2]], (None, *like.shape[1:3], x.shape[-1]))

    def compute_output_shape(self, input_shape):
        x, like = input_shape
        return (x[0], *like[1:3], x[-1])

    def get_config(self):
        return {**super().get_config(), "convention": self.convention, "factor": self.factor}


@keras.saving.register_keras_serializable(PACKAGE)
class SegmentationLogits(Resize):
    """The last layer of every model: logits at the size of the image, and what their channels mean.

    ``[(batch, h, w, classes), image]`` → ``(batch, height, width, classes)``, float32.

    Args:
        convention: See `Resize`.
        label_set: The `LabelSet` of the channels (or its config). It is part of the layer's config, so that a
            saved ``.keras`` file brings its class names and colours along.
        domain: What is interpolated. ``"probabilities"`` gives ``log(resize(softmax(x)))``, so that softmax
            of the result is the resized probabilities, as the authors of Caffe's dilation networks and of DUC
            enlarge them. That differs from ``"logits"``, which are resized as they are: between a sure cell
            and an unsure one of another class, the mean probability follows both and the mean logit the sure
            one. Probabilities below 1e-30 count as 1e-30.
        factor: See `Resize`.
        source: ``{"model", "weights"}``: name of the model, and tag or file name of the weights it came with
            (`None` for random ones); `None` where nobody said. Part of the config like the labels, so that
            every copy of a model knows it; see `source_of`. ``"settings"`` may stand beside them.
        **kwargs: ``name`` of a Keras layer.

    Attributes:
        source: As above, without settings; may be set.
        settings: Arguments of the builder that made the model, or `None` where they are not known. They are
            part of the config, and of every file of weights that Keras writes of the model: variables alone
            do not say at which stride or rates they were trained.

    Raises:
        InputError: As from `Resize`, an unknown domain, channels that are not as many as the labels, or a
            source of another form.
    """

    def __init__(
        self,
        *,
        convention: str,
        label_set,
        domain: str = "logits",
        factor: int | None = None,
        source: Mapping[str, str | None] | None = None,
        **kwargs,
    ):
        super().__init__(convention=convention, factor=factor, **kwargs)
        is_set = isinstance(label_set, LabelSet)
        self.label_set = label_set if is_set else LabelSet.from_config(label_set)
        if domain not in DOMAINS:
            raise InputError(f"domain must be one of {', '.join(DOMAINS)}, not {domain!r}")
        self.domain = domain
        self.source = source
        settings = None if source is None else source.get("settings")
        self.settings = None if settings is None else provenance.as_tuples(settings)

    @property
    def source(self) -> dict[str, str | None] | None:
        """Where the model came from."""
        return None if self._source is None else dict(self._source)

    @source.setter
    def source(self, source: Mapping[str, str | None] | None) -> None:
        self._source = provenance.checked_source(source)

    def build(self, input_shape):
        channels = input_shape[0][-1]
        if channels != len(self.label_set):
            raise InputError(f"{len(self.label_set)} labels for {channels} channels of logits")
        super().build(input_shape)

    def call(self, inputs):
        x, image = inputs
        if self.domain == "logits":
            return self._resized(x, image)
        return tf.math.log(tf.maximum(self._resized(tf.nn.softmax(x), image), FLOOR))

    def get_config(self):
        config = {"label_set": self.label_set.to_config(), "domain": self.domain}
        source = self.source
        if source is not None and self.settings is not None:
            source["settings"] = provenance.as_lists(self.settings)
        return {**super().get_config(), **config, "source": source}

    def save_own_variables(self, store):
        """Beside the variables, of which there are none: what the model is."""
        if self._source is not None and self.settings is not None:
            about = {"model": self._source["model"], "settings": self.settings, "labels": self.label_set}
            store[provenance.ABOUT] = provenance.to_bytes(provenance.to_text(**about))

    def load_own_variables(self, store):
        """Weights of a model that was built otherwise are taken, since their shapes fit, but not silently."""
        names = set(store.keys())
        if provenance.ABOUT not in names or self.settings is None:
            return
        text = provenance.from_bytes(store[provenance.ABOUT], file="weights")
        _, settings, labels = provenance.from_text(text, file="weights")
        differences = [
            f"{name} {settings[name]!r}, here {self.settings.get(name)!r}"
            for name in settings
            if settings[name] != self.settings.get(name)
        ]
        if labels.names != self.label_set.names:
            differences.append(f"classes {', '.join(labels.names)}, here {', '.join(self.label_set.names)}")
        if differences:
            log.warning("these weights were saved of a model with %s", "; ".join(differences))


def logits_layer_of(model: keras.Model) -> SegmentationLogits:
    """The layer that gives a zoo model its logits; `InputError` when there is none."""
    for layer in reversed(model.layers):
        if isinstance(layer, SegmentationLogits):
            return layer
    task = getattr(model.layers[-1], "task", None) if model.layers else None
    if task is not None:
        raise InputError(
            f"model {model.name!r} is a model of sequences ({task}), not one that segments images"
        )
    raise InputError(f"model {model.name!r} has no SegmentationLogits layer: not a zoo model")


def label_set_of(model: keras.Model) -> LabelSet:
    """The label set that a zoo model carries; `InputError` when it is not one."""
    return logits_layer_of(model).label_set


def source_of(model: keras.Model) -> dict[str, str | None] | None:
    """``{"model", "weights"}`` that a zoo model came from, as far as it is known; `InputError` when not one.

    Models that share their last layer, such as one with and one without its auxiliary output, share it too.
    """
    return logits_layer_of(model).source


def set_source(model: keras.Model, *, name: str, weights: str | None) -> keras.Model:
    """Note in a zoo model where it came from; gives the model itself.

    Args:
        model: The model.
        name: Of the registry, or the model's own.
        weights: Tag of the catalog or name of a file, without its folder; `None` for random ones.

    Raises:
        InputError: Not a zoo model, or a source that is no text.
    """
    logits_layer_of(model).source = {"model": name, "weights": weights}
    return model
