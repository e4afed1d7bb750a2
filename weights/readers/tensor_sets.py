"""Sets of tensors in a file: a checkpoint may hold several, such as weights and their average."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

STATE, MODULE, SCRIPT = "state", "module", "script"


class LazyTensors(Mapping[str, np.ndarray]):
    """Arrays by name, each made when it is first asked for and then kept.

    Args:
        makers: What makes the array of each name.
    """

    def __init__(self, makers: Mapping[str, Callable[[], np.ndarray]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers


def renamed(tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> LazyTensors:
    """Some of the tensors under other names.

    Args:
        tensors: The tensors.
        names: New name → old one.
    """
    return LazyTensors({new: partial(tensors.__getitem__, old) for new, old in names.items()})


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorSet:
    """Tensors that a file holds in one place.

    Attributes:
        key: The place, such as ``state/model``; empty for the file itself.
        tensors: The arrays by name.
        kind: ``"state"``, a dictionary of tensors; ``"module"``, a network that was pickled whole; or
            ``"script"``, TorchScript.
        is_joined: Whether it is made of several dictionaries, whose keys are the first part of its names.
        notes: What was done to its tensors that the user should know.
    """

    key: str
    tensors: Mapping[str, np.ndarray]
    kind: str = STATE
    is_joined: bool = False
    notes: tuple[str, ...] = ()
