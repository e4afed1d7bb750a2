"""Which samples of a sequence reach one output sample of stacked 1-D convolutions, causal or not.

A causal layer of kernel k at rate r reads the offsets ``0, -r, ..., -(k - 1) r``; a symmetric one reads as
many around its own place, and where their span is odd the longer part ahead. The samples that a stack
reaches are the same ones but for a shift, and the kernels may be even, as WaveNet's are (van den Oord et
al. 2016, figure 3).

A stack leaves no hole if and only if, with its layers by rising rate, ``r_i ≤ 1 + Σ_{j<i} (k_j − 1) r_j``.
The order of the layers does not matter. The rule of hybrid dilated convolution (`zoo.dilation.check`) is one
for images and odd kernels; this one is exact for both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from zoo.dilation.coverage import Layer, coverage, reached, receptive_field
from zoo.dilation.rules import MAX_KERNEL, check_rates, is_gapless, whole_number
from zoo.errors import InputError


@dataclass(frozen=True)
class SequenceReport:
    """What a stack of 1-D convolutions reaches.

    Attributes:
        rates: The dilation rates, first layer (nearest to the input) first.
        kernels: Taps of each layer.
        causal: Whether the layers read the past alone.
        receptive_field: Samples from the first to the last that is read, holes included.
        offsets: The first and the last of them, seen from the output sample.
        holes: Samples between them that no path reaches, counted.
        fewest: Paths from a sample of the field to the output: the least of all samples; 0 marks a hole.
        most: The greatest count.
        passes: Whether the sorted rates obey the rule, which is to say that there is no hole.
        reasons: Why not, one sentence; empty when it passes.
    """

    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    causal: bool
    receptive_field: int
    offsets: tuple[int, int]
    holes: int
    fewest: int
    most: int
    passes: bool
    reasons: tuple[str, ...]

    def milliseconds(self, sample_rate: float) -> float:
        """The receptive field in milliseconds at so many samples per second, more than 0."""
        if not 0 < sample_rate < float("inf"):
            raise InputError(f"the sample rate must be a number above 0, in hertz; got {sample_rate!r}")
        return 1000 * self.receptive_field / sample_rate


def check_sequence(
    rates: Iterable[int], *, kernel: int | Iterable[int] = 2, causal: bool = True
) -> SequenceReport:
    """Counts what a stack of 1-D convolutions reaches, and applies the rule for sorted rates beside it.

    Args:
        rates: One whole number from 1 to 1024 per layer, first layer first; 1 to 512 layers.
        kernel: Taps of every layer, 1 to 31, or one number per layer; even ones too.
        causal: Whether each layer reads its own sample and earlier ones.

    Returns:
        The counts and the verdict.

    Raises:
        InputError: A rate or a kernel is no whole number or out of its range.
    """
    layers = sequence_layers(rates, kernel=kernel)
    counts = coverage(layers, dims=1)
    field = receptive_field(layers)
    found, samples = reached(layers, dims=1)
    taps = tuple(layer.kernel for layer in layers)
    spans = [(layer.kernel - 1) * layer.rate for layer in layers]
    last = 0 if causal else sum(span - span // 2 for span in spans)
    return SequenceReport(
        rates=tuple(layer.rate for layer in layers),
        kernels=taps,
        causal=causal,
        receptive_field=field,
        offsets=(last - field + 1, last),
        holes=samples - found,
        fewest=int(counts.min()),
        most=int(counts.max()),
        passes=is_gapless([layer.rate for layer in layers], taps),
        reasons=_reasons(layers),
    )


def sequence_coverage(rates: Iterable[int], *, kernel: int | Iterable[int] = 2) -> np.ndarray:
    """Counts the paths from each sample to one output sample, earliest sample first.

    Arguments and errors as for `check_sequence`; returns an array of ``receptive_field`` counts as
    `zoo.dilation.coverage` does, the same for causal and symmetric layers.
    """
    return coverage(sequence_layers(rates, kernel=kernel), dims=1)


def sequence_layers(rates: Iterable[int], *, kernel: int | Iterable[int]) -> tuple[Layer, ...]:
    """The layers of a stack, checked as `check_sequence` says."""
    rates = check_rates(rates)
    kernels = _kernels(kernel, len(rates))
    return tuple(Layer(taps, rate) for taps, rate in zip(kernels, rates, strict=True))


def _kernels(kernel: int | Iterable[int], layers: int) -> tuple[int, ...]:
    if isinstance(kernel, str | bytes) or not isinstance(kernel, Iterable):
        return (whole_number(kernel, "the kernel size", high=MAX_KERNEL),) * layers
    kernels = tuple(whole_number(taps, "each kernel size", high=MAX_KERNEL) for taps in kernel)
    if len(kernels) == 1:
        return kernels * layers
    if len(kernels) != layers:
        raise InputError(f"one kernel size, or one per layer: got {len(kernels)} for {layers} rates")
    return kernels


def _reasons(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    """The first rate, by size, that is beyond what those below it reach."""
    reach = 0
    for layer in sorted(layers, key=lambda layer: layer.rate):
        if layer.kernel > 1 and layer.rate > reach + 1:
            return (
                f"rate {layer.rate} is larger than {reach + 1}, 1 more than what the rates below it reach",
            )
        reach += (layer.kernel - 1) * layer.rate
    return ()
