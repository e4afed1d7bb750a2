"""Segmenting several images, those of one size at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import InputError
from zoo.inference.arguments import checked_scales, window_size
from zoo.inference.segmentation import KEPT_BYTES, Segmentation, segment
from zoo.inference.viewer import Viewer
from zoo.inference.viewing import viewer_of

if TYPE_CHECKING:
    import keras

    from zoo.export.core.artifact import Artifact


def segment_batch(
    model: keras.Model | Artifact,
    images: Sequence[np.ndarray],
    *,
    scales: Sequence[float] = (1.0,),
    flip: bool = False,
    tile: int | tuple[int, int] | None = None,
) -> Iterator[tuple[int, Segmentation | InputError]]:
    """Segment images of any sizes; the others are as for `zoo.segment`.

    Args:
        model: Of the zoo, or an opened file.
        images: ``(height, width, 3)`` uint8, RGB.
        scales: As for `zoo.segment`.
        flip: As for `zoo.segment`.
        tile: As for `zoo.segment`.

    Yields:
        ``(index, segmentation)``, or the error of an image that cannot be segmented; by size, and those of
        one size in their order. Where an image is seen once and as a whole, as many of a size as have up to
        256 MB of probabilities are one call of the model.

    Raises:
        InputError: Scales or a window that cannot be used.
    """
    scales, viewer = checked_scales(scales), viewer_of(model)
    sizes: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        sizes[height, width].append(index)
    for size, indices in sizes.items():
        whole = window_size(viewer, size, tile=tile, scales=scales) == size
        at_once = whole and scales == (1.0,) and not flip
        most = max(1, KEPT_BYTES // (4 * len(viewer.labels) * size[0] * size[1])) if at_once else 1
        for start in range(0, len(indices), most):
            chosen = indices[start : start + most]
            masks = _masks(viewer, [images[index] for index in chosen]) if len(chosen) > 1 else None
            for place, index in enumerate(chosen):
                how = {"scales": scales, "flip": flip, "tile": tile}
                mask = None if masks is None else masks[place]
                yield index, _one(model, viewer, images[index], mask, how)


def _masks(viewer: Viewer, images: list[np.ndarray]) -> np.ndarray | None:
    """Masks of images of one size; `None` where memory does not do for all of them."""
    try:
        return viewer.winners_of(np.stack(images))
    except InputError:
        return None


def _one(model, viewer: Viewer, image: np.ndarray, mask: np.ndarray | None, how: dict):
    try:
        if mask is None:
            return segment(model, image, **how)
    except InputError as error:
        return error

    def pieces():
        yield 0, 0, viewer.probabilities(image, scales=how["scales"], flip=how["flip"])

    return Segmentation(image, mask, viewer.labels, pieces)
