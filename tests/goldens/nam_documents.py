"""``.nam`` documents with numbers drawn by a seed, the same ones on both sides of a comparison."""

import numpy as np

DOUBLING = [1, 2, 4, 8]


def old_array(
    inputs, channels, head, *, rates=DOUBLING, gated=False, bias=False, activation="Tanh", condition=1
):
    """A layer array in the words of version 0.5."""
    return {
        "input_size": inputs,
        "condition_size": condition,
        "head_size": head,
        "channels": channels,
        "kernel_size": 3,
        "dilations": list(rates),
        "activation": activation,
        "gated": gated,
        "head_bias": bias,
    }


def new_array(channels, *, kernels, rates, activations, gates=None, seconds=None, head_kernel=1):
    """A layer array in the words of version 0.7."""
    return {
        "input_size": 1,
        "condition_size": 1,
        "head": {"out_channels": 1, "kernel_size": head_kernel, "bias": True},
        "channels": channels,
        "kernel_sizes": list(kernels),
        "dilations": list(rates),
        "activation": activations,
        "bottleneck": channels,
        "head1x1": {"active": False, "out_channels": 1, "groups": 1},
        "layer1x1": {"active": True, "groups": 1},
        "groups_input": 1,
        "groups_input_mixin": 1,
        "conv_pre_film": {"active": False, "shift": True, "groups": 1},
        "gating_mode": gates or ["none"] * len(rates),
        "secondary_activation": seconds or [None] * len(rates),
        "slimmable": None,
    }


def _count(array):
    """Numbers of a layer array, counted here on its own."""
    channels, condition = array["channels"], array["condition_size"]
    modes = array.get("gating_mode", ["gated" if array.get("gated") else "none"] * len(array["dilations"]))
    kernels = array.get("kernel_sizes", [array.get("kernel_size")] * len(array["dilations"]))
    total = channels * array["input_size"]
    for kernel, mode in zip(kernels, modes, strict=True):
        wide = channels * (2 if mode == "gated" else 1)
        total += wide * channels * kernel + wide + wide * condition + channels * channels + channels
    head = array.get("head") or {
        "out_channels": array["head_size"],
        "kernel_size": 1,
        "bias": array["head_bias"],
    }
    return total + head["out_channels"] * (channels * head["kernel_size"] + head["bias"])


def document(arrays, *, seed, version="0.5.4", condition=None, scale=0.5):
    """A whole document."""
    values = np.random.default_rng(seed).normal(0, 0.35, sum(map(_count, arrays))).astype(np.float32)
    config = {"layers": arrays, "head": None, "head_scale": scale}
    if condition is not None:
        config["condition_dsp"] = condition
    return {
        "version": version,
        "metadata": {"name": "drawn", "loudness": -20.0},
        "architecture": "WaveNet",
        "config": config,
        "weights": [*map(float, values), scale],
        "sample_rate": 48000,
    }


def documents():
    """Name → document, one for each way in which files differ."""
    leaky = {"type": "LeakyReLU", "negative_slope": 0.05}
    mixed = [leaky, {"type": "SiLU"}, {"type": "Hardtanh", "min_val": -1.0, "max_val": 1.0}, "Softsign"]
    inner = document([old_array(1, 3, 2, rates=[1, 3], bias=True)], seed=5)
    return {
        "two_arrays": document([old_array(1, 4, 3), old_array(4, 3, 1, bias=True)], seed=1),
        "gated": document([old_array(1, 4, 1, gated=True, activation="ReLU")], seed=2),
        "new_words": document(
            [
                new_array(
                    3,
                    kernels=[6, 6, 15, 2],
                    rates=[1, 3, 7, 11],
                    activations=mixed,
                    gates=["none", "gated", "none", "gated"],
                    seconds=[None, "Sigmoid", None, {"type": "Hardswish"}],
                    head_kernel=16,
                )
            ],
            seed=3,
            version="0.7.0",
        ),
        "condition": document(
            [old_array(1, 3, 2, condition=2), old_array(3, 2, 1, condition=2, bias=True)],
            seed=4,
            condition=inner,
        ),
    }


def sound(samples: int) -> np.ndarray:
    """A chirp under noise with a silent stretch, float32 within −1…1."""
    time = np.arange(samples) / 48_000
    noise = np.random.default_rng(9).uniform(-0.2, 0.2, samples)
    found = 0.6 * np.sin(2 * np.pi * (80 + 4000 * time) * time) + noise
    found[samples // 3 : samples // 3 + 200] = 0
    return found.astype(np.float32)
