"""What a Core ML package tells of itself: to Xcode, to an app, and to the zoo."""

from __future__ import annotations

import json

from zoo.export.core.metadata import KEY, Metadata

# By which Xcode shows a segmentation with names and colours.
PREVIEW_TYPE = "com.apple.coreml.model.preview.type"
PREVIEW_PARAMETERS = "com.apple.coreml.model.preview.parameters"
SEGMENTER = "imageSegmenter"
PROOF = "proof"
INTERPRETED = "interpreted, not run on Apple hardware"
# Names of the classes, for an app, separated by commas as Xcode writes them.
CLASSES = "classes"


def user_defined(metadata: Metadata) -> dict[str, str]:
    """Properties by key."""
    labels = metadata.label_set
    colours = [f"#{bytes(colour).hex().upper()}" for colour in labels.palette]
    return {
        PREVIEW_TYPE: SEGMENTER,
        PREVIEW_PARAMETERS: json.dumps({"labels": list(labels.names), "colors": colours}),
        CLASSES: ",".join(" ".join(name.replace(",", " ").split()) for name in labels.names),
        PROOF: INTERPRETED,
        KEY: metadata.to_json(),
    }


def short_description(metadata: Metadata) -> str:
    """One line on the model."""
    names = ", ".join(metadata.label_set.names)
    return f"Semantic segmentation into {len(metadata.label_set)} classes: {names}."


def output_description(metadata: Metadata) -> str:
    """One line on the output."""
    classes = len(metadata.label_set)
    if metadata.gives_mask:
        return f"Class of each pixel, 0 to {classes - 1}: (1, height, width)."
    return f"Scores of {classes} classes: (1, classes, height, width); the largest is the class."


INPUT_DESCRIPTION = "RGB image; the network's own normalization is part of its program."
