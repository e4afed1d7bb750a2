"""Whether a model is right as often as it is sure."""

from __future__ import annotations

import numpy as np

from zoo.errors import InputError

BINS = 15


class Reliability:
    """Counts of pixels by confidence, and how many of them are right (Guo et al. 2017, section 2).

    Args:
        ignore_label: Value of true pixels that never count; `None` counts all.
        bins: Number of equal parts of the confidences from 0 to 1.

    Raises:
        InputError: A number of bins that is no positive integer.
    """

    def __init__(self, ignore_label: int | None = None, *, bins: int = BINS):
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise InputError(f"bins must be a positive integer, not {bins!r}")
        self.ignore_label = ignore_label
        self._pixels, self._right = (np.zeros(bins, np.int64) for _ in range(2))
        self._confidence = np.zeros(bins, np.float64)

    def update(self, true: np.ndarray, found: np.ndarray, confidence: np.ndarray) -> None:
        """Count the pixels of one mask.

        Args:
            true: Class indices or the ignore label.
            found: Class indices of the same shape.
            confidence: Probability of the class that was found, of the same shape.

        Raises:
            InputError: Shapes that differ, or confidences outside 0…1.
        """
        true, found, confidence = map(np.asarray, (true, found, confidence))
        if not true.shape == found.shape == confidence.shape:
            raise InputError(
                f"truth, prediction and confidence have one shape, not {true.shape}, {found.shape} and "
                f"{confidence.shape}"
            )
        counted = np.ones(true.shape, bool) if self.ignore_label is None else true != self.ignore_label
        sure = confidence[counted].astype(np.float64)
        if not ((sure >= 0) & (sure <= 1 + 1e-5)).all():
            raise InputError("confidences are probabilities in 0…1")
        bins = len(self._pixels)
        places = np.minimum((sure * bins).astype(np.int64), bins - 1)
        right = (true == found)[counted]
        self._pixels += np.bincount(places, minlength=bins)
        self._right += np.bincount(places[right], minlength=bins)
        self._confidence += np.bincount(places, weights=sure, minlength=bins)

    @property
    def pixels(self) -> np.ndarray:
        """``(bins,)`` int64: how many pixels have such a confidence."""
        return self._pixels.copy()

    @property
    def accuracy(self) -> np.ndarray:
        """``(bins,)``: share of them that is right; NaN where there is none."""
        return _ratio(self._right, self._pixels)

    @property
    def confidence(self) -> np.ndarray:
        """``(bins,)``: their mean confidence; NaN where there is none."""
        return _ratio(self._confidence, self._pixels)

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance between confidence and accuracy over the pixels, bin by bin; NaN without pixels."""
        total = self._pixels.sum()
        return float(np.abs(self._confidence - self._right).sum() / total) if total else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
