"""What a WaveNet and its original are given, by formula."""

import numpy as np

SAMPLES, CLASSES, SPEAKERS, LOCAL, EVERY = 300, 64, 5, 3, 9


def inputs():
    """Codes (2, samples), speakers (2, 1), and local features (2, samples, channels)."""
    time = np.arange(SAMPLES)
    waves = [(31.5 + 31.5 * np.sin(time * (0.05 + 0.03 * i))).round() for i in range(2)]
    local = np.stack([np.sin(time[:, None] * 0.1 + np.arange(LOCAL) + i) for i in range(2)])
    return np.stack(waves).astype(np.int64), np.array([[1], [4]]), local.astype(np.float32)
