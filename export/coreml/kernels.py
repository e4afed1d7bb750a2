"""What operations of ML programs compute, in NumPy, by the words of Core ML's documentation.

Source: the operations' descriptions in Core ML Tools 9 (MIL operation sets iOS 15 and iOS 16). This module
knows nothing of the writer and shares no code with it. Maps are ``(1, channels, rows, columns)``, floats are
float32 here; the interpreter rounds results to the type that the program states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zoo.errors import FormatError

Arguments = Mapping[str, Any]


def _windows(x: np.ndarray, kernel, strides, rates, size):
    """The part of a padded map that each tap of a kernel sees, ``(tap, map)``."""
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * rates[0], column * rates[1]
            yield (
                (row, column),
                x[
                    :,
                    :,
                    top : top + (size[0] - 1) * strides[0] + 1 : strides[0],
                    left : left + (size[1] - 1) * strides[1] + 1 : strides[1],
                ],
            )


def _padding(a: Arguments, size, kernel, strides, rates) -> list[tuple[int, int]]:
    kind = a.get("pad_type", "valid")
    if kind == "valid":
        return [(0, 0), (0, 0)]
    if kind == "custom":
        top, bottom, left, right = (int(n) for n in a["pad"])
        return [(top, bottom), (left, right)]
    if kind != "same":
        raise FormatError(f"padding {kind!r} is not known")
    amounts = []
    for n, taps, stride, rate in zip(size, kernel, strides, rates, strict=True):
        total = max((-(-n // stride) - 1) * stride + rate * (taps - 1) + 1 - n, 0)
        amounts.append((total // 2, total - total // 2))
    return amounts


def _prepared(a: Arguments, kernel, fill: float):
    """The padded map, strides, rates, the size of the result, and the padding."""
    x = a["x"]
    strides = tuple(int(n) for n in a.get("strides", (1, 1)))
    rates = tuple(int(n) for n in a.get("dilations", (1, 1)))
    if a.get("ceil_mode", False):
        raise FormatError("pooling that rounds sizes up is not known")
    pads = _padding(a, x.shape[2:], kernel, strides, rates)
    x = np.pad(x, [(0, 0), (0, 0), *pads], constant_values=fill)
    size = tuple(
        (n - r * (k - 1) - 1) // s + 1 for n, r, k, s in zip(x.shape[2:], rates, kernel, strides, strict=True)
    )
    return x, strides, rates, size, pads


def conv(a: Arguments) -> np.ndarray:
    """Cross-correlation with the kernel ``(filters, channels / groups, rows, columns)``."""
    weight, groups = a["weight"], int(a.get("groups", 1))
    x, strides, rates, size, _ = _prepared(a, weight.shape[2:], 0.0)
    filters, (batch, channels) = weight.shape[0], x.shape[:2]
    if channels != groups * weight.shape[1] or filters % groups:
        raise FormatError(f"{channels} channels do not fit a kernel of shape {weight.shape}")
    result = np.zeros((batch, groups, filters // groups, size[0] * size[1]), np.float32)
    for (row, column), seen in _windows(x, weight.shape[2:], strides, rates, size):
        tap = weight[:, :, row, column].reshape(groups, filters // groups, -1)
        seen = np.ascontiguousarray(seen).reshape(batch, groups, channels // groups, -1)
        result += tap * seen if tap.shape[2] == 1 else tap @ seen
    result = result.reshape(batch, filters, *size)
    return result + a["bias"].reshape(1, -1, 1, 1) if "bias" in a else result


def max_pool(a: Arguments) -> np.ndarray:
    """Largest value in each window; padding never wins."""
    kernel = tuple(int(n) for n in a["kernel_sizes"])
    x, strides, rates, size, _ = _prepared(a, kernel, -np.inf)
    return np.max([seen for _, seen in _windows(x, kernel, strides, rates, size)], axis=0)


def avg_pool(a: Arguments) -> np.ndarray:
    """Mean of each window, of the values that are no padding where these are left out."""
    kernel = tuple(int(n) for n in a["kernel_sizes"])
    x, strides, rates, size, pads = _prepared(a, kernel, 0.0)
    total = sum(seen for _, seen in _windows(x, kernel, strides, rates, size))
    if not a.get("exclude_padding_from_average", False):
        return total / np.float32(kernel[0] * kernel[1])
    ones = np.pad(np.ones((1, 1, *a["x"].shape[2:]), np.float32), [(0, 0), (0, 0), *pads])
    return total / sum(seen for _, seen in _windows(ones, kernel, strides, rates, size))


def _positions(cells: int, pixels: int, mode: str) -> np.ndarray:
    """Where the pixels of an enlarged axis lie among its cells."""
    index = np.arange(pixels, dtype=np.float64)
    if mode == "UNALIGN_CORNERS":
        spacing = cells / pixels
        places = index * spacing + 0.5 * spacing - 0.5
    elif mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        single = 0.0 if mode == "STRICT_ALIGN_CORNERS" else (cells - 1) / 2
        places = index * (cells - 1) / (pixels - 1) if pixels > 1 else index + single
    elif mode == "DEFAULT":
        places = index * (cells / pixels)
    else:
        raise FormatError(f"the sampling mode {mode!r} is not known")
    return np.clip(places, 0, cells - 1)


def resize_bilinear(a: Arguments) -> np.ndarray:
    """Interpolate rows, then columns."""
    x, mode = a["x"], a.get("sampling_mode", "DEFAULT")
    for axis, key in ((2, "target_size_height"), (3, "target_size_width")):
        cells, pixels = x.shape[axis], int(a[key])
        places = _positions(cells, pixels, mode)
        low = np.floor(places).astype(np.int64)
        high = np.minimum(low + 1, cells - 1)
        share = (places - low).astype(np.float32).reshape([-1 if n == axis else 1 for n in range(4)])
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


def upsample_bilinear(a: Arguments) -> np.ndarray:
    """`resize_bilinear` by factors; Core ML Tools writes it where a graph of TensorFlow resizes."""
    x = a["x"]
    aligned = bool(a.get("align_corners", True))
    sizes = {
        # A factor of 32 bits may fall short of the quotient that it stands for.
        f"target_size_{side}": int(x.shape[axis] * float(a.get(f"scale_factor_{side}", 1)) + 1e-3)
        for axis, side in ((2, "height"), (3, "width"))
    }
    mode = "STRICT_ALIGN_CORNERS" if aligned else "UNALIGN_CORNERS"
    return resize_bilinear({"x": x, "sampling_mode": mode, **sizes})


def slice_by_index(a: Arguments) -> np.ndarray:
    """Part of each axis, and one element of those that are squeezed."""
    x, none = a["x"], np.zeros(a["x"].ndim, bool)
    steps = a.get("stride", np.ones(x.ndim, int))
    begins, ends, squeezed = (a.get(f"{key}_mask", none) for key in ("begin", "end", "squeeze"))
    parts = []
    for axis in range(x.ndim):
        begin, end, step = int(a["begin"][axis]), int(a["end"][axis]), int(steps[axis])
        if squeezed[axis]:
            parts.append(begin)
        else:
            parts.append(slice(None if begins[axis] else begin, None if ends[axis] else end, step))
    return x[tuple(parts)]


def _pad(a: Arguments) -> np.ndarray:
    if a.get("mode", "constant") != "constant":
        raise FormatError(f"padding {a['mode']!r} is not known")
    x, amounts = a["x"], np.asarray(a["pad"]).reshape(-1, 2)
    unpadded = [(0, 0)] * (x.ndim - len(amounts))
    return np.pad(x, [*unpadded, *map(tuple, amounts)], constant_values=a.get("constant_val", 0))


def _mean(a: Arguments) -> np.ndarray:
    axes = tuple(int(n) for n in a["axes"]) if "axes" in a else None
    return a["x"].mean(axis=axes, keepdims=bool(a.get("keep_dims", False)), dtype=np.float64)


def _arg_max(a: Arguments) -> np.ndarray:
    x, axis = a["x"], int(a.get("axis", -1))
    found = x.argmax(axis)
    return np.expand_dims(found, axis) if a.get("keep_dims", False) else found


def _matmul(a: Arguments) -> np.ndarray:
    sides = (a["x"], "transpose_x"), (a["y"], "transpose_y")
    x, y = (side.swapaxes(-1, -2) if a.get(key, False) else side for side, key in sides)
    return x @ y


def _linear(a: Arguments) -> np.ndarray:
    result = a["x"] @ a["weight"].T
    return result + a["bias"] if "bias" in a else result


def _softmax(a: Arguments) -> np.ndarray:
    axis = int(a.get("axis", -1))
    raised = np.exp(a["x"] - a["x"].max(axis, keepdims=True))
    return raised / raised.sum(axis, keepdims=True)


def _concat(a: Arguments) -> np.ndarray:
    if a.get("interleave", False):
        raise FormatError("interleaved maps are not known")
    return np.concatenate(a["values"], int(a["axis"]))


def _gather(a: Arguments) -> np.ndarray:
    if int(a.get("batch_dims", 0)):
        raise FormatError("gathering by batches is not known")
    return np.take(a["x"], a["indices"].astype(np.int64), int(a.get("axis", 0)))


def _squeeze(a: Arguments) -> np.ndarray:
    return a["x"].squeeze(tuple(int(n) for n in a["axes"]) if "axes" in a else None)


def _log(a: Arguments) -> np.ndarray:
    return np.log(a["x"] + np.float32(a.get("epsilon", 1e-45)))


def _batch_norm(a: Arguments) -> np.ndarray:
    shape = (1, -1, 1, 1)
    scale = a.get("gamma", np.float32(1)) / np.sqrt(a["variance"] + a.get("epsilon", np.float32(1e-5)))
    shift = a.get("beta", np.float32(0)) - a["mean"] * scale
    return a["x"] * scale.reshape(shape) + shift.reshape(shape)


def _unary(function: Callable) -> Callable[[Arguments], np.ndarray]:
    return lambda a: function(a["x"])


def _binary(function: Callable) -> Callable[[Arguments], np.ndarray]:
    return lambda a: function(a["x"], a["y"])


KERNELS: Mapping[str, Callable[[Arguments], np.ndarray]] = {
    "add": _binary(np.add),
    "sub": _binary(np.subtract),
    "mul": _binary(np.multiply),
    "real_div": _binary(np.divide),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "relu": _unary(lambda x: np.maximum(x, 0)),
    "relu6": _unary(lambda x: np.clip(x, 0, 6)),
    "sigmoid": _unary(lambda x: 1 / (1 + np.exp(-x))),
    "tanh": _unary(np.tanh),
    "exp": _unary(np.exp),
    "sqrt": _unary(np.sqrt),
    "square": _unary(np.square),
    "abs": _unary(np.abs),
    "floor": _unary(np.floor),
    "softplus": _unary(lambda x: np.logaddexp(0, x)),
    "elu": lambda a: np.where(a["x"] > 0, a["x"], a["alpha"] * np.expm1(np.minimum(a["x"], 0))),
    "clip": lambda a: np.clip(a["x"], a["alpha"], a["beta"]),
    "leaky_relu": lambda a: np.where(a["x"] > 0, a["x"], a["alpha"] * a["x"]),
    "log": _log,
    "softmax": _softmax,
    "identity": _unary(lambda x: x),
    "cast": _unary(lambda x: x),  # the interpreter gives every result the type that is stated
    "conv": conv,
    "linear": _linear,
    "matmul": _matmul,
    "batch_norm": _batch_norm,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "reduce_mean": _mean,
    "reduce_argmax": _arg_max,
    "resize_bilinear": resize_bilinear,
    "upsample_bilinear": upsample_bilinear,
    "slice_by_index": slice_by_index,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
    "reshape": lambda a: a["x"].reshape([int(n) for n in a["shape"]]),
    "transpose": lambda a: a["x"].transpose([int(n) for n in a["perm"]]),
    "expand_dims": lambda a: np.expand_dims(a["x"], tuple(int(n) for n in a["axes"])),
    "squeeze": _squeeze,
}
