"""tf_keras optimizers with the rates, decay and frozen parts of `zoo.training.optimizer`."""

from __future__ import annotations

from types import SimpleNamespace

from zoo.compression.bridge import Bridge
from zoo.compression.requirements import require
from zoo.errors import InputError
from zoo.training.optimizer import BACKBONE, OptimizerConfig, part_of


class GroupedOptimizers:
    """tf_keras optimizers: one for the backbone and one for the rest, if their rates differ."""

    def __init__(self, config: OptimizerConfig, bridge: Bridge):
        self.config = config
        groups = _groups(bridge, apart=config.backbone_factor != 1)
        if not any(groups.values()):
            raise InputError("nothing to train: every part of the model is frozen")
        kernels = {id(t) for s, t in bridge.pairs if s.path.endswith("/kernel")}
        self.variables = [v for group in groups.values() for v in group]
        self.current = self.rate(0)
        factors = {"backbone": config.backbone_factor, "rest": 1.0}
        self._parts = [(self._made(g, kernels), factors[name], g) for name, g in groups.items() if g]

    def _made(self, variables: list, kernels: set[int]):
        config, optimizers = self.config, require("tf_keras").optimizers
        common = {"weight_decay": config.weight_decay or None, "jit_compile": False}
        if config.kind == "adamw":
            rates = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": config.epsilon}
            made = optimizers.AdamW(1.0, **rates, **{**common, "weight_decay": config.weight_decay})
        else:
            made = optimizers.SGD(1.0, momentum=config.momentum, nesterov=config.nesterov, **common)
        spared = [v for v in variables if id(v) not in kernels]
        if config.weight_decay and spared:
            _without_decay(made, spared)
        made.build(variables)
        return made

    def state(self) -> list[SimpleNamespace]:
        """Variables for a checkpoint; the rate is set at every step."""
        found = [
            v for made, _, _ in self._parts for v in made.variables if v.shape.rank or v.dtype.is_integer
        ]
        return [SimpleNamespace(path=f"optimizer/{i:04d}", value=v) for i, v in enumerate(found)]

    def rate(self, step: int) -> float:
        """Learning rate of the head at a step."""
        rate = self.config.learning_rate
        return float(rate(step) if callable(rate) else rate)

    def set_rate(self, step: int) -> None:
        """Set the rates for a step."""
        self.current = self.rate(step)
        for made, factor, _ in self._parts:
            made.learning_rate.assign(self.current * factor)

    def apply(self, gradients: list) -> None:
        """Update the variables, in the order of `variables`."""
        rest = list(gradients)
        for made, _, group in self._parts:
            made.apply_gradients(zip(rest[: len(group)], group, strict=True))
            rest = rest[len(group) :]


def _without_decay(optimizer, variables: list) -> None:
    # By identity: tf_keras' own method compares names, which repeat here.
    spared = {id(v) for v in variables}
    optimizer._use_weight_decay = lambda variable: id(variable) not in spared


def _groups(bridge: Bridge, *, apart: bool) -> dict[str, list]:
    """Variables to train by their part of the model, those of frozen layers left out."""
    frozen = {id(target) for source, target in bridge.pairs if not source.trainable}
    groups: dict[str, list] = {"backbone": [], "rest": []}
    seen = set(frozen)
    for name, layer in bridge.layers.items():
        key = "backbone" if apart and part_of(name) == BACKBONE else "rest"
        for variable in layer.trainable_weights:
            if id(variable) not in seen:
                seen.add(id(variable))
                groups[key].append(variable)
    return groups
