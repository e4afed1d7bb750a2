"""A checkpoint of CARP as a Keras model, and what it says of proteins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from zoo.errors import FormatError, InputError
from zoo.sequence.arrays import assign_layers
from zoo.sequence.bytenet_tokens import LOGITS, REPRESENTATIONS, build_token_net, token_net_of
from zoo.sequence.carp.names import arrays_of_file, network_of_file
from zoo.sequence.carp.residues import ALPHABET, tokens_of
from zoo.weights.readers.torch_file import read_torch_facts, read_torch_sets

_KEY = "model_state_dict"


@dataclass(frozen=True, eq=False)
class Protein:
    """What a network says of one sequence.

    Attributes:
        logits: ``(residues, 30)`` float32, of each token of `zoo.sequence.carp.residues.ALPHABET`.
        representations: ``(residues, width)`` float32, the last block's output before its normalization.
    """

    logits: np.ndarray
    representations: np.ndarray


def read_carp(path: str | Path, *, name: str = "bytenet_carp") -> keras.Model:
    """The network of a published file of CARP, read as data: nothing in it runs.

    Args:
        path: A file of ``torch.save`` with ``model_state_dict`` and the sizes beside it.
        name: Of the Keras model.

    Returns:
        See `zoo.sequence.build_token_net`.

    Raises:
        FormatError: A damaged file, one of something else, or one whose sizes contradict its tensors.
        MismatchError: Tensors that are missing or too many.
    """
    path = Path(path)
    found = [one for one in read_torch_sets(path) if one.key == _KEY]
    if not found:
        raise FormatError(f"{path.name} is no checkpoint of CARP: it has no {_KEY}")
    tensors = found[0].tensors
    config = network_of_file(tensors, read_torch_facts(path), file=path.name)
    model = build_token_net(config, name=name)
    assign_layers(model, arrays_of_file(tensors, config, file=path.name), file=path.name)
    return model


def embed_proteins(model: keras.Model, sequences: Sequence[str]) -> list[Protein]:
    """Logits and representations of each residue of protein sequences.

    Args:
        model: Of ``zoo.load("bytenet_carp", …)``.
        sequences: See `zoo.sequence.carp.residues.tokens_of`.

    Raises:
        InputError: Another model, or a sequence with an unknown or lower-case letter.
    """
    if token_net_of(model).tokens != len(ALPHABET):
        raise InputError(f"{model.name} has no tokens of proteins")
    found = model(tokens_of(sequences), training=False)
    logits, inner = (np.asarray(found[key]) for key in (LOGITS, REPRESENTATIONS))
    return [
        Protein(logits=logits[i, : len(s)].copy(), representations=inner[i, : len(s)].copy())
        for i, s in enumerate(sequences)
    ]
