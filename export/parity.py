"""Whether an artifact computes what its Keras model computes, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from zoo.errors import ParityError

# Gates of a float32 artifact. The limit is absolute for logits as trained networks have them. Random weights
# reach any magnitude, where float32 cannot hold 1e-3: from there the limit grows with the largest logit.
MAX_ERROR = 1e-3
USUAL_LOGIT = 20.0
MIN_AGREEMENT = 0.9999
# Where any size is taken: an even, an odd and a non-square one, since padding and resizing differ among them.
DYNAMIC_SIZES = ((128, 128), (129, 129), (97, 161))


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far an artifact's logits are from its model's, over all pixels of some images.

    Attributes:
        domain: What is compared, and called logit here: ``"logits"``, or ``"probabilities"`` for a model
            whose last resize works on these.
        images: Number of images.
        sizes: Their (height, width), each once.
        max_error: Largest absolute difference of a logit.
        mean_error: Mean absolute difference.
        max_logit: Largest absolute logit of the model.
        relative_error: ``max_error / max_logit``.
        tolerance: Limit of `max_error`: ``1e-3 · max(1, max_logit / 20)``.
        argmax_agreement: Share of the pixels with the same winning class; at least 0.9999 is asked for, or a
            single differing pixel where fewer than 10,000 were compared.
        pixels: Number of pixels compared.
        differing_pixels: Pixels whose winning class differs.
        widest_margin: Among these, the largest lead of the model's winner over its second class; the
            artifact's error explains a difference up to twice `max_error`.
    """

    domain: str
    images: int
    sizes: tuple[tuple[int, int], ...]
    max_error: float
    mean_error: float
    max_logit: float
    relative_error: float
    tolerance: float
    argmax_agreement: float
    pixels: int
    differing_pixels: int
    widest_margin: float

    @property
    def passed(self) -> bool:
        """Whether both gates hold (never with a NaN)."""
        # Where two classes tie to the last bits, rounding decides: in a small image that is one pixel.
        agree = self.argmax_agreement >= MIN_AGREEMENT or self.differing_pixels <= 1
        return self.max_error < self.tolerance and agree

    def to_dict(self) -> dict:
        """Plain data for a JSON report, with the verdict."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        return (
            f"max logit error {self.max_error:.2e} (limit {self.tolerance:.1e}, largest logit"
            f" {self.max_logit:.3g}), mean {self.mean_error:.2e}, arg-max agreement"
            f" {self.argmax_agreement:.4%} of {self.pixels} pixels (at least {MIN_AGREEMENT:.2%})"
        )


def synthetic_image(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """A seeded uint8 RGB image ``(height, width, 3)`` with shading, hard edges, discs and fine texture."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    slope = rng.uniform(-1, 1, (2, 3))
    image = 128 + 90 * (rows[..., None] * slope[0] + columns[..., None] * slope[1])
    for _ in range(6):
        top, left = rng.uniform(0, 0.8, 2)
        inside = (rows > top) & (rows < top + 0.3) & (columns > left) & (columns < left + 0.2)
        image[inside] = rng.uniform(0, 255, 3)
    for _ in range(6):
        centre = rng.uniform(0, 1, 2)
        inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < rng.uniform(0.005, 0.03)
        image[inside] = rng.uniform(0, 255, 3)
    image += rng.normal(0, 12, image.shape)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def default_images(input_size: tuple[int, int] | None) -> list[np.ndarray]:
    """Synthetic images of the artifact's size, or of three sizes where it takes any."""
    sizes = DYNAMIC_SIZES if input_size is None else (input_size,)
    return [synthetic_image(*size, seed=index) for index, size in enumerate(sizes)]


def _margins(logits: np.ndarray) -> np.ndarray:
    """Lead of the winner over the second class, for ``(pixels, classes)``."""
    if logits.shape[-1] < 2:
        return np.zeros(len(logits), logits.dtype)
    best = np.partition(logits, -2, axis=-1)
    return best[:, -1] - best[:, -2]


def compare(
    predict: Callable[[np.ndarray], np.ndarray],
    reference: Callable[[np.ndarray], np.ndarray],
    images: Iterable[np.ndarray],
    *,
    domain: str = "logits",
) -> Parity:
    """Measure `predict` against `reference`, both from one image to ``(1, height, width, classes)``.

    Args:
        predict: The artifact.
        reference: The model.
        images: RGB images in 0…255.
        domain: ``"logits"``, or ``"probabilities"`` where the outputs are logarithms of resized
            probabilities. The logarithm of one that is 1e-7 by rounding and 1e-20 in truth is off by 30
            and matters to nobody, so there the probabilities are compared.

    Raises:
        ParityError: The two do not even agree in shape.
    """
    sizes, errors, logit, total, count, pixels, differing, margin = [], [], 0.0, 0.0, 0, 0, 0, 0.0
    for image in images:
        got, want = predict(image), reference(image)
        if domain == "probabilities":
            got, want = np.exp(got), np.exp(want)
        if got.shape != want.shape:
            raise ParityError(f"the artifact gives {got.shape}, the model {want.shape}")
        error = np.abs(got.astype(np.float64) - want)
        got, want = (x.reshape(-1, x.shape[-1]) for x in (got, want))
        other = got.argmax(-1) != want.argmax(-1)
        sizes.append((image.shape[-3], image.shape[-2]))
        errors.append(error.max())
        logit = np.maximum(logit, np.abs(want).max())  # unlike max(), keeps a NaN
        total, count = total + error.sum(), count + error.size
        pixels, differing = pixels + len(want), differing + int(other.sum())
        margin = max(margin, float(_margins(want[other]).max(initial=0.0)))
    worst = float(np.max(errors))
    return Parity(
        domain=domain,
        images=len(sizes),
        sizes=tuple(dict.fromkeys(sizes)),
        max_error=worst,
        mean_error=float(total / count),
        max_logit=float(logit),
        relative_error=worst / float(logit) if logit else worst,
        tolerance=MAX_ERROR * float(np.maximum(1.0, logit / USUAL_LOGIT)),
        argmax_agreement=1 - differing / pixels,
        pixels=pixels,
        differing_pixels=differing,
        widest_margin=margin,
    )


def require(parity: Parity, *, what: str) -> None:
    """Raise a `ParityError` that names `what` unless the gates hold."""
    if not parity.passed:
        raise ParityError(f"{what} does not compute what its model computes: {parity}")
