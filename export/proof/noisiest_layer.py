"""Which layer of a quantized file rounding harms most."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from zoo.export.core.deployment import Deployment
from zoo.export.deploy.graph import is_readable
from zoo.export.opening import Artifact
from zoo.export.proof.intermediates import both_outputs

# What 8 bits hold of a signal that fills their range; a layer is not blamed for noise below that.
_BEST_RATIO = 50.0


@dataclass(frozen=True, kw_only=True)
class NoisiestLayer:
    """The layer that rounding harms most: signal-to-noise ratios of its output and of what it is given.

    Attributes:
        layer: Its name.
        kind: Its class.
        before: Ratio in dB of the worst of its inputs that could be seen, 50 (8 bits) at most.
        after: Ratio in dB of its output.
        compared: Number of layers that were compared.
        layers: Number of layers of the network.
    """

    layer: str
    kind: str
    before: float
    after: float
    compared: int
    layers: int

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {k: None if v != v or v in (np.inf, -np.inf) else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"the signal-to-noise ratio falls most in layer {self.layer!r} ({self.kind}): from"
            f" {self.before:.1f} to {self.after:.1f} dB; compared: {self.compared} of {self.layers} layers,"
            f" tensors of the file"
        )


def noisiest_layer(artifact: Artifact, deployment: Deployment, batch: np.ndarray) -> NoisiestLayer | None:
    """The layer with the largest fall of the signal-to-noise ratio; `None` where none falls.

    The ratio is that of the mean square of the model's values to that of the differences, in dB. A layer
    whose inputs cannot be seen is measured against the nearest layers before it that can.
    """
    if not is_readable(deployment.network):
        return None
    graph, want, got = both_outputs(artifact, deployment, batch)
    ratios = {key: _decibels(got[key], want[key]) for key in got}
    at: dict[str, float] = {graph.input: _BEST_RATIO}
    falls = {}
    for key, node in graph.walk():
        if key == graph.input:
            continue
        before = min((at[ref.node] for ref in node.inputs), default=_BEST_RATIO)
        at[key] = min(before, _BEST_RATIO) if key not in ratios else min(ratios[key], _BEST_RATIO)
        if key in ratios:
            falls[key] = (before - at[key], before, ratios[key])
    if not falls:
        return None
    worst = max(falls, key=lambda key: falls[key][0])
    fall, before, after = falls[worst]
    if fall <= 0:
        return None
    return NoisiestLayer(
        layer=worst,
        kind=graph.nodes[worst].unit.kind.__name__,
        before=before,
        after=after,
        compared=len(ratios),
        layers=len(list(graph.walk())) - 1,
    )


def _decibels(got: np.ndarray, want: np.ndarray) -> float:
    if got.shape != want.shape:
        return float("-inf")
    noise = float(np.square(got.astype(np.float64) - want).mean())
    signal = float(np.square(want.astype(np.float64)).mean())
    if noise == 0:
        return float("inf")
    return 10 * np.log10(signal / noise) if signal > 0 and noise == noise else float("-inf")
