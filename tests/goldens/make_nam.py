"""Make `nam.npz` with the amplifier models of neural-amp-modeler.

Run where it is installed (made with neural-amp-modeler 0.13.0 and torch 2.14), with a folder of ``.nam``
files of NeuralAmpModelerCore's examples (MIT) as argument:

    python make_nam.py FOLDER

The package reads no file of version 0.5 and no condition network, so that the configuration is put into its
present words here and the numbers are handed to its own `import_weights`. Sound: `nam_documents.sound`.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from nam.models.wavenet import WaveNet
from nam_documents import documents, sound

FILES = ("wavenet", "wavenet_a1_standard", "wavenet_condition_dsp", "slimmable_wavenet", "A2")
FIRST, SAMPLES = 1500, 12_000


def activation(value, mode, second):
    def single(found):
        if not isinstance(found, dict):
            return found
        words = {k: v for k, v in found.items() if k != "type"}
        return {"name": found["type"], **words} if words else found["type"]

    if mode == "none":
        return single(value)
    return {"name": "PairMultiply", "primary": single(value), "secondary": single(second)}


def present(array):
    """A layer array of any version in the words of the package."""
    count = len(array["dilations"])
    values = array["activation"]
    values = values if isinstance(values, list) else [values] * count
    modes = array.get("gating_mode", ["gated" if array.get("gated") else "none"] * count)
    seconds = array.get("secondary_activation", ["Sigmoid"] * count)
    head = array.get("head") or {
        "out_channels": array["head_size"],
        "kernel_size": 1,
        "bias": array["head_bias"],
    }
    return {
        "input_size": array["input_size"],
        "condition_size": array["condition_size"],
        "channels": array["channels"],
        "kernel_size": array.get("kernel_sizes", array.get("kernel_size")),
        "dilations": array["dilations"],
        "activation": [activation(*row) for row in zip(values, modes, seconds, strict=True)],
        "head": head,
    }


def configuration(config):
    found = {
        "layers_configs": [present(array) for array in config["layers"]],
        "head": config["head"],
        "head_scale": config["head_scale"],
    }
    if "condition_dsp" in config:
        found["condition_dsp"] = {
            "name": "WaveNet",
            "config": configuration(config["condition_dsp"]["config"]),
        }
    return found


def built(document):
    model = WaveNet.init_from_config({**configuration(document["config"]), "sample_rate": 48_000.0})
    used = model.import_weights(torch.tensor(document["weights"]))
    assert used == len(document["weights"])
    if "condition_dsp" in document["config"]:
        model._net._condition_dsp.import_weights(torch.tensor(document["config"]["condition_dsp"]["weights"]))
    return model.eval()


def main() -> None:
    rows = {f"drawn/{name}": found for name, found in documents().items()}
    for name in FILES:
        found = json.loads((Path(sys.argv[1]) / f"{name}.nam").read_text())
        if found["architecture"] == "SlimmableContainer":
            found = found["config"]["submodels"][-1]["model"]
        rows[f"file/{name}"] = found
    arrays = {}
    for name, document in rows.items():
        with torch.no_grad():
            y = built(document)(torch.from_numpy(sound(SAMPLES)), pad_start=True).numpy()
        arrays[f"{name}/first"], arrays[f"{name}/every"] = y[:FIRST], y[::40]
        print(name, y.shape, float(np.abs(y).max()))
    np.savez_compressed(Path(__file__).with_name("nam.npz"), **arrays)


if __name__ == "__main__":
    main()
