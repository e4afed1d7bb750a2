"""Models and artifacts as command lines name them."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.cli import import_tensorflow
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.labels import LabelSet

ENGINE_HELP = "what does the work instead"


def weights_of(args: argparse.Namespace) -> dict[str, object]:
    """What the options of weights and ``--set`` say besides the weights, as `zoo.load` takes it."""
    key = {} if args.checkpoint_key is None else {"checkpoint_key": args.checkpoint_key}
    settings = {"settings": dict(args.set)} if getattr(args, "set", None) else {}
    return {"allow_unverified": args.allow_unverified, **key, **settings}


def open_model(
    name: str,
    *,
    weights: str | None,
    allow_unverified: bool,
    checkpoint_key: str | None = None,
    settings: dict[str, object] | None = None,
    classes: int | str | None = None,
    threads: int = 2,
    engine: str | None = None,
):
    """The named model with its weights; or an opened artifact, which brings its own along.

    Args:
        name: A model of the registry, or the path of an artifact.
        weights: Tag or path; `None` for the model's own, ``"none"`` for random ones.
        allow_unverified: Accept weights whose digest was never published.
        checkpoint_key: Where in a file the weights are.
        settings: Arguments of the builder instead of the weights' own.
        classes: What ``--classes`` asks for: names for the classes that a weights file was trained on.
        threads: Of an artifact.
        engine: That runs an artifact, see `zoo.export.open_artifact`.

    Raises:
        InputError: No such model, or weights, settings or classes for an artifact.
        MismatchError: As many classes as the weights do not have.
    """
    from zoo.export.opening import is_artifact, open_artifact

    if not is_artifact(name):
        if engine is not None:
            raise InputError(f"--engine {engine} runs .tflite and .onnx files, not {name}")
        import_tensorflow()
        named = {} if classes is None else {"classes": classes_of(classes), "fresh_classifier": False}
        key = {} if checkpoint_key is None else {"checkpoint_key": checkpoint_key}
        own = {} if settings is None else {"settings": settings}
        options = {"allow_unverified": allow_unverified, **key, **own, **named}
        return load_model(name, weights or "default", **options)
    if classes is not None:
        raise InputError(f"{name} is an artifact with classes of its own: --classes cannot change them")
    if settings is not None:
        raise InputError(f"{name} is an artifact with settings of its own: --set cannot change them")
    if weights is not None or checkpoint_key is not None:
        option = "--checkpoint-key" if weights is None else "--weights"
        raise InputError(f"{name} is an artifact with weights of its own: {option} cannot change them")
    if needs_tensorflow(name):
        import_tensorflow()
    return open_artifact(name, threads=threads, engine=engine)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """``--engine openvino``."""
    text = f"{ENGINE_HELP} (the own runtime of .tflite and .onnx files)"
    parser.add_argument("--engine", choices=("openvino",), help=text)


def needs_tensorflow(name: str) -> bool:
    """Whether TensorFlow runs a model of the registry or an artifact, and not a runtime of its own."""
    from zoo.export import formats
    from zoo.export.opening import is_artifact

    return not is_artifact(name) or formats.at(Path(name)).runtime == "tensorflow"


def source_of(model) -> dict[str, str | None] | None:
    """``{"model", "weights"}`` of what `open_model` gave, as far as it is known."""
    from zoo.export.core.artifact import Artifact

    if isinstance(model, Artifact):
        return model.metadata.source or {"model": model.metadata.model, "weights": None}
    from zoo.layers import resize

    return resize.source_of(model)


def load_model(name: str, weights: str | None, **options):
    """The Keras model; ``"none"`` stands for random weights. `options` are those of `zoo.load`."""
    from zoo.models.loading import load

    return load(name, weights=None if weights == "none" else weights, **options)


def classes_of(given: int | str | None):
    """What ``--classes`` asks for, as `zoo.load` takes it: a number, or the label set of a file with names.

    Raises:
        InputError: A file that cannot be read or holds no names, or a number out of range.
    """
    if given is None:
        return None
    from zoo.datasets.folder import label_set

    labels = label_set(Path(), given)
    return given if isinstance(given, int) else labels


def origin_of(artifact, *, model: str | None, weights: str | None) -> tuple[str, str]:
    """Name and weights of the model to compare with: as asked for, else as the artifact says.

    Raises:
        InputError: Neither says.
    """
    source = artifact.metadata.source or {}
    name = model or source.get("model")
    # The weights that the artifact names belong to the model that it names.
    own = source.get("weights") if model in (None, source.get("model")) else "default"
    weights = weights or own
    if name is None:
        raise InputError(f"{artifact.path} does not name its model: pass --model and --weights")
    if weights is None:
        raise InputError(f"{artifact.path} does not name the weights of {name}: pass --weights")
    return name, weights


def labels_of(model) -> LabelSet:
    """Names and colours of the classes of what `open_model` gave."""
    from zoo.export.core.artifact import Artifact

    if isinstance(model, Artifact):
        return model.label_set
    from zoo.layers.resize import label_set_of

    return label_set_of(model)


def quiet_tensorflow() -> None:
    """Keep TensorFlow's and the converters' chatter off the terminal; for a process that is a command."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read once, when TensorFlow is imported
    for name in ("tensorflow", "absl", "tf2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    import_tensorflow()
