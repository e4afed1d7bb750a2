"""Which layers of an integer file are left in float to keep a bound: as few as do, the worst first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np

from zoo.errors import ParityError
from zoo.export.core.deployment import Deployment
from zoo.export.core.quantization import AGREEMENT, FloatOperation, Plan, Quantization
from zoo.metrics.confusion import ConfusionMatrix


class Converter(Protocol):
    """Writes int8 files of one format, any layers of choice left in float."""

    def file(self, float_layers: Iterable[str]) -> bytes:
        """The whole file."""

    def errors(self) -> dict[str, float]:
        """Relative error of every layer that int8 rounds, the largest first.

        That is the root mean square of what rounding changes in its output, over that of the output, when
        the layer is given what the 8-bit layers before it computed.
        """

    def runner(self, content: bytes) -> Callable[[np.ndarray], np.ndarray]:
        """Runs a file on ``(1, height, width, 3)`` in 0…255."""

    def float_operations(
        self, content: bytes, errors: Mapping[str, float], *, bounded: bool
    ) -> tuple[FloatOperation, ...]:
        """What computes in float in a file, and why; `errors` are those of the layers that were left."""


def quantize_with(converter: Converter, deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The int8 file, and what was done.

    With a bound, the layers are left in float in the order of their measured error, the worst first, and as
    few as keep the bound.

    Raises:
        InputError: Without a bound, operations that the format cannot compute in integers.
        ParityError: The bound is missed with all layers in float.
    """
    scores = Scores(deployment, plan)
    errors: dict[str, float] = {}
    found: dict[int, float] = {}

    @functools.lru_cache(maxsize=2)
    def converted(count: int) -> bytes:
        return converter.file(list(errors)[:count])

    def score(count: int) -> float:
        found[count] = scores.of(converter.runner(converted(count)))
        return found[count]

    def holds(count: int) -> bool:
        return scores.float_score - score(count) <= plan.max_drop

    count = 0
    if plan.max_drop is None:
        score(0)
    elif not holds(0):
        errors.update(converter.errors())
        count = _search(len(errors) - 1, found, holds, plan, scores.float_score)
    content = converted(count)
    return content, Quantization(
        kind=plan.kind,
        calibration_images=len(plan.calibration.images),
        metric=plan.metric,
        float_score=scores.float_score,
        integer_score=found[0],
        score=found[count],
        max_drop=plan.max_drop,
        float_operations=converter.float_operations(
            content, dict(list(errors.items())[:count]), bounded=plan.max_drop is not None
        ),
        conversions=len(found),
    )


def measured(
    deployment: Deployment, plan: Plan, runner: Callable[[], Callable[[np.ndarray], np.ndarray]]
) -> Quantization:
    """What was done where all layers are quantized or none, measured on the calibration images if there are.

    Args:
        deployment: What was written.
        plan: By which.
        runner: Gives what runs the file on ``(1, height, width, 3)`` in 0…255.

    Raises:
        ParityError: The bound is missed.
    """
    if plan.calibration is None:
        return Quantization(kind=plan.kind, calibration_images=0)
    scores = Scores(deployment, plan)
    score = scores.of(runner())
    if plan.max_drop is not None and not scores.float_score - score <= plan.max_drop:
        raise ParityError(
            f"max_drop={plan.max_drop:g} cannot be kept: {plan.metric} is {scores.float_score:.4f} for the"
            f" float model and {score:.4f} for the file, and {plan.kind} leaves no layer out"
        )
    return Quantization(
        kind=plan.kind,
        calibration_images=len(plan.calibration.images),
        metric=plan.metric,
        float_score=scores.float_score,
        score=score,
        max_drop=plan.max_drop,
    )


def _search(
    count: int, found: dict[int, float], holds: Callable[[int], bool], plan: Plan, float_score: float
) -> int:
    # That 0 misses the bound is known by now.
    fewer = fewest(count - 1, lambda number: holds(number + 1)) if count > 0 else None
    if fewer is None:
        best = max(found.values())
        raise ParityError(
            f"max_drop={plan.max_drop:g} cannot be kept: {plan.metric} is {float_score:.4f} for the float"
            f" model and at best {best:.4f} for a file, with up to {max(found)} layers in float"
        )
    return fewer + 1


def fewest(count: int, holds: Callable[[int], bool]) -> int | None:
    """The smallest number from 0 to `count` for which `holds`, or `None`.

    It is doubled until it holds and then halved in, on the assumption that what holds for a number holds
    for all larger ones; where that is wrong, the answer still holds and its predecessor does not.
    """
    low, high = -1, 0
    while not holds(high):
        if high == count:
            return None
        low, high = high, min(count, max(1, 2 * high))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


class Scores:
    """Scores of files on the calibration images."""

    def __init__(self, deployment: Deployment, plan: Plan):
        self._images, self._plan = plan.calibration.images, plan
        self._gives_mask = deployment.metadata.gives_mask
        self._model = [self._mask(deployment.reference(image)) for image in self._images]
        self.float_score = 1.0 if plan.metric == AGREEMENT else self._score(iter(self._model))

    def of(self, run: Callable[[np.ndarray], np.ndarray]) -> float:
        """Of a file that `run` runs on ``(1, height, width, 3)``."""
        return self._score(self._mask(run(image[None])) for image in self._images)

    def _mask(self, output: np.ndarray) -> np.ndarray:
        return output[0] if self._gives_mask else output[0].argmax(-1)

    def _score(self, found: Iterator[np.ndarray]) -> float:
        if self._plan.metric == AGREEMENT:
            same = sum(int((a == b).sum()) for a, b in zip(found, self._model, strict=True))
            return same / sum(mask.size for mask in self._model)
        calibration = self._plan.calibration
        confusion = ConfusionMatrix(len(calibration.label_set), calibration.label_set.ignore_label)
        for true, mask in zip(calibration.masks, found, strict=True):
            confusion.update(true, calibration.order[mask])
        return confusion.mean_iou
