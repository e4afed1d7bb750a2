"""How a network is trained, as plain data that a file can hold."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from zoo.errors import InputError
from zoo.training.precision import check_precision
from zoo.training.values import (
    LARGEST,
    MOST_SEED,
    check_batch_statistics,
    check_count,
    check_switch,
    checked_number,
    shown,
)

if TYPE_CHECKING:
    from zoo.datasets import Augmentation

LOSSES = ("cross-entropy", "ohem", "dice", "lovasz")
SCHEDULES = ("poly", "cosine")
# The usual learning rate, and the share of it for a trained classifier in small batches, whose noise would
# undo what it knows: for steps of so many images, linear for fewer (Goyal et al. 2017, section 2.1).
_RATE, _TUNING, _IMAGES = 1e-3, 0.1, 8
# Counts of at least one, and those that may be left out with `None`.
_COUNTS = ("epochs", "batch_size", "accumulate", "region_every", "validate_every")
_OPTIONAL_COUNTS = ("patience",)
_SWITCHES = ("balance", "auxiliary")
# Numbers: (smallest, whether it is allowed itself, what they stay below, whether `None` is allowed).
_NUMBERS = {
    "learning_rate": (0.0, False, math.inf, False),
    "warmup": (0.0, True, math.inf, True),
    "weight_decay": (0.0, True, math.inf, False),
    "backbone_factor": (0.0, False, math.inf, False),
    "label_smoothing": (0.0, True, 1.0, False),
    "focus": (0.0, True, math.inf, False),
    "border_weight": (0.0, True, math.inf, False),
    "average": (0.0, False, 1.0, True),
    "clip_norm": (0.0, False, math.inf, True),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained; what it is trained on, and where, is no part of it.

    Attributes:
        epochs: Passes over the data.
        batch_size: Images of a batch, over all devices; an epoch leaves out what fills no batch.
        crop: (height, width) of the crops in pixels.
        augmentation: Ranges of the random changes of the images.
        loss: Weight of each term of the loss: ``"cross-entropy"``, ``"ohem"`` (the hardest quarter of the
            pixels), ``"dice"`` and ``"lovasz"``.
        label_smoothing: Share of the other classes in cross-entropy, from 0 to below 1.
        focus: Exponent of focal loss in cross-entropy (Lin et al. 2017): pixels that are right already count
            less.
        border_weight: By how much a pixel within two of another class counts more in cross-entropy.
        region_every: Dice and Lovász take each so many rows and columns only.
        balance: Whether cross-entropy weighs each class by ``1 / ln(1.10 + its share of the pixels)``, after
            Paszke et al. 2016 (ENet), section 5.2.
        auxiliary: Whether a second head is trained as well, with 0.4 of the loss (Zhao et al. 2017,
            section 3.3); the model must have it, and what is kept has not.
        learning_rate: AdamW's after the warm-up; it falls to 0. `None` for 0.001; but where the model comes
            with a trained classifier and a batch has fewer than four images, a tenth of that for eight
            images a step, and in proportion less for fewer.
        schedule: How it falls: ``"poly"`` (power 0.9) or ``"cosine"``.
        warmup: Epochs of linear rise; `None` for one, but at most a tenth of the run.
        weight_decay: Of kernels.
        backbone_factor: The backbone's learning rate over that of the head.
        average: Momentum of the moving average of the weights, or `None`.
        freeze: Parts that are not trained, such as ``"backbone"`` or ``"batch_norm"``.
        batch_statistics: When batch normalization takes its statistics from the batch. ``"auto"``: not where
            a batch has fewer than four images and the layer came with statistics, which are kept then;
            accumulation does not make a batch larger. ``"always"``: of any batch, but never of a single
            value. ``"never"``: it keeps those that it has. Scale and shift are trained in each case.
        clip_norm: Limit of the global norm of the gradient, or `None`.
        accumulate: Batches whose gradients make one step.
        validate_every: Epochs between validations.
        patience: Validations without a better score after which the run stops, or `None`.
        precision: ``"float32"``, ``"float16"`` (with loss scaling) or ``"bfloat16"``.
        seed: Of the order of the data, its augmentation and dropout; 0 or more.

    Raises:
        InputError: A value outside of the above.
    """

    epochs: int = 30
    batch_size: int = 8
    crop: tuple[int, int] = (321, 321)
    augmentation: Augmentation = field(default_factory=lambda: _augmentation()())
    loss: Mapping[str, float] = field(default_factory=lambda: {"cross-entropy": 1.0}, hash=False)
    label_smoothing: float = 0.0
    focus: float = 0.0
    border_weight: float = 0.0
    region_every: int = 1
    balance: bool = False
    auxiliary: bool = False
    learning_rate: float | None = None
    schedule: str = "poly"
    warmup: float | None = None
    weight_decay: float = 1e-2
    backbone_factor: float = 1.0
    average: float | None = None
    freeze: tuple[str, ...] = ()
    batch_statistics: str = "auto"
    clip_norm: float | None = None
    accumulate: int = 1
    validate_every: int = 1
    patience: int | None = None
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in (*_COUNTS, *_OPTIONAL_COUNTS):
            check_count(name, getattr(self, name), least=1, optional=name in _OPTIONAL_COUNTS)
        check_count("seed", self.seed, least=0, most=MOST_SEED)
        ruled = {"learning_rate"} if self.learning_rate is None else set()
        for name, limits in ((name, _NUMBERS[name]) for name in _NUMBERS if name not in ruled):
            object.__setattr__(self, name, checked_number(name, getattr(self, name), *limits))
        for name in _SWITCHES:
            check_switch(name, getattr(self, name))
        if not isinstance(self.augmentation, _augmentation()):
            raise InputError(f"augmentation must be an Augmentation, not {shown(self.augmentation)}")
        check_switch("flip of augmentation", self.augmentation.flip)
        if self.schedule not in SCHEDULES:
            known = ", ".join(SCHEDULES)
            raise InputError(f"schedule must be one of {known}, not {shown(self.schedule)}")
        if not isinstance(self.precision, str):
            raise InputError(f"precision must be a name such as float32, not {shown(self.precision)}")
        check_precision(self.precision)
        check_batch_statistics(self.batch_statistics)
        object.__setattr__(self, "crop", _checked_crop(self.crop))
        object.__setattr__(self, "freeze", _checked_parts(self.freeze))
        object.__setattr__(self, "loss", MappingProxyType(_checked_terms(self.loss)))
        self._check_loss()

    def __reduce__(self) -> tuple:
        # A read-only mapping cannot be copied or sent to another process; plain data can.
        return Recipe.from_dict, (self.to_dict(),)

    def _check_loss(self) -> None:
        if self.region_every != 1 and not {"dice", "lovasz"} & set(self.loss):
            raise InputError("region_every belongs to dice and lovasz, which loss leaves out")
        if "cross-entropy" not in self.loss and (self.balance or self.label_smoothing):
            raise InputError("balance and label_smoothing belong to cross-entropy, which loss leaves out")
        if "cross-entropy" not in self.loss and (self.focus or self.border_weight):
            raise InputError("focus and border_weight belong to cross-entropy, which loss leaves out")
        if self.focus and self.label_smoothing:
            raise InputError("focus and label_smoothing exclude each other")

    def steps_per_epoch(self, images: int) -> int:
        """Optimizer steps of one pass over so many images, at least 1.

        Raises:
            InputError: Too few images for one batch.
        """
        if images < self.batch_size:
            raise InputError(
                f"batch_size must be that of a batch no larger than the data: {self.batch_size} is more "
                f"than {images} images"
            )
        return max(1, images // (self.batch_size * self.accumulate))

    def rate(self, *, is_tuning: bool = False) -> float:
        """The learning rate after the warm-up; where none is given, by the rule of `learning_rate`.

        Args:
            is_tuning: Whether small batches train on a trained classifier.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        share = _TUNING * min(1.0, self.batch_size * self.accumulate / _IMAGES) if is_tuning else 1.0
        return _RATE * share

    def to_dict(self) -> dict[str, object]:
        """Plain data for a JSON or YAML file; `from_dict` is the way back."""
        return {name: _plain(getattr(self, name)) for name in names()}

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Recipe:
        """The recipe of a document in which a setting that is left out has its usual value.

        Raises:
            InputError: A key that is none of a recipe, or a value that the recipe does not allow.
        """
        values = _known(document, names(), what="a recipe")
        if "augmentation" in values:
            inner = _known(values["augmentation"], augmentation_names(), what="augmentation")
            values["augmentation"] = _augmentation()(**{name: _frozen(name, x) for name, x in inner.items()})
        return cls(**values)

    def save(self, path: str | os.PathLike) -> Path:
        """Write ``*.json``, ``*.yaml`` or ``*.yml``, whole or not at all.

        Raises:
            InputError: Another suffix, or a file that cannot be written.
        """
        from zoo.training.recipe_files import write

        return write(self.to_dict(), Path(path))

    @classmethod
    def read(cls, path: str | os.PathLike) -> Recipe:
        """The recipe in a file that `save` or a person wrote.

        Raises:
            InputError: Another suffix, a file that cannot be read, is too large or no document, or a key or
                value that no recipe has; names the file.
        """
        from zoo.training.recipe_files import read

        document = read(Path(path))
        try:
            return cls.from_dict(document)
        except ValueError as error:  # an InputError, or a number of too many digits to be shown
            raise InputError(f"{path}: {error}") from error


def names() -> tuple[str, ...]:
    """Names of a recipe's settings."""
    return tuple(field.name for field in fields(Recipe))


def augmentation_names() -> tuple[str, ...]:
    """Names of the settings within ``augmentation``."""
    return tuple(field.name for field in fields(_augmentation()))


def _augmentation() -> type[Augmentation]:
    # Data sets load Pillow, which the help of a command can do without.
    from zoo.datasets import Augmentation

    return Augmentation


def _plain(value: object) -> object:
    if isinstance(value, _augmentation()):
        return {name: _plain(getattr(value, name)) for name in augmentation_names()}
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def flat(recipe: Recipe) -> dict[str, object]:
    """Every setting under a name of its own, augmentation's among the others: what runs are told apart by.

    ``no_flip`` stands for the opposite of ``flip``, as in all records of runs so far.
    """
    values = {name: getattr(recipe, name) for name in names() if name != "augmentation"}
    values |= {name: getattr(recipe.augmentation, name) for name in augmentation_names() if name != "flip"}
    values["learning_rate"] = recipe.rate()
    return {**values, "loss": dict(recipe.loss), "no_flip": not recipe.augmentation.flip}


def _frozen(name: str, value: object) -> object:
    """A value of a document as `Augmentation` holds it: numbers as floats, a list as a tuple."""
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, list | tuple | dict | set) for part in parts):
        raise InputError(
            f"{name} of augmentation must be one or two numbers, or true or false, not {shown(value)}"
        )
    whole = [isinstance(x, int) and not isinstance(x, bool) and abs(x) < LARGEST for x in parts]
    numbers = [float(x) if is_whole else x for x, is_whole in zip(parts, whole, strict=True)]
    return tuple(numbers) if isinstance(value, list) else numbers[0]


