"""Fine-tuning of published weights on twenty images, as a user does it."""

import runpy
import sys
from pathlib import Path

import keras
import pytest
from support.drawn_images import draw_folder

import zoo
from zoo import cli
from zoo.datasets import open_dataset
from zoo.images import read_image
from zoo.layers.resize import label_set_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "transfer_learning.py"

# No multiple of 16 plus 1: whole cells are the model's own business.
SIZE = 192


@pytest.fixture
def offline(data_dir, tmp_path, monkeypatch):
    """Real files as a mirror, an empty cache, and no network."""
    if not (data_dir / "coral").is_dir():
        pytest.skip(f"test data is absent: no published weights in {data_dir}")
    monkeypatch.setenv("ZOO_MIRROR", str(data_dir))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")


@pytest.mark.slow
def test_twenty_images_are_enough_for_two_classes(offline, tmp_path, capsys):
    data = draw_folder(tmp_path / "data", count=20, size=SIZE, seed=1)
    unseen = draw_folder(tmp_path / "unseen", count=8, size=SIZE, seed=2)
    command = f"train deeplabv3_aspp --weights voc2012 --dataset folder --data {data} --output {tmp_path}/run"
    # On few images the backbone should move less than the fresh classifier: at one rate of 5e-4 for both,
    # five seeds gave 88 to 97; so, five gave 96.3 to 97.1.
    rates = "--learning-rate 1e-3 --backbone-factor 0.2"
    recipe = f"--output-stride 8 --epochs 8 --batch-size 4 --crop {SIZE} --scale 0.8,1.25 {rates}"
    assert cli.main(f"{command} {recipe} --validate-every 4".split()) == 0
    assert "finished at step 32; best mIoU" in capsys.readouterr().out
    model = zoo.load("deeplabv3_aspp", tmp_path / "run" / "best.keras")
    scores = zoo.evaluate(model, open_dataset("folder", unseen, split="all"))
    assert set(scores.iou) == {"ground", "striped"}
    assert scores.mean_iou >= 0.95


def test_the_example_learns_and_writes_its_files(offline, tmp_path, monkeypatch, capsys):
    data = draw_folder(tmp_path / "data", count=10, size=SIZE, seed=3)
    monkeypatch.setattr(sys, "argv", [EXAMPLE.name, str(data), str(tmp_path / "out")])
    keras.utils.set_random_seed(0)
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    printed = capsys.readouterr().out
    # A model that says ground everywhere has 38; seeds 0 and 1 gave 92.9 and 95.6.
    assert float(printed.split("held-out images: ")[1].split("%")[0]) > 80
    model = zoo.load("deeplabv3_aspp", tmp_path / "out" / "mine.keras")
    assert label_set_of(model).names == ("ground", "striped")
    overlay = read_image(tmp_path / "out" / "overlay.png")
    assert overlay.shape[0] >= SIZE and overlay.shape[1] > SIZE
