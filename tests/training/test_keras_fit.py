"""What people hand to `model.fit`: taken where it has one meaning, else refused in one line."""

import warnings

import keras
import numpy as np
import pytest
from PIL import Image
from support.training_fixtures import make_batches, tiny_model

from zoo.datasets import Augmentation, open_dataset, shrink
from zoo.errors import InputError
from zoo.labels import numbered
from zoo.layers import DilatedConv2D, FusedBatchNormalization
from zoo.layers.normalization import SMALL_BATCH_NOTE
from zoo.models.heads.classifier import classify
from zoo.training import Recipe, Settings, fit, train
from zoo.training.losses import Dice, SparseCrossEntropy

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(2, 8, 8, 3)).astype("float32")
MASK = RNG.integers(0, 3, (2, 8, 8))


@pytest.mark.parametrize("loss", [SparseCrossEntropy(), Dice()])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "bool"])
def test_masks_with_one_meaning(loss, dtype):
    expected = float(loss(MASK, LOGITS))
    one_hot = np.eye(3)[MASK].astype(dtype)
    assert float(loss(one_hot, LOGITS)) == expected
    if dtype != "bool":
        for mask in (MASK.astype(dtype), MASK[..., np.newaxis].astype(dtype)):
            assert float(loss(mask, LOGITS)) == expected


@pytest.mark.parametrize(
    "mask",
    [
        np.full((2, 8, 8), 0.5),
        np.full((2, 8, 8, 1), 1.25, "float32"),
        np.full((2, 8, 8, 3), 1 / 3),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.ones((2, 8, 8, 3), np.uint8),
    ],
)
def test_masks_without_a_meaning(mask):
    with pytest.raises(InputError, match="ground truth has the value -1; allowed are the classes 0 to 2"):
        SparseCrossEntropy()(mask, LOGITS)


def test_fit_takes_one_hot_masks():
    weights = []
    for mask in (MASK, np.eye(3)[MASK], MASK[..., np.newaxis].astype("float32")):
        model = tiny_model(dropout=0)
        model.compile(keras.optimizers.SGD(0.1), SparseCrossEntropy())
        model.fit(255 * np.abs(LOGITS), mask, verbose=0, shuffle=False)
        weights.append(np.concatenate([w.numpy().ravel() for w in model.weights]))
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])


def normed_model() -> keras.Model:
    """Two layers of batch normalization that come with statistics, one of them on a map of one pixel."""
    image = keras.Input((None, None, 3))
    x = DilatedConv2D(4, kernel_size=3, strides=2, use_bias=False)(image / 255)
    x = FusedBatchNormalization(name="first.bn")(x)
    pooled = FusedBatchNormalization(name="pool.bn")(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
    model = keras.Model(image, classify(x + pooled, image, label_set=numbered(3), convention="half_pixel"))
    for name in ("first.bn", "pool.bn"):
        model.get_layer(name).moving_mean.assign([0.1, 0.2, -0.3, 0.4])
        model.get_layer(name).moving_variance.assign([0.5, 1.5, 2.5, 3.5])
    return model


@pytest.mark.parametrize(("batch", "moved"), [(1, False), (2, False), (4, True)])
def test_fit_keeps_the_statistics_of_a_network_that_has_some(batch, moved):
    model = normed_model()
    norms = [model.get_layer(name) for name in ("first.bn", "pool.bn")]
    before = [(norm.moving_mean.numpy(), norm.moving_variance.numpy()) for norm in norms]
    model.compile(keras.optimizers.SGD(0.1), SparseCrossEntropy(), jit_compile=False)
    image, mask = RNG.uniform(0, 255, (5, 16, 16, 3)).astype("float32"), RNG.integers(0, 3, (5, 16, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(image, mask, batch_size=batch, verbose=0)  # the last batch has one image
    for norm, (mean, variance) in zip(norms, before, strict=True):
        assert (norm.moving_mean.numpy() != mean).any() == moved
        assert (norm.moving_variance.numpy() != variance).any() == moved
        assert (norm.gamma.numpy() != 1).any()
    if moved:  # once: by the four, not by the one
        assert norms[1].moving_variance.numpy().min() > 0.9 * 0.5


@pytest.mark.parametrize(("rule", "moved"), [("auto", False), ("never", False), ("always", True)])
def test_accumulation_makes_no_batch_larger(rule, moved):
    model = normed_model()
    first, pooled = (model.get_layer(name) for name in ("first.bn", "pool.bn"))
    before = [norm.moving_variance.numpy() for norm in (first, pooled)]
    settings = Settings(steps=1, epoch_steps=1, accumulate=4, batch_statistics=rule, ignore_label=255)
    fit(model, make_batches(batch=1), loss=SparseCrossEntropy(), settings=settings)
    assert (first.moving_variance.numpy() != before[0]).any() == moved
    np.testing.assert_array_equal(pooled.moving_variance, before[1])  # one value in each batch
    assert first.batch_statistics == "auto"


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, True), ({"batch_statistics": "always"}, False), ({"batch_size": 4}, False)],
)
def test_a_run_says_that_statistics_are_kept(tmp_path, changes, said):
    notes = []
    folder(tmp_path, [(16, 16)] * 4)
    Image.fromarray(RNG.integers(0, 3, (16, 16), dtype=np.uint8)).save(tmp_path / "masks" / "0.png")
    data = open_dataset("folder", tmp_path, split="all", classes=3)
    settings = {"epochs": 1, "batch_size": 2, "crop": (16, 16), "learning_rate": 1e-3, **changes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(normed_model(), data, Recipe(**settings), examples=0, note=notes.append)
    assert notes == [SMALL_BATCH_NOTE] * said


# --- images of several sizes ----------------------------------------------------------------------


def folder(path, sizes):
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True)
    for index, (width, height) in enumerate(sizes):
        Image.new("RGB", (width, height)).save(path / "images" / f"{index}.png")
        Image.new("L", (width, height)).save(path / "masks" / f"{index}.png")
    return open_dataset("folder", path, split="all", classes=2)


def test_images_of_several_sizes_in_a_batch(tmp_path):
    data = folder(tmp_path, [(16, 12), (16, 12), (20, 12), (20, 12)])
    with pytest.raises(
        InputError, match=r"0.png has 16x12 pixels and 2.png 20x12: give a crop, or batch_size=1"
    ):
        data.as_tf(batch_size=2, shuffle=True)
    assert [tuple(image.shape) for image, _ in data.as_tf(batch_size=2)] == [(2, 12, 16, 3), (2, 12, 20, 3)]
    with pytest.raises(InputError, match=r"give a crop"):
        data.as_tf(batch_size=3)
    assert len(list(data.as_tf(batch_size=1, shuffle=True))) == 4
    still = Augmentation(scale=(1, 1))
    assert len(list(data.as_tf(batch_size=2, shuffle=True, crop=(8, 8), augment=still))) == 2
    assert len(list(shrink(data, (6, 6)).as_tf(batch_size=1))) == 4
