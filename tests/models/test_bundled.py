"""The bundled weights: in the package, the default, as good as they say, and described in the model card."""

import re
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo import labels
from zoo.datasets import open_dataset
from zoo.models import registry
from zoo.weights import catalog, fetch

REPOSITORY = Path(__file__).parents[2]
CARD = (REPOSITORY / "MODEL_CARD.md").read_text()
PHOTOGRAPH = REPOSITORY / "examples" / "city.jpg"
BUNDLED = {entry.model: entry for entry in catalog.ENTRIES if entry.bundled}
LARGEST = 8_000_000


def section(entry):
    """The model card's part on an entry."""
    start = CARD.index(f"## {entry.model} / {entry.tag}\n")
    end = CARD.find("\n## ", start)
    return CARD[start : end if end > 0 else None]


def test_the_first_use_needs_no_network():
    assert registry.resolve("deeplabv3_aspp").name in BUNDLED
    assert all(registry.resolve(name).default_weights == "camvid" for name in BUNDLED)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_file_is_intact_and_small(name):
    entry = BUNDLED[name]
    assert fetch.verify(entry) == "ok"
    assert fetch.cached(entry).stat().st_size == entry.bytes < LARGEST


@pytest.mark.parametrize("name", BUNDLED)
def test_the_model_card_says_what_the_catalog_says(name):
    entry, text = BUNDLED[name], section(BUNDLED[name])
    rows = dict(re.findall(r"^\s*\| ([a-z ]+) \| (\d+\.\d) \|$", text, flags=re.MULTILINE))
    assert list(rows) == list(labels.resolve(entry.labels).names)
    mean = np.mean([float(value) for value in rows.values()])
    assert mean == pytest.approx(entry.score, abs=0.1)  # each row is rounded to 0.1
    assert f"**mIoU {entry.score:.2f}**" in text and entry.protocol in text
    assert f"{entry.bytes:,} bytes" in text


@pytest.mark.parametrize("name", BUNDLED)
def test_a_photograph_without_a_network(name, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    monkeypatch.delenv("ZOO_MIRROR", raising=False)
    # Its pavilion is larger than anything in the training images, and would be more so enlarged.
    plain = {"enlarge": 1} if "enlarge" in BUNDLED[name].settings else None
    shares = zoo.segment(zoo.load(name, settings=plain), PHOTOGRAPH).shares()
    # By eye: sky above, trees at the sides, the pavilion in the middle, and little else.
    assert {name for name, _ in shares[:3]} == {"sky", "tree", "building"}
    assert sum(share for _, share in shares[:3]) > 0.9
    assert not list(tmp_path.rglob("*.np*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", BUNDLED)
def test_the_score_is_what_the_file_reaches(name, data_dir):
    data = open_dataset("camvid", data_dir / "camvid", split="val")
    found = zoo.evaluate(zoo.load(name, "camvid"), data)
    assert found.protocol == BUNDLED[name].protocol
    assert 100 * found.mean_iou == pytest.approx(BUNDLED[name].score, abs=0.05)
