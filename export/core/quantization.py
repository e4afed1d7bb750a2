"""Quantization of files: what may be asked for, and which layers are left in float to keep a bound."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from zoo.errors import InputError, ParityError
from zoo.export.core.calibration import Calibration, Source, read_calibration
from zoo.export.core.deployment import Deployment
from zoo.export.core.mask_head import SCOPE
from zoo.export.core.metadata import OUTPUT_NAME, QUANTIZATIONS
from zoo.export.tflite.artifact import float_operations, run_once
from zoo.metrics.confusion import ConfusionMatrix

# What `max_drop` bounds: without true masks, and with them.
AGREEMENT, MEAN_IOU = "argmax_agreement", "mean_iou"

# Operations in float that the one-line summary names; the report has them all.
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A quantization as it was asked for, checked.

    Attributes:
        kind: One of `QUANTIZATIONS`.
        calibration: The images, or `None` for a kind that needs none.
        max_drop: How much the score may fall against the float model, or `None` for no bound of its own.
    """

    kind: str
    calibration: Calibration | None
    max_drop: float | None

    @property
    def metric(self) -> str:
        """What `max_drop` bounds."""
        labelled = self.calibration is not None and self.calibration.masks is not None
        return MEAN_IOU if labelled else AGREEMENT

    @property
    def max_disagreement(self) -> float | None:
        """The bound where it is one of arg-max agreement."""
        return self.max_drop if self.metric == AGREEMENT else None

    def stored(self) -> dict:
        """What the artifact tells of it."""
        return {"kind": self.kind, "max_drop": self.max_drop}


@dataclass(frozen=True, kw_only=True)
class FloatOperation:
    """An operation of an int8 file that computes in floating point.

    Attributes:
        operation: Its name in the format.
        layer: The Keras layer that it comes from.
        tensor: Its output in the converter's words.
        relative_error: What rounding it to int8 was measured to cost, see `Converter.errors`; `None` where it
            was not measured.
        reason: ``"max_drop"``; ``"probabilities"`` for what follows the logits of a model that resizes
            probabilities; ``"mask"`` for what makes a mask of the logits; ``"ends"`` for what stands before
            the first or behind the last convolution of an ONNX file; or ``"no int8 kernel"``.
    """

    operation: str
    layer: str
    tensor: str
    relative_error: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """What was done, for the report.

    Attributes:
        kind: One of `QUANTIZATIONS`.
        calibration_images: Number of images.
        metric: ``"argmax_agreement"`` with the float model, or ``"mean_iou"`` against true masks, both at
            the size of the input on the calibration images; `None` where neither was asked for.
        float_score: Of the float model; 1 for the agreement.
        integer_score: With every layer quantized.
        score: Of the file.
        max_drop: The bound of ``float_score - score``, or `None`.
        float_operations: Those of an int8 file that are left in float; empty for a full integer file.
        conversions: Files that were tried.
    """

    kind: str
    calibration_images: int
    metric: str | None = None
    float_score: float | None = None
    integer_score: float | None = None
    score: float | None = None
    max_drop: float | None = None
    float_operations: tuple[FloatOperation, ...] = ()
    conversions: int = 1

    def __str__(self) -> str:
        parts = [self.kind]
        if self.calibration_images:
            parts.append(f"calibrated on {self.calibration_images} images")
        if self.metric:
            bound = "" if self.max_drop is None else f", may fall by {self.max_drop:g}"
            parts.append(f"{self.metric} {self.score:.4f} (float {self.float_score:.4f}{bound})")
        if self.kind == "int8":
            left = [f"{op.operation} {op.layer}" for op in self.float_operations]
            more = f", and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            parts.append(f"in float: {', '.join(left[:_SHOWN]) + more if left else 'nothing'}")
        return "; ".join(parts)


def check(kind: str | None, *, calibration: Source | None, max_drop: float | None) -> None:
    """Raise an `InputError` for settings that do not go together; reads nothing."""
    if kind is None:
        given = [n for n, v in (("calibration", calibration), ("max_drop", max_drop)) if v is not None]
        if given:
            raise InputError(f"{given[0]} is for a quantized file: choose one of {', '.join(QUANTIZATIONS)}")
        return
    if kind not in QUANTIZATIONS:
        raise InputError(f"quantize must be one of {', '.join(QUANTIZATIONS)} or None, not {kind!r}")
    if kind == "int8" and calibration is None:
        raise InputError(
            "int8 needs calibration images, about 100 of those that the model will see:"
            " files, a folder, arrays or a data set"
        )
    if max_drop is None:
        return
    number = isinstance(max_drop, int | float | np.number) and not isinstance(max_drop, bool)
    if not number or not 0 <= max_drop <= 1:
        raise InputError(f"max_drop is a share from 0 to 1 (0.01 is one percent), not {max_drop!r}")
    if calibration is None:
        raise InputError("max_drop is measured on the calibration images: give some")


def plan(
    kind: str | None, *, calibration: Source | None, max_drop: float | None, deployment: Deployment
) -> Plan | None:
    """Check the settings and read the images; `None` without a quantization.

    Raises:
        InputError: Settings that do not go together, no size, too few images, a data set of other classes, or
            one whose masks have another size than the output.
        FormatError: A damaged image.
    """
    check(kind, calibration=calibration, max_drop=max_drop)
    if kind is None:
        return None
    metadata = deployment.metadata
    read = None
    if calibration is not None and metadata.input_size is not None:
        read = read_calibration(calibration, size=metadata.input_size, labels=metadata.label_set)
        if read.masks is not None and metadata.head == "small_logits":
            raise InputError(f"true masks compare with head='logits' or 'mask', not {metadata.head!r}")
    return Plan(kind=kind, calibration=read, max_drop=max_drop)


