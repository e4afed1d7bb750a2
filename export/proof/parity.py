"""Whether an artifact computes what its Keras model computes, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

import numpy as np

from zoo.errors import InputError, ParityError
from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix

# Gates of a float32 artifact. The limit is absolute for logits as trained networks have them; beyond, where
# float32 cannot hold it, it grows with the largest logit.
MAX_ERROR = 1e-3
USUAL_LOGIT = 20.0
MIN_AGREEMENT = 0.9999
# Where any size is taken: an even, an odd and a non-square one, since padding and resizing differ among them.
DYNAMIC_SIZES = ((128, 128), (129, 129), (97, 161))
BORDER = 3  # pixels from a border of the model's mask, counted apart: two classes are nearly equal there

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What an artifact computes beside what its model computes, over all pixels of some images.

    The base of `Parity` and of `zoo.export.proof.quantized_parity.QuantizedParity`, which add the gates. The
    output of an artifact with integer logits is dequantized first.

    Attributes:
        domain: What is compared, and called logit here: ``"logits"``, ``"probabilities"`` for a model whose
            last resize works on these, or ``"mask"`` where labels come out and there are no logits.
        images: Number of images.
        sizes: Their (height, width), each once.
        max_error: Largest absolute difference of a logit; this and the next three are `None` for masks.
        mean_error: Mean absolute difference.
        max_logit: Largest absolute logit of the model.
        relative_error: Root mean square of the differences over the standard deviation of the logits.
        argmax_agreement: Share of all pixels with the same winning class.
        inner_agreement: The same of the pixels off the borders of the model's mask; NaN without any.
        border_agreement: The same of the pixels within `border` of a border; NaN without any.
        border: In pixels of the output.
        border_pixels: Number of those.
        pixels: Number of all.
        differing_pixels: Pixels whose winning class differs.
        mean_iou: Mean intersection over union of the artifact's masks with the model's, which weighs small
            classes as much as large ones.
    """

    domain: str
    images: int
    sizes: tuple[tuple[int, int], ...]
    max_error: float | None
    mean_error: float | None
    max_logit: float | None
    relative_error: float | None
    argmax_agreement: float
    inner_agreement: float
    border_agreement: float
    border: int
    border_pixels: int
    pixels: int
    differing_pixels: int
    mean_iou: float

    @property
    def passed(self) -> bool:
        """Whether the gates hold."""
        raise NotImplementedError

    def to_dict(self) -> dict:
        """Plain data for a JSON report, with the verdict; what is not a number is null."""
        finite = {k: None if v != v else v for k, v in asdict(self).items()}
        return {**finite, "passed": self.passed}


@dataclass(frozen=True, kw_only=True)
class Parity(Comparison):
    """How far a float32 artifact is from its model.

    Attributes:
        tolerance: Limit of `max_error`: ``1e-3 · max(1, max_logit / 20)``; `None` for masks. Of
            `argmax_agreement` at least 0.9999 is asked for, or a single differing pixel where fewer than
            10,000 were compared.
        widest_margin: Among the differing pixels, the largest lead of the model's winner over its second
            class; the artifact's error explains a difference up to twice `max_error`. `None` for masks.
    """

    tolerance: float | None
    widest_margin: float | None

    @property
    def passed(self) -> bool:
        """Whether both gates hold (never with a NaN); of masks, the one of agreement."""
        # Where two classes tie to the last bits, rounding decides: in a small image that is one pixel.
        agree = self.argmax_agreement >= MIN_AGREEMENT or self.differing_pixels <= 1
        return agree and (self.max_error is None or self.max_error < self.tolerance)

    def __str__(self) -> str:
        errors = (
            ""
            if self.max_error is None
            else f"max logit error {self.max_error:.2e} (limit {self.tolerance:.1e}, largest logit"
            f" {self.max_logit:.3g}), mean {self.mean_error:.2e}, "
        )
        return (
            f"{errors}arg-max agreement {self.argmax_agreement:.4%} of {self.pixels} pixels (at least"
            f" {MIN_AGREEMENT:.2%}), within {self.border} pixels of borders {percent(self.border_agreement)}"
        )


def percent(share: float) -> str:
    """``99.1234%``, or a remark for the share of no pixels."""
    return "(no pixels)" if share != share else f"{share:.4%}"


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


