"""How a folder of images and masks is arranged: by which folders, and what divides it into splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from zoo.datasets.names import folders, visible
from zoo.datasets.pairing import apart, pair
from zoo.errors import InputError

IMAGES, MASKS = "images", "masks"
_IMAGE_NAMES = (
    IMAGES,
    "image",
    "imgs",
    "img",
    "jpegimages",
    "photos",
    "inputs",
    "input",
    "rgb",
    "leftimg8bit",
)
_MASK_NAMES = (
    *(MASKS, "mask", "labels", "label", "annotations", "annotation", "annots", "annot", "gt", "gtfine"),
    *(
        "ground_truth",
        "groundtruth",
        "segmentation",
        "segmentations",
        "segmentationclass",
        "targets",
        "target",
    ),
)
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
# Each layout by the name that `layout=` and ``--arrangement`` take.
LAYOUTS: Mapping[str, str] = {
    "flat": "images/a.jpg and masks/a.png",
    "inside": "images/train/a.jpg and masks/train/a.png",
    "outside": "train/images/a.jpg and train/masks/a.png",
    "beside": "train/a.jpg and train_masks/a.png",
    "suffix": "a.jpg and a_mask.png in one folder",
    "split_suffix": "train/a.jpg and train/a_mask.png",
}


@dataclass(frozen=True)
class Part:
    """Where the images are and where their masks; the same folder where names tell them apart."""

    images: Path
    masks: Path


@dataclass(frozen=True)
class Arrangement:
    """One way to read a folder.

    Attributes:
        layout: Key of `LAYOUTS`.
        parts: By split; under ``""`` where folders do not divide it.
    """

    layout: str
    parts: Mapping[str, Part]

    @property
    def divided(self) -> bool:
        """Whether folders tell the splits."""
        return "" not in self.parts

    def shown(self, root: Path) -> str:
        """The folders of its first split, as seen from the root."""
        part = next(iter(self.parts.values()))
        names = dict.fromkeys(_relative(path, root) for path in (part.images, part.masks))
        return f"{' and '.join(names)} (--arrangement {self.layout})"


def _relative(path: Path, root: Path) -> str:
    return "the folder itself" if path == root else f"{path.relative_to(root).as_posix()}/"


def arrangements(root: Path) -> list[Arrangement]:
    """Every way that a folder can be read in, told by files that are there."""
    found = [make(root) for make in (_flat, _inside, _outside, _beside, _suffix, _split_suffix)]
    fitting = [one for one in found if one is not None]
    # Folders of the plain names are that layout even while they are empty, unless another one is filled.
    if not fitting and (root / IMAGES).is_dir() and (root / MASKS).is_dir():
        fitting = [Arrangement("flat", {"": Part(root / IMAGES, root / MASKS)})]
    return fitting


def chosen(root: Path, layout: str | None = None) -> Arrangement:
    """The way that a folder is read in.

    Args:
        root: The folder.
        layout: Key of `LAYOUTS`, where several fit.

    Raises:
        InputError: None fits, or several of which `layout` names none; the message shows what is there.
    """
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"arrangement must be one of {', '.join(LAYOUTS)}, not {layout!r}")
    found = arrangements(root)
    fitting = [one for one in found if layout in (None, one.layout)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ways = " or ".join(one.shown(root) for one in fitting)
        raise InputError(f"{root}: can be read in two ways: {ways}; --arrangement decides")
    from zoo.datasets.description import not_understood

    raise InputError(not_understood(root, layout))


def named_folders(root: Path) -> tuple[list[Path], list[Path]]:
    """Folders named as of images and as of masks; the plain names alone where both are there."""
    below = folders(root)
    plain = {path.name: path for path in below if path.name in (IMAGES, MASKS)}
    if len(plain) == 2:
        return [plain[IMAGES]], [plain[MASKS]]
    images, masks = ([p for p in below if p.name.lower() in names] for names in (_IMAGE_NAMES, _MASK_NAMES))
    return images, masks


def split_folders(root: Path) -> dict[str, Path]:
    """Folders named as of splits, by split; `InputError` for two of one."""
    found: dict[str, Path] = {}
    for path in folders(root):
        for split, names in _SPLIT_NAMES.items():
            if path.name.lower() not in names:
                continue
            if split in found:
                raise InputError(
                    f"{root}: two folders of the split {split!r}: {found[split].name}, {path.name}"
                )
            found[split] = path
    return {split: found[split] for split in _SPLIT_NAMES if split in found}


def _filled(folder: Path) -> bool:
    # Of any kind: colours may stand in JPEG files, and others are told one by one.
    return bool(visible(folder))


def _one(root: Path) -> Part | None:
    """The folders of images and of masks in a folder that have files; `InputError` where there are more."""
    images, masks = named_folders(root)
    images, masks = [p for p in images if visible(p)], [p for p in masks if _filled(p)]
    if not images or not masks:
        return None
    for what, several, way in (
        ("images", images, "--data and --masks name two"),
        ("masks", masks, "--masks names one"),
    ):
        if len(several) > 1:
            names = ", ".join(path.name for path in several)
            raise InputError(f"{root}: several folders may hold the {what}: {names}; {way}")
    return Part(images[0], masks[0])


def _made(layout: str, parts: Iterator[tuple[str, Part | None]]) -> Arrangement | None:
    found = {split: part for split, part in parts if part is not None}
    return Arrangement(layout, found) if found else None


def _flat(root: Path) -> Arrangement | None:
    return _made("flat", iter([("", _one(root))]))


def inside(image_folder: Path, mask_folder: Path) -> Arrangement | None:
    """The splits that are folders of both."""
    images, masks = split_folders(image_folder), split_folders(mask_folder)
    shared = [split for split in images if split in masks and _filled(masks[split])]
    parts = ((split, Part(images[split], masks[split])) for split in shared if visible(images[split]))
    return _made("inside", parts)


def _inside(root: Path) -> Arrangement | None:
    images, masks = named_folders(root)
    found = [one for a in images for b in masks if (one := inside(a, b)) is not None]
    if len(found) > 1:
        names = ", ".join(one.shown(root) for one in found)
        raise InputError(
            f"{root}: several folders may hold images and masks: {names}; --data and --masks decide"
        )
    return found[0] if found else None


def _outside(root: Path) -> Arrangement | None:
    return _made("outside", ((split, _one(folder)) for split, folder in split_folders(root).items()))


def _beside(root: Path) -> Arrangement | None:
    below = {path.name.lower(): path for path in folders(root)}

    def part(names: tuple[str, ...]) -> Part | None:
        bases = [(below.get(name) or _ending(below, name, _IMAGE_NAMES), name) for name in names]
        for images, name in bases:
            masks = _ending(below, name, _MASK_NAMES)
            if images is not None and masks is not None and visible(images) and _filled(masks):
                return Part(images, masks)
        return None

    return _made("beside", ((split, part(names)) for split, names in _SPLIT_NAMES.items()))


def _ending(below: Mapping[str, Path], name: str, words: tuple[str, ...]) -> Path | None:
    """The folder ``train_masks``, ``train-masks`` or ``trainmasks``."""
    forms = (f"{name}{mark}{word}" for word in words for mark in ("_", "-", ""))
    return next((below[form] for form in forms if form in below), None)


def _together(folder: Path) -> Part | None:
    """A folder in which names tell masks from images: at least one mask has its image."""
    images, masks = apart(visible(folder))
    if not images or not masks:
        return None
    found = pair(folder, folder)
    return Part(folder, folder) if found.images.keys() & found.masks.keys() else None


def _suffix(root: Path) -> Arrangement | None:
    return _made("suffix", iter([("", _together(root))]))


def _split_suffix(root: Path) -> Arrangement | None:
    return _made("split_suffix", ((split, _together(f)) for split, f in split_folders(root).items()))
