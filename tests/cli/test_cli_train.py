"""`zoo train` on a folder of images that the test draws."""

import argparse
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.drawn_images import draw_squares

from zoo import cli
from zoo.cli import recipe, values
from zoo.labels import numbered
from zoo.layers import DilatedConv2D
from zoo.layers.resize import label_set_of
from zoo.models.blocks import Norm
from zoo.models.heads.classifier import AUXILIARY, outputs
from zoo.training import runs


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The data, and a small model in place of the registry's."""
    drawn = draw_squares(tmp_path / "data")
    (drawn / "names.txt").write_text("ground\nsquare\n")
    calls = []

    def load(name, weights="default", *, classes=None, **options):
        calls.append((name, weights, options))
        image = keras.Input((None, None, 3), name="image")
        x = keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)
        x = DilatedConv2D(8, kernel_size=3, rate=2, use_bias=True, name="backbone.stem.conv")(x)
        x = keras.layers.ReLU(name="backbone.stem.relu")(x)
        ends = {"label_set": classes, "convention": "half_pixel", "norm": Norm(1e-3)}
        second = x if options.get("auxiliary") else None
        return keras.Model(image, outputs(x, image, auxiliary=second, **ends), name="small")

    monkeypatch.setattr("zoo.models.loading.load", load)
    return tmp_path, calls


def command(folder, *more):
    words = ["train", "small", "--dataset", "folder", "--data", folder / "data", "--output", folder / "run"]
    words += ["--classes", folder / "data" / "names.txt", "--batch-size", 2, "--crop", "32x32", *more]
    return [str(word) for word in words]


def test_trains_scores_and_goes_on(data, capsys):
    folder, calls = data
    options = ("--epochs", 6, "--learning-rate", "0.02", "--balance", "--weights", "none")
    assert cli.main(command(folder, *options)) == 0
    assert calls == [("small", None, {"allow_unverified": False})]
    out, err = capsys.readouterr()
    assert "finished at step 18; best mIoU" in out
    lines = [line for line in err.splitlines() if line.startswith("epoch")]
    assert len(lines) == 6
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"epoch {number}/6 step {3 * number}/18, loss 0.")
        assert re.search(r", rate \d\.\d\de[+-]0\d, mIoU \d+\.\d\d, \d:\d\d:\d\d left$", line)
    assert lines[-1].endswith(" 0:00:00 left")
    assert float(out.split("best mIoU ")[1].split()[0]) > 80
    best = keras.models.load_model(folder / "run" / "best.keras", compile=False)
    assert label_set_of(best).names == ("ground", "square")
    assert (folder / "run" / "final.keras").is_file()
    # The run is complete: the same command does no further step.
    assert cli.main(command(folder, *options)) == 0
    assert "finished at step 18" in capsys.readouterr().out


def test_without_validation_the_last_model_is_kept(data, capsys):
    folder, _ = data
    assert cli.main(command(folder, "--epochs", 1, "--validation", "none")) == 0
    out, err = capsys.readouterr()
    assert "best" not in out
    assert re.search(r"epoch 1/1 step 3/3, loss \S+, rate \S+, 0:00:00 left\n", err)
    assert (folder / "run" / "final.keras").is_file()
    assert not (folder / "run" / "best.keras").exists()


