"""Which input pixels reach one output pixel of a stack of layers, and over how many paths.

A stack of convolutions of kernel K at the rates r_1 ... r_n reads, along each axis, the offsets
``sum(r_i * t_i)`` with every tap ``t_i`` from ``-(K-1)/2`` to ``(K-1)/2``. Square kernels treat the
axes alike, so that the map of a stack in two dimensions is the outer product of the one in one
dimension with itself. All of it holds away from the border of the image.

**Where the HDC rule and the pixels part.** Whether a stack leaves holes has an exact answer that
does not depend on the order of its layers (`covers`). For stride 1 and a common odd kernel
from 3 on:

* A group that passes the rule and whose first rate is 1 leaves no hole, in any order.
* At kernel 3 the converse holds for rates in rising order: such a group leaves no hole if and
  only if it passes and begins with rate 1.
* It may pass and leave holes when its first rate is above 1. 2-3 passes (``M_2 = 3``) and misses
  the offsets -4 and 4 of its eleven; 3-3-7 passes and misses 12 of its 27, the offset 2 among
  them; 100-3 passes and reaches 9 of 207. No group whose rates are all above 1 is free of holes.
* It may fail and leave none out of rising order: 1-3-1 and 1-5-2 fail (``M_2`` is 5 and 8), though
  1-1-3 and 1-2-5 pass and read the very same pixels.
* It may fail and leave none at kernel 5 and above, where the factor 2 in the rule is too strict:
  1-1-8 at kernel 5 fails (``M_2 = 6``) and is free of holes. In rising order every rate may be as
  large as 1 plus ``K - 1`` times the sum of those before it; the rule allows ``K`` plus twice those
  after the first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

import numpy as np

from zoo.dilation.rules import (
    MAX_LAYERS,
    MAX_RATE,
    check_kernel,
    check_rates,
    is_gapless,
    whole_number,
)
from zoo.errors import InputError

MAX_CELLS = 2**22
MAX_WINDOW = 1024
MAX_FIELD = 2**24


@dataclass(frozen=True)
class Layer:
    """One convolution or pooling window along one axis.

    Attributes:
        kernel: Taps, 1 to 1024; even ones are allowed, as pooling has them.
        rate: Input steps from tap to tap, 1 to 1024.
        stride: Input steps from output to output, 1 to 1024.
    """

    kernel: int = 3
    rate: int = 1
    stride: int = 1

    def __post_init__(self):
        """Refuses what is not a window, with `InputError`."""
        whole_number(self.kernel, "the kernel of a layer", high=MAX_WINDOW)
        whole_number(self.rate, "the rate of a layer", high=MAX_RATE)
        whole_number(self.stride, "the stride of a layer", high=MAX_WINDOW)


Stack = Iterable[int | Layer]


def coverage(layers: Stack, *, kernel: int = 3, dims: int = 2) -> np.ndarray:
    """Counts the paths from each input pixel to one output pixel.

    Args:
        layers: The stack, first layer (nearest to the input) first; each a rate or a `Layer`.
        kernel: Odd kernel size, 3 to 31, of the layers given as rates.
        dims: 1 or 2.

    Returns:
        Exact counts over the receptive field, shape ``(field,) * dims``; 0 marks a hole. The dtype
        is int64 where the number of all paths fits; else it is object, holding Python integers:
        twenty layers of nine taps have more than 2**63 paths.

    Raises:
        InputError: A layer, `kernel` or `dims` is out of range, or the map exceeds 2**22 cells.
    """
    stack = as_layers(layers, kernel=kernel)
    field = _checked_field(stack, dims)
    paths = prod(layer.kernel for layer in stack) ** dims
    line = np.zeros(field, dtype=np.int64 if paths < 2**63 else object)
    line[0], filled = 1, 1
    for taps, step in _effective(stack):
        source = line[:filled].copy()
        for tap in range(1, taps):
            line[tap * step : tap * step + filled] += source
        filled += (taps - 1) * step
    return line if dims == 1 else np.outer(line, line)


def receptive_field(layers: Stack, *, kernel: int = 3) -> int:
    """Side of the window of input pixels that a stack spans, holes included, in pixels.

    ``1 + sum((kernel_i - 1) * rate_i * strides before i)``. Arguments and errors as for `coverage`.
    """
    return _field(as_layers(layers, kernel=kernel))


def holes(layers: Stack, *, kernel: int = 3, dims: int = 2) -> np.ndarray:
    """Lists the positions inside the receptive field that no path reaches.

    Args:
        layers: As for `coverage`.
        kernel: As for `coverage`.
        dims: 1 or 2.

    Returns:
        Integer indices into the array of `coverage`, shape ``(holes, dims)``; the middle of the
        receptive field is at index ``(field - 1) / 2``.

    Raises:
        InputError: As for `coverage`.
    """
    stack = as_layers(layers, kernel=kernel)
    _checked_field(stack, dims)
    line = _reached_line(stack)
    return np.argwhere(~(line if dims == 1 else np.logical_and.outer(line, line)))


def reached(layers: Stack, *, kernel: int = 3, dims: int = 2) -> tuple[int, int]:
    """Counts the pixels that some path reaches, and all pixels of the receptive field.

    Unlike `coverage` it builds no map, so that it answers for fields of any permitted stack.
    Arguments and errors as for `coverage`, without the limit on cells.
    """
    stack = as_layers(layers, kernel=kernel)
    whole_number(dims, "dims", high=2)
    return _reached_bits(stack).bit_count() ** dims, _field(stack) ** dims


def covers(layers: Stack, *, kernel: int = 3) -> bool:
    """Tells whether a stack reaches every pixel of its receptive field.

    Exact and without a map: with the layers by rising step (rate times the strides before it),
    every step is at most 1 more than the sum of ``(kernel - 1) * step`` before it. Arguments and
    errors as for `coverage`.
    """
    windows = _effective(as_layers(layers, kernel=kernel))
    return is_gapless([step for _, step in windows], [taps for taps, _ in windows])


def as_layers(layers: Stack, *, kernel: int = 3) -> tuple[Layer, ...]:
    """Returns a stack with its plain rates made into layers of `kernel`, or raises `InputError`."""
    kernel = check_kernel(kernel)
    if isinstance(layers, str | bytes) or not isinstance(layers, Iterable):
        raise InputError(f"a stack is a list of rates or layers like [1, 2, 5]; got {layers!r}")
    layers = tuple(layers)
    if not 1 <= len(layers) <= MAX_LAYERS:
        raise InputError(f"a stack has 1 to {MAX_LAYERS} layers; got {len(layers)}")
    stack = tuple(item if isinstance(item, Layer) else Layer(kernel, *check_rates([item])) for item in layers)
    if _field(stack) > MAX_FIELD:
        raise InputError(f"the receptive field must not exceed {MAX_FIELD} pixels; these layers have more")
    return stack


def _effective(stack: tuple[Layer, ...]) -> list[tuple[int, int]]:
    """Taps of each layer and the input pixels from one to the next."""
    windows, jump = [], 1
    for layer in stack:
        windows.append((layer.kernel, layer.rate * jump))
        jump *= layer.stride
    return windows


def _field(stack: tuple[Layer, ...]) -> int:
    return 1 + sum((taps - 1) * step for taps, step in _effective(stack))


def _checked_field(stack: tuple[Layer, ...], dims: int) -> int:
    """The receptive field, or `InputError` when `dims` is wrong or the map would be too large."""
    field = _field(stack)
    if field ** whole_number(dims, "dims", high=2) > MAX_CELLS:
        shape = " × ".join([str(field)] * dims)
        raise InputError(f"a map has at most {MAX_CELLS} cells; this receptive field is {shape}")
    return field


def _reached_bits(stack: tuple[Layer, ...]) -> int:
    """The reached pixels along one axis as the bits of one integer: fast at any length."""
    bits = 1
    for taps, step in _effective(stack):
        source = bits
        for tap in range(1, taps):
            bits |= source << (tap * step)
    return bits


def _reached_line(stack: tuple[Layer, ...]) -> np.ndarray:
    field = _field(stack)
    packed = _reached_bits(stack).to_bytes(-(-field // 8), "little")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=field, bitorder="little")
    return bits.astype(bool)
