"""How many times real time an amplifier model runs on one core, beside the package that it comes from.

    python benchmarks/amplifier.py wavenet_a1_standard.nam [--peer PYTHON] [--quantized input.wav]

Files of the block form run as a host would run them, block after block with the state handed on. PYTHON is
one that has neural-amp-modeler installed: it has no streaming form, so that it computes each block with as
many samples before it as its receptive field needs ("block"), and the whole sound at once ("whole"). All of
them run in turns, on one thread; the ratio is that of the medians. With --quantized, each kind of smaller
numbers is calibrated on a sound file and stands with its error-to-signal ratio against float on that file,
kept or not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

BLOCKS = (64, 512)
ROUNDS = 5

_PEER = """
import json, sys, time
import numpy as np, torch
sys.path.insert(0, sys.argv[1])
from make_nam import built
torch.set_num_threads(1)
document = json.loads(open(sys.argv[2]).read())
if document["architecture"] == "SlimmableContainer":
    document = document["config"]["submodels"][-1]["model"]
model = built(document)
field = model.receptive_field
print("ready", flush=True)
for line in sys.stdin:
    length, runs = map(int, line.split())
    sound = torch.zeros(field - 1 + length) + 0.1
    with torch.no_grad():
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            model(sound, pad_start=False)
            times.append(time.perf_counter() - start)
    print(json.dumps(times), flush=True)
"""


class Peer:
    """The original package in a process of its own."""

    def __init__(self, python: str, nam: Path):
        goldens = Path(__file__).parents[1] / "tests" / "goldens"
        words = [python, "-c", _PEER, str(goldens), str(nam)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._process.stdout.readline()

    def seconds(self, length: int, runs: int) -> list[float]:
        self._process.stdin.write(f"{length} {runs}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def streamed(artifact, runs: int) -> list[float]:
    state = artifact.initial_state()
    samples = np.full((1, artifact.block, 1), 0.1, np.float32)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        _, state = artifact.step(samples, state)
        times.append(time.perf_counter() - start)
    return times


def kinds(folder: Path, calibration: Path | None):
    """Name, path, block and settings of each file."""
    rows = {"TFLite": (".tflite", {}), "ONNX Runtime": (".onnx", {})}
    if calibration is not None:
        from zoo.export.blocks import quantizing
        from zoo.sequence.sound import read_sound

        quantizing.MAX_ESR = float("inf")  # each is measured, whatever it costs
        sound = read_sound(calibration).channel(None, name=calibration.name)
        for kind, row in quantizing.KINDS.items():
            if kind != "dynamic":  # of which nothing is left to measure
                given = {"calibration": sound} if row.calibrated else {}
                rows[f"TFLite {kind}"] = (".tflite", {"quantize": kind, **given})
    for name, (suffix, words) in rows.items():
        for block in BLOCKS:
            yield name, folder / f"{name.replace(' ', '_')}_{block}{suffix}", block, words


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("nam", type=Path)
    parser.add_argument("--peer", help="a Python with neural-amp-modeler")
    parser.add_argument("--quantized", type=Path, help="sound file to calibrate on")
    args = parser.parse_args()
    import zoo
    from zoo import export

    model = zoo.load("wavenet_nam", args.nam)
    rate = 48_000
    peer = Peer(args.peer, args.nam) if args.peer else None
    rows: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        artifacts, notes = {}, {}
        for name, path, block, words in kinds(Path(folder), args.quantized):
            report = export.to_blocks(model, path, block=block, **words)
            notes[name, block] = f"{report.bytes / 1000:.0f} kB | {report.esr:.1e}"
            artifacts[name, block] = export.open_blocks(path)
        for _ in range(ROUNDS):
            for key, artifact in artifacts.items():
                rows.setdefault(key, []).extend(streamed(artifact, 100))
            for block in (*BLOCKS, 2 * rate) if peer else ():
                name = "neural-amp-modeler, whole" if block > 512 else "neural-amp-modeler, block"
                rows.setdefault((name, block), []).extend(peer.seconds(block, 2 if block > 512 else 20))
    print(f"{args.nam.name}, one thread, {ROUNDS} rounds in turns\n")
    print("| runtime | samples at a time | ms (median) | times real time | file | ESR |")
    print("|---|--:|--:|--:|--:|--:|")
    for (name, block), times in rows.items():
        median = float(np.median(times))
        note = notes.get((name, block), "– | –")
        print(f"| {name} | {block:,} | {1000 * median:.3f} | {block / rate / median:.1f} | {note} |")


if __name__ == "__main__":
    main()
