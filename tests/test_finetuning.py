"""Fine-tuning of published weights on twenty images, as a user does it."""

import pytest
from drawn_images import draw_folder

import zoo
from zoo import cli
from zoo.datasets import open_dataset

# Of the form 16 n + 1, which the default weights (corners aligned) were trained at.
SIZE = 193


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
    command = f"train deeplabv3_aspp --dataset folder --data {data} --output {tmp_path}/run"
    recipe = f"--epochs 10 --batch-size 4 --crop {SIZE} --scale 0.8,1.25 --learning-rate 5e-4"
    assert cli.main(f"{command} {recipe} --validate-every 5".split()) == 0
    assert "finished at step 40; best mIoU" in capsys.readouterr().out
    model = zoo.load("deeplabv3_aspp", tmp_path / "run" / "best.keras")
    scores = zoo.evaluate(model, open_dataset("folder", unseen, split="all"))
    assert set(scores.iou) == {"ground", "striped"}
    assert scores.mean_iou >= 0.95
