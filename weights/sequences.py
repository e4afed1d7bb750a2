"""Published checkpoints of models of sequences; what each states is as in `zoo.weights.entry`.

`labels` names the symbols that come out, and `name_map` how the file is read.
"""

from __future__ import annotations

from zoo.weights.entry import WeightsEntry

_CARP = "https://zenodo.org/record/6564798/files"
_PROTEIN_GYM = (
    "ProteinGym zero-shot substitutions, mean over its assays, as published by ProteinGym (commit 01b36e2e, "
    "a table of 50 models)"
)


def _carp(tag: str, *, sha256: str, score: float, remark: str = "") -> WeightsEntry:
    """A network of Yang, Fusi & Lu; the sizes of the files were not published."""
    return WeightsEntry(
        model="bytenet_carp",
        tag=tag,
        file=f"{tag}.pt",
        urls=(f"{_CARP}/{tag}.pt?download=1",),
        sha256=sha256,
        licence="the code's is BSD-like (Microsoft); that of the weights' record was not seen; trained on"
        " UniRef50 of March 2020",
        source="https://github.com/microsoft/protein-sequence-models",
        labels="amino_acids",
        metric="Spearman",
        score=score,
        protocol=_PROTEIN_GYM + remark,
        name_map="carp",
    )


SEQUENCE_ENTRIES: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        model="wavenet_digits",
        tag="fsdd",
        file="wavenet_digits_fsdd.npz",
        bytes=889_675,
        sha256="22e32dc777d89be857b9840948dd05a2552089a92f6a07ae033d07ed710a9b3f",
        licence="CC BY-SA 4.0, as the recordings that it was trained on (Free Spoken Digit Dataset)",
        source="trained by this project, see MODEL_CARD.md",
        labels="µ-law codes",
        metric="bits per sample",
        score=3.855,
        protocol="Free Spoken Digit Dataset, its test recordings 0 to 4, 8 kHz, 256 codes",
        name_map="zoo",
        bundled=True,
    ),
    WeightsEntry(
        model="bytenet_g2p",
        tag="cmudict",
        file="bytenet_g2p_cmudict.npz",
        bytes=1_642_834,
        sha256="bc6d59adabab8c0642440a1645ca12547669b4b2cfb98e38ff0f8d242931be07",
        licence="Apache-2.0; trained on CMUdict (Carnegie Mellon University, 2-clause BSD-like terms)",
        source="trained by this project, see MODEL_CARD.md",
        labels="arpabet",
        metric="WER",
        score=27.1,
        protocol="cmudict held-out words (SHA-256 of the word 0 modulo 10), without stress, greedy, any"
        " pronunciation",
        name_map="zoo",
        bundled=True,
    ),
    _carp(
        "carp_600k",
        sha256="787f618e90cfdd6cbe2d98ab944e89dea00e972d81019181aba14bbf31e96e1e",
        score=0.108,
        remark=", of which this one is the last",
    ),
    _carp(
        "carp_38M",
        sha256="b66b68bce0fd690c780032140297de8fea1f94bfa5ecd67fb408ab3a3794cc3b",
        score=0.283,
    ),
    _carp(
        "carp_76M",
        sha256="7d224abac5eb2d5d649353352acb58efcae94277d26e25f1ac2cf90598205264",
        score=0.332,
    ),
    _carp(
        "carp_640M",
        sha256="ae1d7e0cbe713c731cfde7ace213f2a73372c31d8df543089e6b6d371228c4f7",
        score=0.373,
    ),
)


def entries_of_sequence(model: str) -> tuple[WeightsEntry, ...]:
    """Entries of a model of sequences."""
    return tuple(entry for entry in SEQUENCE_ENTRIES if entry.model == model)
