"""Make `wavenet.npz` with wavenet_vocoder's network.

Run where it is installed (made with wavenet_vocoder 0.1.1 and torch 2.14):

    python make_wavenet.py

Every parameter is drawn from its name (`seeding.draw`); codes, speakers and the local condition are those of
`wavenet_inputs`. The file keeps every ninth sample.
"""

from pathlib import Path

import numpy as np
import torch
from seeding import draw
from wavenet_inputs import CLASSES, EVERY, LOCAL, SPEAKERS, inputs
from wavenet_vocoder.wavenet import WaveNet

NETWORKS = {
    "legacy": {"legacy": True, "kernel_size": 3},
    "plain_skips": {"legacy": False, "kernel_size": 2},
}


def main() -> None:
    codes, speakers, local = inputs()
    arrays = {}
    for name, options in NETWORKS.items():
        network = WaveNet(
            out_channels=CLASSES,
            layers=8,
            stacks=2,
            residual_channels=12,
            gate_channels=20,
            skip_out_channels=16,
            cin_channels=LOCAL,
            gin_channels=6,
            n_speakers=SPEAKERS,
            weight_normalization=False,
            **options,
        ).eval()
        torch.nn.utils.remove_weight_norm(network.first_conv)  # which has one whatever is asked for
        state = {key: torch.from_numpy(draw(key, tuple(t.shape))) for key, t in network.state_dict().items()}
        network.load_state_dict(state)
        hot = torch.nn.functional.one_hot(torch.from_numpy(codes), CLASSES).float().transpose(1, 2)
        with torch.no_grad():
            features = torch.from_numpy(local).transpose(1, 2)
            whole = network(hot, c=features, g=torch.from_numpy(speakers)).transpose(1, 2).numpy()
        arrays[f"{name}/logits"] = whole[:, ::EVERY]
        arrays[f"{name}/names"] = np.array(sorted(state))
        print(name, whole.shape, float(np.abs(whole).max()), network.receptive_field)
    np.savez_compressed(Path(__file__).with_name("wavenet.npz"), **arrays)


if __name__ == "__main__":
    main()
