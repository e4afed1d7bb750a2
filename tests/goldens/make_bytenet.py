"""Make `bytenet.npz` with the blocks and networks of sequence-models.

Run where it is installed (made with sequence-models 1.8.0 and torch 2.14):

    python make_bytenet.py

Every parameter is drawn from its name (`seeding.draw`); what goes in is in `bytenet_inputs`. The file keeps
what the originals give where the sequences are, and the tensors' names.
"""

from pathlib import Path

import numpy as np
import torch
from bytenet_inputs import (
    BLOCKS,
    EMBEDDING,
    HIDDEN,
    KERNEL,
    LAYERS,
    MASK,
    NETWORKS,
    PADDING,
    SPAN,
    TOKENS,
    WIDTH,
    columns,
    tokens,
)
from seeding import draw
from sequence_models.convolutional import ByteNetBlock, ByteNetLM


def drawn(module: torch.nn.Module, prefix: str) -> list[str]:
    """Gives every parameter the values of its name; returns the names."""
    state = module.state_dict()
    module.load_state_dict({k: torch.from_numpy(draw(prefix + k, tuple(t.shape))) for k, t in state.items()})
    module.eval()
    return sorted(state)


def main() -> None:
    arrays = {}
    x, mask = map(torch.from_numpy, columns())
    for name, (kernel, rate, causal, activation) in BLOCKS.items():
        block = ByteNetBlock(
            WIDTH, HIDDEN, WIDTH, kernel, dilation=rate, causal=causal, activation=activation
        )
        drawn(block, f"{name}.")
        with torch.no_grad():
            arrays[f"{name}/output"] = (block(x, input_mask=mask) * mask).numpy()
    batch = torch.from_numpy(tokens())
    real = (batch != PADDING)[..., None].float()
    for name, (causal, slim, normalized, activation) in NETWORKS.items():
        options = {"causal": causal, "slim": slim, "final_ln": normalized, "activation": activation}
        network = ByteNetLM(TOKENS, EMBEDDING, WIDTH, LAYERS, KERNEL, SPAN, padding_idx=MASK, **options)
        arrays[f"{name}/names"] = np.array(drawn(network, ""))
        with torch.no_grad():
            arrays[f"{name}/representations"] = (network.embedder(batch, input_mask=real) * real).numpy()
            arrays[f"{name}/logits"] = (network(batch, input_mask=real) * real).numpy()
    for key, array in arrays.items():
        print(key, array.shape, float(np.abs(array).max()) if array.dtype.kind == "f" else "")
    np.savez_compressed(Path(__file__).with_name("bytenet.npz"), **arrays)


if __name__ == "__main__":
    main()
