"""What every format is read into: pictures, each with regions of classes or with a mask of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.datasets.colored import IGNORED_NAMES
from zoo.datasets.convert.formats import CHOICES
from zoo.errors import InputError
from zoo.labels import Color

# In an array of positions of classes.
UNLABELLED, IGNORED = -1, -2
NO_CLASS = "\0"  # label of a region whose pixels never count, whatever the classes are

BACKGROUND_NAMES = ("background", "_background_", "__background__")


@dataclass(frozen=True)
class Patch:
    """Pixels of a region: a boolean array whose first pixel lies at (`top`, `left`) of the picture."""

    top: int
    left: int
    mask: np.ndarray


# Height and width of the picture → the pixels of a region in it.
Area = Callable[[int, int], Patch]


@dataclass(frozen=True, kw_only=True)
class Region:
    """A part of a picture with a label.

    Attributes:
        label: Name of the class.
        area: Its pixels.
        crowd: Whether it outlines many things at once (COCO's ``iscrowd``).
    """

    label: str
    area: Area
    crowd: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture and what is known of it.

    Attributes:
        image: File, or the encoded bytes where an annotation file holds the picture itself.
        name: Path as the source gives it, for names of files and for messages.
        split: ``"train"``, ``"val"`` or ``"test"``, where the source has parts.
        size: Height and width that the annotation states.
        regions: What was drawn, in the order in which it is painted.
        positions: Instead of regions: reads the array of positions in `Source.names`, int16, with
            `UNLABELLED` and `IGNORED`.
        names: What `positions` refers to, where it is not `Source.names`.
        upright: Whether coordinates are known to be those of the picture as EXIF turns it.
    """

    image: Path | bytes
    name: str
    split: str | None = None
    size: tuple[int, int] | None = None
    regions: tuple[Region, ...] = field(default=(), repr=False)
    positions: Callable[[], np.ndarray] | None = field(default=None, repr=False)
    names: tuple[str, ...] = field(default=(), repr=False)
    upright: bool = False


@dataclass(frozen=True, kw_only=True)
class Source:
    """A data set in one of the formats.

    Attributes:
        names: Classes that the source names, in the order that they will have behind the background.
        samples: Its pictures.
        unlabelled: What pixels that no region covers are, where the caller does not say.
        palette: Colours of classes, where the source has them.
    """

    names: tuple[str, ...]
    samples: Iterable[Sample] = field(repr=False)
    unlabelled: str = "background"
    palette: Mapping[str, Color] = field(default_factory=dict)


class Tally:
    """Counts what is left out or decided on the way, with the first example of each."""

    def __init__(self):
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}
        self.lost = 0

    def add(self, what: str, example: object = "", *, count: int = 1, lost: bool = False) -> None:
        """Count something; `lost` where a picture is missing from the result for it."""
        if count:
            self.counts[what] += count
            self.examples.setdefault(what, str(example))
            self.lost += count if lost else 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a source is read; see `zoo.datasets.convert.convert` for the meaning of each."""

    pictures: Path | None = None
    classes: tuple[str, ...] | None = None
    ignore_case: bool = False
    unlabelled: str | None = None
    crowd: str = "ignore"
    overlap: str = "last"
    empty: str = "background"
    boxes: str | None = None
    exif: str | None = None
    colors: Path | None = None
    distance: float | None = None
    tally: Tally = field(default_factory=Tally, compare=False)

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed and not (value is None and name in ("unlabelled", "boxes", "exif")):
                raise InputError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if self.distance is not None and not 0 <= self.distance <= 442:
            raise InputError(f"a distance of colours lies between 0 and 442, not {self.distance}")


def is_ignored(name: str) -> bool:
    """Whether a label says that its pixels never count, unless the caller names it as a class."""
    return name.casefold() in IGNORED_NAMES


def is_background(name: str) -> bool:
    """Whether a label is the class of what is nothing else."""
    return name.casefold() in BACKGROUND_NAMES
