"""The export to any format of the table."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from zoo.errors import InputError
from zoo.export import formats
from zoo.export.core.calibration import Source
from zoo.export.core.deployment import Deployment, prepare
from zoo.export.core.kinds import KINDS
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.quantization import plan as plan_quantization
from zoo.export.core.staging import article
from zoo.export.formats import Format
from zoo.export.lint import targets
from zoo.export.lint.targets import Target, require_whole
from zoo.export.publish import Images, Rewrites, publish_planned
from zoo.export.report import ExportReport


def to_format(
    format: str,
    model: keras.Model,
    path: str | os.PathLike,
    *,
    input_size: tuple[int, int] | None = None,
    head: str = "logits",
    layout: str | None = None,
    rewrites: Rewrites = None,
    quantize: str | None = None,
    calibration: Source | None = None,
    max_drop: float | None = None,
    images: Images = None,
    options: Mapping[str, Any] | None = None,
    target: str | None = None,
) -> ExportReport:
    """Export to any format of the table `zoo.export.formats`, which is proven like every other.

    Arguments, result and errors as in `to_tflite` and `to_onnx`, so far as the format has them.

    Args:
        format: Its name.
        model: A zoo model.
        path: File or folder to write.
        input_size: (height, width); `None` for any size where the format takes any, else for the one that the
            model was built for.
        head: As in `to_saved_model`.
        layout: One of the format's; `None` for its first.
        rewrites: As in `to_saved_model`.
        quantize: One of the format's kinds; `None` for float32.
        calibration: As in `to_tflite`.
        max_drop: As in `to_tflite`.
        images: As in `to_tflite`.
        options: Settings that only this format has, by name, such as ``{"opset": 18}``.
        target: A key of `zoo.export.lint.targets.TARGETS`, whose accelerators must take all of the file.

    Raises:
        InputError: As in `to_tflite`; no such format, or a setting that it does not have; something that
            falls back on the target.
        FormatError: As in `to_tflite`.
        ParityError: As in `to_tflite`.
    """
    row, options = formats.find(format), dict(options or {})
    goal = None if target is None else targets.find(target)
    place = formats.check_target(path, format=format)
    write = functools.partial(row.load("writer"), **options) if options else row.load("writer")
    _check_settings(row, layout=layout, options=options)
    deployment = prepare(
        model,
        input_size=input_size,
        head=head,
        layout=layout or row.layouts[0],
        rewrites=rewrites,
        multiplies_padding=row.multiplies_padding and quantize is None,
        keep_tables=quantize in KINDS and KINDS[quantize].keeps_values,
    )
    if row.static_size and deployment.metadata.input_size is None:
        raise InputError(f"{article(format)} artifact has a static size: pass input_size=(height, width)")
    plan = plan_quantization(
        quantize,
        calibration=calibration,
        max_drop=max_drop,
        deployment=deployment,
        format=format,
        kinds=row.quantizations,
    )
    if goal is not None:
        write = functools.partial(_write_for, write, goal)
    return publish_planned(deployment, place, write=write, plan=plan, images=images)


def _write_for(
    write: Callable, target: Target, deployment: Deployment, path: Path, *, plan: Plan | None = None
) -> Quantization | None:
    """Write, and refuse what the target does not take whole."""
    done = write(deployment, path) if plan is None else write(deployment, path, plan=plan)
    require_whole(path, target)
    return done


def _check_settings(row: Format, *, layout: str | None, options: Mapping[str, Any]) -> None:
    """Raise an `InputError` for what a format does not have."""
    if layout in formats.layouts() and layout not in row.layouts:
        raise InputError(f"{article(row.name)} artifact is {' or '.join(row.layouts)}, not {layout}")
    unknown = [name for name in options if row.option(name) is None]
    if unknown:
        raise InputError(f"{article(row.name)} artifact has no setting {unknown[0]!r}")
    if row.check:
        row.load("check")(**options)
