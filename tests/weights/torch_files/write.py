"""Writes thirty files as torch training scripts leave them, and what each should give.

    python -m venv torch-env && torch-env/bin/pip install torch torchvision safetensors numpy
    torch-env/bin/python tests/weights/torch_files/write.py --output DIR [--model lraspp_mobilenet_v3_large]

Without ``--model`` a network of few parameters takes the model's place: those files are committed in `files`,
with the tensors that they stand for in ``expected.npz``. With it, the files are of a torchvision model with
drawn weights, ``expected.npz`` holds its logits for one image, and ``check.py`` compares them. The committed
ones are of torch 2.14 and torchvision 0.29.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from forms import FILES, REFUSED
from networks import network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--model", help="of torchvision.models.segmentation")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    image = torch.rand(1, 3, 65, 97)
    fresh = network(args.model, 0)
    expected = {"image": image.numpy()} if args.model else _tensors("", fresh.state_dict())
    for name, write in FILES.items():
        if name == "program.pt2" and not args.model:
            continue  # large, of a small network as well
        fresh = network(args.model, 0)
        state = write(network(args.model, 0), args.output / name)
        if state is not None:
            state = {n: t.detach().float() for n, t in state.items()}
            fresh.load_state_dict(state)
        if args.model and name not in REFUSED:
            with torch.no_grad():
                expected[name] = fresh(image)["out"].numpy()
        elif state is not None:
            expected |= _tensors(name, state)
    np.savez_compressed(args.output / "expected.npz", **expected)
    print(f"{len(FILES)} files, of which {', '.join(REFUSED)} are to be refused")


def _tensors(file: str, state: dict) -> dict:
    kept = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    return {f"{file}:{n}": t.detach().numpy() for n, t in kept.items()}


if __name__ == "__main__":
    main()
