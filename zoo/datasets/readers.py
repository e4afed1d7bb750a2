"""Opening a data set by its kind: the layouts in which people have these data on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from zoo.datasets import camvid, camvid_original, cityscapes, colored, folder, voc2012
from zoo.datasets.dataset import Dataset
from zoo.datasets.description import nearest
from zoo.datasets.listing import Layout, Listing
from zoo.datasets.reading import Reading, remapped, two_classes
from zoo.datasets.records import layout as records
from zoo.errors import InputError
from zoo.files import check_local
from zoo.images import SUFFIXES
from zoo.labels import LabelSet
from zoo.remote import check_remote, is_remote, local_folder

LAYOUTS: Mapping[str, Layout] = {
    "camvid": camvid,
    "camvid_original": camvid_original,
    "voc2012": voc2012,
    "cityscapes": cityscapes,
    "folder": folder,
    "records": records,
}
KINDS = tuple(LAYOUTS)

Classes = int | str | os.PathLike | Sequence[str] | LabelSet


def open_dataset(
    kind: str,
    data: str | os.PathLike,
    *,
    split: str = "train",
    classes: Classes | None = None,
    masks: str | os.PathLike | None = None,
    colors: str | os.PathLike | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    mapping: Mapping[int, int | str] | None = None,
    binary: bool = False,
    reading: Reading | None = None,
    arrangement: str | None = None,
) -> Dataset:
    """Open one split of a data set; files are listed now and read later.

    Args:
        kind: ``"camvid"``: the layout of the SegNet tutorial, with lists ``train.txt``, ``val.txt`` and
            ``test.txt`` of image and annotation paths, 11 classes. ``"camvid_original"``: images with labels
            ``*_L.png`` in the colours of 32 classes, which are merged to the same 11. ``"voc2012"``:
            ``VOCdevkit``, splits ``train``, ``val``, ``trainval``, and ``train_aug`` with SBD's folder
            ``SegmentationClassAug``.
            ``"cityscapes"``: ``leftImg8bit`` and ``gtFine`` with label ids or trainIds. ``"folder"``:
            images and masks in one of the layouts of docs/datasets.md, such as ``images/a.jpg`` and
            ``masks/a.png``; the pixels of a mask are class indices (grey or palette PNG), 255 is ignored.
            ``"records"``: shards that `zoo.datasets.records.pack` wrote, with their index.
        data: Folder of the data set. With `masks` the folder of the images. For ``records`` also a pattern of
            shards, such as ``mine/train-*.tfrecord``.
        split: Part of the data set. For ``camvid_original``: those that have a list, such as SegNet's
            ``train.txt``, and ``"all"``. For ``folder``: ``"train"`` and ``"val"`` by folders of these names,
            by the lists of stems ``train.txt`` and so on in `data` if there are any, or by a seeded choice
            otherwise; ``"all"`` is everything.
        classes: For ``folder``: names, number or `LabelSet` of the classes, or a text file with one name
            per line (``classes.txt`` in `data` by default).
        masks: For ``folder``: folder of the masks, where it is not ``masks`` in `data`.
        colors: For ``folder``: table of the colours that stand in the masks, and of the classes; see
            `zoo.datasets.colors.read_table`. A class named void, ignore or unlabelled never counts.
        validation_share: For ``folder`` without lists: share of the samples in ``"val"``, between 0 and 1.
        seed: For ``folder`` without lists: chooses them.
        mapping: Class, by index or name, or ``"ignore"``, of some values of the masks, such as ``{255: 1}``.
        binary: Whether masks are black and white: 0 is the first class, 255 (or 1) the second, nothing else
            occurs. For ``folder`` without classes they are named background and object.
        reading: What is said about files that can be read in more than one way; see `Reading`.
        arrangement: For ``folder``: one of `zoo.datasets.arrangement.LAYOUTS`, where several fit.

    Returns:
        The data set; every file exists and has its partner.

    Raises:
        InputError: An unknown kind, split or class file, an option that the kind does not have, or missing
            files, which `zoo.datasets.check` lists one by one.
    """
    listing = list_files(
        kind,
        data,
        split=split,
        classes=classes,
        masks=masks,
        colors=colors,
        validation_share=validation_share,
        seed=seed,
        mapping=mapping,
        binary=binary,
        reading=reading,
        arrangement=arrangement,
    )
    problems = listing.missing()
    if problems:
        path, message = problems[0]
        more = f" (and {len(problems) - 1} more; `zoo dataset check` lists them)" if problems[1:] else ""
        raise InputError(f"{path}: {message}{more}")
    if not listing.dataset.pairs:
        raise InputError(f"{data}: the split {split!r} is empty")
    return listing.dataset


def list_files(
    kind: str,
    data: str | os.PathLike,
    *,
    split: str,
    classes: Classes | None = None,
    masks: str | os.PathLike | None = None,
    colors: str | os.PathLike | None = None,
    validation_share: float = 0.2,
    seed: int = 0,
    mapping: Mapping[int, int | str] | None = None,
    binary: bool = False,
    reading: Reading | None = None,
    arrangement: str | None = None,
) -> Listing:
    """The files of a split, missing ones included; arguments as for `open_dataset`."""
    module, root = layout_of(kind), place_of(data)
    if not root.is_dir() and not (module is records and records.is_pattern(root)):
        raise InputError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    if module is folder:
        table = None if colors is None else colored.table_of(colors, classes=classes, binary=binary)
        classes = classes if table is None else table.label_set
        if binary and classes is None and not (root / folder.CLASS_FILE).is_file():
            classes = two_classes()
        listing = folder.list_split(
            root,
            split,
            classes=classes,
            masks=None if masks is None else check_local(masks),
            arrangement=arrangement,
            validation_share=validation_share,
            seed=seed,
            suffixes=folder.MASK_SUFFIXES if table is None else SUFFIXES,
        )
        listing = listing if table is None else table.applied(listing)
    else:
        own = {"classes": classes, "masks": masks, "colors": colors, "arrangement": arrangement}
        for name, value in own.items():
            if value is not None:
                raise InputError(f"{name} is an option of the kind 'folder', {kind!r} has its own")
        listing = module.list_split(root, split)
    return _said(listing, mapping=mapping, binary=binary, reading=reading)


def _said(
    listing: Listing, *, mapping: Mapping[int, int | str] | None, binary: bool, reading: Reading | None
) -> Listing:
    """The listing under what the caller says of its files."""
    dataset = listing.dataset
    table = remapped(dataset.values(), dataset.label_set, mapping=mapping, binary=binary)
    changes = {} if table is None else {"table": table, "counted": None}
    if reading is not None:
        changes["reading"] = dataset.reading.under(reading)
        if replace(changes["reading"], max_pixels=None) != replace(dataset.reading, max_pixels=None):
            changes["counted"] = None
    return replace(listing, dataset=replace(dataset, **changes)) if changes else listing


def splits_of(
    kind: str,
    data: str | os.PathLike,
    *,
    masks: str | os.PathLike | None = None,
    arrangement: str | None = None,
) -> tuple[str, ...]:
    """Splits that can be opened in a folder; `InputError` if there are none."""
    module, root = layout_of(kind), place_of(data)
    if module is folder and root.is_dir():
        return folder.Place(root, None if masks is None else check_local(masks), arrangement).splits()
    return module.splits(root)


def place_of(data: str | os.PathLike) -> Path:
    """The folder or pattern on this machine; of an address, a copy in the cache."""
    if not is_remote(data):
        return check_local(data)
    address = check_remote(data)
    if not records.is_pattern(address):
        return local_folder(address)
    folder, _, name = address.rpartition("/")
    return local_folder(folder, patterns=(name, f"*{records.ENDING}")) / name


def layout_of(kind: str) -> Layout:
    """The module that reads a kind, or an `InputError` that lists the known ones."""
    try:
        return LAYOUTS[kind]
    except (KeyError, TypeError):
        raise InputError(f"unknown kind of data set {kind!r}; known: {', '.join(KINDS)}") from None


def detect_kind(data: str | os.PathLike) -> str:
    """The kind whose layout a folder has; `InputError` if it has none."""
    root = place_of(data)
    if records.is_pattern(root) and records.matches(root):
        return "records"
    if not root.is_dir():
        raise InputError(f"{root}: {'is not a folder' if root.exists() else 'no such folder'}")
    for kind, module in LAYOUTS.items():
        if module.matches(root):
            return kind
    raise InputError(
        f"{root}: not the layout of a known kind ({', '.join(KINDS)}); {nearest(root)}. Or name the kind"
    )
