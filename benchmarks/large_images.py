"""Peak memory and time of large images, by command, each in a process of its own.

    python benchmarks/large_images.py                     # a TIFF of 20,000×20,000 by windows
    python benchmarks/large_images.py --side 4000         # a smaller one
    python benchmarks/large_images.py --model m.tflite    # by a file, without TensorFlow
    python benchmarks/large_images.py --jpeg 200          # a JPEG of 200 megapixels, decoded as a whole

Each line is the peak of the resident set of the whole process in MB (ru_maxrss), and the seconds.
The TIFF is tiled, deflated and georeferenced; its picture is made row by row. Needs the extra ``geo``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROWS = 512


def texture(width: int, height: int, seed: int) -> np.ndarray:
    """A smooth random picture ``(height, width, 3)`` uint8."""
    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 50 + 2, width // 50 + 2, 3), dtype=np.uint8
    )
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def write_tiff(path: Path, side: int, height: int) -> None:
    import rasterio
    from rasterio.transform import from_origin
    from rasterio.windows import Window

    options = {"driver": "GTiff", "width": side, "height": height, "count": 3, "dtype": "uint8"}
    options |= {"compress": "deflate", "zlevel": 1, "crs": "EPSG:32632", "photometric": "RGB"}
    options |= {"tiled": True, "blockxsize": ROWS, "blockysize": ROWS}
    place = from_origin(500000, 5400000, 0.1, 0.1)
    with rasterio.open(path, "w", transform=place, bigtiff="IF_SAFER", **options) as target:
        for top in range(0, height, ROWS):
            rows = min(ROWS, height - top)
            part = np.moveaxis(texture(side, rows, top), -1, 0)
            target.write(part, window=Window(0, top, side, rows))


def write_jpeg(path: Path, megapixels: int) -> None:
    side = round((megapixels * 1e6) ** 0.5)
    Image.fromarray(texture(side, side, 0)).save(path, quality=85)


def measured(words: list[str]) -> tuple[float, float]:
    """Peak of the resident set in MB, and seconds, of a command of the zoo."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "zoo", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"zoo {' '.join(words)}: status {status}")
    return usage.ru_maxrss / 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=20_000, help="of the TIFF (20000)")
    parser.add_argument("--jpeg", type=int, metavar="MEGAPIXELS", help="a JPEG of this size instead")
    parser.add_argument("--tile", default="512")
    parser.add_argument("--height", type=int, help="of the TIFF, if it is no square")
    parser.add_argument("--file", type=Path, help="an image that is there instead")
    parser.add_argument("--model", default="deeplabv3_aspp")
    parser.add_argument("--weights", help="of the model, such as a file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        more: list[str] = []
        if args.file:
            path = args.file
        elif args.jpeg:
            path = Path(folder, "a.jpg")
            write_jpeg(path, args.jpeg)
            more = ["--max-pixels", str(2 * 10**6 * args.jpeg)]
        else:
            path = Path(folder, "a.tif")
            write_tiff(path, args.side, args.height or args.side)
        words = ["segment", args.model, str(path), "--tile", args.tile, "--output", str(Path(folder, "out"))]
        more += ["--weights", args.weights] if args.weights else []
        peak, seconds = measured([*words, *more])
        for file in sorted(Path(folder, "out").iterdir()):
            print(f"  {file.name}: {file.stat().st_size / 1e6:.0f} MB")
        print(
            f"{path.name} {path.stat().st_size / 1e6:.0f} MB: {peak:.0f} MB peak, {seconds:.0f} s", flush=True
        )


if __name__ == "__main__":
    main()
