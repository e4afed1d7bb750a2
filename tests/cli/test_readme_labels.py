"""README's way from a folder of LabelMe files to a fine-tuned model, command by command."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text()
SIZE = 96
# What makes it quick on drawn images; the last of an option's values counts.
QUICK = {
    "train": "--epochs 6 --crop 96x96 --batch-size 4 --learning-rate 1e-3",
    "segment": "",
    "evaluate": "",
}


def commands():
    block = next(
        block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "convert labelme" in block
    )
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line]


def draw(folder, name, chance):
    """A bright square on a dark ground, and where it lies."""
    left, top = chance.integers(8, 40, 2).tolist()
    pixels = chance.integers(0, 60, (SIZE, SIZE, 3), np.uint8)
    pixels[top : top + 40, left : left + 40] = chance.integers(180, 256, (40, 40, 3), np.uint8)
    Image.fromarray(pixels).save(folder / f"{name}.jpg", quality=95)
    return [[left, top], [left + 39, top + 39]]


def labelled(folder):
    chance = np.random.default_rng(0)
    folder.mkdir()
    for number in range(20):
        points = draw(folder, f"{number:02d}", chance)
        shapes = [
            {"label": "plate", "points": points, "shape_type": "rectangle", "group_id": None, "flags": {}}
        ]
        document = {"version": "5.4.1", "flags": {}, "imagePath": f"{number:02d}.jpg", "imageData": None}
        document |= {"imageHeight": SIZE, "imageWidth": SIZE, "shapes": shapes}
        (folder / f"{number:02d}.json").write_text(json.dumps(document))
    draw(folder, "new", chance)


def test_from_labelme_to_a_model(tmp_path, monkeypatch, capsys):
    labelled(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    done = commands()
    assert [" ".join(words[:2]) for words in done] == [
        "dataset convert",
        "dataset check",
        "train deeplabv3_aspp",
        "evaluate deeplabv3_aspp",
        "segment deeplabv3_aspp",
    ]
    for words in done:
        capsys.readouterr()
        extra = ["--json", "score.json"] if words[0] == "evaluate" else shlex.split(QUICK.get(words[0], ""))
        assert main([*words, *extra]) == 0, capsys.readouterr()
    assert json.loads(Path("score.json").read_text())["mean_iou"] > 0.8
    with Image.open("out/new_mask.png") as mask:
        assert 0.1 < (np.asarray(mask) == 1).mean() < 0.25
    assert Path("mine/classes.txt").read_text().split() == ["background", "plate"]
