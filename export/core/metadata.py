"""What every artifact carries inside itself: labels, origin, and how its tensors are meant."""

from __future__ import annotations

import json
from dataclasses import dataclass

from zoo.errors import FormatError, InputError
from zoo.export.core.kinds import KINDS
from zoo.labels import LabelSet, index_type

# Name of the SavedModel asset, the TFLite metadata buffer and the ONNX property that hold the JSON text.
KEY = "atrous_zoo"
INPUT_NAME = "image"
# What may come out: scores, or class indices.
LOGIT_HEADS = ("logits", "small_logits")
LAYOUTS = ("nhwc", "nchw")
MASK_HEADS = ("mask", "small_mask")
HEADS = (*LOGIT_HEADS, *MASK_HEADS)
OUTPUT_NAME = "logits"
MASK_NAME = "mask"
SIGNATURE = "serving_default"
# The second signature of a SavedModel. Servers take an input that ends in "_bytes" as base64 from JSON.
BYTES_SIGNATURE = "serving_bytes"
BYTES_NAME = "image_bytes"
# Class names for other software, one a line.
LABEL_FILE = "labels.txt"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Self-description of an artifact.

    Attributes:
        model: Name of the Keras model.
        source: Catalog model and weights tag that it was loaded from, or `None`.
        label_set: Names and colours of the classes.
        head: What comes out, one of `HEADS`: logits at the size of the image or at the network's stride, the
            mask of the former, or that of the latter enlarged.
        layout: ``"nhwc"`` or ``"nchw"``, of the input and the output.
        input_size: (height, width), or `None` when any size is taken.
        fingerprint: Of the exported model, see `zoo.export.core.deployment.fingerprint`.
        producer: Software that wrote the artifact.
        quantization: ``kind`` and ``max_drop`` of a quantized file, see `zoo.export.to_tflite`; `None` for
            float32.
    """

    model: str
    source: dict | None
    label_set: LabelSet
    head: str
    layout: str
    input_size: tuple[int, int] | None
    fingerprint: str
    producer: str
    quantization: dict | None = None

    def to_json(self) -> str:
        """The JSON text that is stored in the artifact."""
        content = {
            **vars(self),
            "schema": SCHEMA,
            "label_set": self.label_set.to_config(),
            "input": f"{self._input_type} RGB in 0..255; normalization is part of the graph",
        }
        return json.dumps(content, sort_keys=True)

    @property
    def gives_mask(self) -> bool:
        """Whether class indices come out, ``(batch, height, width)`` at the size of the image."""
        return self.head in MASK_HEADS

    @property
    def mask_type(self) -> str:
        """Of class indices: ``"uint8"``, or ``"uint16"`` of more than 256 classes."""
        return index_type(len(self.label_set)).__name__

    @property
    def output_name(self) -> str:
        """Name of the output in the artifact."""
        return MASK_NAME if self.gives_mask else OUTPUT_NAME

    @property
    def _input_type(self) -> str:
        return KINDS[self.quantization["kind"]].image if self.quantization else "float32"

    @classmethod
    def from_json(cls, text: str | bytes, *, path) -> Metadata:
        """The inverse of `to_json`; `path` is named when the text is not what `to_json` writes."""
        try:
            content = json.loads(text)
            if content["schema"] != SCHEMA:
                raise FormatError(f"{path}: written by another version of the zoo (metadata schema)")
            _check_values(content)
            size = content["input_size"]
            return cls(
                **{k: content[k] for k in ("model", "source", "head", "layout", "producer")},
                label_set=LabelSet.from_config(content["label_set"]),
                input_size=None if size is None else (int(size[0]), int(size[1])),
                fingerprint=str(content["fingerprint"]),
                quantization=content.get("quantization"),  # files from before there was one have none
            )
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            if isinstance(error, FormatError):
                raise
            raise FormatError(f"{path}: damaged {KEY} metadata ({one_line(error)})") from error


def _check_values(content: dict) -> None:
    """`ValueError` for what no exporter states, and what running the artifact would misread."""
    size, quantization, names = (
        content["input_size"],
        content.get("quantization"),
        content["label_set"]["names"],
    )
    known = {
        "head": content["head"] in HEADS,
        "layout": content["layout"] in LAYOUTS,
        "model": isinstance(content["model"], str),
        "input_size": size is None or (len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)),
        "quantization": quantization is None or quantization["kind"] in KINDS,
        "label_set": isinstance(names, list) and all(isinstance(name, str) for name in names),
    }
    wrong = [name for name, is_known in known.items() if not is_known]
    if wrong:
        raise ValueError(f"{wrong[0]} is {str(content[wrong[0]])[:80]!r}")


def check_head(head: str) -> str:
    """`head` itself, or an `InputError` with the known ones."""
    if head not in HEADS:
        raise InputError(f"head must be one of {', '.join(HEADS)}, not {head!r}")
    return head


def label_lines(label_set: LabelSet) -> str:
    """The text of a label file: one name per line, whatever white space a name has."""
    return "".join(f"{' '.join(name.split())}\n" for name in label_set.names)


def one_line(error: Exception) -> str:
    """What a runtime says of a file, without its lines and without end."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def missing(path) -> FormatError:
    """The error for a readable file that carries no metadata of ours."""
    return FormatError(f"{path} carries no {KEY} metadata: it was not exported by the zoo")
