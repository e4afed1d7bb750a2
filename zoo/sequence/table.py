"""The models of sequences by name; reading this table imports no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SequenceSpec:
    """One named model of sequences.

    Attributes:
        name: What `zoo.load` takes.
        task: What it does, in the singular: ``"amplifier"``.
        paper: Citation.
        takes: What goes in and what comes out, in a few words.
        files: Suffixes of the files that hold its weights.
        weights: Tags of its published weights, the default first if there is one.
        default: The tag that is loaded where none is named; `None` where one must be named.
        command: How to use it on the command line.
    """

    name: str
    task: str
    paper: str
    takes: str
    files: tuple[str, ...]
    command: str
    weights: tuple[str, ...] = ()
    default: str | None = None


SEQUENCE_MODELS: dict[str, SequenceSpec] = {
    row.name: row
    for row in (
        SequenceSpec(
            name="wavenet_nam",
            task="amplifier",
            paper="van den Oord et al. 2016, WaveNet; as Neural Amp Modeler (Atkinson) uses it",
            takes="sound (batch, samples, 1) in −1…1 at the file's sample rate → as much",
            files=(".nam", ".keras"),
            command="zoo process amp.nam in.wav --output out.wav",
        ),
        SequenceSpec(
            name="bytenet_g2p",
            task="spelling to sound",
            paper="Kalchbrenner et al. 2016, Neural Machine Translation in Linear Time (ByteNet)",
            takes="letters of an English word (batch, n) and the phones so far (batch, m) → logits of phones",
            files=(".npz", ".keras"),
            command="zoo transcribe segmentation",
            weights=("cmudict",),
            default="cmudict",
        ),
        SequenceSpec(
            name="bytenet_carp",
            task="proteins",
            paper="Yang, Fusi & Lu 2024, CARP, whose blocks are those of ByteNet (Kalchbrenner et al. 2016)",
            takes="amino acids (batch, n) → logits (batch, n, 30), representations (batch, n, width)",
            files=(".pt", ".keras"),
            command="zoo.sequence.embed_proteins(model, sequences)",
            weights=("carp_600k", "carp_38M", "carp_76M", "carp_640M"),
        ),
        SequenceSpec(
            name="wavenet_digits",
            task="digit speaker",
            paper="van den Oord et al. 2016, WaveNet: A Generative Model for Raw Audio",
            takes="codes (batch, samples), digit and speaker (batch, 2) → logits of the codes that follow",
            files=(".npz", ".keras"),
            command="zoo generate wavenet_digits --digit 7 --speaker theo --output seven.wav",
            weights=("fsdd",),
            default="fsdd",
        ),
    )
}


def refusal(name: str | None) -> str | None:
    """Why a name is none of a segmentation model, if it is one of a model of sequences."""
    spec = SEQUENCE_MODELS.get(name) if isinstance(name, str) else None
    if spec is None:
        return None
    return f"{name} is a model of sequences ({spec.task}), not of images: {spec.command}"


def refuse(name: str | None) -> None:
    """Raise an `InputError` for a model of sequences where one of images is meant."""
    reason = refusal(name)
    if reason is not None:
        raise InputError(reason)
