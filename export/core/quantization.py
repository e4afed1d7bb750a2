"""Quantization of files: what may be asked for, checked, and what the report tells of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from zoo.errors import InputError
from zoo.export.core.calibration import Calibration, Source, read_calibration
from zoo.export.core.deployment import Deployment
from zoo.export.core.kinds import KINDS
from zoo.export.core.staging import article

# What `max_drop` bounds: without true masks, and with them.
AGREEMENT, MEAN_IOU = "argmax_agreement", "mean_iou"

# Operations in float that the one-line summary names; the report has them all.
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A quantization as it was asked for, checked.

    Attributes:
        kind: A key of `KINDS`.
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
        kind: A key of `KINDS`.
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
        if KINDS[self.kind].integers:
            left = [f"{op.operation} {op.layer}" for op in self.float_operations]
            more = f", and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
            parts.append(f"in float: {', '.join(left[:_SHOWN]) + more if left else 'nothing'}")
        return "; ".join(parts)


def check(
    kind: str | None,
    *,
    calibration: Source | None,
    max_drop: float | None,
    format: str,
    kinds: Collection[str],
    sized: bool,
) -> None:
    """Raise an `InputError` for settings that do not go together; reads nothing.

    Args:
        kind: Asked for.
        calibration: Asked for.
        max_drop: Asked for.
        format: Name of the format.
        kinds: That it has.
        sized: Whether the file will have a static size.
    """
    if kind is None:
        given = [n for n, v in (("calibration", calibration), ("max_drop", max_drop)) if v is not None]
        if given:
            raise InputError(f"{given[0]} is for a quantized file: choose one of {', '.join(kinds or KINDS)}")
        return
    if kind not in KINDS:
        raise InputError(f"quantize must be one of {', '.join(KINDS)} or None, not {kind!r}")
    if kind not in kinds:
        means = f"is quantized to {', '.join(kinds)}, not {kind}" if kinds else "cannot be quantized"
        raise InputError(f"{article(format)} file {means}")
    if KINDS[kind].integers and not sized:
        raise InputError(f"{article(kind)} {format} file has a static size: pass input_size=(height, width)")
    if KINDS[kind].integers and calibration is None:
        raise InputError(
            f"{kind} needs calibration images, about 100 of those that the model will see:"
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
    kind: str | None,
    *,
    calibration: Source | None,
    max_drop: float | None,
    deployment: Deployment,
    format: str,
    kinds: Collection[str],
) -> Plan | None:
    """Check the settings as `check` does and read the images; `None` without a quantization.

    Raises:
        InputError: Settings that do not go together, no size, too few images, a data set of other classes, or
            one whose masks have another size than the output.
        FormatError: A damaged image.
    """
    metadata = deployment.metadata
    wanted = {"calibration": calibration, "max_drop": max_drop}
    check(kind, **wanted, format=format, kinds=kinds, sized=metadata.input_size is not None)
    if kind is None:
        return None
    read = None
    if calibration is not None:
        if metadata.input_size is None:
            raise InputError("calibration images have the size of the input: pass input_size=(height, width)")
        read = read_calibration(calibration, size=metadata.input_size, labels=metadata.label_set)
        if read.masks is not None and metadata.head == "small_logits":
            raise InputError(f"true masks compare with head='logits' or 'mask', not {metadata.head!r}")
    return Plan(kind=kind, calibration=read, max_drop=max_drop)
