"""The card of a model: what it sees, how well, under which licence, and how to load it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from zoo.errors import InputError
from zoo.labels import LabelSet

# Names of licences that the hub knows; another one stands there by its own name.
_LICENCES = (
    "apache-2.0",
    "mit",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc0-1.0",
    "cc-by-4.0",
    "cc-by-sa-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "gpl-3.0",
    "agpl-3.0",
    "unlicense",
)


@dataclass(frozen=True, kw_only=True)
class Score:
    """A score with what makes it comparable.

    Attributes:
        metric: Its name, such as ``"mIoU"``.
        value: In percent.
        protocol: Data set, split, size, scales and flip, such as ``"camvid11 val 360x480 single-scale"``.
        classes: In percent by class, where they are known.

    Raises:
        InputError: No number, or nothing that it was measured by.
    """

    metric: str
    value: float
    protocol: str
    classes: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if not self.metric or not self.protocol or not math.isfinite(self.value):
            raise InputError(f"a score has a metric, a finite value and a protocol, not {self!r}")


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card says.

    Attributes:
        repository: ``owner/name``.
        model: Name of the architecture with its backbone.
        labels: Classes.
        licence: Of the weights, and terms of their data.
        parameters: How many.
        digest: SHA-256 of the file of the model.
        file: Its name.
        origin: Where the weights came from, or `None`.
        scores: Measured ones.
        sample: Name of a picture in the repository, or `None`.
    """

    repository: str
    model: str
    labels: LabelSet
    licence: str
    parameters: int
    digest: str
    file: str
    origin: str | None = None
    scores: Sequence[Score] = ()
    sample: str | None = None

    def text(self) -> str:
        """Markdown, with the hub's table of facts in front."""
        name = self.repository.partition("/")[2]
        parts = [
            self._facts(),
            f"# {name}",
            f"Semantic segmentation by `{self.model}`, {self.parameters:,} parameters.",
            *([f"![an image under the colours of its classes]({self.sample})"] if self.sample else []),
            self._use(),
            self._scores(),
            self._classes(),
            self._provenance(),
        ]
        return "\n\n".join(parts) + "\n"

    def _facts(self) -> str:
        known = self.licence.strip().lower()
        lines = [f"license: {known}"]
        if known not in _LICENCES:
            lines = ["license: other", f"license_name: {json.dumps(self.licence, ensure_ascii=False)}"]
        lines += ["library_name: keras", "pipeline_tag: image-segmentation", "tags:"]
        lines += [f"- {tag}" for tag in ("semantic-segmentation", "atrous-zoo", self.model)]
        return "\n".join(["---", *lines, "---"])

    def _use(self) -> str:
        return "\n".join(
            [
                "```python",
                "import zoo  # pip install 'atrous-zoo[hub]'",
                "",
                f'model = zoo.load("hf://{self.repository}")  # RGB in 0…255 → logits',
                'result = zoo.segment(model, "image.jpg")  # .mask .shares() .overlay()',
                "```",
            ]
        )

    def _scores(self) -> str:
        if not self.scores:
            return "## Scores\n\nNone was given."
        rows = [f"| {score.metric} | {score.value:.2f} | {_cell(score.protocol)} |" for score in self.scores]
        return "\n".join(["## Scores", "", "| metric | percent | protocol |", "|---|---|---|", *rows])

    def _classes(self) -> str:
        known = dict(next((score.classes for score in self.scores if score.classes), ()))
        head = ["| index | class | colour |" + (" IoU |" if known else "")]
        head += ["|---|---|---|" + ("---|" if known else "")]
        rows = []
        for index, (name, color) in enumerate(zip(self.labels.names, self.labels.palette, strict=True)):
            share = f" {known[name]:.1f} |" if name in known and math.isfinite(known[name]) else " – |"
            row = f"| {index} | {_cell(name)} | `#{bytes(color).hex()}` |"
            rows.append(row + (share if known else ""))
        ignored = self.labels.ignore_label
        note = "" if ignored is None else f"\n\nPixels of {ignored} in true masks do not count."
        return "\n".join(["## Classes", "", *head, *rows]) + note

    def _provenance(self) -> str:
        origin = f" The weights are those of {_cell(self.origin)}." if self.origin else ""
        return (
            f"## Licence and file\n\n{_cell(self.licence)}.{origin} `{self.file}` has the SHA-256\n"
            f"`{self.digest}`; `zoo.load` compares it, and takes a commit behind an @."
        )


def _cell(text: str) -> str:
    """Text in one line that no table and no tag ends."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
