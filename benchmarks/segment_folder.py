"""A folder of photographs through an exported file: one after another, and side by side as `zoo segment`.

    python benchmarks/segment_folder.py m.tflite photos/ --count 200 --rounds 3

Both run in one process, in turns, with the same number of threads: one after another the runtime has all of
them, side by side each thread takes a whole image from its file to its two PNG files.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import zoo
from zoo.cli.in_order import in_order
from zoo.export import open_artifact
from zoo.images import find_images, palette_image, read_image, write_png


def done_in(models, paths, folder: Path) -> float:
    """Seconds for all images."""

    def one(model, job):
        number, path = job
        found = zoo.segment(model, read_image(path))
        write_png(folder / f"{number}_overlay.png", found.overlay())
        write_png(folder / f"{number}_mask.png", palette_image(found.mask, found.labels))

    since = time.perf_counter()
    for _ in in_order(one, enumerate(paths), models):
        pass
    return time.perf_counter() - since


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("images", nargs="+", help="files, folders or globs")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    paths = list(itertools.islice(itertools.cycle(find_images(args.images)), args.count))
    alone = [open_artifact(args.artifact, threads=args.threads)]
    several = [open_artifact(args.artifact, threads=1) for _ in range(args.threads)]
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            after = done_in(alone, paths, Path(folder))
            beside = done_in(several, paths, Path(folder))
            ratios.append(after / beside)
            print(f"{args.count} images: {after:.1f} s after another, {beside:.1f} s side by side")
    print(f"median {statistics.median(ratios):.2f} times as fast")


if __name__ == "__main__":
    main()
