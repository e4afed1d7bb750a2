"""One view of the convolutions that rewrites know: the zoo's own and the plain ones of Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from zoo.export.deploy.graph import Unit
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D

Pair = tuple[int, int]

_DEPTHWISE = (DilatedDepthwiseConv2D, keras.layers.DepthwiseConv2D)
_ZOO = (DilatedConv2D, DilatedDepthwiseConv2D)
_KERAS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A 2-D convolution, channels last, float32, without an activation of its own.

    Attributes:
        unit: Where it comes from.
        kernel: ``(rows, columns, channels, filters)``, of a depthwise one ``(…, channels, multiplier)``.
        bias: One value for each output channel, or `None`.
        strides: Along rows and columns.
        rates: Along rows and columns.
        padding: ``"same"``, ``"symmetric"`` or ``"valid"``, as in `zoo.layers.DilatedConv2D`.
        depthwise: Whether each channel has a kernel of its own.
    """

    unit: Unit
    kernel: np.ndarray
    bias: np.ndarray | None
    strides: Pair
    rates: Pair
    padding: str
    depthwise: bool

    @property
    def kernel_size(self) -> Pair:
        """Rows and columns of the kernel."""
        return self.kernel.shape[:2]

    @property
    def filters(self) -> int:
        """Number of output channels."""
        channels, last = self.kernel.shape[2:]
        return channels * last if self.depthwise else last

    def scaled(self, factor: np.ndarray, shift: np.ndarray) -> Convolution:
        """The convolution whose output is that of this one times `factor` plus `shift`, for each channel."""
        by_filter = factor.reshape(self.kernel.shape[2:]) if self.depthwise else factor
        bias = shift if self.bias is None else self.bias * factor + shift
        return replace(self, kernel=self.kernel * by_filter, bias=bias)

    def to_unit(self, *, name: str | None = None) -> Unit:
        """A unit that computes this; called as the original layer if `name` is `None`."""
        config = {**self.unit.config, **_config(self)}
        config["name"] = name or config["name"]
        arrays = {"kernel": np.asarray(self.kernel, np.float32)}
        if self.bias is not None:
            arrays["bias"] = np.asarray(self.bias, np.float32)
        return Unit(self.unit.kind, config, arrays=arrays)


def _config(convolution: Convolution) -> Mapping[str, Any]:
    """The settings of a layer that a rewrite may have changed."""
    common = {
        "kernel_size": convolution.kernel_size,
        "padding": convolution.padding,
        "use_bias": convolution.bias is not None,
    }
    if convolution.unit.kind in _KERAS:
        common["dilation_rate"] = convolution.rates
    else:
        common["rate"] = max(convolution.rates)
    if not convolution.depthwise:
        common["filters"] = convolution.filters
    return common


def convolution(unit: Unit) -> Convolution | None:
    """The view of a unit; `None` if it is anything else."""
    config = unit.config
    if unit.kind not in _ZOO + _KERAS or not unit.single_precision:
        return None
    weights = unit.weights
    known = set(weights) <= {"kernel", "bias"}
    if unit.kind in _KERAS:
        known &= config["data_format"] == "channels_last" and config["activation"] == "linear"
        strides, rates = tuple(config["strides"]), tuple(config["dilation_rate"])
    else:
        strides, rates = (config["strides"],) * 2, (config["rate"],) * 2
    if not known:
        return None
    return Convolution(
        unit=unit,
        kernel=weights["kernel"],
        bias=weights.get("bias"),
        strides=strides,
        rates=rates,
        padding=config["padding"],
        depthwise=unit.kind in _DEPTHWISE,
    )
