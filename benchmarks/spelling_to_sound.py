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
from pathlib import Path

from zoo.export import open_transcriber
from zoo.models.loading import load
from zoo.sequence.error_rates import error_rates
from zoo.sequence.pronunciations import PARTS, Pronunciations, in_part, read_cmudict
from zoo.sequence.transcription import NAME, transcribe

# Without NLTK's data, which the package asks for and its network does not need.
_PEER = """
import json, sys, types
import nltk, nltk.corpus
nltk.download = lambda *_, **__: False
nltk.corpus.cmudict = types.SimpleNamespace(dict=dict)
from g2p_en import G2p
network, words = G2p(), json.load(sys.stdin)
print(json.dumps([network.predict(word) for word in words]))
"""


class Peer:
    """g2p_en's network in a process of its own, which works while this one does."""

    def __init__(self, python: str, words: list[str]):
        ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([python, "-c", _PEER], start_new_session=True, **ends)
        self._process.stdin.write(json.dumps(words))
        self._process.stdin.close()

    def phones(self) -> list[list[str]]:
        """Of each word."""
        found = self._process.stdout.read()
        if self._process.wait():
            raise SystemExit("g2p_en did not run")
        return json.loads(found.splitlines()[-1])


def tell(title: str, said: dict[str, list[str]], words: Pronunciations) -> None:
    """Print a row: of all words, and of those without an apostrophe."""
    for part, chosen in (("all", said), ("a…z", {w: p for w, p in said.items() if "'" not in w})):
        plain, stressed = (error_rates(chosen, words, stress=flag) for flag in (False, True))
        rates = (plain.word_error, plain.phone_error, stressed.word_error, stressed.phone_error)
        cells = "  ".join(f"{rate:6.2f}" for rate in rates)
        print(f"{title:<32} {part:<4} {len(chosen):6}  {cells}", flush=True)


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
    peer = Peer(args.peer, list(words)) if args.peer else None
    print(f"{'':<32} {'':<4} {'words':>6}  {'without stress':<14}  {'with stress':<14}")
    print(f"{'':<32} {'':<4} {'':>6}  {'WER':>6}  {'PER':>6}  {'WER':>6}  {'PER':>6}")
    for name in args.model:
        is_file = name.endswith((".tflite", ".onnx"))
        model = open_transcriber(name) if is_file else load(NAME, "default" if name == NAME else name)
        for beam in args.beam:
            found = transcribe(list(words), model=model, beam=beam)
            tell(f"{Path(name).name}, beam {beam}", dict(zip(words, found, strict=True)), words)
    if peer is not None:
        tell("g2p_en, greedy", dict(zip(words, peer.phones(), strict=True)), words)


if __name__ == "__main__":
    main()
