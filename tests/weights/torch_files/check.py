"""Loads the files of ``write.py --model MODEL`` and compares logits with torch's; prints a table.

python tests/weights/torch_files/check.py DIR deeplabv3_aspp_resnet50
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import numpy as np

import zoo
from zoo.errors import ZooError

TOLERANCE = 1e-3  # relative to the spread of the logits
NOT_THEMSELVES = ("expected.npz", "-of-0000")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", help="the model of the zoo that the files are of")
    args = parser.parse_args()
    wrong = 0
    with np.load(args.folder / "expected.npz") as expected:
        # torchvision's models are given normalized images; ours normalize themselves.
        mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        image = (expected["image"][0].transpose(1, 2, 0) * deviation + mean) * 255
        for path in sorted(args.folder.iterdir()):
            if any(part in path.name for part in NOT_THEMSELVES):
                continue
            try:
                logits = np.asarray(zoo.load(args.model, path)(image[None].astype(np.float32)))[0]
            except ZooError as error:
                line, is_wrong = f"refused: {error}", path.name in expected
            else:
                wanted = expected[path.name][0].transpose(1, 2, 0)
                error = np.abs(logits - wanted).max() / wanted.std(axis=(0, 1)).min()
                same = (logits.argmax(-1) == wanted.argmax(-1)).mean()
                line = f"largest error {error:.1e} of the logits' deviation, arg-max alike {same:.2%}"
                is_wrong = error > TOLERANCE
            wrong += is_wrong
            print(f"{'WRONG ' if is_wrong else ''}{path.name:36} {line}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
