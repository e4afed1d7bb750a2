"""Weights of models of sequences that the package brings along; MODEL_CARD.md says how they were made."""

from __future__ import annotations

from zoo.weights.entry import WeightsEntry

BUNDLED: dict[str, WeightsEntry] = {
    row.model: row
    for row in (
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
    )
}
