"""How far a quantized artifact is from its Keras model: rounding is meant, damage is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np

from zoo.export.core.kinds import KINDS
from zoo.export.proof.parity import Comparison, Predict, percent, summed


@dataclass(frozen=True, kw_only=True)
class QuantizedParity(Comparison):
    """How far a quantized artifact is from its model.

    Attributes:
        quantization: A key of `zoo.export.core.kinds.KINDS`.
        max_drop: The share of pixels that may differ, where the user chose one.
    """

    quantization: str
    max_drop: float | None

    @property
    def passed(self) -> bool:
        """Whether the gates hold (never with a NaN in a logit); of masks, the one of agreement."""
        limits = KINDS[self.quantization].limits
        if self.relative_error is not None and not self.relative_error < limits.relative_error:
            return False
        if self.max_drop is not None:
            return 1 - self.argmax_agreement <= self.max_drop
        return self.border_pixels == self.pixels or self.inner_agreement >= limits.agreement

    def to_dict(self) -> dict:
        """Plain data for a JSON report, with the gates and the verdict; what is not a number is null."""
        return {**super().to_dict(), "limits": asdict(KINDS[self.quantization].limits)}

    def __str__(self) -> str:
        limits = KINDS[self.quantization].limits
        asked = (
            f"off borders {percent(self.inner_agreement)} (at least {limits.agreement:.0%})"
            if self.max_drop is None
            else f"at least {1 - self.max_drop:.4%} asked for, off borders {percent(self.inner_agreement)}"
        )
        errors = (
            ""
            if self.relative_error is None
            else f"; relative logit error {self.relative_error:.3f} (limit {limits.relative_error}),"
            f" mean {self.mean_error:.2e}, max {self.max_error:.2e}, largest logit {self.max_logit:.3g}"
        )
        return (
            f"{self.quantization}: arg-max agreement {self.argmax_agreement:.4%} of {self.pixels} pixels,"
            f" {asked}, within {self.border} pixels of them {percent(self.border_agreement)}{errors}"
        )


def compare(
    predict: Predict,
    reference: Predict,
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
        quantization: A key of `zoo.export.core.kinds.KINDS`.
        domain: As in `zoo.export.proof.parity.compare`.
        max_drop: Share of pixels that may differ instead of the usual limit of agreement.

    Raises:
        InputError: No images.
        ParityError: The two do not even agree in shape.
    """
    fields = summed(predict, reference, images, domain=domain).fields()
    return QuantizedParity(**fields, quantization=quantization, max_drop=max_drop)
