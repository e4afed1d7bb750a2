"""`zoo.evaluate`: how well a model or an exported artifact agrees with masks drawn by people."""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from zoo.datasets.dataset import Dataset
from zoo.datasets.examination import examine
from zoo.errors import InputError
from zoo.export.core.artifact_model import as_model
from zoo.export.opening import Artifact, is_artifact, open_artifact
from zoo.images import read_image, read_mask
from zoo.inference import segment
from zoo.labels import LabelSet, class_order
from zoo.layers.resize import label_set_of
from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix
from zoo.metrics.reliability import Reliability


@dataclass(frozen=True, eq=False)
class ImageScore:
    """The scores of one image.

    Attributes:
        index: Position in the data set.
        name: File name of the image, or its number.
        mean_iou: Over the classes in its truth or its prediction; NaN where every pixel is ignored.
        pixel_accuracy: Share of its counted pixels that is right.
        mask: Its prediction, ``(height, width)`` in the order of the data set's classes, where it was to be
            kept, else `None`.
    """

    index: int
    name: str
    mean_iou: float
    pixel_accuracy: float
    mask: np.ndarray | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The scores of a model on a data set, all shares in 0…1.

    Attributes:
        label_set: Classes of the data set, in the order of the matrices.
        protocol: What was measured: labels, split, size, scales, flip, windows; such as
            ``camvid11 val 360x480 single-scale``.
        confusion: Counts of all pixels that are not ignored.
        boundary: The same of the pixels within `distance` of a border, see `boundary_band`.
        distance: In pixels.
        images: One score an image, in the order of the data set.
        reliability: Confidence against accuracy, where it was asked for, else `None`.
    """

    label_set: LabelSet
    protocol: str
    confusion: ConfusionMatrix = field(repr=False)
    boundary: ConfusionMatrix = field(repr=False)
    distance: int
    images: tuple[ImageScore, ...] = field(repr=False)
    reliability: Reliability | None = field(default=None, repr=False)

    @property
    def iou(self) -> dict[str, float]:
        """Intersection over union by class; NaN for one that is neither true nor predicted anywhere."""
        return _by_class(self.label_set, self.confusion.iou)

    @property
    def mean_iou(self) -> float:
        """Mean of `iou` over the classes that are not NaN."""
        return self.confusion.mean_iou

    @property
    def pixel_accuracy(self) -> float:
        """Share of pixels that is right."""
        return self.confusion.pixel_accuracy

    @property
    def mean_class_accuracy(self) -> float:
        """Mean share of each true class's pixels that is right."""
        return self.confusion.mean_class_accuracy

    @property
    def boundary_iou(self) -> dict[str, float]:
        """`iou` of the pixels near borders."""
        return _by_class(self.label_set, self.boundary.iou)

    @property
    def mean_boundary_iou(self) -> float:
        """Mean of `boundary_iou` over the classes that are not NaN."""
        return self.boundary.mean_iou

    def worst(self, count: int) -> list[ImageScore]:
        """The images with the lowest mean IoU, the worst first; those without a counted pixel never are."""
        scored = [image for image in self.images if not math.isnan(image.mean_iou)]
        return sorted(scored, key=lambda image: (image.mean_iou, image.index))[:count]


def _by_class(label_set: LabelSet, values: np.ndarray) -> dict[str, float]:
    return dict(zip(label_set.names, map(float, values), strict=True))


def evaluate(
    model: keras.Model | Artifact | str | os.PathLike,
    data,
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    tile: int | tuple[int, int] | None = None,
    ignore_label: int | None = None,
    boundary: int = 3,
    keep_worst: int = 0,
    calibration: bool = False,
    progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = warnings.warn,
) -> Evaluation:
    """Compare the masks that a model finds with true ones, pixel by pixel at the size of the images.

    Args:
        model: Model of the zoo; name of one, which is loaded with its default weights; an opened artifact, or
            the path of one of any format in `zoo.export.formats`, that holds full-size logits.
        data: A `zoo.datasets.Dataset`, or pairs of image and mask: each a path or an array, the masks with
            the indices of the model's own classes. Images may differ in size.
        scales: As for `zoo.segment`.
        flip: As for `zoo.segment`.
        tile: As for `zoo.segment`.
        ignore_label: Value of true pixels that never count, instead of the one of the labels.
        boundary: Distance in pixels up to which a pixel counts as near a border.
        keep_worst: Keep the predicted masks of so many of the worst images.
        calibration: Also compare how sure the model is with how often it is right. A mask artifact, which is
            always sure, says nothing by that.
        progress: Called as ``progress(done, total)`` after every image.
        note: Called with a line on what should be known of a data set, such as a class without a pixel.

    Returns:
        Scores with the protocol that they were measured by.

    Raises:
        InputError: A model and data whose classes differ, no images, an image and a mask of different sizes,
            a true value that is neither a class nor ignored, a data set in which no pixel counts or of which
            `zoo.datasets.check` finds something wrong, or an argument that cannot be used.
        FormatError: A damaged file.
    """
    if isinstance(boundary, bool) or not isinstance(boundary, int) or boundary < 1:
        raise InputError(f"boundary must be a positive integer of pixels, not {boundary!r}")
    if isinstance(keep_worst, bool) or not isinstance(keep_worst, int) or keep_worst < 0:
        raise InputError(f"keep_worst must be an integer of at least 0, not {keep_worst!r}")
    model = _model_of(model)
    samples = data if hasattr(data, "label_set") else _Pairs(label_set_of(model), tuple(data))
    if not len(samples):
        raise InputError("nothing to evaluate: the data has no images")
    if isinstance(samples, Dataset):
        examine(samples, note=note)
    label_set = samples.label_set
    if ignore_label is not None:
        label_set = dataclasses.replace(label_set, ignore_label=ignore_label)
    order = class_order(label_set_of(model), label_set)
    scoring = _Scoring(label_set, boundary=boundary, keep=keep_worst)
    reliability = Reliability(label_set.ignore_label) if calibration else None
    for index in range(len(samples)):
        image, true = samples.read(index)
        seen = segment(model, image, scales=scales, flip=flip, tile=tile)
        found = order[seen.mask]
        scoring.add(name_of(samples, index), true, found)
        if reliability is not None:
            reliability.update(true, found, seen.confidence)
        if progress is not None:
            progress(index + 1, len(samples))
    window = _windows(model, scoring.sizes, tile)
    protocol = _protocol(samples, label_set, scoring.sizes, scales=scales, flip=flip, tile=window)
    matrices = scoring.confusion, scoring.boundary, boundary
    return Evaluation(label_set, protocol, *matrices, tuple(scoring.images), reliability)


