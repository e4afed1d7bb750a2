"""Fine-tuning of a tf_keras network in the loop of `zoo.training`, on one device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import tensorflow as tf

from zoo.compression.distillation import Distillation
from zoo.compression.stepper import Student, StudentStepper
from zoo.datasets import Dataset
from zoo.datasets.examination import Note, examined
from zoo.errors import InputError
from zoo.training.checkpoints import made_folder
from zoo.training.identity import check_identity, identity_of, write_identity
from zoo.training.loop import BEST, Loop, Report, Validate, check_patience
from zoo.training.recipe import Recipe
from zoo.training.runs import batches_of, loss_of, scorer, settings_of, write_recipe
from zoo.training.settings import History, Settings
from zoo.training.strategy import Batches

# Settings that have no meaning here, with the value that asks for nothing.
_UNSUPPORTED = {"accumulate": 1, "average": None, "precision": "float32"}


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """What a network is fine-tuned on, and how.

    Attributes:
        batches: As for `zoo.training.fit`: called with the index of the first batch to give.
        loss: Called with masks and logits; gives the mean over the pixels that count.
        settings: Steps, optimizer and all else; without accumulation, averaging and half precision.
        distillation: A teacher, or `None`.
        validate: Called with a snapshot at the end of each epoch; gives scores.
        output: Folder for checkpoints, tables and ``best.keras``, or `None`. A run that was stopped goes on
            from its last checkpoint.
        report: Called at the end of each epoch with the new rows of training and validation.
        recipe: What all of it was made by, if anything; written to the folder.
        data: Data sets to train and to score on, if any; with `recipe` the folder remembers them, and refuses
            to go on with others.
        usable: The same without what was left out as damaged.

    Raises:
        InputError: A setting that is not possible here.
    """

    batches: Batches
    loss: Callable
    settings: Settings
    distillation: Distillation | None = None
    validate: Validate | None = None
    output: Path | str | None = None
    report: Report | None = None
    recipe: Recipe | None = None
    data: tuple[Dataset, Dataset | None] | None = None
    usable: tuple[Dataset, Dataset | None] | None = None

    def __post_init__(self) -> None:
        for name, neutral in _UNSUPPORTED.items():
            value = getattr(self.settings, name)
            if value != neutral:
                raise InputError(f"compression trains without {name}: leave it at {neutral!r}, not {value!r}")
        check_patience(self.settings, self.validate)

    @classmethod
    def by(
        cls,
        recipe: Recipe,
        data: Dataset,
        *,
        validation: Dataset | None = None,
        distillation: Distillation | None = None,
        output: Path | str | None = None,
        report: Report | None = None,
        tile: int | tuple[int, int] | None = None,
        skip_damaged: bool = False,
        note: Note = warnings.warn,
    ) -> FineTuning:
        """Fine-tuning on a data set by a recipe.

        Args:
            recipe: Without accumulation, averaging, half precision and auxiliary head.
            data: To train on.
            validation: To score on at the end of each epoch, or `None`.
            distillation: A teacher, or `None`.
            output: As above.
            report: As above.
            tile: Windows through which validation sees large images, as for `zoo.segment`.
            skip_damaged: As for `zoo.training.train`.
            note: Called with a line on what should be known, such as a class without a pixel.

        Raises:
            InputError: A recipe that does not fit the data, or that has a part which is not possible here;
                data in which `zoo.datasets.check` finds something wrong.
        """
        if recipe.auxiliary:
            raise InputError("compression trains one output: leave auxiliary out of the recipe")
        usable = examined(data, validation, skip_damaged=skip_damaged, note=note)
        return cls(
            batches=batches_of(recipe, usable[0]),
            loss=loss_of(recipe, usable[0]),
            settings=settings_of(recipe, data),
            distillation=distillation,
            validate=scorer(usable[1], tile=tile),
            output=output,
            report=report,
            recipe=recipe,
            data=(data, validation),
            usable=usable,
        )


def train(student: Student, tuning: FineTuning) -> History:
    """Train the network of a student; with an output folder, go on where an earlier run stopped.

    Returns:
        The history, as from `zoo.training.fit`. A best score counts from the first complete snapshot on (see
        `Student.is_complete`), which stands in ``best.keras``.

    Raises:
        InputError: A checkpoint of other settings, or data that end too early.
        DivergedError: A loss that is not finite.
    """
    settings, identity = tuning.settings, None
    if tuning.recipe is not None and tuning.data is not None and tuning.output is not None:
        identity = identity_of(student.bridge.model, *tuning.data, tuning.recipe)
        check_identity(made_folder(tuning.output), identity, note=warnings.warn)
    parts = {"loss": tuning.loss, "settings": settings, "distillation": tuning.distillation}
    loop = Loop(
        StudentStepper(student, **parts),
        settings=settings,
        strategy=tf.distribute.get_strategy(),
        validate=tuning.validate,
        output=tuning.output,
        report=tuning.report,
    )
    if tuning.recipe is not None:
        write_recipe(tuning.recipe, tuning.output)
    if identity is not None:
        write_identity(made_folder(tuning.output), identity)
    return loop.run(tuning.batches)


def best_of(student: Student, tuning: FineTuning, history: History) -> keras.Model:
    """The model of the best validation where a folder keeps it, else that of the last step."""
    if tuning.output is not None and history.best_step:
        from zoo.models.loading import read_keras

        return read_keras(Path(tuning.output) / BEST)
    return student.snapshot()
