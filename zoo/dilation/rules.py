"""The rule of hybrid dilated convolution (HDC) for a group of stacked layers.

Source: Wang et al. 2018, "Understanding Convolution for Semantic Segmentation", section 3.2,
equation 2. The rule is about layers that follow one another. It says nothing about parallel
branches: the rates 6, 12 and 18 of atrous spatial pyramid pooling are read side by side from the
same map, and to put them through this rule is a mistake.

What the rule means for the input pixels that are reached is stated, with its limits, in
`zoo.dilation.coverage`.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from zoo.errors import InputError

MAX_LAYERS = 512
MAX_RATE = 1024
MAX_KERNEL = 31


@dataclass(frozen=True)
class Report:
    """The verdict of the HDC rule on one group of stacked layers.

    Attributes:
        rates: The dilation rates, first layer (nearest to the input) first.
        kernel: The kernel size shared by the layers.
        passes: Whether the group has no common factor and ``M_2 <= kernel``.
        m: ``(M_1, ..., M_n)``, aligned with `rates`; ``M_n`` is the last rate.
        common_factor: The greatest common divisor of the rates; 1 is the good case.
        reasons: Why the group fails, one sentence each; empty when it passes.
        advice: What deserves a look although it does not decide the verdict.
    """

    rates: tuple[int, ...]
    kernel: int
    passes: bool
    m: tuple[int, ...]
    common_factor: int
    reasons: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def m2(self) -> int | None:
        """``M_2``, the value that the rule bounds; None for a single layer, which has none."""
        return self.m[1] if len(self.m) > 1 else None


def check(rates: Iterable[int], *, kernel: int = 3) -> Report:
    """Applies the HDC rule to a group of stacked dilated convolutions.

    With ``M_n = r_n`` and ``M_i = max(M_{i+1} - 2 r_i, 2 r_i - M_{i+1}, r_i)``, a group passes
    when its rates share no factor above 1 and ``M_2 <= kernel`` (Wang et al. 2018, section 3.2).
    A single layer has no ``M_2``: it passes at rate 1 only, as any other rate is its own common
    factor. The saw-tooth shape that the paper recommends is advice here, never a failure.

    What is given is judged as one group. A saw tooth of several groups is to be checked group by
    group: 1-2-5 passes, and 1-2-5-1-2-5 fails as one (``M_2 = 5``).

    A group is also judged alone, though in a network it reads what smaller rates before it have mixed.
    The last group of DUC-HDC, 5-9-17, is the published example: ``M = (5, 9, 17)``, and ``M_2 = 9``
    fails at kernel 3 (of the 63 pixels along its receptive field it reaches 27). It is right where
    it stands, after blocks at the rates 2, 5, 9, 1: with one such group before it the seven layers
    reach all 97 of 97 pixels. The verdict depends on the order and the pixels do not:
    1-2-5-9-5-9-17 passes (``M_2 = 2``), 2-5-9-1-5-9-17 reaches the same pixels and fails
    (``M_2 = 5``).

    Args:
        rates: One whole number from 1 to 1024 per layer, first layer first; 1 to 512 layers.
        kernel: Odd kernel size, 3 to 31.

    Returns:
        The verdict with the M values and its reasons.

    Raises:
        InputError: A rate or the kernel is not a whole number or out of its range.
    """
    rates, kernel = check_rates(rates), check_kernel(kernel)
    m, factor = _m_values(rates), gcd(*rates)
    reasons = []
    if factor > 1:
        reasons.append(
            f"the rates share the factor {factor}: at most one pixel in {factor} is reached along each axis"
        )
    if len(m) > 1 and m[1] > kernel:
        reasons.append(f"M_2 = {m[1]} is larger than the kernel size {kernel}")
    return Report(
        rates=rates,
        kernel=kernel,
        passes=not reasons,
        m=m,
        common_factor=factor,
        reasons=tuple(reasons),
        advice=_advice(rates, passes=not reasons, kernel=kernel),
    )


def suggest(rates: Iterable[int], *, kernel: int = 3) -> tuple[int, ...]:
    """Finds rates near the given ones that pass the rule and leave no hole.

    The suggestion keeps the number of layers. It is a rising group that begins at rate 1, with the
    receptive field nearest to the given one that such a group can have (equal wherever possible);
    among those, the rates stay near the given ones in rising order. The paper's own repair comes
    out: 2-2-2 gives 1-2-3. Rates that pass and leave no hole are returned as they are.

    Args:
        rates: As for `check`.
        kernel: As for `check`.

    Returns:
        As many rates as were given.

    Raises:
        InputError: As for `check`.
    """
    rates, kernel = check_rates(rates), check_kernel(kernel)
    if check(rates, kernel=kernel).passes and is_gapless(rates, [kernel] * len(rates)):
        return rates
    wanted = sorted(rates)
    found = [1]
    for rate in wanted[1:]:
        found.append(min(rate, kernel + 2 * sum(found[1:])))
    for _ in range(sum(wanted) - sum(found)):
        place = _place_to_raise(found, wanted, kernel)
        if place is None:
            break
        found[place] += 1
    return tuple(found)


def is_gapless(rates: Sequence[int], kernels: Sequence[int]) -> bool:
    """Tells whether stacked layers reach every pixel of their receptive field.

    Exact, for any order: take the layers by rising rate; each rate may be at most 1 more than the
    sum of ``(kernel - 1) * rate`` over the layers before it. A larger rate leaves the pixel just
    beyond that sum without a path; a smaller one joins the next copy of a gapless run to the last.
    """
    reach = 0
    for rate, kernel in sorted(zip(rates, kernels, strict=True)):
        if kernel > 1 and rate > reach + 1:
            return False
        reach += (kernel - 1) * rate
    return True


def check_rates(rates: Iterable[int]) -> tuple[int, ...]:
    """Returns the rates as a tuple of ints, or raises `InputError`."""
    if isinstance(rates, str | bytes) or not isinstance(rates, Iterable):
        raise InputError(f"rates must be a list of whole numbers like [1, 2, 5]; got {rates!r}")
    rates = tuple(rates)
    if not 1 <= len(rates) <= MAX_LAYERS:
        raise InputError(f"a group has 1 to {MAX_LAYERS} rates; got {len(rates)}")
    return tuple(whole_number(rate, "each rate", high=MAX_RATE) for rate in rates)


def check_kernel(kernel: int) -> int:
    """Returns the kernel size as an int, or raises `InputError` unless it is odd and in range."""
    size = whole_number(kernel, "the kernel size", low=3, high=MAX_KERNEL)
    if size % 2 == 0:
        raise InputError(f"the kernel size must be odd, from 3 to {MAX_KERNEL}; got {size}")
    return size


def whole_number(value: Any, what: str, *, low: int = 1, high: int) -> int:
    """Returns `value` as an int within ``low...high``, or raises `InputError` naming `what`."""
    message = f"{what} must be a whole number from {low} to {high}; got {value!r}"
    if isinstance(value, bool):  # operator.index takes True for 1, which no one means
        raise InputError(message)
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(message) from None
    if not low <= number <= high:
        raise InputError(message)
    return number


def _m_values(rates: tuple[int, ...]) -> tuple[int, ...]:
    """``(M_1, ..., M_n)`` of equation 2, its middle term simplified to ``2 r_i - M_{i+1}``."""
    m = [rates[-1]]
    for rate in reversed(rates[:-1]):
        m.append(max(m[-1] - 2 * rate, 2 * rate - m[-1], rate))
    return tuple(reversed(m))


def _advice(rates: tuple[int, ...], *, passes: bool, kernel: int) -> tuple[str, ...]:
    """Sentences on the shape of the group and on where the rule and the pixels disagree."""
    advice = []
    if set(rates) != {1} and not _is_saw_tooth(rates):
        advice.append(
            "the rates do not form a saw tooth; the paper lets them rise within a group "
            "and start low again in the next"
        )
    teeth = _teeth(rates)
    if not passes and len(teeth) > 1 and all(check(tooth, kernel=kernel).passes for tooth in teeth):
        groups = ", ".join("-".join(map(str, tooth)) for tooth in teeth)
        advice.append(f"the rule is for one group at a time, and each group here passes: {groups}")
    gapless = is_gapless(rates, [kernel] * len(rates))
    if passes and not gapless:
        advice.append("the group passes the rule and still leaves pixels that no path reaches")
    if not passes and gapless:
        advice.append("the group fails the rule and still reaches every pixel of its receptive field")
    return tuple(advice)


def _teeth(rates: tuple[int, ...]) -> list[list[int]]:
    """The rates cut wherever they fall."""
    teeth = [[rates[0]]]
    for rate in rates[1:]:
        if rate < teeth[-1][-1]:
            teeth.append([])
        teeth[-1].append(rate)
    return teeth


def _is_saw_tooth(rates: tuple[int, ...]) -> bool:
    """Whether the rates rise strictly, fall, and rise again; the last tooth may be cut short."""
    teeth = _teeth(rates)
    rising = all(len(set(tooth)) == len(tooth) for tooth in teeth)
    return rising and all(len(tooth) > 1 for tooth in teeth[:-1]) and len(teeth[0]) > 1


def _place_to_raise(found: list[int], wanted: list[int], kernel: int) -> int | None:
    """Index of the rate that can grow by 1 and strays least from what was wanted, or None.

    A rate can grow while it stays at or below its successor and at or below ``kernel`` plus twice
    the rates between it and the first: ``M_2 <= kernel`` written out for a rising group.
    """
    places, before = [], 0
    for i in range(1, len(found)):
        last = i + 1 == len(found)
        limit = min(kernel + 2 * before, MAX_RATE)
        if found[i] < limit and (last or found[i] < found[i + 1]):
            places.append(i)
        before += found[i]
    # Ties go to the deeper layer, so that a group of equal rates is raised into a rising one.
    return min(places, key=lambda i: (found[i] - wanted[i], -i), default=None)
