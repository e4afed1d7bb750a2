"""Training of a WaveNet on recordings: AdamW along a cosine, with an average of the weights."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import InputError
from zoo.files import written_whole
from zoo.sequence.digits.batches import Batch, epoch
from zoo.sequence.digits.recordings import Recording
from zoo.sequence.wavenet import WaveNetConfig, build_wavenet, config_of


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a WaveNet is trained.

    Attributes:
        steps: Of the optimizer.
        batch: Recordings in a step.
        learning_rate: After the warm-up of 100 steps, from where it falls along a cosine to a hundredth.
        weight_decay: Of AdamW.
        clip_norm: Of all gradients together.
        average: Of the weights: what each step keeps of the average so far.
        seed: Of the order and the cuts.
    """

    steps: int
    batch: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    average: float = 0.995
    seed: int = 0

    def __post_init__(self):
        """Refuses numbers that are no recipe, with `InputError`."""
        for name, value in asdict(self).items():
            least = 0 if name in ("seed", "weight_decay", "average") else 1e-12
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
                raise InputError(
                    f"{name} must be a number {'from 0' if not least else 'above 0'}, not {value!r}"
                )
        if not self.average < 1:
            raise InputError(f"average must be below 1, not {self.average!r}")


class Trainer:
    """A network in training, which can be put down and taken up.

    Args:
        config: Of the network.
        recipe: How it is trained.
        recordings: What on.
        folder: Where `save` and `resume` keep the state.
    """

    def __init__(
        self, config: WaveNetConfig, recipe: Recipe, recordings: Sequence[Recording], *, folder: Path
    ):
        self.recipe, self._recordings, self._file = recipe, recordings, Path(folder, "state.npz")
        keras.utils.set_random_seed(recipe.seed)
        self.model = build_wavenet(config)
        self._optimizer = keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                0.0,
                recipe.steps,
                alpha=0.01,
                warmup_target=recipe.learning_rate,
                warmup_steps=min(100, recipe.steps // 2),
            ),
            weight_decay=recipe.weight_decay,
            global_clipnorm=recipe.clip_norm,
            use_ema=True,
            ema_momentum=recipe.average,
        )
        self._optimizer.exclude_from_weight_decay(var_names=["bias", "embeddings"])
        self._optimizer.build(self.model.trainable_variables)
        self._step = tf.function(self._trained, reduce_retracing=True)
        self.done = 0

    def run(self, *, report: Callable[[str], None], save_every: int = 200, until: int | None = None) -> None:
        """Train until the recipe's last step, or to put it down for a while behind an earlier one."""
        last = self.recipe.steps if until is None else min(until, self.recipe.steps)
        field = config_of(self.model).receptive_field
        start, samples, total, weight = time.perf_counter(), 0, 0.0, 0.0
        for batch in itertools.islice(self._batches(field), max(0, last - self.done)):
            counted = float(batch.weights.sum())
            total += float(self._step(batch.codes, batch.targets, batch.weights, batch.ids)) * counted
            weight, samples = weight + counted, samples + batch.codes.size
            self.done += 1
            if self.done % 20 == 0 or self.done == last:
                speed = samples / (time.perf_counter() - start)
                report(f"step {self.done} bits {total / weight / math.log(2):.4f} samples/s {speed:.0f}")
                total = weight = 0.0
            if self.done % save_every == 0 or self.done == last:
                self.save()

    def averaged(self) -> keras.Model:
        """The network with the average of the weights."""
        averaged = keras.models.clone_model(self.model)
        means = self._optimizer._model_variables_moving_average
        for variable, mean in zip(averaged.trainable_variables, means, strict=True):
            variable.assign(mean)
        return averaged

    def save(self) -> None:
        """Write all that `resume` needs."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f"v{i}": np.asarray(v) for i, v in enumerate(self._variables())}
        with written_whole(self._file) as part, part.open("wb") as file:
            np.savez(file, done=self.done, **arrays)

    def resume(self) -> bool:
        """Go on where `save` was called last; whether there was anything."""
        if not self._file.is_file():
            return False
        with np.load(self._file, allow_pickle=False) as file:
            variables = self._variables()
            shapes = [file[f"v{i}"].shape for i in range(len(file) - 1)]
            if shapes != [tuple(v.shape) for v in variables]:
                raise InputError(f"{self._file} is of a network of other settings")
            for index, variable in enumerate(variables):
                variable.assign(file[f"v{index}"])
            self.done = int(file["done"])
        return True

    def _variables(self) -> list:
        return [*self.model.trainable_variables, *self._optimizer.variables]

    def _batches(self, field: int) -> Iterator[Batch]:
        """The batches behind those that are done."""
        each = -(-len(self._recordings) // self.recipe.batch)
        number, within = divmod(self.done, each)
        for n in itertools.count(number):
            batches = epoch(self._recordings, size=self.recipe.batch, field=field, seed=(self.recipe.seed, n))
            yield from itertools.islice(batches, within if n == number else 0, None)

    def _trained(self, codes, targets, weights, ids):
        with tf.GradientTape() as tape:
            logits = tf.cast(self.model({"codes": codes, "ids": ids}, training=True), tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
            loss = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        variables = self.model.trainable_variables
        self._optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss
