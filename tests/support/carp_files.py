"""A checkpoint of CARP's container with drawn numbers: no published file is small enough to be kept."""

import numpy as np
from goldens.seeding import draw
from support.torch_files import simple, write_legacy, write_zip

TOKENS, EMBEDDING = 30, 8
FACTS = {"model": "carp_tiny", "d_embed": 8, "d_model": 24, "n_layers": 5, "kernel_size": 5}
FACTS |= {"activation": "gelu", "slim": True, "r": 4}


def shapes(width, hidden, layers, kernel):
    """Names and shapes of ``model_state_dict``."""
    found = {
        "embedder.embedder.weight": (TOKENS, EMBEDDING),
        "embedder.up_embedder.conv.weight": (width, EMBEDDING, 1),
        "embedder.up_embedder.conv.bias": (width,),
        "last_norm.weight": (width,),
        "last_norm.bias": (width,),
        "decoder.conv.weight": (TOKENS, width, 1),
        "decoder.conv.bias": (TOKENS,),
    }
    for n in range(layers):
        parts = {
            "sequence1.0": (width,),
            "sequence1.2.conv": (hidden, width, 1),
            "sequence1.3": (hidden,),
            "conv": (hidden, hidden, kernel),
            "sequence2.0": (hidden,),
            "sequence2.2.conv": (width, hidden, 1),
        }
        for part, shape in parts.items():
            found[f"embedder.layers.{n}.{part}.weight"] = shape
            found[f"embedder.layers.{n}.{part}.bias"] = shape[:1]
    return found


def drawn(**sizes):
    return {name: draw(name, shape) for name, shape in shapes(**sizes).items()}


def write_carp(path, *, tensors=None, legacy=False, **changed):
    """A file as CARP's are: scalars beside ``model_state_dict``, and an optimizer's state."""
    facts = {**FACTS, **changed}
    if tensors is None:
        tensors = drawn(width=24, hidden=12, layers=5, kernel=5)
    pairs = {name: simple(str(i), np.ascontiguousarray(a)) for i, (name, a) in enumerate(tensors.items())}
    state = {name: value for name, (value, _) in pairs.items()}
    root = {**facts, "model_state_dict": state, "optimizer_state_dict": {"state": {}, "param_groups": []}}
    root = {key: value for key, value in root.items() if value is not None}
    return (write_legacy if legacy else write_zip)(path, root, [storage for _, storage in pairs.values()])
