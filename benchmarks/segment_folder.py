"""A folder of photographs through an exported file: one after another, and side by side as `zoo segment`.

    python benchmarks/segment_folder.py m.tflite photos/ --count 200

All run in one process, in turns of some images: one after another the runtime has all threads, or one; side
by side each thread takes a whole image from its file to its two PNG files.
"""

from __future__ import annotations

import argparse
import itertools
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
    parser.add_argument("--turn", type=int, default=10, help="images before the other way goes on")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    paths = list(itertools.islice(itertools.cycle(find_images(args.images)), args.count))
    ways = {
        "one after another": [open_artifact(args.artifact, threads=args.threads)],
        "one after another, one thread": [open_artifact(args.artifact, threads=1)],
        "side by side": [open_artifact(args.artifact, threads=1) for _ in range(args.threads)],
    }
    seconds = dict.fromkeys(ways, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for models in ways.values():  # the first run of a runtime takes longer
            done_in(models, paths[:4], Path(folder))
        for start in range(0, len(paths), args.turn):
            for name, models in ways.items():
                seconds[name] += done_in(models, paths[start : start + args.turn], Path(folder))
    quickest = seconds["side by side"]
    for name, total in seconds.items():
        print(f"{name:<30} {total:6.1f} s, side by side is {total / quickest:.2f} times as fast")


if __name__ == "__main__":
    main()
