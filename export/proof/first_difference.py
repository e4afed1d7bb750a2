"""Which layer is the first that an artifact computes differently from its model.

Two ways to see what a file computes in its middle. While an export runs, the network is cut behind a layer
and the cut one is written in the same format: that sees every layer by itself. Of a finished file, the
tensors that it names after layers are read (`zoo.export.proof.intermediates`); layers that the file merges
into one operation then stand together.

The search is that of ``git bisect`` on a history with merges: each step looks behind the layer that divides
the layers under suspicion most evenly. A layer that is right clears all that it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

from zoo.export.core.deployment import Deployment
from zoo.export.deploy import rewrite
from zoo.export.deploy.graph import Graph, is_readable, read
from zoo.export.opening import Artifact, open_artifact
from zoo.export.proof.intermediates import both_outputs, output_of, run_network
from zoo.export.proof.noisiest_layer import NoisiestLayer, noisiest_layer
from zoo.export.proof.parity import MAX_ERROR, USUAL_LOGIT, Parity
from zoo.export.proof.quantized_parity import QuantizedParity


@dataclass(frozen=True, kw_only=True)
class FirstDifference:
    """The first layer whose output differs, though what it is given does not.

    Attributes:
        layer: Its name.
        kind: Its class.
        merged: Layers before it whose own output could not be seen; the difference may be one of theirs.
        max_error: Largest absolute difference of its output; NaN where not even the shape is right, or
            where it cannot be seen itself.
        max_value: Largest absolute value that the model computes there.
        limit: Of `max_error`: the share of the largest value that the artifact's gate allows the logits.
        compared: Number of layers that were compared.
        layers: Number of layers of the network, as it was rewritten for deployment.
        method: How, in words.
    """

    layer: str
    kind: str
    merged: tuple[str, ...]
    max_error: float
    max_value: float
    limit: float
    compared: int
    layers: int
    method: str

    def to_dict(self) -> dict:
        """Plain data for JSON."""
        return {k: None if v != v else v for k, v in asdict(self).items()}

    def __str__(self) -> str:
        merged = f", or in {', '.join(map(repr, self.merged))} before it" if self.merged else ""
        size = (
            f"error {self.max_error:.1e} of values up to {self.max_value:.3g} (limit {self.limit:.1e})"
            if self.max_error == self.max_error
            else "not a number, of another shape, or not to be seen"
        )
        return (
            f"first differs in layer {self.layer!r} ({self.kind}){merged}: {size};"
            f" compared: {self.compared} of {self.layers} layers, {self.method}"
        )


# --- the search -------------------------------------------------------------------------------------------


def bisect(graph: Graph, differs: Callable[[str], bool | None]) -> tuple[str, list[str]]:
    """The first layer that differs, where the output does.

    Args:
        graph: Of the network.
        differs: Whether a layer's output does; `None` where that cannot be seen.

    Returns:
        Key of the layer, and keys of those before it that could not be seen and were not cleared.
    """
    above = _above(graph)
    order, end = list(above), graph.output.node
    suspects, unseen = above[end] - {end}, set()
    while candidates := [key for key in order if key in suspects and key not in unseen]:
        half = min(candidates, key=lambda key: abs(2 * len(above[key] & suspects) - len(suspects)))
        verdict = differs(half)
        if verdict is None:
            unseen.add(half)
        elif verdict:
            end, suspects = half, (above[half] & suspects) - {half}
        else:
            suspects -= above[half]
    return end, [key for key in order if key in suspects]


def _above(graph: Graph) -> dict[str, frozenset[str]]:
    """Each layer with all that it depends on, in the order of execution."""
    above: dict[str, frozenset[str]] = {}
    for key, node in graph.walk():
        if key != graph.input:
            parents = (ref.node for ref in node.inputs if ref.node in above)
            above[key] = frozenset({key}).union(*(above[parent] for parent in parents))
    return above


class _Layers:
    """Compares layers of a network and remembers the numbers."""

    def __init__(self, graph: Graph, share: float):
        self.graph, self.share = graph, share
        self.seen: dict[str, tuple[float, float]] = {}

    def differs(self, key: str, got: np.ndarray, want: np.ndarray) -> bool:
        """Whether the output of a layer exceeds the limit."""
        same = got.shape == want.shape
        error = float(np.abs(got.astype(np.float64) - want).max()) if same else float("nan")
        self.seen[key] = (error, float(np.abs(want).max()))
        return not error <= self.limit(key)

    def limit(self, key: str) -> float:
        return self.share * self.seen[key][1]

    def found(self, key: str, merged: list[str], *, method: str) -> FirstDifference:
        self.seen.setdefault(key, (float("nan"), float("nan")))
        error, value = self.seen[key]
        return FirstDifference(
            layer=key,
            kind=self.graph.nodes[key].unit.kind.__name__,
            merged=tuple(merged),
            max_error=error,
            max_value=value,
            limit=self.limit(key),
            compared=sum(value == value for _, value in self.seen.values()),
            layers=len(list(self.graph.walk())) - 1,
            method=method,
        )


def _share(parity: Parity) -> float:
    """What the gate allows the logits, as a share of the largest."""
    if parity.tolerance is None or not parity.max_logit > 0:
        return MAX_ERROR / USUAL_LOGIT
    return parity.tolerance / parity.max_logit


# --- an export that fails its gate ------------------------------------------------------------------------


def explain_export(
    artifact: Artifact,
    deployment: Deployment,
    image: np.ndarray,
    *,
    parity: Parity | QuantizedParity,
    write: Callable[[Deployment, Path], object],
    folder: Path,
) -> str:
    """One clause on where a file that was just written goes wrong; it never raises.

    Args:
        artifact: The file.
        deployment: What it was written from.
        image: ``(height, width, 3)`` in 0…255.
        parity: That failed.
        write: The writer of the format, for networks that end in a layer.
        folder: For the files of these.
    """
    # Whatever goes wrong here must not hide what it is to explain.
    try:
        batch = _batch(image)
        if isinstance(parity, QuantizedParity):
            return str(noisiest_layer(artifact, deployment, batch) or "no layer can be told from the others")
        broken = _broken_rewrite(deployment, batch, share=_share(parity))
        if broken:
            return f"the rewrite {broken!r} changes what the network computes, before anything is written"
        return str(_in_prefixes(artifact, deployment, batch, parity=parity, write=write, folder=folder))
    except Exception as error:
        return f"the layer could not be found ({type(error).__name__}: {' '.join(str(error).split())[:200]})"


def _batch(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image, np.float32)
    return image if image.ndim == 4 else image[None]


def _compared(output: np.ndarray, domain: str) -> np.ndarray:
    """The output of a network as `zoo.export.proof.parity` compares it."""
    return np.exp(output) if domain == "probabilities" else output


def _broken_rewrite(deployment: Deployment, batch: np.ndarray, *, share: float) -> str | None:
    """The first rewrite after which Keras itself computes something else."""
    if deployment.domain == "mask":  # a few winners among nearly equal ones may always change
        return None
    want = _compared(deployment.reference(batch), deployment.domain)
    limit = share * float(np.abs(want).max())

    def differs(network: keras.Model) -> bool:
        got = _compared(run_network(network, batch), deployment.domain)
        return not float(np.abs(got.astype(np.float64) - want).max()) <= limit

    if not differs(deployment.network):
        return None
    names = [entry.name for entry in deployment.rewrites if entry.enabled]
    size = deployment.metadata.input_size
    for count in range(1, len(names) + 1):
        network, _ = rewrite(deployment.original, input_size=size, rewrites=names[:count])
        if differs(network):
            return names[count - 1]
    return None  # the network is not what the rewrites make: the search of layers tells more


def _in_prefixes(
    artifact: Artifact,
    deployment: Deployment,
    batch: np.ndarray,
    *,
    parity: Parity,
    write: Callable[[Deployment, Path], object],
    folder: Path,
) -> FirstDifference | str:
    network = deployment.network
    if not is_readable(network):
        return "the layer cannot be found: the network is no functional graph"
    graph = read(network)
    layers = _Layers(graph, _share(parity))

    def differs(key: str) -> bool | None:
        target = output_of(network, key)
        if target is None:
            return None
        prefix = keras.Model(network.input, target, name=network.name)
        try:
            got = _written(prefix, deployment, batch, write=write, path=folder / artifact.path.name)
        except Exception:  # a converter that cannot do this part has errors of any class
            return None
        return layers.differs(key, got, run_network(prefix, batch))

    def ends() -> tuple[np.ndarray, np.ndarray]:
        return artifact.predict(batch), run_network(network, batch)

    end = graph.output.node
    if deployment.domain == "mask":  # its head follows the network
        if differs(end) is False:
            return "on the first image no layer before the mask differs by more than rounding"
    elif not layers.differs(
        end,
        *(_compared(x, deployment.domain) for x in (artifact.predict(batch), run_network(network, batch))),
    ):
        return "on the first image no layer differs by more than rounding"
    found = bisect(graph, differs)
    method = f"the network cut behind each, written as {artifact.format} and run beside Keras"
    return layers.found(*found, method=method)


def _written(
    prefix: keras.Model,
    deployment: Deployment,
    batch: np.ndarray,
    *,
    write: Callable[[Deployment, Path], object],
    path: Path,
) -> np.ndarray:
    """What the network's beginning computes as a file of the same format."""
    # As for logits at the network's stride: of any size and number of channels.
    metadata = replace(deployment.metadata, head="small_logits")
    path.parent.mkdir(exist_ok=True)
    write(replace(deployment, network=prefix, original=prefix, metadata=metadata, head=None), path)
    return open_artifact(path).predict(batch)