@pytest.mark.parametrize(
    "more, message",
    [
        (("--batch-size", 99), "a batch no larger than the data"),
        (("--epochs", 0), "1 or more"),
        (("--strategy", "magic"), "magic"),
        (("--precision", "int4"), "int4"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--examples", "-1"), "--examples must be 0 or more, not -1"),
        (("--validate-every", 0), "--validate-every must be 1 or more, not 0"),
        (("--loss", "dice", "--balance"), "--balance and --label-smoothing belong to cross-entropy"),
        (("--loss", "ohem", "--label-smoothing", "0.1"), "belong to cross-entropy, which --loss leaves out"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(data, capsys, more, message):
    folder, _ = data
    assert cli.main(command(folder, *more)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("zoo: error:") == 1
    assert not (folder / "run" / "checkpoints").exists()


def written_images(folder):
    """Pictures for TensorBoard, ``(height, width, 3)`` uint8, by tag."""
    (file,) = (folder / "events").iterdir()
    events = tf.compat.v1.train.summary_iterator(str(file))
    values = [value for event in events for value in event.summary.value if value.HasField("image")]
    return {value.tag: tf.io.decode_png(value.image.encoded_image_string).numpy() for value in values}


@pytest.mark.parametrize("more, count", [((), 2), (("--examples", 1), 1), (("--examples", 0), 0)])
def test_overlays_of_validation_images_for_tensorboard(data, more, count):
    """Two images are held out, so that the default of four draws both."""
    folder, _ = data
    assert cli.main(command(folder, "--epochs", 1, *more)) == 0
    pictures = written_images(folder / "run")
    assert set(pictures) == {f"examples/{index}" for index in range(count)}
    assert all(picture.shape[0] >= 40 and picture.shape[1] > 40 for picture in pictures.values())


@pytest.mark.parametrize("more", [(), ("--average", "0.9")])
def test_the_auxiliary_head_trains_and_is_dropped(data, monkeypatch, more):
    folder, calls = data
    heads = []
    made = runs.loss_of

    def watched(*args, **options):
        inner = made(*args, **options)

        def loss(mask, given):
            heads.append(set(given))
            return inner(mask, given)

        return loss

    monkeypatch.setattr(runs, "loss_of", watched)
    options = ("--auxiliary", "--epochs", 6, "--learning-rate", "0.02", *more)
    assert cli.main(command(folder, *options)) == 0
    assert calls == [("small", "default", {"allow_unverified": False, "auxiliary": True})]
    assert heads and all(found == {"logits", "auxiliary"} for found in heads)
    for name in ("best", "final"):
        model = keras.models.load_model(folder / "run" / f"{name}.keras", compile=False)
        assert model.output_shape == (None, None, None, 2)
        assert label_set_of(model).names == ("ground", "square")
        assert not [v.path for v in model.variables if AUXILIARY in v.path]
    saved = tf.train.load_checkpoint(str(folder / "run" / "checkpoints"))
    names = [name for name in saved.get_variable_to_shape_map() if AUXILIARY in name]
    assert {name.split("/")[0] for name in names} >= {"model", "optimizer"}


def test_the_seed_decides_fresh_variables_too(data):
    folder, _ = data

    def trained(run: str, seed: int) -> list[np.ndarray]:
        more = ("--weights", "none", "--epochs", 1, "--seed", seed, "--validation", "none", "--split", "all")
        assert cli.main(command(folder, *more, "--output", folder / run)) == 0
        return keras.models.load_model(folder / run / "final.keras", compile=False).get_weights()

    first, again, other = trained("a", 4), trained("b", 4), trained("c", 5)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])


def test_settings_of_the_builder_reach_it(data):
    folder, calls = data
    more = ("--set", "separable=true", "--set", "rates=[2, 4]", "--set", "convention=tensorflow")
    assert cli.main(command(folder, "--epochs", 1, "--output-stride", 8, *more)) == 0
    settings = {"separable": True, "rates": (2, 4), "convention": "tensorflow"}
    assert calls[0][2] == {"allow_unverified": False, "settings": settings, "output_stride": 8}


# --- what the words of the recipe mean --------------------------------------------------------------------


def parsed(*words):
    parser = argparse.ArgumentParser()
    recipe.add_options(parser)
    return parser.parse_args([str(word) for word in words])


def recipe_of(*words):
    return recipe.recipe_of(parsed(*words))


@pytest.mark.parametrize(
    "text, terms",
    [
        ("ohem", {"ohem": 1.0}),
        ("cross-entropy+lovasz", {"cross-entropy": 1.0, "lovasz": 1.0}),
        ("cross-entropy + 0.5*lovasz", {"cross-entropy": 1.0, "lovasz": 0.5}),
        (" .25 * dice+2*ohem", {"dice": 0.25, "ohem": 2.0}),
    ],
)
def test_terms_of_a_loss(text, terms):
    assert recipe.parse_loss(text) == terms


@pytest.mark.parametrize(
    "text",
    ["", "focal", "dice+", "dice+dice", "dice*0.5", "-1*dice", "0.5 dice", "0.5*", "dice,ohem", "nan*dice"],
)
def test_terms_that_are_none(capsys, text):
    with pytest.raises(argparse.ArgumentTypeError, match="each of cross-entropy, ohem, dice, lovasz once"):
        recipe.parse_loss(text)
    with pytest.raises(SystemExit) as ended:
        parsed(f"--loss={text}")
    assert ended.value.code == 2
    assert f"not {text!r}" in capsys.readouterr().err


def test_a_sum_of_losses_is_the_sum_of_its_terms():
    class Data:
        label_set = numbered(3)

    rng = np.random.default_rng(0)
    mask = rng.integers(0, 3, (2, 6, 6)).astype("int32")
    mask[:, 0] = Data.label_set.ignore_label
    logits = rng.normal(size=(2, 6, 6, 3)).astype("float32")

    def value(text, given, *more):
        return float(runs.loss_of(recipe_of("--loss", text, *more), Data)(mask, given))

    terms = [value(name, logits) for name in ("cross-entropy", "dice", "lovasz", "ohem")]
    together = value("cross-entropy+0.5*dice+2*lovasz+0.25*ohem", logits)
    assert together == pytest.approx(np.dot(terms, [1, 0.5, 2, 0.25]), rel=1e-6)
    both = {"logits": logits, "auxiliary": -logits}
    second = value("dice", -logits)
    assert value("dice", both, "--auxiliary") == pytest.approx(terms[1] + 0.4 * second, rel=1e-6)


@pytest.mark.parametrize(
    "text, found",
    [
        ("separable=true", ("separable", True)),
        ("rates=[2, 4]", ("rates", (2, 4))),
        ("aspp_channels=128", ("aspp_channels", 128)),
        ("convention=tensorflow", ("convention", "tensorflow")),
        ("multi_grid=null", ("multi_grid", None)),
        ("name=a=b", ("name", "a=b")),
    ],
)
def test_builder_settings(text, found):
    assert values.parse_setting(text) == found


@pytest.mark.parametrize("text", ["separable", "=true", "two words=1", "1st=2"])
def test_builder_settings_that_are_none(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"must be NAME=VALUE, not '{text}'"):
        values.parse_setting(text)


@pytest.mark.parametrize("schedule, middle", [("poly", 0.5**0.9), ("cosine", 0.5)])
def test_schedules_rise_and_fall(schedule, middle):
    class Data:
        label_set = numbered(2)

        def __len__(self):
            return 41

    words = ("--epochs", 10, "--batch-size", 4, "--warmup", 0.5, "--learning-rate", "0.01")
    settings = runs.settings_of(recipe_of(*words, "--schedule", schedule, "--validate-every", 5), Data())
    assert (settings.steps, settings.epoch_steps) == (100, 50)
    rate = settings.optimizer.learning_rate
    assert float(rate(0)) == pytest.approx(0.01 / 5)
    assert float(rate(5)) == pytest.approx(0.01)
    assert float(rate(52.5)) == pytest.approx(0.01 * middle, rel=1e-4)
    assert float(rate(100)) == 0


def test_unknown_schedules_are_refused(capsys):
    with pytest.raises(SystemExit):
        parsed("--schedule", "step")
    assert "invalid choice: 'step'" in capsys.readouterr().err
