"""What a name map is, and how tensors of one source format become Keras variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from zoo.errors import MismatchError

Layers = Mapping[str, str]  # name of our layer → prefix of its tensors in the source
Settings = Mapping[str, float | int]


class Rule(NamedTuple):
    """One variable: its path in our model, its name in the source, and the axes' order it needs."""

    variable: str
    source: str
    axes: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class NameMap:
    """How the tensors of one published file become the variables of one model.

    Attributes:
        key: Name that catalog entries refer to.
        layout: ``"torch"``, ``"tflite"``, ``"tensorflow"`` (TF-slim's variables), ``"keras"``, ``"onnx"``,
            ``"caffe"`` or ``"zoo"`` (our variables' own): how the tensors of a layer are named and their axes
            ordered, whatever container they are in.
        layers: Table from our layers to the source's, or a function that makes it from the source's names.
        optional: The same for a part that a file may lack as a whole, and a model too, such as an auxiliary
            head: converted where the file has any of it, dropped where the model has none.
        reshaped: Source tensor → shape in which the rules take it, such as a fully connected layer's that
            is a convolution here.
        fixed: Source tensor → function from its shape to the values that it must have, because the model
            computes them without a variable.
        ignored: Patterns (`fnmatch`) of source tensors that the model has no use for.
        scope: Prefixes of the variables that the map must fill; ``("",)`` for all of them.
        settings: What the file itself states for the builder, such as an epsilon, from the source's tensors.
            ``classes``, if among them, is the number of classes.
        transforms: Pattern (`fnmatch`) of variables → what is done to their arrays, in our order of axes; it
            is given the settings.
    """

    key: str
    layout: str
    layers: Layers
    optional: Layers = field(default_factory=dict)
    reshaped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Callable[[tuple[int, ...]], np.ndarray]] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    scope: tuple[str, ...] = ("",)
    settings: Callable[[Mapping[str, np.ndarray]], Settings] | None = None
    transforms: Mapping[str, Callable[[np.ndarray, Settings], np.ndarray]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether the map fills every variable of a model, its classifier included."""
        return self.scope == ("",)


def outputs_of(source: Mapping[str, np.ndarray], kernel: str) -> int:
    """Output channels of a torch kernel; `MismatchError` for one that has none."""
    shape = np.shape(source[kernel])
    if not shape or not shape[0]:
        raise MismatchError(f"{kernel} has the shape {shape}, which is no kernel")
    return int(shape[0])


def outputs_where(source: Mapping[str, np.ndarray], kernels: Mapping[str, str]) -> dict[str, int]:
    """Output channels of torch kernels by what they are called here, of those that a file has."""
    return {name: outputs_of(source, kernel) for name, kernel in kernels.items() if kernel in source}


def torch_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """PyTorch: kernels are (out, in, rows, columns), depthwise (channels, 1, rows, columns)."""
    if layer.endswith(".bn"):
        yield Rule(f"{layer}/gamma", f"{prefix}.weight")
        yield Rule(f"{layer}/beta", f"{prefix}.bias")
        yield Rule(f"{layer}/moving_mean", f"{prefix}.running_mean")
        yield Rule(f"{layer}/moving_variance", f"{prefix}.running_var")
        return
    depthwise = layer.endswith("depthwise.conv")
    yield Rule(f"{layer}/kernel", f"{prefix}.weight", (2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    if f"{prefix}.bias" in names:
        yield Rule(f"{layer}/bias", f"{prefix}.bias")


def tflite_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """TFLite, as our reader returns it: kernels are in TensorFlow's order already."""
    yield Rule(f"{layer}/kernel", f"{prefix}/kernel")
    if f"{prefix}/bias" in names:
        yield Rule(f"{layer}/bias", f"{prefix}/bias")


def tensorflow_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """TF-slim's variables, whose axes are in TensorFlow's order."""
    if layer.endswith(".bn"):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            yield Rule(f"{layer}/{name}", f"{prefix}/{name}")
        return
    kernel = "depthwise_weights" if layer.endswith("depthwise.conv") else "weights"
    yield Rule(f"{layer}/kernel", f"{prefix}/{kernel}")
    if f"{prefix}/biases" in names:
        yield Rule(f"{layer}/bias", f"{prefix}/biases")


def keras_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """Keras 2, as our reader returns it: a variable is in its layer, its axes in TensorFlow's order."""
    if layer.endswith(".bn"):
        for name in ("gamma", "beta", "moving_mean", "moving_variance"):
            yield Rule(f"{layer}/{name}", f"{prefix}/{name}")
        return
    yield Rule(f"{layer}/kernel", f"{prefix}/kernel")
    if f"{prefix}/bias" in names:
        yield Rule(f"{layer}/bias", f"{prefix}/bias")


def onnx_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """ONNX from MXNet's exporter: kernels are (out, in, rows, columns)."""
    if layer.endswith(".bn"):
        yield Rule(f"{layer}/gamma", f"{prefix}_gamma")
        yield Rule(f"{layer}/beta", f"{prefix}_beta")
        yield Rule(f"{layer}/moving_mean", f"{prefix}_moving_mean")
        yield Rule(f"{layer}/moving_variance", f"{prefix}_moving_var")
        return
    yield Rule(f"{layer}/kernel", f"{prefix}_weight", (2, 3, 1, 0))
    if f"{prefix}_bias" in names:
        yield Rule(f"{layer}/bias", f"{prefix}_bias")


def caffe_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """Caffe, as our reader returns it: blob 0 is the kernel (out, in, rows, columns), blob 1 the bias."""
    yield Rule(f"{layer}/kernel", f"{prefix}/0", (2, 3, 1, 0))
    if f"{prefix}/1" in names:
        yield Rule(f"{layer}/bias", f"{prefix}/1")


def own_rules(layer: str, prefix: str, names: frozenset[str]) -> Iterator[Rule]:
    """The zoo's own files: a tensor has its variable's name and shape."""
    for name in sorted(names):
        if "/" in name and name.startswith(prefix):
            yield Rule(f"{layer}{name.removeprefix(prefix)}", name)


RULES: Mapping[str, Callable[[str, str, frozenset[str]], Iterator[Rule]]] = {
    "torch": torch_rules,
    "tflite": tflite_rules,
    "tensorflow": tensorflow_rules,
    "keras": keras_rules,
    "onnx": onnx_rules,
    "caffe": caffe_rules,
    "zoo": own_rules,
}


def summarize(title: str, names: list[str], *, limit: int = 4) -> str:
    """``"title (3): a, b, c"``, cut after `limit` names; empty when there are none."""
    if not names:
        return ""
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{title} ({len(names)}): {', '.join(names[:limit])}{rest}"


def raise_mismatch(subject: str, *differences: str) -> None:
    """Raise a `MismatchError` when any of the differences is not empty."""
    found = [difference for difference in differences if difference]
    if found:
        raise MismatchError(f"{subject}: {'; '.join(found)}")


def arrays_of(source: Mapping[str, np.ndarray], rules: list[Rule]) -> dict[str, np.ndarray]:
    """Float32 arrays by variable path, in the order of the rules."""
    arrays = {}
    for rule in rules:
        array = source[rule.source]
        array = array if rule.axes is None else np.transpose(array, rule.axes)
        arrays[rule.variable] = np.ascontiguousarray(array, dtype=np.float32)
    return arrays
