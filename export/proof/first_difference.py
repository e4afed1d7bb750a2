"""Which layer is the first that an artifact computes differently from its model.

Two ways to see what a file computes in its middle. While an export runs, the network is cut behind a layer
and the cut one is written in the same format: that sees every layer by itself. Of a finished file, the
tensors that it names after layers are read (`zoo.export.proof.intermediates`); layers that the file merges
into one operation then stand together.

Either way, `zoo.export.proof.layer_search` asks for as few layers as it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from zoo.export.core.deployment import Deployment
from zoo.export.deploy import rewrite
from zoo.export.deploy.graph import is_readable, read
from zoo.export.opening import Artifact, open_artifact
from zoo.export.proof.intermediates import both_outputs, output_of, run_network
from zoo.export.proof.layer_search import FirstDifference, Layers, above_of, bisect, share_of
from zoo.export.proof.noisiest_layer import NoisiestLayer, noisiest_layer
from zoo.export.proof.parity import Parity
from zoo.export.proof.quantized_parity import QuantizedParity

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
        broken = _broken_rewrite(deployment, batch, share=share_of(parity))
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
    layers = Layers(graph, share_of(parity))

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
    layers, end = Layers(graph, share_of(parity)), graph.output.node
    ends = [_compared(x[end], deployment.domain) for x in (got, want) if end in x]
    if len(ends) == 2 and not layers.differs(end, *ends):
        return None
    wrong = {key for key in got if key == end or layers.differs(key, got[key], want[key])}
    # A tensor may be that of a layer's first half, where the file computes the other with the next layer.
    # What is right behind it clears it.
    above = above_of(graph)
    right = frozenset().union(*(above[key] for key in got if key not in wrong))

    def differs(key: str) -> bool | None:
        return False if key in right else True if key in wrong else None

    return layers.found(*bisect(graph, differs), method="tensors that the file names after layers")
