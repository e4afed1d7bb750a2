"""Arrays to variables: strict in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from zoo.errors import FormatError
from zoo.weights.name_maps.base import raise_mismatch, summarize


def is_seed(variable) -> bool:
    """Dropout's generator state: part of the model's variables, in no checkpoint."""
    return "seed_generator" in variable.path


def variables_of(model) -> dict[str, object]:
    """The variables of a model that a checkpoint holds, by path."""
    return {v.path: v for v in model.variables if not is_seed(v)}


def check_values(arrays: Mapping[str, np.ndarray], *, subject: str) -> None:
    """Refuse weights that no image can be segmented with, such as those of a training that diverged.

    Raises:
        FormatError: Values that are not finite, or negative variances; names the first array and the count.
    """
    for path, array in arrays.items():
        values = np.asarray(array)
        if values.dtype.kind not in "fV":
            continue
        bad = int(values.size - np.isfinite(values.astype(np.float32, copy=False)).sum())
        what = "are not finite (NaN or infinity)"
        if not bad and path.endswith("/moving_variance"):
            bad, what = int((values < 0).sum()), "are negative variances"
        if bad:
            raise FormatError(f"{subject}: {bad} of {values.size} values of {path} {what}")


def assign(
    variables: Mapping[str, object],
    arrays: Mapping[str, np.ndarray],
    *,
    subject: str,
    scope: Iterable[str] = ("",),
    skip: Iterable[str] = (),
) -> list[str]:
    """Set every variable in scope once, or raise and set none.

    Args:
        variables: Variables by path; each has ``shape`` and ``assign``.
        arrays: Values by the same paths.
        subject: What the error speaks of.
        scope: Prefixes of the paths that must be set.
        skip: Prefixes of paths that stay as they are, although the arrays may hold them.

    Returns:
        The paths that were set.

    Raises:
        MismatchError: Shows missing and unexpected names and different shapes.
        FormatError: Values that are not finite.
    """
    scope, skip = tuple(scope), tuple(skip)
    wanted = [p for p in variables if p.startswith(scope) and not p.startswith(skip)]
    offered = {p: a for p, a in arrays.items() if not p.startswith(skip)}
    shapes = [
        f"{p} {tuple(offered[p].shape)} for {tuple(variables[p].shape)}"
        for p in wanted
        if p in offered and tuple(offered[p].shape) != tuple(variables[p].shape)
    ]
    raise_mismatch(
        subject,
        summarize("variables without a value", [p for p in wanted if p not in offered]),
        summarize("values without a variable", sorted(set(offered) - set(wanted))),
        summarize("different shapes", shapes),
    )
    check_values({path: offered[path] for path in wanted}, subject=subject)
    for path in wanted:
        variables[path].assign(offered[path])
    return wanted
