"""Draws `docs/digits.png`: spectrograms of four recordings, and of the same digits from the digit speaker.

    python docs/draw_digits.py free_spoken_digits.zip [--weights FILE]

The recordings are of the test set, which the network has not heard; the generated ones are the first draws,
of seed 0, at temperature 1.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from zoo.sequence.digits.recordings import RATE, SPEAKERS, read_recordings

SHOWN = ((7, "theo"), (3, "jackson"), (0, "nicolas"), (9, "yweweler"))
SECONDS = 0.7


def draw(axes, sound: np.ndarray, title: str) -> None:
    padded = np.zeros(int(SECONDS * RATE), np.float32)
    padded[: len(sound)] = sound[: len(padded)] / max(np.abs(sound).max(), 1e-6)
    noise = np.random.default_rng(0).normal(0, 1e-5, len(padded))  # no logarithm of nothing
    windows = {"NFFT": 192, "noverlap": 176, "pad_to": 512}
    axes.specgram(padded + noise, Fs=RATE, **windows, cmap="magma", vmin=-110, vmax=-35)
    axes.set_title(f"{title}, {len(sound) / RATE:.2f} s", fontsize=9)
    axes.tick_params(labelsize=7)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive")
    parser.add_argument("--weights", default="default", help="file of another network")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("digits.png"))
    args = parser.parse_args()
    import zoo

    model = zoo.load("wavenet_digits", args.weights)
    recordings = {(r.digit, r.speaker): r.sound for r in read_recordings(args.archive, [0])}
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    rows = figure.subplots(2, len(SHOWN), sharex=True, sharey=True)
    for column, (digit, speaker) in enumerate(SHOWN):
        draw(rows[0, column], recordings[digit, SPEAKERS.index(speaker)], f"{digit}, {speaker}: recorded")
        found = zoo.generate(model, digit=digit, speaker=speaker)
        draw(rows[1, column], found.samples, "generated")
    for row in rows:
        row[0].set_ylabel("Hz", fontsize=8)
    for axes in rows[1]:
        axes.set_xlabel("s", fontsize=8)
    figure.savefig(args.output, dpi=90)
    image = Image.open(args.output).convert("RGB").quantize(128)
    image.save(args.output, optimize=True)


if __name__ == "__main__":
    main()
