"""Optimizers with their own rate and decay for each part of a model, and frozen parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from zoo.errors import InputError

KINDS = ("adamw", "sgd")
BACKBONE = "backbone"
BATCH_NORM = "batch_norm"


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """What `make_optimizer` builds.

    Attributes:
        kind: ``"adamw"`` or ``"sgd"``.
        learning_rate: Number above 0, or a Keras schedule such as `zoo.training.schedule.Poly`.
        weight_decay: Decoupled (Loshchilov & Hutter 2019): each step takes away this share, times the
            learning rate, of every kernel; never of biases or of batch normalization. Decay inside the
            gradient, as many papers have it with SGD, differs by the momentum.
        backbone_factor: The backbone's learning rate over that of the head.
        momentum: Of SGD.
        nesterov: Of SGD.
        beta_1: Of AdamW.
        beta_2: Of AdamW.
        epsilon: Of AdamW.

    Raises:
        InputError: A value outside of the above.
    """

    kind: str = "adamw"
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3
    weight_decay: float = 1e-2
    backbone_factor: float = 1.0
    momentum: float = 0.9
    nesterov: bool = False
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"optimizer must be one of {', '.join(KINDS)}, not {self.kind!r}")
        rate = self.learning_rate
        if isinstance(rate, (int, float)) and not (math.isfinite(rate) and rate > 0):
            raise InputError(f"learning_rate must be a number above 0 or a schedule, not {rate!r}")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay must be 0 or more, not {self.weight_decay!r}")
        if not self.backbone_factor > 0:
            raise InputError(
                f"backbone_factor must be above 0, not {self.backbone_factor!r}; to freeze the backbone, "
                f"freeze {BACKBONE!r}"
            )
        for name in ("momentum", "beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must be from 0 to below 1, not {getattr(self, name)!r}")


class _Grouped:
    """Update with a rate and a decay for each variable, from gradients that are summed over the replicas."""

    def set_groups(self, *, factors: Sequence[float], decays: Sequence[float]) -> None:
        """Factor of the learning rate and weight decay, in the order of the variables."""
        self._factors, self._decays = tuple(factors), tuple(decays)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        # The loop has summed them already: clipping and loss scaling must see the sum, as one device would.
        return list(grads_and_vars)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = keras.ops.cast(learning_rate, variable.dtype) * self._factors[index]
        if self._decays[index]:
            self.assign_sub(variable, variable * (rate * self._decays[index]))
        super().update_step(gradient, variable, rate)


class GroupedAdamW(_Grouped, keras.optimizers.Adam):
    """AdamW, made by `make_optimizer`."""


class GroupedSGD(_Grouped, keras.optimizers.SGD):
    """SGD with momentum and decoupled weight decay, made by `make_optimizer`."""


def part_of(path: str) -> str:
    """First word of a layer's name or of a variable's path: ``"backbone"`` of ``"backbone.stem.conv"``."""
    return path.split("/")[0].split(".")[0]


def make_optimizer(config: OptimizerConfig, variables: Sequence[keras.Variable]) -> GroupedAdamW | GroupedSGD:
    """A built Keras optimizer; call it under the scope of the strategy.

    It expects gradients that are summed over the replicas already.

    Args:
        config: Kind, rates and decay.
        variables: The model's trainable variables, in the order in which gradients will come.

    Raises:
        InputError: No variable to train.
    """
    if not variables:
        raise InputError("nothing to train: every part of the model is frozen")
    if config.kind == "adamw":
        rates = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": config.epsilon}
        made = GroupedAdamW(learning_rate=_rate(config), name="optimizer", **rates)
    else:
        rates = {"momentum": float(config.momentum), "nesterov": config.nesterov}
        made = GroupedSGD(learning_rate=_rate(config), name="optimizer", **rates)
    inside = [part_of(v.path) == BACKBONE for v in variables]
    made.set_groups(
        factors=[config.backbone_factor if within else 1.0 for within in inside],
        # Decay holds kernels small; scales, shifts and biases have their own right size.
        decays=[config.weight_decay if v.path.endswith("/kernel") else 0.0 for v in variables],
    )
    made.build(list(variables))
    return made


def _rate(config: OptimizerConfig):
    rate = config.learning_rate
    return float(rate) if isinstance(rate, (int, float)) else rate


def freeze(model: keras.Model, parts: Sequence[str]) -> list[str]:
    """Stop training of parts of a model; frozen batch normalization uses its stored statistics.

    Args:
        model: A zoo model; its layers' ``trainable`` flags are changed.
        parts: Beginnings of layers' names up to a dot, such as ``"backbone"`` or ``"backbone.stem"``, or
            ``"batch_norm"`` for all batch normalization.

    Returns:
        Names of the frozen layers that have weights.

    Raises:
        InputError: A part that no layer belongs to; the message lists the parts of this model.
    """
    frozen: dict[str, None] = {}
    for part in parts:
        layers = [layer for layer in model.layers if _belongs(layer, part)]
        if not layers:
            known = dict.fromkeys(part_of(layer.name) for layer in model.layers if layer.weights)
            raise InputError(f"nothing to freeze at {part!r}; there are {', '.join((*known, BATCH_NORM))}")
        for layer in layers:
            layer.trainable = False
            frozen[layer.name] = None
    return list(frozen)


@contextmanager
def trainable_flags(model: keras.Model, flags: Mapping[str, bool]) -> Iterator[None]:
    """Within the context the layers named in `flags` have those ``trainable`` flags; after it, their own."""
    before = {name: model.get_layer(name).trainable for name in flags}
    for name, flag in flags.items():
        model.get_layer(name).trainable = flag
    try:
        yield
    finally:
        for name, flag in before.items():
            model.get_layer(name).trainable = flag


@contextmanager
def frozen(model: keras.Model, parts: Sequence[str]) -> Iterator[dict[str, bool]]:
    """`freeze` within the context; gives the flags of all layers as they were, which hold again after it."""
    flags = {layer.name: layer.trainable for layer in model.layers}
    with trainable_flags(model, flags):
        freeze(model, parts)
        yield flags


def _belongs(layer: keras.layers.Layer, part: str) -> bool:
    if not layer.weights:
        return False
    if part == BATCH_NORM:
        return isinstance(layer, keras.layers.BatchNormalization)
    return layer.name == part or layer.name.startswith(f"{part}.")
