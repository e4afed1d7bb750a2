"""Draws the pictures of the gallery, `docs/gallery/*.jpg`: a photograph as each bundled model segments it.

python docs/hooks/draw_gallery.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(DOCS.parent))

import zoo  # noqa: E402
from zoo.models import registry  # noqa: E402

PHOTO = DOCS.parent / "examples" / "city.jpg"


def main(folder: Path) -> None:
    """Write a picture for each bundled model."""
    folder.mkdir(exist_ok=True)
    for spec in registry.MODELS:
        for entry in spec.weights:
            if entry.bundled:
                overlay = zoo.segment(zoo.load(spec.name, entry.tag), PHOTO).overlay()
                Image.fromarray(overlay).save(folder / f"{spec.name}_{entry.tag}.jpg", quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "gallery")
