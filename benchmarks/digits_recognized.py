"""How many generated digits a classifier recognizes, beside its accuracy on held-out recordings.

    python benchmarks/digits_recognized.py free_spoken_digits.zip [--temperature 1] [--weights FILE]

The classifier is a small network over log-mel frames, trained here on the training recordings (a minute
on a core) to tell digit and speaker. It hears one digit of each kind and speaker from the digit speaker, and
all recordings of the test set. A generated digit that is recognized is no proof that it sounds good; noise
would be recognized in one case of ten.
"""

from __future__ import annotations

import argparse

import keras
import numpy as np
import tensorflow as tf

from zoo.sequence import mu_law
from zoo.sequence.digits.recordings import CONVENTION, RATE, SILENCE, SPEAKERS, read_recordings
from zoo.sequence.generation import LIMIT, spoken
from zoo.sequence.sampling import generate_codes

BANDS, WINDOW, HOP, FRAMES = 40, 256, 80, 100
LONGEST = FRAMES * HOP + WINDOW - HOP


def features(sounds: list[np.ndarray]) -> np.ndarray:
    """Log-mel frames of the first second, ``(sounds, frames, bands)``, each sound at the same loudness."""
    flat = np.zeros((len(sounds), LONGEST), np.float32)
    for row, sound in enumerate(sounds):
        part = sound[:LONGEST]
        flat[row, : len(part)] = part / max(float(np.sqrt(np.square(part).mean())), 1e-4) * 0.1
    power = tf.square(tf.abs(tf.signal.stft(flat, WINDOW, HOP, WINDOW)))
    mel = tf.signal.linear_to_mel_weight_matrix(BANDS, WINDOW // 2 + 1, RATE, 60.0, 3900.0)
    return tf.math.log(tf.matmul(power, mel) + 1e-4).numpy()


def classifier() -> keras.Model:
    x = inputs = keras.Input((FRAMES, BANDS))
    x = keras.layers.BatchNormalization()(x)
    for filters in (64, 96, 128):
        x = keras.layers.Conv1D(filters, 5, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
        x = keras.layers.MaxPooling1D(2)(x)
    x = keras.layers.Dropout(0.3)(keras.layers.GlobalMaxPooling1D()(x))
    heads = [keras.layers.Dense(10, name="digit")(x), keras.layers.Dense(len(SPEAKERS), name="speaker")(x)]
    return keras.Model(inputs, heads)


def changed(sound: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Begun a little earlier or later, under a little noise."""
    moved = np.pad(sound[draw.integers(0, 400) :], (int(draw.integers(0, 1200)), 0))
    return moved + draw.normal(0, 10 ** draw.uniform(-4, -2.5), len(moved))


def trained(recordings, *, epochs: int) -> keras.Model:
    keras.utils.set_random_seed(0)
    model, draw = classifier(), np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), {"digit": loss, "speaker": loss})
    labels = np.array([recording.ids for recording in recordings])
    for epoch in range(epochs):
        sounds = [changed(recording.sound, draw) for recording in recordings]
        if epoch == epochs * 2 // 3:
            model.optimizer.learning_rate.assign(4e-4)
        given = {"digit": labels[:, 0], "speaker": labels[:, 1]}
        model.fit(features(sounds), given, batch_size=64, verbose=0)
    return model


def told(model: keras.Model, sounds: list[np.ndarray]) -> np.ndarray:
    """``(sounds, 2)``: digit and speaker."""
    found = model.predict(features(sounds), verbose=0)
    scores = found.values() if isinstance(found, dict) else found
    return np.stack([score.argmax(axis=-1) for score in scores], axis=1)


def generated(weights: str, *, temperature: float, seed: int) -> tuple[list[np.ndarray], np.ndarray, int]:
    """A digit of each kind and speaker, their conditions, and how many of them came to an end."""
    import zoo

    ids = np.array([(digit, speaker) for digit in range(10) for speaker in range(len(SPEAKERS))])
    model = zoo.load("wavenet_digits", weights)
    codes = generate_codes(model, LIMIT, ids=ids, first=SILENCE, temperature=temperature, seed=seed)
    sounds, ends = [], 0
    for row in codes:
        length, ended = spoken(row)
        sounds.append(mu_law.decode(row[:length], convention=CONVENTION))
        ends += ended
    return sounds, ids, ends


def row(name: str, right: np.ndarray, ended: str, sounds: list[np.ndarray]) -> str:
    digit, speaker = right.mean(axis=0)
    mean = np.mean([len(sound) for sound in sounds]) / RATE
    return f"| {name} | {digit:.1%} | {speaker:.1%} | {ended} | {mean:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("archive")
    parser.add_argument("--weights", default="default", help="file of another network")
    parser.add_argument("--temperature", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    model = trained(read_recordings(args.archive, "train"), epochs=args.epochs)
    test = read_recordings(args.archive, "test")
    right = told(model, [recording.sound for recording in test]) == np.array([r.ids for r in test])
    print("| heard | digit recognized | speaker recognized | came to an end | seconds, mean |")
    print("|---|--:|--:|--:|--:|")
    print(row(f"{len(test)} held-out recordings", right, "–", [recording.sound for recording in test]))
    for temperature in args.temperature:
        sounds, ids, ended = generated(args.weights, temperature=temperature, seed=args.seed)
        right = told(model, sounds) == ids
        name = f"{len(ids)} generated, temperature {temperature:g}"
        print(row(name, right, f"{ended} of {len(ids)}", sounds))


if __name__ == "__main__":
    main()
