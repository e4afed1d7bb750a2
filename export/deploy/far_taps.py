"""Far taps of dilated kernels, computed only where they see the map."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import keras
import tensorflow as tf

from zoo.export.deploy.convolutions import Convolution, Pair, convolution
from zoo.export.deploy.graph import Graph, Unit
from zoo.export.deploy.result import Result

# What is left of the multiply-adds at most: else the sums over the map take what the products save.
MAX_SHARE = 0.6
# With fewer filters there is too little to save.
MIN_FILTERS = 64


def reach(length: int, *, offset: int) -> tuple[slice, Pair]:
    """What a tap sees along one axis, and how many outputs before and behind see only its padding.

    Args:
        length: Cells of the map.
        offset: From an output to the cell that the tap reads for it.
    """
    before, behind = max(-offset, 0), max(offset, 0)
    return slice(behind, length - before), (before, behind)


class TapwiseConv2D(keras.layers.Layer):
    """A dilated convolution with SAME padding at stride 1 as a sum of 1×1 convolutions, one for each tap.

    Each sees only the part of the map that its tap sees; where that is padding, nothing is added. Only for
    maps of one size.

    Args:
        kernel_size: Rows and columns, both odd.
        rates: Along rows and columns.
        filters: Channels of the output.
        use_bias: Whether there is a bias.
        **kwargs: ``name`` of a Keras layer.
    """

    def __init__(self, *, kernel_size: Pair, rates: Pair, filters: int, use_bias: bool, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32", "trainable": False})
        self.kernel_size, self.rates = tuple(kernel_size), tuple(rates)
        self.filters, self.use_bias = filters, use_bias

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(*self.kernel_size, input_shape[-1], self.filters))
        self.bias = self.add_weight(name="bias", shape=(self.filters,)) if self.use_bias else None

    def call(self, x):
        # The centre, which sees the whole map, comes first and brings the bias.
        taps = itertools.product(*(range(-(n // 2), n // 2 + 1) for n in self.kernel_size))
        taps = sorted(taps, key=lambda tap: any(tap))
        total = None
        for tap in taps:
            part = self._part(x, tap)
            total = part if total is None else total + part
        return total

    def _part(self, x, tap: Pair):
        """What a tap, counted from the centre, adds to the map."""
        axes = zip(x.shape[1:3], tap, self.rates, strict=True)
        (rows, above), (columns, left) = (reach(n, offset=step * rate) for n, step, rate in axes)
        row, column = (step + n // 2 for step, n in zip(tap, self.kernel_size, strict=True))
        kernel = self.kernel[row : row + 1, column : column + 1]
        part = tf.nn.conv2d(x[:, rows, columns], kernel, 1, "VALID")
        if not any(tap):
            return part if self.bias is None else tf.nn.bias_add(part, self.bias)
        return tf.pad(part, [[0, 0], above, left, [0, 0]])

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.filters)

    def get_config(self):
        config = {name: getattr(self, name) for name in ("kernel_size", "rates", "filters", "use_bias")}
        return {**super().get_config(), **config}


def crop_far_taps(graph: Graph) -> Result:
    """Compute far taps only where they see the map, where that saves much of a convolution.

    At rate 24 on a map of 33×33 a corner tap of a 3×3 kernel sees 9×9 cells; elsewhere it multiplies zeros.
    The convolution becomes a sum of 1×1 convolutions, one for each tap, on the part of the map that the tap
    sees. For runtimes that multiply the zeros of the padding: XNNPACK does, ONNX Runtime does not.
    """
    changed, notes, saved = {}, [], 0
    for key, node in graph.walk():
        known = convolution(node.unit) if node.plain else None
        shape = graph.shapes[node.inputs[0]] if known else ()
        if known is None or not _fits(known, shape):
            continue
        seen, whole = _seen(known, shape), math.prod(shape[1:3]) * math.prod(known.kernel_size)
        if seen > MAX_SHARE * whole:
            continue
        changed[key] = replace(node, unit=_tapwise(known))
        saved += (whole - seen) * math.prod(known.kernel.shape[2:])
        name, size = known.unit.config["name"], "x".join(map(str, shape[1:3]))
        notes.append(f"{name}: {seen / whole:.0%} of the multiply-adds on {size} see no padding")
    return Result(
        graph.with_nodes(changed), len(notes), {"multiply_adds": saved} if notes else {}, tuple(notes)
    )


def _fits(known: Convolution, shape: tuple[int | None, ...]) -> bool:
    if None in shape[1:]:
        return False
    odd = all(taps % 2 for taps in known.kernel_size)
    padded = known.padding != "valid" and known.strides == (1, 1)
    reaches = all(
        taps // 2 * rate < length
        for taps, rate, length in zip(known.kernel_size, known.rates, shape[1:3], strict=True)
    )
    return odd and padded and reaches and not known.depthwise and known.filters >= MIN_FILTERS


def _seen(known: Convolution, shape: tuple[int | None, ...]) -> int:
    """Pairs of an output and a tap that sees the map there."""
    return math.prod(
        sum(length - abs(step) * rate for step in range(-(taps // 2), taps // 2 + 1))
        for taps, rate, length in zip(known.kernel_size, known.rates, shape[1:3], strict=True)
    )


def _tapwise(known: Convolution) -> Unit:
    config = {
        "name": known.unit.config["name"],
        "kernel_size": known.kernel_size,
        "rates": known.rates,
        "filters": known.filters,
        "use_bias": known.bias is not None,
    }
    arrays = {"kernel": known.kernel} if known.bias is None else {"kernel": known.kernel, "bias": known.bias}
    return Unit(TapwiseConv2D, config, arrays=arrays)
