"""Bits per sample of the digit speaker on recordings that it has not heard, beside simple baselines.

    python benchmarks/digit_bits.py free_spoken_digits.zip [--split test] [--weights FILE]

Every sample of every recording of the split counts, each given all samples before it; the counts of codes
are those of the training recordings. "Wrong" conditions tell the network another digit or speaker than the
recording's: what it costs shows that the network listens to them.
"""

from __future__ import annotations

import argparse

import numpy as np

from zoo.sequence.digits.baselines import ngram_bits, prediction_bits
from zoo.sequence.digits.likelihood import network_bits, per_sample
from zoo.sequence.digits.recordings import SPEAKERS, read_recordings


def wrong_digit(ids):
    return (ids[0] + 5) % 10, ids[1]


def wrong_speaker(ids):
    return ids[0], (ids[1] + 3) % len(SPEAKERS)


def wrong_both(ids):
    return (ids[0] + 5) % 10, (ids[1] + 3) % len(SPEAKERS)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive")
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--weights", default="default", help="file of another network")
    parser.add_argument("--quick", action="store_true", help="the network alone")
    args = parser.parse_args()
    import zoo

    test = read_recordings(args.archive, args.split)
    model = zoo.load("wavenet_digits", args.weights)
    conditions = {
        "WaveNet": lambda ids: ids,
        "WaveNet, told another digit": wrong_digit,
        "WaveNet, told another speaker": wrong_speaker,
        "WaveNet, told another digit and speaker": wrong_both,
    }
    rows = dict(zip(conditions, network_bits(model, test, conditions=list(conditions.values())), strict=True))
    if not args.quick:
        train = read_recordings(args.archive, "train")
        names = {1: "codes, free of order", 2: "codes, bigram", 3: "codes, trigram", 4: "codes, 4-gram"}
        rows |= {name: ngram_bits(train, test, order=order) for order, name in names.items()}
        rows["linear prediction, adaptive, of order 32"] = prediction_bits(test)
    samples = sum(len(recording.sound) for recording in test)
    print(f"{args.split}: {len(test)} recordings, {samples:,} samples\n")
    print("| predictor | bits per sample |\n|---|--:|")
    for name, bits in rows.items():
        print(f"| {name} | {per_sample(bits, test):.3f} |")
    right, wrong = rows["WaveNet"], rows["WaveNet, told another digit"]
    share = np.mean(right < wrong)
    print(f"\nThe recorded digit is likelier than another one in {share:.1%} of the recordings.")
    for index, speaker in enumerate(SPEAKERS):
        own = [i for i, recording in enumerate(test) if recording.speaker == index]
        print(f"{speaker}: {per_sample(right[own], [test[i] for i in own]):.3f}")


if __name__ == "__main__":
    main()
