"""Trains the digit speaker: a WaveNet on the Free Spoken Digit Dataset.

    python examples/wavenet_digits.py free_spoken_digits.zip --folder run --steps 3000

An interrupted run goes on where its last checkpoint stands. At the end the folder holds the
average of the weights, ``wavenet_digits_fsdd.npz``, which `zoo.load("wavenet_digits", …)` takes.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import keras
import tensorflow as tf

from zoo.sequence.digits.recordings import SPEAKERS, read_recordings
from zoo.sequence.digits.training import Recipe, Trainer
from zoo.sequence.stored import write_wavenet
from zoo.sequence.wavenet import WaveNetConfig


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="DIGIT_SPEAKER_INDEX.wav files in a zip file")
    parser.add_argument("--folder", type=Path, required=True, help="of the checkpoint and the result")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--until", type=int, help="stop behind this one of the steps")
    parser.add_argument("--batch", type=int, default=4, help="recordings in a step (4)")
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="at its highest (0.002)")
    parser.add_argument("--residual", type=int, default=48, help="channels between layers (48)")
    parser.add_argument("--skip", type=int, default=128, help="channels of the skip connections (128)")
    parser.add_argument("--layers", type=int, default=20, help="two stacks of them (20)")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--threads", type=int, help="of TensorFlow")
    args = parser.parse_args()
    if args.threads:
        tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    if args.precision != "float32":
        keras.config.set_dtype_policy(f"mixed_{args.precision}")
    config = WaveNetConfig(
        layers=args.layers,
        residual=args.residual,
        gate=2 * args.residual,
        skip=args.skip,
        ids=(10, len(SPEAKERS)),
    )
    recipe = Recipe(steps=args.steps, batch=args.batch, learning_rate=args.learning_rate)
    trainer = Trainer(config, recipe, read_recordings(args.archive, "train"), folder=args.folder)
    trainer.resume()
    size, field = trainer.model.count_params(), config.receptive_field
    print(f"{size:,} parameters, a field of {field} samples; from step {trainer.done}")
    trainer.run(report=lambda line: print(time.strftime("%H:%M:%S"), line, flush=True), until=args.until)
    write_wavenet(args.folder / "wavenet_digits_fsdd.npz", trainer.averaged())


if __name__ == "__main__":
    main()
