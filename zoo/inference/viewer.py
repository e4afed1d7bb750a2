"""What sees an image that fits into one window, whatever computes it."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from zoo.labels import LabelSet, index_type


def index_array(mask: np.ndarray, classes: int) -> np.ndarray:
    """A mask as `index_type`."""
    return mask.astype(index_type(classes), copy=False)


class Viewer(Protocol):
    """A model or an exported file.

    Attributes:
        name: Of the model.
        labels: Names and colours of its classes.
        size: (height, width) that it takes, `None` where it takes any.
        reach: Pixels above and beside one that its logits depend on, pooling of the whole map left out; 0
            where that is not known.
    """

    name: str
    labels: LabelSet

    @property
    def size(self) -> tuple[int | None, int | None]: ...

    @property
    def reach(self) -> tuple[int, int]: ...

    def probabilities(self, pixels: np.ndarray, *, scales: tuple[float, ...], flip: bool) -> np.ndarray:
        """``(height, width, classes)`` float32 of an image ``(height, width, 3)`` in 0…255, averaged.

        The array is the caller's own.

        Raises:
            InputError: Too little memory.
        """
        ...

    def winners(self, pixels: np.ndarray) -> np.ndarray | None:
        """``(height, width)`` classes of the same at its own size; `None` where probabilities must tell."""
        ...

    def winners_of(self, images: np.ndarray) -> np.ndarray:
        """``(batch, height, width)`` classes of ``(batch, height, width, 3)``: uint8, or uint16 beyond 256.

        Raises:
            InputError: Too little memory.
        """
        ...
