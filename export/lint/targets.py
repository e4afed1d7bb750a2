"""Where a file is to run: what is exported for it, and which accelerators must take that whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from zoo.errors import InputError
from zoo.export.lint.verdicts import lint


@dataclass(frozen=True, kw_only=True)
class Target:
    """Settings of an export for one kind of device.

    Attributes:
        name: As in ``--target``.
        format: Of the file.
        head: Of the network.
        quantize: A key of `zoo.export.core.kinds.KINDS`; `None` for float32.
        layout: Of input and output; `None` for the format's own.
        accelerators: That must take the file whole.
    """

    name: str
    format: str
    head: str = "logits"
    quantize: str | None = None
    layout: str | None = None
    accelerators: tuple[str, ...]


_TARGETS = (
    Target(name="android-gpu", format="tflite", accelerators=("litert-gpu",)),
    Target(name="android-npu", format="tflite", quantize="int16x8", accelerators=("qualcomm-htp",)),
    Target(name="edgetpu", format="tflite", quantize="int8", accelerators=("edgetpu",)),
    Target(name="iphone", format="coreml", quantize="float16", accelerators=("coreml-ane",)),
    Target(name="web", format="onnx", layout="nchw", accelerators=("ort-webgpu", "ort-wasm")),
    Target(name="cpu", format="tflite", accelerators=("xnnpack",)),
)
TARGETS: Mapping[str, Target] = MappingProxyType({target.name: target for target in _TARGETS})


def find(name: str) -> Target:
    """The target of that name.

    Raises:
        InputError: There is none.
    """
    if name not in TARGETS:
        raise InputError(f"target must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]


def require_whole(path: str | os.PathLike, target: Target) -> None:
    """Raise an `InputError` with the lint's lines where something of a file falls back."""
    verdicts = [v for v in lint(path, accelerators=target.accelerators) if not v.whole]
    if verdicts:
        lines = "; ".join(f"{v.title}: {line}" for v in verdicts for line in v.lines())
        raise InputError(f"not all of it runs on the target {target.name}: {lines}")
