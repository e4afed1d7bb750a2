"""What ByteNet's blocks and networks and their originals are given, by formula."""

import numpy as np

LENGTHS = (45, 30, 12)
WIDTH, HIDDEN, LAYERS, KERNEL, SPAN = 24, 12, 10, 5, 8
# Single blocks: name → kernel, rate, whether causal, activation.
BLOCKS = {"plain": (5, 4, False, "gelu"), "causal": (5, 3, True, "relu"), "causal_even": (2, 4, True, "gelu")}
# Networks: name → whether causal, slim, normalized at the end, activation.
NETWORKS = {
    "carp": (False, True, True, "gelu"),
    "wide": (False, False, True, "relu"),
    "lrar": (True, True, True, "gelu"),
}
TOKENS, EMBEDDING, PADDING, MASK = 30, 8, 27, 28


def columns():
    """Features (3, 45, width) and their mask (3, 45, 1), 1 where the sequence is."""
    time = np.arange(max(LENGTHS))
    waves = np.sin(time[None, :, None] * 0.3 + np.arange(WIDTH) * 0.7 + np.arange(3)[:, None, None])
    mask = (time[None] < np.array(LENGTHS)[:, None])[..., None]
    return (2 * waves).astype(np.float32), mask.astype(np.float32)


def tokens():
    """Tokens (3, 45), padded behind, with a masked one among them."""
    time = np.arange(max(LENGTHS))
    found = (7 * time[None] + 3 * np.arange(3)[:, None] + time[None] ** 2 // 5) % 26
    found[:, 4] = MASK
    return np.where(time[None] < np.array(LENGTHS)[:, None], found, PADDING).astype(np.int64)