# --- a finished file --------------------------------------------------------------------------------------


def explain_artifact(
    artifact: Artifact, deployment: Deployment, image: np.ndarray, *, parity: Parity | QuantizedParity
) -> FirstDifference | NoisiestLayer | None:
    """Where a finished file goes another way than a model.

    Args:
        artifact: The file.
        deployment: Of the model, with the rewrites of the file.
        image: ``(height, width, 3)`` in 0…255.
        parity: That failed.

    Returns:
        Of a float32 file the first layer that differs; of a quantized one the layer with the largest fall of
        the signal-to-noise ratio; `None` where the file names no layers, or none differs on this image.
    """
    batch = _batch(image)
    if isinstance(parity, QuantizedParity):
        return noisiest_layer(artifact, deployment, batch)
    if not is_readable(deployment.network):
        return None
    graph, want, got = both_outputs(artifact, deployment, batch)
    layers, end = _Layers(graph, _share(parity)), graph.output.node
    ends = [_compared(x[end], deployment.domain) for x in (got, want) if end in x]
    if len(ends) == 2 and not layers.differs(end, *ends):
        return None
    wrong = {key for key in got if key == end or layers.differs(key, got[key], want[key])}
    # A tensor may be that of a layer's first half, where the file computes the other with the next layer.
    # What is right behind it clears it.
    above = _above(graph)
    right = frozenset().union(*(above[key] for key in got if key not in wrong))

    def differs(key: str) -> bool | None:
        return False if key in right else True if key in wrong else None

    return layers.found(*bisect(graph, differs), method="tensors that the file names after layers")
