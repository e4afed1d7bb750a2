"""Fuzzes one reader, guided by the lines that its inputs reach; needs ``pip install "atrous-zoo[fuzz]"``.

    python tests/fuzz/run.py onnx --seconds 600
    python tests/fuzz/run.py all --seconds 30 --jobs 2

Begins with the corpus and prints the number of runs; what it finds is left as a file in the folder of
`--findings`, and the exit status is then 1. What is mended goes into the corpus, under a telling name.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
# In a checkout the package lies beside the tests.
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

from fuzz.targets import MEMORY, TARGETS, attempt  # noqa: E402

CORPUS = HERE / "corpus"
# Seconds of the clock, for what never returns: what an input may take is seconds of computing, and on a busy
# machine those are few of the clock's.
_STUCK = 60
_BASE = 700 << 20  # what libraries take before the first input


def fuzz(name: str, *, seconds: int, seed: int, findings: Path) -> None:
    """Run libFuzzer in this process, which it ends."""
    import atheris

    with atheris.instrument_imports(include=["zoo", "pickletools", "yaml"], enable_loader_override=False):
        read = TARGETS[name].load()
    with tempfile.TemporaryDirectory() as folder:
        # What libFuzzer learns stays in a folder of its own: the committed corpus is not written to.
        learned = Path(folder) / "corpus"
        learned.mkdir()
        options = [
            f"-max_total_time={seconds}",
            f"-seed={seed}",
            f"-timeout={_STUCK}",
            f"-rss_limit_mb={(_BASE + MEMORY) >> 20}",
            f"-artifact_prefix={findings}/{name}-",
            "-print_final_stats=1",
            "-verbosity=0",
            "-max_len=16384",
        ]

        def one(data: bytes) -> None:
            attempt(TARGETS[name], read, data, Path(folder))

        atheris.Setup([sys.argv[0], *options, str(learned), str(CORPUS / name)], one)
        atheris.Fuzz()


def _runs(output: str) -> str:
    """Number of inputs, as libFuzzer's final statistics give it."""
    lines = [line for line in output.splitlines() if "number_of_executed_units" in line]
    return lines[-1].rpartition(" ")[2] if lines else "?"


def main() -> int:
    """Fuzz one reader, or each in a process of its own; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reader", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--jobs", type=int, default=1, help="readers at a time (%(default)s)")
    parser.add_argument("--findings", type=Path, default=Path("out/fuzz"), help="folder (%(default)s)")
    parser.add_argument(
        "--seed", type=int, default=0, help="the same inputs again; 0 for others (%(default)s)"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.findings.mkdir(parents=True, exist_ok=True)
    if args.inside:
        fuzz(args.reader, seconds=args.seconds, seed=args.seed, findings=args.findings)
    names = TARGETS if args.reader == "all" else [args.reader]
    with ThreadPoolExecutor(args.jobs) as pool:
        found = list(
            pool.map(lambda name: _in_a_process(name, args.seconds, args.seed, args.findings), names)
        )
    return int(any(found))


def _in_a_process(name: str, seconds: int, seed: int, findings: Path) -> bool:
    """Fuzz one reader and print how it went; whether something was found."""
    command = [sys.executable, __file__, name, "--inside", "--seconds", str(seconds), "--seed", str(seed)]
    process = subprocess.run(
        [*command, "--findings", str(findings)], capture_output=True, text=True, errors="replace"
    )
    state = "no finding" if process.returncode == 0 else f"A FINDING, see {findings}"
    line = f"{name:14} {_runs(process.stderr):>9} runs in {seconds} s: {state}"
    details = (process.stdout[-4000:], process.stderr[-2000:]) if process.returncode else ()
    print(line, *details, sep="\n", flush=True)
    return process.returncode != 0


if __name__ == "__main__":
    sys.exit(main())