def plan_onnx(
    kind: str | None, *, calibration: Source | None, max_drop: float | None, deployment: Deployment
) -> Plan | None:
    """As `plan`, for an ONNX file: float32 or int8.

    Raises:
        InputError: As `plan`; another kind, or no size.
        FormatError: As `plan`.
    """
    check_onnx(kind, input_size=deployment.metadata.input_size)
    return plan(kind, calibration=calibration, max_drop=max_drop, deployment=deployment)


def check_onnx(kind: str | None, *, input_size: tuple[int, int] | None) -> None:
    """Raise an `InputError` for what an ONNX file cannot have."""
    if kind in QUANTIZATIONS and kind != "int8":
        raise InputError(f"an onnx file is quantized to int8, not {kind}")
    if kind == "int8" and input_size is None:
        raise InputError("an int8 onnx file has a static size: pass input_size=(height, width)")


# --- the fewest layers in float ---------------------------------------------------------------------------


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


class _Scores:
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


def _tflite_runner(content: bytes) -> Callable[[np.ndarray], np.ndarray]:
    interpreter = Interpreter(model_content=content, num_threads=2)
    interpreter.allocate_tensors()
    return functools.partial(run_once, interpreter)


def quantize_weights(deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The file with float16 or 8-bit weights, and what was done.

    Raises:
        ParityError: The bound is missed; the converter quantizes all layers or none.
    """
    from zoo.export.tflite.converter import convert_weights

    content = convert_weights(deployment, kind=plan.kind)
    if plan.calibration is None:
        return content, Quantization(kind=plan.kind, calibration_images=0)
    scores = _Scores(deployment, plan)
    score = scores.of(_tflite_runner(content))
    if plan.max_drop is not None and not scores.float_score - score <= plan.max_drop:
        raise ParityError(
            f"max_drop={plan.max_drop:g} cannot be kept: {plan.metric} is {scores.float_score:.4f} for the"
            f" float model and {score:.4f} for the file, and {plan.kind} leaves no layer out"
        )
    return content, Quantization(
        kind=plan.kind,
        calibration_images=len(plan.calibration.images),
        metric=plan.metric,
        float_score=scores.float_score,
        score=score,
        max_drop=plan.max_drop,
    )


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


def quantize_integers(deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The int8 TFLite file with uint8 ends, and what was done; see `quantize_with`."""
    return quantize_with(_TFLite(deployment, plan.calibration.images), deployment, plan)


class _TFLite:
    """A `Converter`."""

    def __init__(self, deployment: Deployment, images: Sequence[np.ndarray]):
        from zoo.export.tflite.converter import IntegerConverter

        self._converter = IntegerConverter(deployment, images)
        self.errors = self._converter.errors
        self.runner = _tflite_runner

    def file(self, float_layers: Iterable[str]) -> bytes:
        from zoo.export.tflite.ends import with_integer_ends

        return with_integer_ends(self._converter.convert(float_layers))

    def float_operations(
        self, content: bytes, errors: Mapping[str, float], *, bounded: bool
    ) -> tuple[FloatOperation, ...]:
        return _explained(content, errors, self._converter.tail, bounded=bounded)


def quantize_with(converter: Converter, deployment: Deployment, plan: Plan) -> tuple[bytes, Quantization]:
    """The int8 file, and what was done.

    With a bound, the layers are left in float in the order of their measured error, the worst first, and as
    few as keep the bound.

    Raises:
        InputError: Without a bound, operations of a TFLite file that integers cannot compute.
        ParityError: The bound is missed with all layers in float.
    """
    scores = _Scores(deployment, plan)
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


def _explained(
    content: bytes, errors: Mapping[str, float], tail: Sequence[str], *, bounded: bool
) -> tuple[FloatOperation, ...]:
    """What computes in float in the file itself, and why."""
    operations = []
    for operation, tensor in float_operations(content):
        meant = "mask" if tensor.startswith(f"{SCOPE}/") else "probabilities"
        reason = "max_drop" if tensor in errors else meant if tensor in tail else "no int8 kernel"
        operations.append(
            FloatOperation(
                operation=operation,
                layer=_layer_of(tensor),
                tensor=tensor,
                relative_error=errors.get(tensor),
                reason=reason,
            )
        )
    unmeant = [f"{op.operation} ({op.layer})" for op in operations if op.reason == "no int8 kernel"]
    if unmeant and not bounded:
        raise InputError(
            f"not everything can be computed in integers: {', '.join(unmeant)};"
            " give max_drop to accept layers in float"
        )
    return tuple(operations)


def _layer_of(tensor: str) -> str:
    """``block2.add`` of ``model_1/block2.add_1/Add``; of a fused operation, the last layer."""
    parts = tensor.rsplit(";", 1)[-1].split("/")
    # The graph's own output has the name of no layer.
    return re.sub(r"_\d+$", "", parts[1]) if len(parts) > 1 else OUTPUT_NAME
