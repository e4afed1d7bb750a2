"""Masks of shapes by the tools' own packages: ``python make_label_masks.py`` writes label_masks.npz.

In an environment of its own: pycocotools 2.0.11, labelme 6.3.1 (only `shape_to_mask` is run, so that it needs
no window), label-studio-sdk 2.1.2 (only `converter/brush.py`), Pillow 12.3.0, NumPy 2.4.6.
"""

import ast
import importlib.util
import math
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
from pycocotools import mask as coco

SIZE = (37, 53)
COUNT = 400


def source_of(package: str, *path: str) -> str:
    """A file of an installed package, which is not imported: its packages ask for a window or a server."""
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder, *path).read_text("utf-8")


def labelme_shape_to_mask():
    """`labelme.utils.shape.shape_to_mask` alone."""
    tree = ast.parse(source_of("labelme", "utils", "shape.py"))
    body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "shape_to_mask"]
    body[0].returns = None
    for argument in body[0].args.args:
        argument.annotation = None
    space = {"np": np, "PIL": PIL, "math": math}
    exec(compile(ast.Module(body, []), "shape.py", "exec"), space)
    return space["shape_to_mask"]


def brush_module():
    space = {"__name__": "brush"}
    exec(compile(source_of("label_studio_sdk", "converter", "brush.py"), "brush.py", "exec"), space)
    return space


def main() -> None:
    rng, arrays = np.random.default_rng(0), {}
    points, masks, texts = [], [], []
    for index in range(COUNT):
        ring = rng.uniform(-12, 65, (rng.integers(3, 9), 2))
        ring = [ring, np.round(ring), np.round(ring, 1), np.clip(ring, 0, SIZE[::-1])][index % 4]
        runs = coco.frPyObjects([ring.ravel().tolist()], *SIZE)[0]
        points.append(np.pad(ring, ((0, 9 - len(ring)), (0, 0)), constant_values=np.nan))
        masks.append(coco.decode(runs))
        texts.append(runs["counts"])
    noise = [np.asfortranarray(rng.integers(0, 2, SIZE, np.uint8)) for _ in range(4)]
    masks += noise
    texts += [coco.encode(mask)["counts"] for mask in noise]
    arrays |= {
        "coco_points": np.array(points),
        "coco_masks": np.packbits(np.array(masks)),
        "coco_texts": np.array(texts),
    }

    draw, shapes = labelme_shape_to_mask(), []
    for kind, corners in (
        ("polygon", 5),
        ("rectangle", 2),
        ("circle", 2),
        ("line", 2),
        ("linestrip", 4),
        ("point", 1),
    ):
        for _ in range(20):
            ring = rng.uniform(-6, 58, (corners, 2))
            shapes.append((kind, ring, draw(SIZE, ring.tolist(), kind)))
    arrays["labelme_kinds"] = np.array([kind for kind, _, _ in shapes])
    arrays["labelme_points"] = np.array(
        [np.pad(ring, ((0, 5 - len(ring)), (0, 0)), constant_values=np.nan) for _, ring, _ in shapes]
    )
    arrays["labelme_masks"] = np.packbits(np.array([mask for _, _, mask in shapes]))

    brush = brush_module()
    opaque = np.zeros(SIZE, np.uint8)
    opaque[5:20, 7:30] = rng.integers(0, 2, (15, 23)) * 255
    packed = brush["encode_rle"](np.repeat(opaque.ravel(), 4))
    decoded = brush["decode_rle"](packed).reshape(*SIZE, 4)[..., 3]
    arrays |= {"brush": np.array(packed, np.uint8), "brush_mask": decoded > 0}
    np.savez_compressed(Path(__file__).with_name("label_masks.npz"), **arrays)


if __name__ == "__main__":
    main()
