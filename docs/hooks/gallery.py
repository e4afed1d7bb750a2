"""The page of the models: bundled weights with a picture and the score of each class, then all others.

Facts and scores are those of the registry and its catalog; scores per class stand in the model card alone and
are read from there. Pictures are drawn by draw_gallery.py.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from zoo import labels  # noqa: E402
from zoo.models import registry  # noqa: E402
from zoo.models.registry import ModelSpec  # noqa: E402
from zoo.weights.entry import WeightsEntry  # noqa: E402

PHOTO = REPOSITORY / "examples" / "city.jpg"
HEAD = """\
# Gallery

Four sets of weights come with the package, trained on CamVid's streets of Cambridge. Here each of them sees a
photograph that was not taken there (`examples/city.jpg`). Intersection over union (IoU) is in percent, by the
protocol beside it. The [model card](../MODEL_CARD.md) tells what the weights are for, how they were
made and where they fail.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page, and the photograph from where it is."""
    files.append(File.generated(config, "gallery/city.jpg", abs_src_path=str(PHOTO)))
    files.append(File.generated(config, "gallery.md", content=page()))
    return files


def page() -> str:
    """The page in Markdown."""
    entries = [(spec, entry) for spec in registry.MODELS for entry in spec.weights]
    bundled = sorted((pair for pair in entries if pair[1].bundled), key=lambda pair: -pair[1].score)
    parts = [HEAD, *(_bundled(*pair) for pair in bundled), "## All weights\n"]
    parts.append(
        "Scores of weights that are not bundled are their publishers' own. `zoo list` prints this table.\n"
    )
    rows = [
        _row(spec, entry) for spec, entry in entries if entry.score is not None and entry.metric == "mIoU"
    ]
    parts += ["| model | weights | mIoU | protocol | licence |", "|---|---|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


def class_scores(card: str, key: str) -> dict[str, float]:
    """IoU in percent by class, from the table of one section of the model card."""
    model, tag = key.split("/")
    *_, rest = card.partition(f"\n## {model} / {tag}\n")
    section = rest.split("\n## ")[0]
    table = section.partition("| class | IoU |")[2].partition("\n\n")[0]
    return {name: float(score) for name, score in re.findall(r"\| ([a-z ]+) \| ([\d.]+) \|", table)}


def _bundled(spec: ModelSpec, entry: WeightsEntry) -> str:
    scores = class_scores((REPOSITORY / "MODEL_CARD.md").read_text("utf-8"), entry.key)
    label_set = labels.resolve(entry.labels)
    rows = [
        f'| <span class="zoo-color" style="background:rgb{color}"></span> {name} | {scores[name]:.1f} |'
        for name, color in zip(label_set.names, label_set.palette, strict=True)
    ]
    facts = spec.facts
    return f"""\
## {spec.name}

![The photograph under the classes that {spec.name} finds](gallery/{spec.name}_{entry.tag}.jpg){{ width=640 }}

**mIoU {entry.score:.2f}** ({entry.protocol}), {entry.bytes / 1e6:.1f} MB. With its defaults the network has
{facts.parameters / 1e6:.1f} M parameters and takes
{facts.multiply_adds / 1e9:.1f} G multiply-adds at 513×513.
{spec.paper}. Licence: {entry.licence}.

```sh
zoo segment {spec.name} street.jpg --weights {entry.tag} --output out/
```

| class | IoU |
|---|---|
""" + "\n".join([*rows, ""])


def _row(spec: ModelSpec, entry: WeightsEntry) -> str:
    cells = (f"`{spec.name}`", entry.tag, f"{entry.score:.2f}", entry.protocol, entry.licence)
    return f"| {' | '.join(cells)} |"