def _known(document: object, allowed: tuple[str, ...], *, what: str) -> dict:
    if not isinstance(document, Mapping):
        raise InputError(f"{what} must be keys with values, not {shown(document)}")
    unknown = [key for key in document if key not in allowed]
    if unknown:
        raise InputError(f"{what} has no {shown(unknown[0])}; allowed are {', '.join(allowed)}")
    return dict(document)


def _checked_crop(value: object) -> tuple[int, int]:
    sizes = tuple(value) if isinstance(value, list | tuple) else ()
    if len(sizes) != 2 or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes):
        raise InputError(f"crop must be a height and a width of 1 or more, not {shown(value)}")
    return sizes


def _checked_parts(value: object) -> tuple[str, ...]:
    parts = tuple(value) if isinstance(value, list | tuple) else (None,)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"freeze must be a list of names of parts, not {shown(value)}")
    return parts


def _checked_terms(value: object) -> dict[str, float]:
    terms = dict(value) if isinstance(value, Mapping) else {}
    if not terms or any(name not in LOSSES for name in terms):
        raise InputError(f"loss must give the weights of some of {', '.join(LOSSES)}, not {shown(value)}")
    limits = (0.0, True, math.inf, False)
    return {name: checked_number(f"{name} of loss", weight, *limits) for name, weight in terms.items()}
