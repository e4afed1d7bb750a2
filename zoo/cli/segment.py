"""``zoo segment``: overlays, masks and the share of each class."""

from __future__ import annotations

import argparse
from pathlib import Path

from zoo.cli import opening, options, values
from zoo.cli.reading import add_photo_reading
from zoo.export import formats

_DESCRIPTION = """\
Segment images. For every image the output folder receives

  <name>_overlay.png  the image under the colours of its classes, with a legend
  <name>_mask.png     class indices as a palette image

and the share of each class is printed. Images of the same name from different folders are
numbered: street, street-2, and so on.

Of 25 images or more, and with --record of fewer, the output folder also keeps a record of what
is done: the same command, killed or not, does nothing twice, and another model or other options
are refused (--redo). At the end it writes shares.csv (and shares.parquet where pyarrow is there)
and failures.csv, the reason for every image that could not be read. An image that changed since
is done again. IMAGE may also be a Parquet file with a column of images or of paths.

With --engine ray the work is done by processes of Ray, one per core (pip install
'atrous-zoo[ray]'); images may then stand at addresses that fsspec reads (s3://bucket/*.jpg).

With --tile a TIFF that has a place on the map, or more than 50 million pixels, is read and written
by windows, in memory that its height does not change: <name>_overlay.tif without a legend and
<name>_mask.tif, tiled, at the same place (pip install 'atrous-zoo[geo]').
"""
_EPILOG = """\
exit status: 0 all images done; 1 some could not be read (they are named on stderr, the others
are done); 2 none done, or another error

examples:
  zoo segment deeplabv3_aspp street.jpg --output out/
  zoo segment deeplabv3_aspp photos/ --scales 0.75,1,1.25 --flip --json shares.json
  zoo segment deeplabv3_aspp "photos/**/*.jpg" --tile 512x512
  zoo segment deeplabv3_aspp town.tif --tile 1024 --output out/
  zoo segment m.tflite photos/ --output out/ --threads 4
  zoo segment m.tflite photos.parquet --engine ray --actors 8 --output out/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``segment``."""
    parser = subparsers.add_parser(
        "segment",
        help="segment images: overlay, mask and share of each class",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help=f"name of a model or architecture, or a {formats.titles()}")
    add("images", metavar="IMAGE", nargs="+", help="file, folder, glob in quotes, or .parquet")
    options.add_weights(parser)
    options.add_settings(parser)
    options.add_classes(parser, use="of a weights file that has no names")
    add("--output", metavar="DIR", type=Path, default=Path("out"), help="made if missing (out)")
    options.add_averaging(parser)
    add("--opacity", type=values.parse_share, default=0.55, metavar="0…1", help="of the colours (0.55)")
    add("--unsure", type=values.parse_share, metavar="0…1", help="stripe pixels of less confidence")
    add("--no-legend", action="store_true", help="overlay of the size of the image")
    options.add_threads(parser)
    _add_job(parser)
    add_photo_reading(parser)
    options.add_json(parser)
    parser.set_defaults(run=_run, threads=None)
    parser.allow_addresses("images")


def _add_job(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("many images").add_argument
    add("--record", action="store_true", help="keep a record of fewer than 25 images, too")
    add("--redo", choices=("failed", "all"), help="try again what could not be read, or do all anew")
    add("--column", metavar="NAME", help="of Parquet files: images or their paths (the usual name)")
    add("--engine", choices=("ray",), help=f"{opening.ENGINE_HELP} (this process)")
    add("--actors", metavar="N", type=int, help="processes of Ray (one per core)")


def _run(args: argparse.Namespace) -> int:
    from zoo.cli.segment_job import run

    return run(args)
