"""Word and phoneme error rates of `bytenet_g2p` on held-out words of CMUdict, beside g2p_en in the same run.

    python benchmarks/spelling_to_sound.py cmudict.dict [--model FILE …] [--beam 1 4] [--peer PYTHON]

Held out are the words whose SHA-256 is 0 modulo 10, one tenth; `bytenet_g2p` has seen none of them. PYTHON is
one that has g2p_en installed: its network alone is run, not its dictionary. On which words of CMUdict it was
trained is not known, so that its figures are no held-out ones; it has no symbol for the apostrophe, so that
words with one are also left out in rows of their own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path

from zoo.export import open_transcriber
from zoo.models.loading import load
from zoo.sequence.error_rates import error_rates
from zoo.sequence.pronunciations import PARTS, Pronunciations, in_part, read_cmudict
from zoo.sequence.transcription import NAME, transcribe

# Without NLTK's data, which the package asks for and its network does not need.
_PEER = """
import json, sys, time, types
import nltk, nltk.corpus
nltk.download = lambda *_, **__: False
nltk.corpus.cmudict = types.SimpleNamespace(dict=dict)
from g2p_en import G2p
network, words = G2p(), json.load(sys.stdin)
start = time.perf_counter()
phones = [network.predict(word) for word in words]
print(json.dumps({"phones": phones, "seconds": time.perf_counter() - start}))
"""


def peer_says(python: str, words: list[str]) -> tuple[list[list[str]], float]:
    """Phones of each word by g2p_en's network, and the seconds that it took."""
    done = subprocess.run(
        [python, "-c", _PEER], input=json.dumps(words), stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return found["phones"], found["seconds"]


def tell(title: str, said: dict[str, list[str]], words: Pronunciations, seconds: float) -> None:
    """Print a row: of all words, and of those without an apostrophe."""
    for part, chosen in (("all", said), ("a…z", {w: p for w, p in said.items() if "'" not in w})):
        plain, stressed = (error_rates(chosen, words, stress=flag) for flag in (False, True))
        rates = (plain.word_error, plain.phone_error, stressed.word_error, stressed.phone_error)
        cells = "  ".join(f"{rate:6.2f}" for rate in rates)
        print(
            f"{title:<32} {part:<4} {len(chosen):6}  {cells}  {1000 * seconds / len(said):7.2f}", flush=True
        )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dictionary", type=Path)
    parser.add_argument("--part", choices=PARTS, default="held_out")
    parser.add_argument("--model", nargs="+", default=[NAME], metavar="FILE|NAME")
    parser.add_argument("--beam", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--peer", metavar="PYTHON", help="one that has g2p_en installed")
    args = parser.parse_args()
    words = in_part(read_cmudict(args.dictionary), args.part)
    print(f"{'':<32} {'':<4} {'words':>6}  {'without stress':<14}  {'with stress':<14}  ms/word")
    print(f"{'':<32} {'':<4} {'':>6}  {'WER':>6}  {'PER':>6}  {'WER':>6}  {'PER':>6}")
    for name in args.model:
        is_file = name.endswith((".tflite", ".onnx"))
        model = open_transcriber(name) if is_file else load(NAME, "default" if name == NAME else name)
        transcribe("a", model=model)
        for beam in args.beam:
            start = time.perf_counter()
            found = transcribe(list(words), model=model, beam=beam)
            seconds = time.perf_counter() - start
            tell(f"{Path(name).name}, beam {beam}", dict(zip(words, found, strict=True)), words, seconds)
    if args.peer:
        phones, seconds = peer_says(args.peer, list(words))
        tell("g2p_en, greedy", dict(zip(words, phones, strict=True)), words, seconds)


if __name__ == "__main__":
    main()
