"""Runs of `zoo ablate` with a small model on drawn images."""

import json
import math
import os
import signal

import numpy as np
import pytest
from support.ablation_fixtures import EYES, STEPS, budget, command, draw, stand_in

from zoo import cli
from zoo.ablation import runner
from zoo.ablation.keys import describe, key_of
from zoo.ablation.runner import run_all
from zoo.datasets import open_dataset
from zoo.errors import DivergedError, FormatError
from zoo.training.losses import SparseCrossEntropy


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Folder of the drawn images, with the small model in the registry's place."""
    stand_in(monkeypatch)
    return draw(tmp_path)


def test_the_command_trains_compares_and_repeats_nothing(data, capsys, monkeypatch):
    folder = data.parent
    assert cli.main(command(folder)) == 0
    out, err = capsys.readouterr()
    assert "[4/4] blind, seed 1: mean IoU " in err
    assert out.splitlines()[-1].startswith(
        "The paper's order, seeing > blind, holds here: seeing over blind +"
    )
    document = json.loads((folder / "out" / "eyes.json").read_text())
    assert document["outcome"] == "holds" and document["verdict"] == out.splitlines()[-1]
    seeing, blind = document["variants"]
    assert seeing["mean_iou"]["mean"] > 0.8 > 0.5 > blind["mean_iou"]["mean"]
    scores = [run["mean_iou"] for run in seeing["runs"]]
    assert [run["seed"] for run in seeing["runs"]] == [0, 1]
    assert seeing["mean_iou"] == {
        "mean": pytest.approx(np.mean(scores)),
        "spread": pytest.approx(np.std(scores, ddof=1)),
    }
    section = (folder / "out" / "eyes.md").read_text()
    assert f"| seeing | sees | {100 * np.mean(scores):.2f} ± " in section
    assert f"**{document['verdict']}**" in section and "4 epochs of 6 images from random weights" in section
    runs = list((folder / "out" / "runs").iterdir())
    assert len(runs) == 4 and all(run.name.startswith("small-") for run in runs)
    assert not list(folder.rglob("checkpoints")) and not list(folder.rglob("*.partial"))

    def never(*args, **options):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(runner, "train", never)
    assert cli.main(command(folder)) == 0
    again = capsys.readouterr()
    assert again.out == out and again.err.count("kept from an earlier call") == 4


def test_an_interrupted_comparison_goes_on(data, tmp_path, monkeypatch):
    """Ctrl-C comes while the second run is traced; its first step is finished, saved and not repeated."""
    histories, train = [], runner.train

    def recorded(*args, **options):
        histories.append(train(*args, **options))
        return histories[-1]

    monkeypatch.setattr(runner, "train", recorded)
    plain = SparseCrossEntropy(ignore_label=255)

    def interrupting(mask, logits):
        if len(histories) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(mask, logits)

    options = {"seeds": range(1), "output": tmp_path / "out"}
    first = run_all(EYES, budget=budget(data, loss=interrupting), **options)
    assert [run.variant for run in first] == ["seeing"]
    assert histories[1].stopped == "interrupted" and 1 <= len(histories[1].losses) < STEPS
    told = []
    second = run_all(EYES, budget=budget(data), tell=lambda *news: told.append(news), **options)
    assert [(run.variant, run.kept) for run in second] == [("seeing", True), ("blind", False)]
    assert second[0].scores == first[0].scores
    assert len(histories[1].losses) + len(histories[2].losses) == STEPS and len(histories) == 3
    assert [(run.variant, done, total) for run, done, total in told] == [("seeing", 1, 2), ("blind", 2, 2)]


def test_ctrl_c_is_told(data, capsys, monkeypatch):
    monkeypatch.setattr(runner, "run_all", lambda *args, **options: [])
    assert cli.main(command(data.parent)) == 130
    assert "interrupted after 0 runs; the same command goes on from here" in capsys.readouterr().err


def test_a_damaged_result_is_told(data, tmp_path):
    of, one = budget(data), EYES.only(("blind",))
    folder = tmp_path / "out" / "runs" / f"small-{key_of(describe(EYES, one.variants[0], 0, budget=of))}"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text('{"setup": {}, "scores"')
    with pytest.raises(FormatError, match=r"result\.json: no result of this run .*; delete it"):
        run_all(one, budget=of, seeds=range(1), output=tmp_path / "out")


def test_a_divergence_names_its_run(data, tmp_path):
    plain = SparseCrossEntropy(ignore_label=255)
    of = budget(data, loss=lambda mask, logits: plain(mask, logits) * math.inf)
    with pytest.raises(DivergedError, match=r"^seeing, seed 5: the loss is not finite at step 1"):
        run_all(EYES, budget=of, seeds=range(5, 6), output=tmp_path / "out")
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--seeds", 0), "--seeds must be 1 or more"),
        (("--seed", -1), "--seed 0 or more"),
        (("--variants", "seeing,deaf"), "variants of eyes are seeing, blind; got 'deaf'"),
        (("--set", "light=0.5"), "light: set by the comparison eyes itself"),
        (("--patience", 2), "different budgets"),
        (("--auxiliary",), "no second head"),
        (("--validation", "none"), "nothing to compare"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--scale", "1,2", "--brightness", "3"), "brightness"),
        (("--batch-size", 99), "a batch no larger than the data"),
        (("--strategy", "magic"), "magic"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(data, capsys, more, message):
    assert cli.main(command(data.parent, *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("zoo: error:") == 1
    assert not (data.parent / "out").exists()


def test_damaged_files_are_left_out_and_large_images_seen_through_windows(data, capsys):
    for split in ("train", "val"):
        image = open_dataset("folder", data, split=split, classes=2).pairs[0][0]
        image.write_bytes(image.read_bytes()[:-90])
    short = ("--seeds", 1, "--epochs", 1, "--variants", "seeing")
    assert cli.main(command(data.parent, *short)) == 2
    assert "damaged image" in capsys.readouterr().err
    assert cli.main(command(data.parent, *short, "--skip-damaged", "--tile", "32x32")) == 0
    err = capsys.readouterr().err
    assert err.count("zoo: note: left out: ") == 2
    (result,) = (json.loads(path.read_text()) for path in (data.parent / "out").rglob("result.json"))
    assert result["setup"]["training"]["samples"] == 5 and result["setup"]["tile"] == [32, 32]
    assert "32x32" in result["scores"]["protocol"]
