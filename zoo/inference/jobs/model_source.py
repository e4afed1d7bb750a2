"""A model by what it is opened from, for processes that open it each for themselves."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo._backend import check_backend
from zoo.errors import InputError, MismatchError
from zoo.export.opening import is_artifact, open_artifact
from zoo.inference.jobs.identity import model_identity
from zoo.labels import LabelSet

if TYPE_CHECKING:
    import keras

    from zoo.export.core.artifact import Artifact


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A name of the zoo, or an exported file.

    Attributes:
        name: As for `zoo.load`, or the path of an exported file.
        weights: As for `zoo.load`; `None` for the default ones.
        classes: Names for the classes of a weights file.
        allow_unverified: As for `zoo.load`.
        checkpoint_key: As for `zoo.load`.
        digest: Of `model_identity`, which the opened model must have; `None` for any.
    """

    name: str
    weights: str | None = None
    classes: int | LabelSet | None = None
    allow_unverified: bool = False
    checkpoint_key: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if self.weights == "none":
            raise InputError("random weights would differ between processes; save a model and name its file")

    def opened(self, *, threads: int) -> keras.Model | Artifact:
        """Open or load it, to be run by so many threads.

        Raises:
            InputError: No such model or file.
            MismatchError: Another model than the one with the digest, such as another file on this machine.
        """
        model = open_artifact(self.name, threads=threads) if is_artifact(self.name) else self._loaded(threads)
        if self.digest is not None and model_identity(model)["digest"] != self.digest:
            raise MismatchError(f"{self.name} is another model on this machine than where the job was begun")
        return model

    def _loaded(self, threads: int) -> keras.Model:
        check_backend()
        import tensorflow as tf

        from zoo.models.loading import load

        with contextlib.suppress(RuntimeError):  # the process has used TensorFlow, with threads of its own
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        return load(
            self.name,
            self.weights or "default",
            classes=self.classes,
            fresh_classifier=None if self.classes is None else False,
            allow_unverified=self.allow_unverified,
            checkpoint_key=self.checkpoint_key,
        )
