"""The likeliest target of a source: greedy, or by a beam of hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from zoo.sequence.symbols import END, PADDING, START


class Bounds(Protocol):
    """How many symbols there are, and how far a target unfolds; `zoo.sequence.bytenet.ByteNetConfig`."""

    @property
    def source(self) -> int:
        """Symbols of the source."""

    @property
    def target(self) -> int:
        """Symbols of the target."""

    def longest(self, symbols: int, /) -> int:
        """Positions over a source of so many symbols, the end included."""


class Hypotheses(Protocol):
    """Targets that are unfolded one symbol at a time; see `zoo.sequence.bytenet_steps.Decoding`."""

    def step(self, symbols: np.ndarray, parents: np.ndarray | None = None) -> np.ndarray:
        """Logits behind a symbol of each."""


class Decoder(Protocol):
    """What begins them: a Keras model's `zoo.sequence.bytenet_steps.ByteNetSteps`, or an exported file."""

    @property
    def config(self) -> Bounds:
        """Symbols and bound."""

    def begin(self, source: np.ndarray) -> Hypotheses:
        """Hypotheses over each row of ``(batch, n)`` integers."""


def decoded(decoder: Decoder, sources: Sequence[Sequence[int]], *, beam: int = 1) -> list[list[int]]:
    """The likeliest symbols of each source, without the end.

    The hypothesis with the greatest sum of log-probabilities wins, its end included; sums are not divided by
    the length. The unfolding ends where all hypotheses have ended, or at the bound a·|s| + b.

    Args:
        decoder: A network.
        sources: Symbols of each source, all decoded at once.
        beam: Hypotheses that are kept of each; 1 takes the likeliest symbol at every position.
    """
    source = np.full((len(sources), max(map(len, sources))), PADDING, np.int32)
    for row, symbols in enumerate(sources):
        source[row, : len(symbols)] = symbols
    limits = [decoder.config.longest(len(symbols)) for symbols in sources]
    hypotheses = decoder.begin(source)
    search = _Search(len(sources), np.asarray(limits), hypotheses.step)
    while not search.step(beam):
        pass
    return search.best()


class _Search:
    """Hypotheses of all sources, as many of each."""

    def __init__(self, sources: int, limits: np.ndarray, step: Callable):
        self._step, self._limits = step, limits
        self._scores = np.zeros((sources, 1))
        self._ended = np.zeros((sources, 1), bool)
        self._symbols = np.full((sources, 1, 1), START)
        self._parents: np.ndarray | None = None

    def step(self, beam: int) -> bool:
        """Unfold by a position; returns whether every hypothesis has ended."""
        logs = _log_softmax(self._step(self._symbols[:, :, -1].reshape(-1), self._parents))
        count, kept = self._scores.shape
        logs = logs.reshape(count, kept, -1)
        logs[..., START] = -np.inf
        # One that has ended goes on in one way alone, which costs nothing.
        logs[self._ended] = -np.inf
        logs[self._ended, END] = 0
        scores = (self._scores[..., None] + logs).reshape(count, -1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :beam]
        parents, symbols = np.divmod(best, logs.shape[-1])
        rows = np.arange(count)[:, None]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._symbols = np.concatenate([self._symbols[rows, parents], symbols[..., None]], axis=2)
        self._parents = (rows * kept + parents).reshape(-1)
        unfolded = self._symbols.shape[2] - 1
        self._ended = (symbols == END) | (unfolded >= self._limits)[:, None]
        return bool(self._ended.all())

    def best(self) -> list[list[int]]:
        """The symbols of each source's likeliest hypothesis."""
        found = [row[0, 1:].tolist() for row in self._symbols]
        return [symbols[: symbols.index(END)] if END in symbols else symbols for symbols in found]


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
