"""Rare classes more often: crops placed around them, and things of theirs pasted from other images.

Both work on the decoded sample, before it is scaled. What happens to a sample depends on its own random
numbers alone, as everything in a stream.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.dataset import INVALID, Dataset
from zoo.errors import InputError

# A class with a smaller share of the labelled pixels is rare.
RARE_SHARE = 0.02

Sample = tuple[np.ndarray, np.ndarray]


class Composer:
    """What `Augmentation.rare` and `Augmentation.paste` do to the samples of a data set.

    Reads every mask once.

    Args:
        dataset: Of the samples.
        augment: With ``rare`` or ``paste`` above 0.
        crop: Height and width of the crops.
        read: Gives the sample at an index.

    Raises:
        InputError: A data set without a rare class, or a mask that cannot be read.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        augment: Augmentation,
        crop: tuple[int, int],
        read: Callable[[int], Sample],
    ):
        self.augment, self.crop, self.read = augment, crop, read
        self.holders = _holders_of_rare(dataset)
        if not self.holders:
            raise InputError(
                f"rare and paste need a class below {RARE_SHARE:.0%} of the pixels, of which "
                f"{dataset.split or 'the data'} has none"
            )

    def __call__(self, sample: Sample, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sample with what was pasted, and its random numbers with the place of its crop."""
        image, mask = sample
        # Another sequence than the draws themselves, which decide size, place and colours.
        random = np.random.Generator(np.random.Philox(np.frombuffer(draws[:4].tobytes(), np.uint64)))
        if random.random() < self.augment.paste:
            image, mask = self._pasted(image, mask, random)
        if random.random() < self.augment.rare:
            draws = self._aimed(mask, draws, random)
        return image, mask, draws

    def _pasted(self, image: np.ndarray, mask: np.ndarray, random: np.random.Generator) -> Sample:
        """With all pixels of one rare class of another image, at their place (Olsson et al. 2021, ClassMix).

        An image of another size gives nothing: its perspective is another one.
        """
        label = int(random.choice(list(self.holders)))
        donor, labels = self.read(int(random.choice(self.holders[label])))
        if labels.shape != mask.shape:
            return image, mask
        if random.random() < 0.5:
            donor, labels = donor[:, ::-1], labels[:, ::-1]
        chosen = labels == label
        return np.where(chosen[..., np.newaxis], donor, image), np.where(chosen, labels, mask)

    def _aimed(self, mask: np.ndarray, draws: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draws whose crop shows some pixel of a rare class in the mask, at any of its own places."""
        present = [label for label in self.holders if (mask == label).any()]
        if not present:
            return draws
        places = np.argwhere(mask == random.choice(present))
        row, column = places[random.integers(len(places))]
        if self.augment.flip and draws[0] < 0.5:
            column = mask.shape[1] - 1 - column
        low, high = self.augment.scale
        factor, draws = low + (high - low) * float(draws[1]), draws.copy()
        for axis, at in enumerate((row, column)):
            room = max(1, round(mask.shape[axis] * factor)) - self.crop[axis]
            if room > 0:
                first = np.clip((at + 0.5) * factor - random.random() * (self.crop[axis] - 1), 0, room)
                draws[2 + axis] = (int(first) + 0.5) / (room + 1)
        return draws


def _holders_of_rare(dataset: Dataset) -> dict[int, np.ndarray]:
    """Positions of the samples that show each rare class, by label."""
    values, classes = dataset.values(), len(dataset.label_set)
    counts = np.zeros((len(dataset), classes), np.int64)
    for index, (_, path) in enumerate(dataset.pairs):
        found = np.bincount(dataset.read_values(path).ravel(), minlength=256)
        known = (values != INVALID) & (values < classes)
        np.add.at(counts[index], values[known], found[known])
    total = counts.sum()
    rare = [x for x in range(classes) if 0 < counts[:, x].sum() < RARE_SHARE * total]
    return {label: np.flatnonzero(counts[:, label]) for label in rare}
