"""Data sets of every layout, written with a few drawn images."""

import numpy as np
from PIL import Image

from zoo.images import write_png
from zoo.labels import VOC21

RNG = np.random.default_rng(0)
SIZE = (6, 8)


def save_image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RNG.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return path


def save_mask(path, mask, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_png(path, np.asarray(mask, np.uint8), palette=palette)


def mask_of(*values):
    return np.resize(np.array(values, np.uint8), SIZE)


def camvid(root, prefix=""):
    for split in ("train", "val"):
        lines = []
        for name in ("a.png", "b.png"):
            save_image(root / split / name)
            save_mask(root / f"{split}annot" / name, mask_of(*range(12)))
            lines.append(f"{prefix}{split}/{name} {prefix}{split}annot/{name}\n")
        (root / f"{split}.txt").write_text("".join(lines))
    return root


def voc(root):
    base = root / "VOCdevkit" / "VOC2012"
    for stem in ("2007_1", "2007_2", "2008_3"):
        save_image(base / "JPEGImages" / f"{stem}.jpg")
    for stem in ("2007_1", "2007_2"):
        colors = [*VOC21.palette, *[(0, 0, 0)] * 234, (224, 224, 192)]
        save_mask(base / "SegmentationClass" / f"{stem}.png", mask_of(0, 15, 20, 255), colors)
    for stem in ("2007_1", "2007_2", "2008_3"):
        save_mask(base / "SegmentationClassAug" / f"{stem}.png", mask_of(0, 7, 255))
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_1\n")
    (lists / "val.txt").write_text("2007_2\n")
    (lists / "trainval.txt").write_text("2007_1\n2007_2\n")
    return lists


def cityscapes(root, *, values=(7, 8, 0, 21, 33), ending="labelIds"):
    for city, frame in (("aachen", "000000_000019"), ("bonn", "000001_000019")):
        stem = f"{city}_{frame}"
        save_image(root / "leftImg8bit" / "train" / city / f"{stem}_leftImg8bit.png")
        save_mask(root / "gtFine" / "train" / city / f"{stem}_gtFine_{ending}.png", mask_of(*values))
    return root


def folder(root, count=10, values=(0, 1, 2, 255)):
    for index in range(count):
        save_image(root / "images" / f"{index}.{'jpg' if index % 2 else 'png'}")
        save_mask(root / "masks" / f"{index}.png", mask_of(*values), VOC21.palette if index % 3 else None)
    return root
