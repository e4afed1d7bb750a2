"""Magnitude pruning while fine-tuning (Zhu & Gupta 2018, "To prune, or not to prune")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from zoo.compression.bridge import conv2d, to_tf_keras
from zoo.compression.compressed import Compressed, copied
from zoo.compression.requirements import require
from zoo.compression.selection import select, sparsity
from zoo.compression.standard import standard_frameworks
from zoo.compression.training import FineTuning, best_of, train
from zoo.errors import InputError
from zoo.layers import DilatedConv2D
from zoo.training.optimizer import frozen

PATTERNS = ("unstructured", "2:4", "block")
# Of four neighbouring input channels, two are zero.
_TWO_OF_FOUR = (2, 4)


@dataclass(frozen=True, kw_only=True)
class PruningConfig:
    """What becomes zero, and when.

    Attributes:
        sparsity: Share of zeros in each chosen kernel at the end, above 0 and below 1.
        pattern: ``"unstructured"``: single weights; ``"2:4"``: two of four neighbouring input channels, all
            at once at the first step (`sparsity` is 0.5); ``"block"``: blocks of `block`.
        block: (rows, columns) of a block in the kernel as a matrix ``(taps · input channels, filters)``.
        initial_sparsity: Share at `begin`.
        begin: Step of the first pruning.
        end: Step of the last; `None` for 60 % of the run, the rest of which repairs.
        every: Steps between prunings; `None` for a hundredth of the run.
        layers: See `zoo.compression.selection.select`.

    Raises:
        InputError: A value outside of the above.
    """

    sparsity: float = 0.5
    pattern: str = "unstructured"
    block: tuple[int, int] = (1, 4)
    initial_sparsity: float = 0.0
    begin: int = 0
    end: int | None = None
    every: int | None = None
    layers: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise InputError(f"pattern must be one of {', '.join(PATTERNS)}, not {self.pattern!r}")
        if not (isinstance(self.sparsity, int | float) and 0 < self.sparsity < 1):
            raise InputError(f"sparsity must be above 0 and below 1, not {self.sparsity!r}")
        if self.pattern == "2:4" and self.sparsity != 0.5:
            raise InputError(f"2:4 has a sparsity of 0.5, not {self.sparsity!r}")
        if not 0 <= self.initial_sparsity <= self.sparsity:
            raise InputError(
                f"initial_sparsity must be from 0 to {self.sparsity}, not {self.initial_sparsity}"
            )
        block = tuple(self.block)
        if len(block) != 2 or any(not isinstance(n, int) or n < 1 for n in block) or block == (1, 1):
            raise InputError(f"block must be two positive integers, one above 1, not {self.block!r}")

    def steps(self, total: int) -> tuple[int, int, int]:
        """(begin, end, every) in a run of so many steps; the last pruning falls on `end`.

        Raises:
            InputError: Steps that do not fit into the run.
        """
        every = max(1, total // 100) if self.every is None else self.every
        # Masks follow the count of the step that runs, from 1 on.
        begin = max(1, self.begin)
        end = max(begin + 1, round(0.6 * total)) if self.end is None else self.end
        if self.begin < 0 or every < 1 or not begin < end <= total:
            raise InputError(
                f"pruning from step {self.begin} to {end}, every {every}, does not fit into {total} steps"
            )
        every = min(every, end - begin)
        return end - (end - begin) // every * every, end, every


class _Pruned:
    """A network in tfmot's pruning wrappers; see `zoo.compression.stepper.Student`."""

    def __init__(self, model: keras.Model, config: PruningConfig, *, steps: int):
        self.names = select(model, config.layers)
        self.begin, self.end, self.every = config.steps(steps)
        self.config, self._wrapped = config, []
        flat = config.pattern == "block"
        translate = {DilatedConv2D: lambda layer: conv2d(layer, flat=flat and layer.name in self.names)}
        self.bridge = to_tf_keras(model, wrap=self._wrap, translate=translate)

    def _wrap(self, layer, original):
        if original.name not in self.names:
            return layer
        api = require("tensorflow_model_optimization").sparsity.keras
        schedule = api.PolynomialDecay(
            initial_sparsity=self.config.initial_sparsity,
            final_sparsity=self.config.sparsity,
            begin_step=self.begin,
            end_step=self.end,
            frequency=self.every,
        )
        options = {"pruning_schedule": schedule}
        if self.config.pattern == "2:4":
            options["sparsity_m_by_n"] = _TWO_OF_FOUR
        if self.config.pattern == "block":
            options |= {"block_size": tuple(self.config.block), "block_pooling_type": "AVG"}
        wrapped = api.prune_low_magnitude(layer, **options)
        self._wrapped.append(wrapped)
        return wrapped

    def before_step(self, step: int) -> None:
        for wrapped in self._wrapped:
            wrapped.pruning_step.assign(step)

    def is_complete(self, step: int) -> bool:
        return step >= (1 if self.config.pattern == "2:4" else self.end)

    def snapshot(self) -> keras.Model:
        # The last update has moved pruned weights away from zero.
        for wrapped in self._wrapped:
            for weight, mask, _ in wrapped.pruning_vars:
                weight.assign(weight * mask)
        return self.bridge.to_keras()


@standard_frameworks()
def prune(model: keras.Model, config: PruningConfig, tuning: FineTuning) -> Compressed:
    """Set the smallest weights to zero, more and more of them, while the others are fine-tuned.

    Args:
        model: A trained zoo model; it stays as it is.
        config: What becomes zero, and when.
        tuning: How the model is fine-tuned; see there for a folder that makes the run resumable.

    Returns:
        The pruned model without any wrapper, of the best validation after the last pruning, or of the last
        step where there is no folder or no validation.

    Raises:
        InputError: A model, layer or setting that cannot be used, or missing packages.
        DivergedError: A loss that is not finite.
    """
    model = copied(model)
    with frozen(model, tuning.settings.freeze):
        student = _Pruned(model, config, steps=tuning.settings.steps)
        history = train(student, tuning)
        result = best_of(student, tuning, history)
    return Compressed(result, history, sparsity(result, student.names))
