"""A comparison of two small networks on drawn squares."""

import keras
from support.drawn_images import draw_squares

from zoo.ablation.budget import Budget
from zoo.ablation.comparisons import Comparison, Variant
from zoo.datasets import open_dataset
from zoo.layers import DilatedConv2D
from zoo.models.heads.classifier import classify
from zoo.training import Recipe, make_strategy
from zoo.training.losses import SparseCrossEntropy

# "blind" sees a black image, so that only the classes' shares are left to learn.
EYES = Comparison(
    "eyes",
    "seeing against not seeing",
    "Nobody 2000, section 1",
    "small",
    (Variant("seeing", "sees", {"light": 1.0}), Variant("blind", "does not", {"light": 0.0})),
    {"output_stride": 1},
)
STEPS = 12


def small_model(name, *, weights, classes, settings, output_stride, input_shape=(None, None, 3)):
    """What stands in for `zoo.load`."""
    assert (name, output_stride) == ("small", 1) and set(settings) <= {"light", "width"}
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(settings["light"] / 127.5, offset=-1, name="scale")(image)
    x = DilatedConv2D(settings.get("width", 6), kernel_size=3, rate=2, use_bias=True, name="backbone.conv")(x)
    x = keras.layers.ReLU(name="backbone.relu")(x)
    return keras.Model(image, classify(x, image, label_set=classes, convention="half_pixel"), name="small")


def stand_in(monkeypatch) -> None:
    """Put the small comparison and its networks in the place of the real ones."""
    monkeypatch.setattr("zoo.ablation.networks.load", small_model)
    monkeypatch.setattr("zoo.ablation.comparisons.COMPARISONS", {"eyes": EYES})


def draw(folder):
    """Folder of the drawn images."""
    return draw_squares(folder / "data")


def budget(folder, *, recipe=None, **changes):
    """`STEPS` steps on the drawn images: four epochs of three batches; `recipe` changes that."""
    training, validation = (open_dataset("folder", folder, split=s, classes=2) for s in ("train", "val"))
    usual = {"epochs": 4, "batch_size": 2, "crop": (32, 32), "learning_rate": 0.03, "warmup": 0.0}
    options = {
        "training": training,
        "validation": validation,
        "recipe": Recipe(**{**usual, **(recipe or {})}),
        "loss": SparseCrossEntropy(ignore_label=255),
        "strategy": make_strategy("one"),
        "weights": None,
    }
    return Budget(**{**options, **changes})


def command(folder, *more):
    words = ["ablate", "eyes", "--dataset", "folder", "--data", folder / "data", "--classes", 2]
    words += ["--output", folder / "out", "--batch-size", 2, "--crop", "32x32", "--weights", "none"]
    return [str(word) for word in (*words, "--epochs", 4, "--learning-rate", "0.03", "--seeds", 2, *more)]
