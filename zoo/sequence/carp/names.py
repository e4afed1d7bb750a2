"""Names and shapes in a checkpoint of CARP (microsoft/protein-sequence-models), and the network they make."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from zoo.errors import FormatError, MismatchError
from zoo.sequence.bytenet_blocks import ACTIVATIONS, BlockConfig
from zoo.sequence.bytenet_tokens import TokenNetConfig
from zoo.sequence.carp.residues import ALPHABET, PADDING

# Of published files: the deepest has 56 blocks, the widest rate is 128.
_DEEPEST, _WIDEST_RATE = 512, 2**16
_LAYER = re.compile(r"embedder\.layers\.(\d+)\.")
_BLOCK = {
    "in_norm": "sequence1.0",
    "in": "sequence1.2.conv",
    "conv_norm": "sequence1.3",
    "conv": "conv",
    "out_norm": "sequence2.0",
    "out": "sequence2.2.conv",
}
_ENDS = {
    "embedding_wide": "embedder.up_embedder.conv",
    "last_norm": "last_norm",
    "logits": "decoder.conv",
}


def network_of_file(
    tensors: Mapping[str, np.ndarray], facts: Mapping[str, object], *, file: str
) -> TokenNetConfig:
    """The network that a checkpoint is of.

    Sizes are those of the tensors, and what the file says of them must agree; the greatest rate and the
    activation stand in the file alone.

    Args:
        tensors: Of ``model_state_dict``, by name.
        facts: The numbers and texts beside it.
        file: Name of the file, for messages.

    Raises:
        FormatError: Tensors that no such network has, or facts that are missing or disagree.
    """
    layers = 1 + max((int(m[1]) for m in map(_LAYER.match, tensors) if m), default=-1)
    table = _shape(tensors, "embedder.embedder.weight", 2, file)
    wide = _shape(tensors, "embedder.up_embedder.conv.weight", 3, file)
    kernel = _shape(tensors, "embedder.layers.0.conv.weight", 3, file)
    if table[0] != len(ALPHABET) or layers > _DEEPEST:
        raise FormatError(f"{file}: {table[0]} tokens and {layers} layers; CARP has {len(ALPHABET)} tokens")
    slim = kernel[0] != wide[0]
    found = {
        "d_embed": table[1],
        "d_model": wide[0],
        "n_layers": layers,
        "kernel_size": kernel[2],
        "slim": slim,
    }
    wrong = [
        f"{name} {facts.get(name)!r}, not {value}"
        for name, value in found.items()
        if facts.get(name) != value
    ]
    if wrong:
        raise FormatError(f"{file} says {', '.join(wrong)}, as its tensors have it")
    span, activation = facts.get("r"), facts.get("activation")
    if isinstance(span, bool) or not isinstance(span, int) or not 1 <= span <= _WIDEST_RATE:
        raise FormatError(f"{file}: r must be a whole number up to {_WIDEST_RATE}, not {span!r}")
    if activation not in ACTIVATIONS:
        raise FormatError(f"{file}: activation must be {' or '.join(ACTIVATIONS)}, not {activation!r}")
    cycle = span.bit_length()
    return TokenNetConfig(
        tokens=len(ALPHABET),
        padding=PADDING,
        embedding=table[1],
        blocks=BlockConfig(width=wide[0], hidden=kernel[0], kernel=kernel[2], activation=activation),
        rates=tuple(2 ** (n % cycle) for n in range(layers)),
    )


def arrays_of_file(
    tensors: Mapping[str, np.ndarray], config: TokenNetConfig, *, file: str
) -> dict[str, list]:
    """Arrays of each layer by its name, in Keras' order of axes.

    Raises:
        MismatchError: A tensor that is missing, or one that no layer takes.
    """
    names = {
        f"block{n}_{ours}": f"embedder.layers.{n}.{theirs}"
        for n in range(len(config.rates))
        for ours, theirs in _BLOCK.items()
    }
    names |= _ENDS
    wanted = {f"{theirs}.{part}" for theirs in names.values() for part in ("weight", "bias")}
    wanted.add("embedder.embedder.weight")
    wrong = sorted(wanted ^ set(tensors))
    if wrong:
        raise MismatchError(f"{file}: {len(wrong)} tensors are missing or unknown, such as {wrong[0]}")
    arrays = {
        ours: [_turned(tensors[f"{theirs}.weight"]), np.asarray(tensors[f"{theirs}.bias"], np.float32)]
        for ours, theirs in names.items()
    }
    return {"embedding": [np.asarray(tensors["embedder.embedder.weight"], np.float32)], **arrays}


def _turned(tensor) -> np.ndarray:
    """(out, in, taps) → (taps, in, out)."""
    array = np.asarray(tensor, np.float32)
    return array.transpose(2, 1, 0) if array.ndim == 3 else array


def _shape(tensors: Mapping[str, np.ndarray], name: str, axes: int, file: str) -> tuple[int, ...]:
    shape = np.shape(tensors[name]) if name in tensors else ()
    if len(shape) != axes:
        raise FormatError(f"{file} is no checkpoint of CARP: it has no {name} of {axes} axes")
    return tuple(map(int, shape))
