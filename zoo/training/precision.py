"""Names of the number formats that training computes in."""

from __future__ import annotations

from zoo.errors import InputError

# Keras' name of the policy: computing in 16 bits, variables in 32.
PRECISIONS = {"float32": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


def check_precision(precision: str) -> str:
    """`precision` itself, or an `InputError` that lists the known ones."""
    if precision not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    return precision
