"""From any of the formats to the folder that the kind ``folder`` reads."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.datasets.convert.classes import Classes, classes_of
from zoo.datasets.convert.formats import reader_of
from zoo.datasets.convert.model import Sample, Settings, Source
from zoo.datasets.convert.painting import IGNORE_LABEL, painted
from zoo.datasets.convert.pictures import header_of
from zoo.datasets.convert.writing import Names, new_folder, put_classes, put_lists, put_picture, turn_upright
from zoo.datasets.folder import label_set
from zoo.errors import FormatError, InputError, ZooError
from zoo.files import check_local
from zoo.images import write_png
from zoo.labels import Color, LabelSet, distinct_colors


@dataclass(frozen=True)
class Conversion:
    """What was written, and what was not.

    Attributes:
        format: Of the source.
        folder: Of the result.
        label_set: Its classes.
        samples: Number of pictures.
        splits: Number of pictures by split, where the source has parts.
        pixels: Number of pixels of each class.
        ignored: Number of pixels with the ignore label.
        counts: What was left out or decided, with how often.
        examples: The first case of each.
        lost: Pictures that are missing from the result because something is wrong with them.
    """

    format: str
    folder: Path
    label_set: LabelSet
    samples: int
    splits: Mapping[str, int]
    pixels: tuple[int, ...]
    ignored: int
    counts: Mapping[str, int]
    examples: Mapping[str, str]
    lost: int

    def to_dict(self) -> dict:
        """Plain data for a JSON document."""
        names = self.label_set.names
        return {
            "format": self.format,
            "samples": self.samples,
            "splits": dict(self.splits),
            "classes": list(names),
            "pixels": dict(zip(names, self.pixels, strict=True)),
            "ignored_pixels": self.ignored,
            "counts": dict(self.counts),
            "examples": dict(self.examples),
            "lost": self.lost,
        }


@dataclass
class _Written:
    """The result as it grows."""

    folder: Path
    pixels: np.ndarray
    splits: dict[str, list[str]] = field(default_factory=dict)
    samples: int = 0
    unsplit: int = 0


def convert(
    format: str,
    data: str | os.PathLike,
    output: str | os.PathLike,
    *,
    pictures: str | os.PathLike | None = None,
    classes: str | os.PathLike | Sequence[str] | None = None,
    ignore_case: bool = False,
    unlabelled: str | None = None,
    crowd: str = "ignore",
    overlap: str = "last",
    empty: str = "background",
    boxes: str | None = None,
    exif: str | None = None,
    colors: str | os.PathLike | None = None,
    distance: float | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Conversion:
    """Write the labels of a tool as index masks, beside their pictures, as the kind ``folder`` reads them.

    Args:
        format: One of `FORMATS`.
        data: Folder of the source.
        output: Folder that is made; it may be there if it is empty.
        pictures: Folder of the pictures, where they are not in `data`.
        classes: Names of the classes in their order, or a file with one per line; other labels are then
            unlabelled, and counted. By default those of the source in its order.
        ignore_case: Whether labels that differ in upper case only are one class.
        unlabelled: ``"background"``: a class of its own, the first; or ``"ignore"``. By default as the format
            has it.
        crowd: What COCO's crowds become where nothing else lies: ``"ignore"``, ``"class"``, ``"background"``.
        overlap: Which of two regions has a pixel: the ``"last"`` one drawn, the ``"smallest"``, or none
            (``"ignore"``).
        empty: Pictures of the source without a region: all ``"background"``, all ``"ignore"``, or ``"skip"``.
        boxes: Objects with a box and no outline are refused; ``"fill"`` or ``"ignore"`` takes the box.
        exif: Whether coordinates are those of the picture as EXIF turns it (``"apply"``) or of the pixels as
            they are stored (``"raw"``); asked for where both are possible.
        colors: Table of colours; see `zoo.datasets.colors.read_table`.
        distance: Largest distance of a pixel's colour from its class's, from 0 to 442; see `nearest` there.
        progress: Wraps the iteration over the pictures.

    Returns:
        What was written, and counts of what was not.

    Raises:
        InputError: A folder, option or label that cannot be used, or what can be read in two ways.
        FormatError: A damaged file.
    """
    settings = Settings(
        pictures=None if pictures is None else check_local(pictures),
        classes=None if classes is None else _names(classes),
        ignore_case=ignore_case,
        unlabelled=unlabelled,
        crowd=crowd,
        overlap=overlap,
        empty=empty,
        boxes=boxes,
        exif=exif,
        colors=None if colors is None else check_local(colors),
        distance=distance,
    )
    read, root = reader_of(format), check_local(data)
    if not root.is_dir():
        what = "is not a folder (unpack archives first)" if root.exists() else "no such folder"
        raise InputError(f"{root}: {what}")
    with new_folder(Path(output)) as part:
        source = read(root, settings)
        found = classes_of(source, settings)
        written = _write(source, found, settings, part, progress)
        if not written.samples:
            raise InputError(f"{root}: no picture could be converted{_reasons(settings)}")
        palette = _palette(source, found)
        put_lists(part, written.splits)
        put_classes(part, found.names, palette)
        result = _result(format, Path(output), found, palette, written, settings)
        text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n"
        (part / "conversion.json").write_text(text, "utf-8", newline="")
    return result


def _names(classes: str | os.PathLike | Sequence[str]) -> tuple[str, ...]:
    if isinstance(classes, int):
        raise InputError(f"classes are names here, not a number ({classes}): give a file with one per line")
    if isinstance(classes, str | os.PathLike):
        from zoo.datasets.listing import read_lines

        classes = read_lines(check_local(classes))
    names = list(classes)
    if not names:
        return ()
    return label_set(Path(), [*names, *(["background"] if len(names) == 1 else [])]).names[: len(names)]


def _write(source: Source, classes: Classes, settings: Settings, folder: Path, progress) -> _Written:
    # Of a source that is read as it goes, the names differ already.
    listed = source.samples if isinstance(source.samples, list) else ()
    names = Names(sample.name for sample in listed)
    written = _Written(folder, np.zeros(256, np.int64))
    palette = _palette(source, classes)
    shown = [*palette, *[(0, 0, 0)] * (IGNORE_LABEL - len(palette)), (224, 224, 192)]
    for below in ("images", "masks"):
        (folder / below).mkdir()
    for sample in progress(source.samples):
        if not sample.regions and sample.positions is None:
            settings.tally.add(f"pictures without a region, as {settings.empty}", sample.name)
            if settings.empty == "skip":
                continue
        try:
            _one(sample, names.of(sample.name), source, classes, settings, written, shown)
        except ZooError as error:
            if isinstance(error, _Ask):
                raise InputError(str(error)) from None
            message = (
                str(error).removeprefix(f"{sample.image}: ") if isinstance(sample.image, Path) else str(error)
            )
            settings.tally.add("pictures with something wrong", f"{sample.name}: {message}", lost=True)
    return written


class _Ask(InputError):
    """What only the caller can decide ends the conversion."""


def _one(sample, name: str, source, classes, settings: Settings, written: _Written, palette) -> None:
    pictures, masks = written.folder / "images", written.folder / "masks"
    picture = put_picture(sample.image, pictures, name)
    try:
        header = header_of(picture)
        stored = header.turned and _is_stored(sample, header, settings)
        size = header.stored if stored else header.upright
        if sample.size is not None and sample.size != size:
            raise FormatError(f"{_text(size)} pixels, but its annotation is for {_text(sample.size)}")
        mask = painted(sample, classes, settings, names=sample.names or source.names, size=size)
        if header.turned:
            picture, mask = turn_upright(picture, mask, stored=stored)
            settings.tally.add("pictures turned by EXIF, written upright as PNG", sample.name)
        write_png(masks / f"{name}.png", mask, palette=palette)
    except BaseException:
        picture.unlink(missing_ok=True)
        raise
    written.samples += 1
    written.pixels += np.bincount(mask.ravel(), minlength=256)
    if sample.split is None:
        written.unsplit += 1
    else:
        written.splits.setdefault(sample.split, []).append(name)


def _is_stored(sample: Sample, header, settings: Settings) -> bool:
    """Whether an annotation is that of the pixels as they are stored, of a picture that EXIF turns."""
    if settings.exif is not None:
        return settings.exif == "raw"
    if sample.upright:
        return False
    size = sample.size
    if size is None and sample.positions is not None:
        size = sample.positions().shape
    fits_stored, fits_upright = size in (None, header.stored), size in (None, header.upright)
    if fits_stored and fits_upright:
        raise _Ask(
            f"{sample.name}: EXIF turns the picture, and its annotation fits either way: say --exif apply "
            "or --exif raw"
        )
    return fits_stored


def _text(size: Sequence[int]) -> str:
    return f"{size[1]}x{size[0]}"


def _palette(source: Source, classes: Classes) -> list[Color]:
    own = {classes.index[name]: color for name, color in source.palette.items() if name in classes.index}
    if classes.unlabelled >= 0:
        own.setdefault(classes.unlabelled, (0, 0, 0))
    colors = [own.get(index) for index in range(len(classes.names))]
    if None in colors or len(set(colors)) < len(colors):
        return list(distinct_colors(len(classes.names)))
    return colors  # type: ignore[return-value]


def _reasons(settings: Settings) -> str:
    tally = settings.tally
    return "".join(
        f"; {count} {what} ({tally.examples[what]})" for what, count in tally.counts.most_common(3)
    )


def _result(format, output, classes, palette, written: _Written, settings: Settings) -> Conversion:
    tally = settings.tally
    if len(written.splits) > 1:
        tally.add("pictures that no list names, since their folder is no split", count=written.unsplit)
    return Conversion(
        format=format,
        folder=output,
        label_set=LabelSet("custom", classes.names, tuple(palette), IGNORE_LABEL),
        samples=written.samples,
        splits={split: len(names) for split, names in written.splits.items()},
        pixels=tuple(written.pixels[: len(classes.names)].tolist()),
        ignored=int(written.pixels[IGNORE_LABEL]),
        counts=dict(tally.counts),
        examples={what: text for what, text in tally.examples.items() if text},
        lost=tally.lost,
    )
