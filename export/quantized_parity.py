"""How far a quantized artifact is from its Keras model: rounding is meant, damage is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from zoo.errors import InputError, ParityError
from zoo.training.metrics import ConfusionMatrix, boundary_band

# Pixels this near to a border of the model's mask are counted apart: there, two classes are nearly equal.
BORDER = 3


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What tells rounding from damage; how much rounding may cost is the user's to say, by ``max_drop``.

    Trained networks stay far within; the room is for untrained ones, whose classes are nearly equal
    everywhere.

    Attributes:
        relative_error: Root mean square of the logits' errors over the logits' standard deviation, at most.
            That of a file with other weights, or with a wrong scale, is about 1 or more.
        agreement: Share of the pixels off the borders with the same winning class, at least.
    """

    relative_error: float
    agreement: float


LIMITS = {
    "float16": Limits(relative_error=0.02, agreement=0.99),
    "dynamic": Limits(relative_error=0.5, agreement=0.75),
    "int8": Limits(relative_error=0.5, agreement=0.75),
}


@dataclass(frozen=True, kw_only=True)
class QuantizedParity:
    """How far a quantized artifact's logits are from its model's, over all pixels of some images.

    The logits of an artifact with integer outputs are dequantized first.

    Attributes:
        quantization: ``"float16"``, ``"dynamic"`` or ``"int8"``.
        domain: What is compared, and called logit here, see `zoo.export.parity.Parity`.
        images: Number of images.
        sizes: Their (height, width), each once.
        max_error: Largest absolute difference of a logit.
        mean_error: Mean absolute difference.
        max_logit: Largest absolute logit of the model.
        relative_error: Root mean square of the differences over the standard deviation of the logits.
        argmax_agreement: Share of all pixels with the same winning class.
        inner_agreement: The same of the pixels off the borders; NaN without any.
        border_agreement: The same of the pixels within `border` of a border; NaN without any.
        border: In pixels.
        border_pixels: Number of those.
        pixels: Number of all.
        mean_iou: Mean intersection over union of the artifact's masks with the model's, which weighs small
            classes as much as large ones.
        max_drop: The share of pixels that may differ, where the user chose one.
    """

    quantization: str
    domain: str
    images: int
    sizes: tuple[tuple[int, int], ...]
    max_error: float
    mean_error: float
    max_logit: float
    relative_error: float
    argmax_agreement: float
    inner_agreement: float
    border_agreement: float
    border: int
    border_pixels: int
    pixels: int
    mean_iou: float
    max_drop: float | None

    @property
    def passed(self) -> bool:
        """Whether the gates hold (never with a NaN in a logit)."""
        limits = LIMITS[self.quantization]
        if not self.relative_error < limits.relative_error:
            return False
        if self.max_drop is not None:
            return 1 - self.argmax_agreement <= self.max_drop
        return self.border_pixels == self.pixels or self.inner_agreement >= limits.agreement

    def to_dict(self) -> dict:
        """Plain data for a JSON report, with the gates and the verdict; a share of no pixels is null."""
        shares = {k: None if v != v else v for k, v in asdict(self).items()}
        return {**shares, "limits": asdict(LIMITS[self.quantization]), "passed": self.passed}

    def __str__(self) -> str:
        limits = LIMITS[self.quantization]
        asked = (
            f"off borders {_percent(self.inner_agreement)} (at least {limits.agreement:.0%})"
            if self.max_drop is None
            else f"at least {1 - self.max_drop:.4%} asked for, off borders {_percent(self.inner_agreement)}"
        )
        return (
            f"{self.quantization}: arg-max agreement {self.argmax_agreement:.4%} of {self.pixels} pixels,"
            f" {asked}, within {self.border} pixels of them {_percent(self.border_agreement)};"
            f" relative logit error {self.relative_error:.3f} (limit {limits.relative_error}),"
            f" mean {self.mean_error:.2e}, max {self.max_error:.2e}, largest logit {self.max_logit:.3g}"
        )


def _percent(share: float) -> str:
    return "(no pixels)" if share != share else f"{share:.4%}"


class _Sums:
    """Of one image after the other."""

    def __init__(self, classes: int):
        self.confusion = ConfusionMatrix(classes) if classes > 1 else None
        self.pixels = self.same = self.border_pixels = self.border_same = self.count = 0
        self.absolute = self.square = self.total = self.total_square = 0.0
        self.max_error = self.max_logit = 0.0

    def add(self, got: np.ndarray, want: np.ndarray) -> None:
        """Count ``(height, width, classes)`` of the artifact and of the model."""
        error = np.abs(got.astype(np.float64) - want)
        self.count += error.size
        self.absolute, self.square = self.absolute + error.sum(), self.square + (error**2).sum()
        self.total += want.sum(dtype=np.float64)
        self.total_square += (want.astype(np.float64) ** 2).sum()
        self.max_error = np.maximum(self.max_error, error.max())  # unlike max(), keeps a NaN
        self.max_logit = np.maximum(self.max_logit, np.abs(want).max())
        found, true = got.argmax(-1), want.argmax(-1)
        same, band = found == true, boundary_band(true, distance=BORDER)
        self.pixels, self.same = self.pixels + same.size, self.same + int(same.sum())
        self.border_pixels += int(band.sum())
        self.border_same += int(same[band].sum())
        if self.confusion is not None:
            self.confusion.update(true, found)


def compare(
    predict: Callable[[np.ndarray], np.ndarray],
    reference: Callable[[np.ndarray], np.ndarray],
    images: Iterable[np.ndarray],
    *,
    quantization: str,
    domain: str = "logits",
    max_drop: float | None = None,
) -> QuantizedParity:
    """Measure `predict` against `reference`, both from one image to ``(1, height, width, classes)``.

    Args:
        predict: The artifact, its result dequantized.
        reference: The model.
        images: RGB images in 0…255.
        quantization: A key of `LIMITS`.
        domain: As in `zoo.export.parity.compare`.
        max_drop: Share of pixels that may differ instead of the usual limit of agreement.

    Raises:
        InputError: No images.
        ParityError: The two do not even agree in shape.
    """
    sums, sizes = None, []
    for image in images:
        got, want = predict(image), reference(image)
        if got.shape != want.shape:
            raise ParityError(f"the artifact gives {got.shape}, the model {want.shape}")
        if domain == "probabilities":
            got, want = np.exp(got), np.exp(want)
        sums = sums or _Sums(want.shape[-1])
        for pair in zip(got, want, strict=True):
            sums.add(*pair)
        sizes.append((image.shape[-3], image.shape[-2]))
    if sums is None:
        raise InputError("the comparison needs at least one image")
    deviation = np.sqrt(max(sums.total_square / sums.count - (sums.total / sums.count) ** 2, 0.0))
    error = np.sqrt(sums.square / sums.count)
    return QuantizedParity(
        quantization=quantization,
        domain=domain,
        images=len(sizes),
        sizes=tuple(dict.fromkeys(sizes)),
        max_error=float(sums.max_error),
        mean_error=sums.absolute / sums.count,
        max_logit=float(sums.max_logit),
        relative_error=float(error / deviation) if deviation else float(error),
        argmax_agreement=sums.same / sums.pixels,
        inner_agreement=_share(sums.same - sums.border_same, sums.pixels - sums.border_pixels),
        border_agreement=_share(sums.border_same, sums.border_pixels),
        border=BORDER,
        border_pixels=sums.border_pixels,
        pixels=sums.pixels,
        mean_iou=1.0 if sums.confusion is None else sums.confusion.mean_iou,
        max_drop=max_drop,
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
