"""CamVid as it was published (Brostow et al. 2009): 960×720, labels as colours of 32 classes, merged to 11.

Every ``*_L.png`` in the folder or in a folder below it is a label, and the PNG of that name without ``_L``
its image. The originals have no split; SegNet's lists, put beside them as ``train.txt`` and so on, give one.

The 11 classes are SegNet's. Its authors published merged labels, but no table of the merge. The one used here
is stated with the same entries by MathWorks ("Semantic Segmentation Using Deep Learning", function
``camvidPixelLabelIDs``, "following the original SegNet training methodology") and by the README of
tanmaysingha/SDBNet. Other projects differ in rare classes: Kundu's VideoParsing ignores Archway, Bridge,
Tunnel, Child, Animal, CartLuggagePram, OtherMoving, TrafficCone and Train, and counts RoadShoulder as road.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from zoo.datasets.dataset import INVALID, Dataset
from zoo.datasets.listing import Listing, Unpaired, check_split, has_list, read_lines
from zoo.datasets.names import folders, listed, normal, stem_of, visible, with_slashes
from zoo.labels import CAMVID11, Color

SUFFIX = "_L"
ALL = "all"
_LISTS = ("train", "val", "test")

# Name and colour in CamVid's label_colors.txt, and the class it becomes; `None` is void.
CLASSES: tuple[tuple[str, Color, str | None], ...] = (
    ("Animal", (64, 128, 64), "pedestrian"),
    ("Archway", (192, 0, 128), "building"),
    ("Bicyclist", (0, 128, 192), "bicyclist"),
    ("Bridge", (0, 128, 64), "building"),
    ("Building", (128, 0, 0), "building"),
    ("Car", (64, 0, 128), "car"),
    ("CartLuggagePram", (64, 0, 192), "pedestrian"),
    ("Child", (192, 128, 64), "pedestrian"),
    ("Column_Pole", (192, 192, 128), "pole"),
    ("Fence", (64, 64, 128), "fence"),
    ("LaneMkgsDriv", (128, 0, 192), "road"),
    ("LaneMkgsNonDriv", (192, 0, 64), "road"),
    ("Misc_Text", (128, 128, 64), "sign symbol"),
    ("MotorcycleScooter", (192, 0, 192), "bicyclist"),
    ("OtherMoving", (128, 64, 64), "car"),
    ("ParkingBlock", (64, 192, 128), "pavement"),
    ("Pedestrian", (64, 64, 0), "pedestrian"),
    ("Road", (128, 64, 128), "road"),
    ("RoadShoulder", (128, 128, 192), "pavement"),
    ("Sidewalk", (0, 0, 192), "pavement"),
    ("SignSymbol", (192, 128, 128), "sign symbol"),
    ("Sky", (128, 128, 128), "sky"),
    ("SUVPickupTruck", (64, 128, 192), "car"),
    ("TrafficCone", (0, 0, 64), "pole"),
    ("TrafficLight", (0, 64, 64), "sign symbol"),
    ("Train", (192, 64, 128), "car"),
    ("Tree", (128, 128, 0), "tree"),
    ("Truck_Bus", (192, 128, 192), "car"),
    ("Tunnel", (64, 0, 64), "building"),
    ("VegetationMisc", (192, 192, 0), "tree"),
    ("Void", (0, 0, 0), None),
    ("Wall", (64, 192, 0), "building"),
)


def merge_table() -> tuple[int, ...]:
    """Label of each position in `CLASSES`, for the 256 values of `zoo.datasets.Dataset.table`."""
    void = len(CAMVID11)  # its ignore label stands right behind the classes
    merged = [void if name is None else CAMVID11.names.index(name) for _, _, name in CLASSES]
    return (*merged, *[INVALID] * (256 - len(merged)))


def matches(root: Path) -> bool:
    """Whether a folder has this layout."""
    return any(path.stem.endswith(SUFFIX) for path in _pictures(root))


def splits(root: Path) -> tuple[str, ...]:
    """Splits that have a list; ``all`` is everything."""
    return (*(split for split in _LISTS if has_list(root / f"{split}.txt")), ALL)


def list_split(root: Path, split: str) -> Listing:
    """The pairs of a split, and what lacks a partner."""
    check_split(split, splits(root), root)
    problems: list[Unpaired] = []
    images, masks = _by_stem(root, problems)
    if split == ALL:
        stems = sorted(masks)
    else:
        # SegNet's lists have a path of the image and one of the annotation in a line.
        lines = listed(read_lines(root / f"{split}.txt"))
        stems = [stem_of(PurePosixPath(with_slashes(line.split()[0])).name) for line in lines]
        problems += [
            (root / f"{stem}{SUFFIX}.png", "listed, but not there") for stem in stems if stem not in masks
        ]
    problems += [(masks[s], f"no image {s}.png") for s in stems if s in masks and s not in images]
    pairs = tuple((images[stem], masks[stem]) for stem in stems if stem in images and stem in masks)
    colors = tuple(color for _, color, _ in CLASSES)
    dataset = Dataset("camvid_original", split, CAMVID11, pairs, table=merge_table(), colors=colors)
    return Listing(dataset, tuple(problems))


def _pictures(root: Path) -> list[Path]:
    """PNG files in the folder and in those below it."""
    return sorted(path for place in (root, *folders(root)) for path in visible(place, (".png",)))


def _by_stem(root: Path, problems: list[Unpaired]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and labels by the image's stem; a second file of a name is a problem."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for path in _pictures(root):
        kind = masks if path.stem.endswith(SUFFIX) else images
        stem = normal(path.stem).removesuffix(SUFFIX)
        if stem in kind:
            problems.append((path, f"the same name as {kind[stem]}"))
        else:
            kind[stem] = path
    return images, masks