class _Scoring:
    """Matrices and scores so far."""

    def __init__(self, label_set: LabelSet, *, boundary: int, keep: int):
        def empty() -> ConfusionMatrix:
            return ConfusionMatrix(len(label_set), label_set.ignore_label)

        self.empty, self.distance, self.keep = empty, boundary, keep
        self.confusion, self.boundary = empty(), empty()
        self.images: list[ImageScore] = []
        self.sizes: set[tuple[int, int]] = set()

    def add(self, name: str, true: np.ndarray, found: np.ndarray) -> None:
        """Count one image."""
        own = self.empty()
        try:
            own.update(true, found)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        band = boundary_band(true, distance=self.distance)
        self.boundary.update(true, found, where=band)
        self.confusion.add(own.matrix)
        self.sizes.add(true.shape)
        score = ImageScore(len(self.images), name, own.mean_iou, own.pixel_accuracy, found)
        self.images.append(score)
        self._forget()

    def _forget(self) -> None:
        """Let go of the masks of all but the worst images."""
        kept = [image for image in self.images if image.mask is not None]
        kept.sort(key=lambda image: (math.isnan(image.mean_iou), image.mean_iou, image.index))
        for image in kept[self.keep :]:
            self.images[image.index] = dataclasses.replace(image, mask=None)


# --- models -------------------------------------------------------------------------------------


def _model_of(model: keras.Model | Artifact | str | os.PathLike) -> keras.Model:
    if isinstance(model, keras.Model):
        return model
    if isinstance(model, Artifact):
        return as_model(model)
    if is_artifact(model):
        return as_model(open_artifact(model))
    from zoo.models.loading import load

    return load(os.fspath(model))


# --- data ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pairs:
    """Images and masks of the caller as a data set."""

    label_set: LabelSet
    pairs: tuple
    split: str = ""

    def __len__(self) -> int:
        return len(self.pairs)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            image, mask = self.pairs[index]
        except (TypeError, ValueError):
            raise InputError(f"pair {index} of the data is no (image, mask)") from None
        image = read_image(image) if _is_path(image) else np.asarray(image)
        mask = read_mask(mask) if _is_path(mask) else np.asarray(mask)
        if mask.ndim != 2 or image.shape[:2] != mask.shape:
            raise InputError(f"{name_of(self, index)}: image {image.shape} and mask {mask.shape} do not fit")
        return image, mask


def _is_path(value) -> bool:
    return isinstance(value, str | os.PathLike)


def name_of(data, index: int) -> str:
    """File name of an image, or its number where it is no file."""
    image = data.pairs[index][0]
    return Path(image).name if _is_path(image) else f"image {index}"


def _windows(model: keras.Model, sizes, tile) -> tuple[int, int] | None:
    """Size of the windows through which images were seen, or `None` where each was seen at once."""
    fixed = model.input_shape[1:3]
    if tile is None:
        return fixed if any(fixed) and sizes != {fixed} else None
    return tuple(tile) if np.iterable(tile) else (tile, tile)


def _protocol(data, label_set: LabelSet, sizes, *, scales, flip: bool, tile) -> str:
    """Labels, split, size, scales, flip and windows, and what departs from the usual."""
    parts = [label_set.key, data.split or f"{len(data)} images"]
    parts.append("x".join(map(str, *sizes)) if len(sizes) == 1 else "mixed sizes")
    if tuple(scales) == (1.0,):
        parts.append("single-scale")
    else:
        parts.append(f"scale{'s' if len(scales) > 1 else ''} {','.join(f'{scale:g}' for scale in scales)}")
    parts += ["flip"] if flip else []
    parts += [f"tile {tile[0]}x{tile[1]}"] if tile is not None else []
    if label_set.ignore_label != data.label_set.ignore_label:
        parts.append(f"ignoring {label_set.ignore_label}")
    return " ".join(parts)
