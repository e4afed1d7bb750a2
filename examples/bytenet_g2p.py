"""Trains the bundled `bytenet_g2p` on CMUdict: spelling to sound.

    python examples/bytenet_g2p.py cmudict.dict --out RUN --epochs 20 --decay 6

Begun again with the same RUN it goes on where it was; the learning rate is constant up to the last epochs
(``--decay``), so a run can be lengthened. RUN/bytenet_g2p_cmudict.npz holds the averaged weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.sequence.bytenet import build_bytenet
from zoo.sequence.bytenet_files import write_bytenet
from zoo.sequence.g2p import G2P
from zoo.sequence.phones import letters_of, symbols_of
from zoo.sequence.pronunciations import in_part, read_cmudict
from zoo.sequence.symbols import END, PADDING, START
from zoo.training.averaging import WeightAverage


def examples_of(words, config) -> list[tuple[list[int], list[int]]]:
    """Every pronunciation of each word, as symbols; those beyond the unfolding's bound are left out."""
    pairs = [(letters_of(word), symbols_of(p)) for word, variants in words.items() for p in variants]
    return [(s, t) for s, t in pairs if len(t) < config.longest(len(s))]


def batches(pairs, size: int, draw: np.random.Generator | None):
    """Batches of pairs of like lengths, padded, in random order if `draw` is given."""
    order = np.arange(len(pairs)) if draw is None else draw.permutation(len(pairs))
    lengths = np.array([(len(s), len(t)) for s, t in pairs])[order]
    order = order[np.lexsort((lengths[:, 1], lengths[:, 0]))]
    groups = [order[at : at + size] for at in range(0, len(order), size)]
    for at in range(len(groups)) if draw is None else draw.permutation(len(groups)):
        yield padded([pairs[i] for i in groups[at]])


def padded(pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source, target before each position, and target at it; −1 where there is none."""
    source = np.full((len(pairs), max(len(s) for s, _ in pairs)), PADDING, np.int32)
    before = np.full((len(pairs), 1 + max(len(t) for _, t in pairs)), START, np.int32)
    at = np.full(before.shape, -1, np.int32)
    for row, (s, t) in enumerate(pairs):
        source[row, : len(s)] = s
        before[row, 1 : len(t) + 1] = t
        at[row, : len(t) + 1] = [*t, END]
    return source, before, at


class Trainer:
    """A network, its optimizer and the average of its weights.

    Args:
        smoothing: Of the labels.
        decay: Of the weights, towards zero.
        dropout: Of what each block adds.
    """

    def __init__(self, *, smoothing: float, decay: float, dropout: float):
        blocks = dataclasses.replace(G2P.blocks, dropout=dropout)
        self.model = build_bytenet(dataclasses.replace(G2P, blocks=blocks), name="bytenet_g2p")
        self.optimizer = keras.optimizers.AdamW(1e-3, weight_decay=decay, beta_2=0.98, clipnorm=1.0)
        self.optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        self.optimizer.build(self.model.trainable_variables)
        self.average = WeightAverage(self.model, momentum=0.999)
        self.step, self.rate = tf.Variable(0, dtype=tf.int64), tf.Variable(0.0)
        self._smoothing = smoothing
        kept = {"model": self.model, "optimizer": self.optimizer, "step": self.step}
        self.checkpoint = tf.train.Checkpoint(**kept, average=self.average.averages)

    @tf.function(reduce_retracing=True)
    def train(self, source, before, at):
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model({"source": source, "target": before}, training=True), tf.float32)
            real = tf.cast(at >= 0, tf.float32)
            logs = tf.nn.log_softmax(logits)
            picked = tf.gather(logs, tf.maximum(at, 0), batch_dims=2)
            losses = -(1 - self._smoothing) * picked - self._smoothing * tf.reduce_mean(logs, axis=-1)
            loss = tf.reduce_sum(losses * real) / tf.reduce_sum(real)
        variables = self.model.trainable_variables
        self.optimizer.learning_rate.assign(self.rate)
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.average.update(self.step, strategy=tf.distribute.get_strategy())
        self.step.assign_add(1)
        return loss

    @tf.function(reduce_retracing=True)
    def _judge(self, source, before, at):
        logits = tf.cast(self.model({"source": source, "target": before}, training=False), tf.float32)
        real = at >= 0
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(at, 0), logits)
        hit = tf.equal(tf.argmax(logits, axis=-1, output_type=tf.int32), at) | ~real
        real = tf.cast(real, tf.float32)
        return tf.reduce_sum(losses * real), tf.reduce_sum(real), tf.reduce_all(hit, axis=1)

    def judged(self, pairs, size: int) -> tuple[float, float]:
        """Loss of the averaged weights in nats per phone, and the share of pronunciations with an error."""
        with self.average.applied():
            found = [[np.asarray(v) for v in self._judge(*batch)] for batch in batches(pairs, size, None)]
        right = np.concatenate([hit for _, _, hit in found])
        return sum(f[0] for f in found) / sum(f[1] for f in found), 1 - right.mean()


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--decay", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--threads", type=int, default=2)
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    """Trains from the run's last checkpoint to its last epoch."""
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    keras.utils.set_random_seed(0)
    words = read_cmudict(options.dictionary)
    train, dev = (examples_of(in_part(words, part), G2P) for part in ("train", "dev"))
    wanted = {"decay": options.weight_decay, "dropout": options.dropout}
    trainer = Trainer(smoothing=options.smoothing, **wanted)
    kept = tf.train.CheckpointManager(trainer.checkpoint, str(options.out), max_to_keep=2)
    if kept.latest_checkpoint:
        trainer.checkpoint.restore(kept.latest_checkpoint)
    each = -(-len(train) // options.batch_size)
    print(f"{trainer.model.count_params()} parameters, {len(train)} pronunciations, {each} steps", flush=True)
    for epoch in range(int(trainer.step) // each, options.epochs):
        began, losses = time.time(), []
        for batch in batches(train, options.batch_size, np.random.default_rng(epoch)):
            step = int(trainer.step)
            left = (options.epochs * each - step) / (options.decay * each)
            trainer.rate.assign(options.learning_rate * min(1.0, (step + 1) / 500, left))
            losses.append(trainer.train(*batch))
            if step % 50 == 0:
                print(f"step {step} loss {float(losses[-1]):.3f} {time.time() - began:.0f} s", flush=True)
        loss, wrong = trainer.judged(dev, options.batch_size)
        kept.save()
        with trainer.average.applied():
            write_bytenet(options.out / "bytenet_g2p_cmudict.npz", trainer.model)
        seconds = time.time() - began
        mean = float(np.mean([float(v) for v in losses]))
        print(
            f"epoch {epoch + 1} train {mean:.4f} dev {loss:.4f} wrong {wrong:.4f} {seconds:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
