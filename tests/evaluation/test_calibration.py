"""Confidence: its bins, its error, the temperature that mends it, and pictures of both."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import cli
from zoo.datasets.dataset import Dataset
from zoo.errors import InputError
from zoo.evaluation import evaluate
from zoo.evaluation.temperature import fitted_temperature, with_temperature
from zoo.images import overlay
from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits
from zoo.metrics import Reliability

LABELS = LabelSet("two", ("dark", "light"), ((0, 0, 0), (250, 250, 250)), 255)


def network(scale):
    """Logits that rise with the grey value; true probabilities at scale 1."""
    image = keras.Input((None, None, 3), name="image")
    scores = DilatedConv2D(2, kernel_size=1, use_bias=True, name="classifier")
    ends = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    model = keras.Model(image, ends([scores(image), image]), name="grey")
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[..., 0, 1] = scale * 8 / 255
    scores.set_weights([kernel, np.array([0.0, -4.0 * scale], np.float32)])
    return model


@pytest.fixture
def data(tmp_path):
    """Grey noise whose label is drawn with the probability that the network of scale 1 gives."""
    pairs, rng = [], np.random.default_rng(4)
    for number in range(4):
        grey = rng.integers(0, 256, (192, 240)).astype(np.uint8)
        mask = (rng.random(grey.shape) < 1 / (1 + np.exp(4 - 8 * (grey / 255)))).astype(np.uint8)
        mask[0] = 255
        paths = tmp_path / f"i_{number}.png", tmp_path / f"m_{number}.png"
        Image.fromarray(np.stack([grey] * 3, -1)).save(paths[0])
        Image.fromarray(mask).save(paths[1])
        pairs.append(paths)
    return Dataset("folder", "val", LABELS, tuple(pairs))


def test_bins_by_hand():
    found = Reliability(255, bins=4)
    true = np.array([[0, 1, 1, 255, 0]])
    found.update(true, np.array([[0, 0, 1, 0, 0]]), np.array([[0.1, 0.9, 1.0, 0.3, 0.75]]))
    assert found.pixels.tolist() == [1, 0, 0, 3]
    np.testing.assert_allclose(found.accuracy, [1, np.nan, np.nan, 2 / 3])
    np.testing.assert_allclose(found.confidence, [0.1, np.nan, np.nan, (0.9 + 1 + 0.75) / 3])
    assert found.expected_calibration_error == pytest.approx((0.9 + abs(2.65 - 2)) / 4)
    assert np.isnan(Reliability().expected_calibration_error)


@pytest.mark.parametrize("values", [[[1.2]], [[-0.1]], [[float("nan")]], [0.5]])
def test_what_is_no_confidence(values):
    with pytest.raises(InputError):
        Reliability().update(np.zeros((1, 1), int), np.zeros((1, 1), int), np.array(values))


def test_a_calibrated_network_and_an_overconfident_one(data):
    good, sure = (evaluate(network(s), data, calibration=True) for s in (1.0, 3.0))
    assert good.mean_iou == sure.mean_iou
    assert good.reliability.expected_calibration_error < 0.015
    assert sure.reliability.expected_calibration_error > 0.06
    assert evaluate(network(1.0), data).reliability is None


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_the_temperature_is_found_and_keeps_the_masks(data, scale):
    model = network(scale)
    temperature = fitted_temperature([(model, data)])
    assert temperature == pytest.approx(scale, rel=0.1)
    image = data.read(0)[0]
    before = zoo.segment(model, image)
    with_temperature(model, temperature)
    after = zoo.segment(model, image)
    np.testing.assert_array_equal(before.mask, after.mask)
    assert evaluate(model, data, calibration=True).reliability.expected_calibration_error < 0.015


def test_confidence_is_the_probability_of_the_mask(data):
    result = zoo.segment(network(1.0), data.read(1)[0])
    assert result.confidence.shape == result.mask.shape and result.confidence.dtype == np.float32
    taken = np.take_along_axis(result.probabilities, result.mask[..., np.newaxis].astype(int), -1)[..., 0]
    np.testing.assert_array_equal(result.confidence, taken)


def test_logits_that_do_not_follow_are_refused():
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(2, kernel_size=1, use_bias=True, name="classifier")(image)
    x = DilatedConv2D(2, kernel_size=1, use_bias=True, name="after")(keras.layers.ReLU()(x))
    model = keras.Model(
        image, SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    )
    model.get_layer("after").set_weights([np.ones((1, 1, 2, 2), np.float32), np.full(2, 500, np.float32)])
    before = model.get_weights()
    with pytest.raises(InputError, match="cannot be scaled"):
        with_temperature(model, 2.0)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    for wrong in (0, -1.0, float("nan"), True):
        with pytest.raises(InputError, match="a number above 0"):
            with_temperature(model, wrong)


def test_unsure_pixels_are_striped():
    image, mask = np.full((40, 40, 3), 90, np.uint8), np.zeros((40, 40), np.uint8)
    unsure = np.zeros((40, 40), bool)
    unsure[10:30, 10:30] = True
    plain = overlay(image, mask, LABELS, legend=False)
    striped = overlay(image, mask, LABELS, legend=False, unsure=unsure)
    np.testing.assert_array_equal(plain[~unsure], striped[~unsure])
    assert (plain[unsure] != striped[unsure]).all() and striped[unsure].std() > 50
    with pytest.raises(InputError, match="unsure must be"):
        overlay(image, mask, LABELS, unsure=unsure[1:])
    with pytest.raises(InputError, match="a confidence in 0…1"):
        zoo.segment(network(1.0), image).overlay(unsure=1.5)


def test_commands(data, tmp_path, capsys, monkeypatch):
    root = tmp_path / "data"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number, pair in enumerate(data.pairs):
        for path, kind in zip(pair, ("images", "masks"), strict=True):
            path.rename(root / kind / f"{number}.png")
    names = root / "names.txt"
    names.write_text("dark\nlight\n")
    of = ["--dataset", "folder", "--data", str(root), "--classes", str(names), "--split", "all"]
    network(3.0).save(tmp_path / "sure.keras")
    target = tmp_path / "calm.keras"
    assert cli.main(["weights", "calibrate", str(tmp_path / "sure.keras"), str(target), *of]) == 0
    printed = capsys.readouterr().out
    assert 2.6 < float(printed.split("temperature ")[1]) < 3.4
    monkeypatch.setattr("zoo.models.loading.load", lambda *a, **o: keras.saving.load_model(target))
    scores = ["--confidence", "--output", str(tmp_path / "out"), "--weights", "mine"]
    assert cli.main(["evaluate", "grey", *of, *scores]) == 0
    row = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("calibration error"))
    assert float(row.split()[-1]) < 1.5
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())["reliability"]
    assert sum(found["pixels"]) == 4 * 191 * 240 and len(found["accuracy"]) == 15
    assert min(Image.open(tmp_path / "out" / "reliability.png").size) > 300
    wrong = ["--folds", "stretches:2"]
    assert cli.main(["weights", "calibrate", str(target), str(target), *of, *wrong]) == 2
    assert "--folds and --held-out belong together" in capsys.readouterr().err
