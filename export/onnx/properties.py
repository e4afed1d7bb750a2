"""The properties of an ONNX file: what software that knows nothing of the zoo needs in order to use it."""

from __future__ import annotations

import json

import onnx

from zoo.export.core.metadata import KEY, Metadata, label_lines
from zoo.export.core.origin import catalog_entry


def describe(model: onnx.ModelProto, metadata: Metadata) -> None:
    """Set the properties, the description and the producer, in place."""
    labels = metadata.label_set
    kind = onnx.TensorProto.DataType.Name(model.graph.input[0].type.tensor_type.elem_type).lower()
    model.doc_string = (
        f"{metadata.model}: {kind} RGB images in 0..255 ({metadata.layout}) to {metadata.head} of"
        f" {len(labels)} classes"
    )
    model.graph.name = metadata.model
    model.producer_name, model.producer_version = "atrous-zoo", metadata.producer.split()[-1]
    onnx.helper.set_model_props(model, properties(metadata))


def properties(metadata: Metadata) -> dict[str, str]:
    """Texts by name.

    ``labels`` (one a line), ``palette`` (JSON list of [red, green, blue]) and ``ignore_label`` tell what the
    output means; ``color_order``, ``value_range``, ``normalization`` and ``layout`` what the input must be;
    ``model``, ``weights``, ``weights_sha256``, ``weights_source``, ``licence`` and ``fingerprint`` where the
    file comes from. What is not known (weights that are not the catalog's) is absent. ``atrous_zoo``
    holds the whole `Metadata`.
    """
    labels = metadata.label_set
    entry = catalog_entry(metadata)
    known = {
        "ignore_label": None if labels.ignore_label is None else str(labels.ignore_label),
        "weights": (metadata.source or {}).get("weights"),
        "weights_sha256": entry and entry.sha256,
        "weights_source": entry and entry.source,
        "licence": entry and entry.licence,
    }
    return {
        KEY: metadata.to_json(),
        "model": metadata.model,
        "labels": label_lines(labels).removesuffix("\n"),
        "palette": json.dumps([list(color) for color in labels.palette]),
        "color_order": "RGB",
        "value_range": "0..255",
        "normalization": "none: it is part of the graph",
        "layout": metadata.layout.upper(),
        "head": metadata.head,
        "fingerprint": metadata.fingerprint,
        **{name: text for name, text in known.items() if text},
    }
