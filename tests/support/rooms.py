"""The rooms of the package and what each may import, for the test and for the picture in docs."""

from __future__ import annotations


def outer(room: str) -> str:
    """The room that stands in the package itself: `export` for ``export.core``."""
    return room.partition(".")[0]


# Room → the rooms that it may import, lazily or not. A room is a module or a package; a module belongs to the
# longest name that it starts with. Naming `models` allows the rooms
# within it. Listed from the ground up: a room may name only rooms that stand before it.
_GROUND = ("errors", "files", "labels", "provenance", "remote")

ROOMS: dict[str, tuple[str, ...]] = {
    "_version": (),
    "_checkout": (),
    "errors": (),
    "files": ("errors",),
    "remote": ("errors", "files"),
    "labels": ("errors",),
    "provenance": ("errors", "labels"),
    "_backend": ("errors",),
    "layers": _GROUND,
    "graph": (*_GROUND, "layers"),
    "images": _GROUND,
    "metrics": _GROUND,
    # Files of weights: containers and names know nothing of each other's users.
    "weights.readers": _GROUND,
    "weights.name_maps": (*_GROUND, "weights.readers"),
    "weights": (*_GROUND, "weights.readers", "weights.name_maps"),
    # The rule of dilation, which a paper's architecture reads, knows no architecture.
    "dilation": (*_GROUND, "layers", "graph"),
    "models.facts": (*_GROUND, "layers", "dilation"),
    "models.conventions": (*_GROUND, "layers"),
    "models.segmentation_model": (*_GROUND, "layers"),
    "models.blocks": (*_GROUND, "layers", "models.conventions"),
    "models.backbones": (*_GROUND, "layers", "models.conventions", "models.blocks", "models.facts"),
    "models.heads": (*_GROUND, "layers", "models.conventions", "models.blocks"),
    "models.architectures": (
        *_GROUND,
        "layers",
        "dilation",
        "models.conventions",
        "models.segmentation_model",
        "models.blocks",
        "models.facts",
        "models.backbones",
        "models.heads",
    ),
    # Networks in one dimension; some have files of weights of their own, others the zoo's.
    "sequence": (*_GROUND, "_backend", "layers", "weights"),
    # The registry, loading and surgery.
    "models": (
        *_GROUND,
        "sequence",
        "layers",
        "graph",
        "weights",
        "models.facts",
        "models.conventions",
        "models.segmentation_model",
        "models.blocks",
        "models.backbones",
        "models.heads",
        "models.architectures",
    ),
    "datasets": (*_GROUND, "images"),
    # Exact rewrites, and what all formats share; then a folder for each format; then the table of formats.
    "export.deploy": (*_GROUND, "layers", "graph"),
    "export.core": (
        *_GROUND,
        "_version",
        "layers",
        "graph",
        "images",
        "metrics",
        "datasets",
        "weights",
        "models",
        "export.deploy",
    ),
    **{
        f"export.{name}": (
            *_GROUND,
            "_version",
            "layers",
            "graph",
            "images",
            "metrics",
            "models",
            "export.deploy",
            "export.core",
        )
        for name in ("tflite", "onnx", "saved_model", "coreml", "keras_file", "openvino")
    },
    "export.formats": (
        *_GROUND,
        "export.core",
        "export.tflite",
        "export.onnx",
        "export.saved_model",
        "export.coreml",
        "export.keras_file",
    ),
    "export.lint": (*_GROUND, "export.core", "export.coreml"),
    "export.opening": (*_GROUND, "export.core", "export.formats", "export.openvino"),
    # An exported file is one more thing that sees images.
    "inference": (
        *_GROUND,
        "_backend",
        "images",
        "layers",
        "graph",
        "dilation",
        "models",
        "export.core",
        "export.opening",
    ),
    "export.proof": (
        *_GROUND,
        "layers",
        "graph",
        "metrics",
        "export.deploy",
        "export.core",
        "export.formats",
        "export.opening",
    ),
    "evaluation": (
        *_GROUND,
        "images",
        "metrics",
        "layers",
        "datasets",
        "inference",
        "models",
        "export.core",
        "export.formats",
        "export.opening",
    ),
    "training": (
        *_GROUND,
        "_version",
        "images",
        "metrics",
        "layers",
        "graph",
        "datasets",
        "dilation",
        "inference",
        "models",
        "evaluation",
    ),
    # Registers with Keras whatever a saved model may hold.
    "serializable": ("layers", "models", "sequence", "training"),
    # Sequences block by block; no format of images.
    "export.blocks": (
        *_GROUND,
        "_version",
        "layers",
        "sequence",
        "export.core",
        "export.tflite",
        "export.onnx",
    ),
    # Spelling to sound, by the same means.
    "export.transcriber": (
        *_GROUND,
        "_version",
        "layers",
        "sequence",
        "export.core",
        "export.tflite",
        "export.onnx",
        "export.blocks",
    ),
    "export.timing": (
        *_GROUND,
        "layers",
        "models",
        "export.core",
        "export.formats",
        "export.opening",
        "export.openvino",
    ),
    "export.report": (
        *_GROUND,
        "_version",
        "export.deploy",
        "export.core",
        "export.formats",
        "export.proof",
    ),
    "export.publish": (
        *_GROUND,
        "layers",
        "models",
        "export.deploy",
        "export.core",
        "export.formats",
        "export.opening",
        "export.proof",
        "export.report",
    ),
    **{
        f"export.{name}": (
            *_GROUND,
            "layers",
            "models",
            "export.deploy",
            "export.core",
            "export.formats",
            "export.opening",
            "export.proof",
            "export.report",
            "export.publish",
            *(("export.general",) if name == "exports" else ()),
            "export.lint",
        )
        for name in ("general", "verification")
    },
}
ROOMS |= {"export.exports": (*_GROUND, "export.core", "export.general", "export.publish", "export.report")}
ROOMS |= {
    # Its public names.
    "export": (*_GROUND, *(room for room in ROOMS if outer(room) == "export")),
}

_LIBRARY = (
    *_GROUND,
    "_version",
    "layers",
    "graph",
    "images",
    "metrics",
    "weights",
    "dilation",
    "sequence",
    "models",
    "datasets",
    "inference",
    "evaluation",
    "training",
    "serializable",
)
ROOMS |= {
    "compression": (*_LIBRARY, "export"),
    # The page of ``zoo demo``.
    "demo": (*_GROUND, "_version", "weights", "models", "export"),
    # Models to a hub.
    "hub": (*_GROUND, "layers", "images", "weights", "models", "inference"),
    "ablation": _LIBRARY,
    # The package itself names what it offers; a room below it that imported `zoo` would close a circle.
    "": (*_LIBRARY, "export", "_checkout", "_backend", "ablation", "compression", "hub"),
    "cli": ("", *ROOMS, "ablation", "compression", "demo", "hub"),
    "__main__": ("cli",),
}


def room_of(module: str) -> str | None:
    """The room of a module such as ``zoo.models.blocks``; `None` for one that no room holds."""
    name = module.partition(".")[2]
    while name and name not in ROOMS:
        name = name.rpartition(".")[0]
    return name if name or module == "zoo" else None


def may_import(room: str, other: str) -> bool:
    """Whether the table allows it; a room that is allowed allows the rooms within it."""
    parts = other.split(".")
    return room == other or any(".".join(parts[:n]) in ROOMS[room] for n in range(1, len(parts) + 1))
