"""Checks of single values that come from files and command lines."""

from __future__ import annotations

import math
import reprlib

from zoo.errors import InputError

# What TensorFlow's integers hold, and more than any number here needs to be.
MOST, MOST_SEED, LARGEST = 2**31 - 1, 2**32 - 1, 1e30

# When batch normalization takes its statistics from the batch.
BATCH_STATISTICS = ("auto", "always", "never")

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2


def shown(value: object) -> str:
    """A value for a message, in short: from a file it may be nested without end."""
    return _SHORT.repr(value)


def check_count(name: str, value: object, *, least: int, most: int = MOST, optional: bool = False) -> None:
    """Raise an `InputError` unless `value` is an integer within the bounds, or `None` where it may be."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} must be an integer of {least} or more, not {shown(value)}")
    if not least <= value <= most:
        bound = f"{least} or more" if value < least else f"at most {most}"
        raise InputError(f"{name} must be {bound}, not {shown(value)}")


def checked_number(
    name: str, value: object, low: float, low_allowed: bool, high: float, optional: bool
) -> float | None:
    """`value` as a float, if it is a number above `low` (or `low` itself) and below `high`; `None` as it is.

    Raises:
        InputError: Anything else.
    """
    if value is None and optional:
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (low < value < min(high, LARGEST) or (low_allowed and value == low)):
        return float(value)
    least = f"{low:g} or more" if low_allowed else f"above {low:g}"
    beyond = high < math.inf or (number and value >= LARGEST)
    most = f" and below {min(high, LARGEST):g}" if beyond else ""
    none = ", or none" if optional else ""
    raise InputError(f"{name} must be a number {least}{most}{none}, not {shown(value)}")


def check_switch(name: str, value: object) -> None:
    """Raise an `InputError` unless `value` is a boolean."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, not {shown(value)}")


def check_batch_statistics(value: object) -> None:
    """Raise an `InputError` unless `value` is one of `BATCH_STATISTICS`."""
    if value not in BATCH_STATISTICS:
        raise InputError(f"batch_statistics must be one of {', '.join(BATCH_STATISTICS)}, not {shown(value)}")