class Sums:
    """Of one image after the other: what both kinds of parity are made of."""

    def __init__(self, *, domain: str = "logits"):
        self.domain = domain
        self.sizes: list[tuple[int, int]] = []
        self.confusion: ConfusionMatrix | None = None
        self.pixels = self.same = self.border_pixels = self.border_same = self.count = 0
        self.absolute = self.square = self.total = self.total_square = 0.0
        self.max_error = self.max_logit = self.margin = 0.0

    def add(self, got: np.ndarray, want: np.ndarray, *, size: tuple[int, int]) -> None:
        """Count what the artifact and the model give for images of that (height, width).

        Args:
            got: ``(images, height, width, classes)`` of the artifact; labels ``(images, height, width)`` or
                with one more axis of 1 for the domain ``"mask"``.
            want: The same of the model.
            size: Of the images.

        Raises:
            ParityError: The two do not even agree in shape.
        """
        if got.shape != want.shape:
            raise ParityError(f"the artifact gives {got.shape}, the model {want.shape}")
        self.sizes.append(size)
        if self.domain == "mask":
            height, width = want.shape[1:3]
            found, true = (x.reshape(-1, height, width).astype(np.int64) for x in (got, want))
            classes = int(max(found.max(), true.max())) + 1
        else:
            if self.domain == "probabilities":
                got, want = np.exp(got), np.exp(want)
            classes, found, true = want.shape[-1], got.argmax(-1), want.argmax(-1)
            self._add_errors(got, want, other=found != true)
        self._count_classes(classes)
        for pair in zip(found, true, strict=True):
            self._add_masks(*pair)

    def _count_classes(self, classes: int) -> None:
        """Make room for so many; masks do not tell how many there are."""
        counted = self.confusion
        if counted is None or counted.classes < classes:
            self.confusion = ConfusionMatrix(max(classes, 2))
            if counted is not None:
                missing = self.confusion.classes - counted.classes
                self.confusion.add(np.pad(counted.matrix, (0, missing)))

    def _add_errors(self, got: np.ndarray, want: np.ndarray, *, other: np.ndarray) -> None:
        error = np.abs(got.astype(np.float64) - want)
        self.count += error.size
        self.absolute, self.square = self.absolute + error.sum(), self.square + (error**2).sum()
        self.total += want.sum(dtype=np.float64)
        self.total_square += (want.astype(np.float64) ** 2).sum()
        self.max_error = np.maximum(self.max_error, error.max())  # unlike max(), keeps a NaN
        self.max_logit = np.maximum(self.max_logit, np.abs(want).max())
        self.margin = max(self.margin, float(_margins(want[other]).max(initial=0.0)))

    def _add_masks(self, found: np.ndarray, true: np.ndarray) -> None:
        same, band = found == true, boundary_band(true, distance=BORDER)
        self.pixels, self.same = self.pixels + same.size, self.same + int(same.sum())
        self.border_pixels += int(band.sum())
        self.border_same += int(same[band].sum())
        self.confusion.update(true, found)

    def fields(self) -> dict:
        """The values of a `Comparison`.

        Raises:
            InputError: No images.
        """
        if not self.sizes:
            raise InputError("the comparison needs at least one image")
        return {
            "domain": self.domain,
            "images": len(self.sizes),
            "sizes": tuple(dict.fromkeys(self.sizes)),
            **self._errors(),
            "argmax_agreement": self.same / self.pixels,
            "inner_agreement": _share(self.same - self.border_same, self.pixels - self.border_pixels),
            "border_agreement": _share(self.border_same, self.border_pixels),
            "border": BORDER,
            "border_pixels": self.border_pixels,
            "pixels": self.pixels,
            "differing_pixels": self.pixels - self.same,
            "mean_iou": self.confusion.mean_iou,
        }

    def _errors(self) -> dict:
        if self.domain == "mask":
            return dict.fromkeys(("max_error", "mean_error", "max_logit", "relative_error"))
        deviation = np.sqrt(max(self.total_square / self.count - (self.total / self.count) ** 2, 0.0))
        error = float(np.sqrt(self.square / self.count))
        return {
            "max_error": float(self.max_error),
            "mean_error": float(self.absolute / self.count),
            "max_logit": float(self.max_logit),
            "relative_error": error / float(deviation) if deviation else error,
        }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def summed(predict: Predict, reference: Predict, images: Iterable[np.ndarray], *, domain: str) -> Sums:
    """The sums over all images; arguments and errors as in `compare`."""
    sums = Sums(domain=domain)
    for image in images:
        sums.add(predict(image), reference(image), size=image.shape[-3:-1])
    return sums


def compare(
    predict: Predict, reference: Predict, images: Iterable[np.ndarray], *, domain: str = "logits"
) -> Parity:
    """Measure `predict` against `reference`, both from one image to ``(1, height, width, classes)``.

    Args:
        predict: The artifact.
        reference: The model.
        images: RGB images in 0…255.
        domain: ``"logits"``, or ``"probabilities"`` where the outputs are logarithms of resized
            probabilities. The logarithm of one that is 1e-7 by rounding and 1e-20 in truth is off by 30
            and matters to nobody, so there the probabilities are compared. ``"mask"`` where both give labels
            ``(1, height, width)``: only these are compared.

    Raises:
        InputError: No images.
        ParityError: The two do not even agree in shape.
    """
    sums = summed(predict, reference, images, domain=domain)
    fields = sums.fields()
    tolerance = margin = None
    if domain != "mask":
        tolerance, margin = tolerance_of(fields["max_logit"]), sums.margin
    return Parity(**fields, tolerance=tolerance, widest_margin=margin)


def tolerance_of(max_logit: float) -> float:
    """Limit of the largest error where the largest logit of the model is `max_logit`."""
    return MAX_ERROR * float(np.maximum(1.0, max_logit / USUAL_LOGIT))


def require(parity: Comparison, *, what: str, where: Callable[[], str] | None = None) -> None:
    """Raise a `ParityError` that names `what` unless the gates hold; `where` tells more on the damage."""
    if not parity.passed:
        place = f"; {where()}" if where else ""
        raise ParityError(f"{what} does not compute what its model computes: {parity}{place}")
