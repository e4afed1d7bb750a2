"""Seeds of the annotation readers: a file of each tool, and crafted ones."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
from fuzz.labels import PACKED, TABLES, TEXTS
from support import label_tools
from support.label_encodings import brush, png


def labels(folder: Path) -> dict[str, bytes]:
    """One file of each annotation tool, behind the number of its reader."""
    found = {}
    for target, slots in (("labels_text", TEXTS), ("labels_table", TABLES)):
        for number, slot in enumerate(slots):
            content = (slot.make(folder / target / slot.name) / slot.file).read_bytes()
            found[f"{target}/{slot.name}"] = bytes([number]) + content
    mask = png(np.full((4, 6), 255, np.uint8))
    own = {"runs": b"64600000000000000000000000000000", "embedded": png(label_tools.colored()), "mask": mask}
    own |= {"bitmap": zlib.compress(mask), "inflated": mask}
    own["brush"] = bytes(brush(label_tools.filled(label_tools.CAR)))
    for number, slot in enumerate(PACKED):
        root = folder / "labels_packed" / slot.name
        content = own.get(slot.name) or (slot.make(root) / slot.file).read_bytes()
        found[f"labels_packed/{slot.name}"] = bytes([number]) + content
    return found | {f"labels_text/{name}": content for name, content in hostile_labels().items()}


def hostile_labels() -> dict[str, bytes]:
    """What asks for more than it is."""
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))
    outside = '<!ENTITY l8 SYSTEM "file:///etc/passwd">'
    yaml_laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(9))
    runs = [{"size": [label_tools.HEIGHT, label_tools.WIDTH], "counts": [0, 1 << 39]}] * 2
    crossing = {"label": "car", "points": [[0, 0], [1e300, 1e300], [-1e300, 5]], "shape_type": "polygon"}
    texts = {slot.name: bytes([number]) for number, slot in enumerate(TEXTS)}
    return {
        "laughs": texts["cvat"] + f"<!DOCTYPE a [{laughs}]><annotations>&l8;</annotations>".encode(),
        "outside": texts["cvat"] + f"<!DOCTYPE a [{outside}]><annotations>&l8;</annotations>".encode(),
        "deep_xml": texts["cvat"] + b"<annotations>" + b"<a>" * 5_000,
        "deep_json": texts["coco"] + b"[" * 16_000,
        "references": texts["yolo_names"] + yaml_laughs.encode() + b"names: *a8\n",
        "long_runs": texts["coco"] + json.dumps(label_tools.coco_document(["a"], runs)).encode(),
        "far": texts["labelme"] + json.dumps({"imagePath": "a.jpg", "shapes": [crossing]}).encode(),
    }
