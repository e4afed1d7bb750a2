import gc
import itertools
import os
import signal
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.errors import InputError
from zoo.inference import network, segment, segmentation, windows
from zoo.labels import VOC21, numbered
from zoo.layers.resize import SegmentationLogits
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp

RNG = np.random.default_rng(1)


def image(height=37, width=53) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), np.uint8)


def build(*, kernel=1, classes=5, size=(None, None), kernel_value=None) -> keras.Model:
    """One convolution as a model of the zoo; with a 1×1 kernel every pixel is on its own."""
    keras.utils.set_random_seed(3)
    x = keras.Input((*size, 3))
    initializer = "glorot_uniform" if kernel_value is None else keras.initializers.Constant(kernel_value)
    scaled = keras.layers.Rescaling(1 / 32)(x)
    y = keras.layers.Conv2D(classes, kernel, padding="same", kernel_initializer=initializer)(scaled)
    logits = SegmentationLogits(convention="half_pixel", label_set=numbered(classes))([y, x])
    return keras.Model(x, logits, name="tiny")


@pytest.fixture(scope="module")
def pointwise() -> keras.Model:
    return build()


@pytest.fixture(scope="module")
def local() -> keras.Model:
    return build(kernel=5)


@pytest.fixture(scope="module")
def deeplab() -> keras.Model:
    keras.utils.set_random_seed(0)
    return deeplabv3_aspp(backbone="mobilenet_v2", label_set=VOC21, width=0.35, rates=())


def expected(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return tf.nn.softmax(model(pixels[None].astype(np.float32), training=False))[0].numpy()


def test_probabilities_are_the_softmax_of_the_model(deeplab):
    pixels = image(65, 97)
    result = segment(deeplab, pixels)
    np.testing.assert_allclose(result.probabilities, expected(deeplab, pixels), atol=1e-5)
    np.testing.assert_array_equal(result.mask, result.probabilities.argmax(-1))
    assert result.mask.dtype == np.uint8
    assert result.probabilities.dtype == np.float32
    assert result.labels == VOC21
    assert result.overlay(legend=False).shape == pixels.shape
    assert sum(share for _, share in result.shares()) == pytest.approx(1)


def test_paths_pillow_images_and_arrays_give_the_same(pointwise, tmp_path):
    pixels = image()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    masks = [
        segment(pointwise, given).mask
        for given in (
            pixels,
            tmp_path / "a.png",
            str(tmp_path / "a.png"),
            Image.fromarray(pixels),
            pixels.astype(np.float64),
            pixels.astype(np.int64),
            tf.constant(pixels),
        )
    ]
    for mask in masks[1:]:
        np.testing.assert_array_equal(mask, masks[0])


def test_grey_arrays_are_grey_images(pointwise):
    grey = image()[..., 0]
    np.testing.assert_array_equal(
        segment(pointwise, grey).mask, segment(pointwise, grey[..., None].repeat(3, -1)).mask
    )


def test_floats_keep_their_fraction(pointwise):
    pixels = image().astype(np.float32) * 0.5 + 0.25
    np.testing.assert_allclose(
        segment(pointwise, pixels).probabilities, expected(pointwise, pixels), atol=1e-6
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((2, 2, 4), np.uint8), "2, 4"),
        (np.zeros((1, 2, 2, 3), np.uint8), "1, 2, 2, 3"),
        (np.zeros((0, 2, 3), np.uint8), "0, 2, 3"),
        (np.zeros((2, 2, 3), bool), "bool"),
        (np.zeros((2, 2, 3), complex), "complex"),
        (np.full((2, 2, 3), np.nan), "finite"),
        (np.full((2, 2, 3), -1), "-1"),
        (np.full((2, 2, 3), 256), "256"),
        (np.full((2, 2, 3), 0.5), "multiply"),
        ("nope.png", "nope.png"),
    ],
)
def test_bad_images_are_refused(pointwise, bad, message):
    with pytest.raises(InputError, match=message):
        segment(pointwise, bad)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 2)])
def test_tiny_images(deeplab, size):
    result = segment(deeplab, image(*size), scales=(0.5, 1), flip=True)
    assert result.mask.shape == size
    assert np.isfinite(result.probabilities).all()


def test_flip_averages_with_the_mirrored_image(local):
    pixels = image()
    mirrored = expected(local, pixels[:, ::-1])[:, ::-1]
    result = segment(local, pixels, flip=True)
    np.testing.assert_allclose(result.probabilities, (expected(local, pixels) + mirrored) / 2, atol=1e-6)
    assert np.abs(mirrored - expected(local, pixels)).max() > 0.01


def test_scales_are_averaged_at_the_size_of_the_image(local):
    pixels = image(40, 60)
    larger = tf.image.resize(pixels, (80, 120)).numpy()
    other = tf.image.resize(expected(local, larger), (40, 60), antialias=True).numpy()
    result = segment(local, pixels, scales=(1, 2))
    np.testing.assert_allclose(result.probabilities, (expected(local, pixels) + other) / 2, atol=1e-5)
    np.testing.assert_allclose(segment(local, pixels, scales=[2]).probabilities, other, atol=1e-5)


def test_shrinking_is_antialiased():
    stripes = np.zeros((40, 40, 3), np.uint8)
    stripes[:, ::4] = 255
    model = build(classes=2, kernel_value=0.1)
    model.layers[-2].set_weights([np.full((1, 1, 3, 2), (0.0, 0.2)), np.zeros(2)])
    found = segment(model, stripes, scales=(0.25,)).probabilities[10:30, 10:30, 1]
    grey = expected(model, np.full((1, 1, 3), 255 / 4, np.float32))[0, 0, 1]
    np.testing.assert_allclose(found, grey, atol=0.02)


@pytest.mark.parametrize("tile", [16, (16, 24), (7, 100), np.int64(20), (64, 64), (37, 10)])
def test_tiles_of_a_pointwise_model_give_the_whole_image(pointwise, tile):
    pixels = image()
    whole, tiled = segment(pointwise, pixels), segment(pointwise, pixels, tile=tile)
    np.testing.assert_allclose(tiled.probabilities, whole.probabilities, atol=1e-5)
    assert (tiled.mask == whole.mask).mean() > 0.999


def test_tiles_leave_no_seams(local):
    """The wrong border of a window (zero padding) has little weight: far less than without overlap."""
    pixels = np.full((64, 64, 3), 200, np.uint8)
    whole = segment(local, pixels).probabilities[8:-8, 8:-8]
    tiled = segment(local, pixels, tile=32).probabilities[8:-8, 8:-8]
    cut = np.concatenate([expected(local, pixels[:, :32]), expected(local, pixels[:, 32:])], axis=1)[
        8:-8, 8:-8
    ]
    steps = [np.abs(np.diff(p, axis=1)).max() for p in (tiled, cut)]
    assert steps[0] < 0.5 * steps[1]
    assert np.abs(tiled - whole).max() < np.abs(cut - whole).max()


@pytest.mark.parametrize(("length", "window"), [(100, 30), (31, 30), (30, 30), (5, 30), (64, 3), (9, 1)])
def test_windows_cover_an_axis_with_weights_that_sum_to_one(length, window):
    spans = windows.spans(length, window, most=100)
    total = np.zeros(length)
    for span in spans:
        assert (span.weights > 0).all()
        total[span.first : span.first + len(span.weights)] += span.weights
    np.testing.assert_allclose(total, 1, atol=1e-6)
    starts = [span.start for span in spans]
    assert starts == sorted(set(starts))
    for first, second in itertools.pairwise(starts):
        assert first + window - second >= window // 4


def test_a_model_of_one_size_sees_windows_of_it():
    fixed, free = build(size=(16, 20)), build()
    free.set_weights(fixed.get_weights())
    for size in ((37, 53), (5, 7), (16, 20), (10, 50)):
        pixels = image(*size)
        np.testing.assert_allclose(
            segment(fixed, pixels).probabilities, segment(free, pixels).probabilities, atol=1e-5
        )
    with pytest.raises(InputError, match="built"):
        segment(fixed, image(), tile=32)
    with pytest.raises(InputError, match="scales"):
        segment(fixed, image(), scales=(1, 2))


@pytest.mark.parametrize("tile", [0, -1, (3,), (3, 0), 2.5, True, (None, 4), "32"])
def test_bad_tiles_are_refused(pointwise, tile):
    with pytest.raises(InputError, match="tile"):
        segment(pointwise, image(), tile=tile)


@pytest.mark.parametrize("scales", [(), (0,), (-1,), (float("nan"),), 1.0, "a"])
def test_bad_scales_are_refused(pointwise, scales):
    with pytest.raises(InputError, match="scales"):
        segment(pointwise, image(), scales=scales)


def test_large_probabilities_are_computed_on_demand(local, monkeypatch):
    pixels = image()
    kept = segment(local, pixels, tile=16)
    monkeypatch.setattr(segmentation, "KEPT_BYTES", 0)
    lazy = segment(local, pixels, tile=16)
    assert lazy._probabilities is None
    np.testing.assert_array_equal(lazy.mask, kept.mask)
    np.testing.assert_array_equal(lazy.probabilities, kept.probabilities)
    assert lazy.probabilities is lazy.probabilities


def test_more_than_256_classes_need_16_bits():
    model = build(classes=300)
    model.layers[-2].set_weights([np.zeros((1, 1, 3, 300)), np.arange(300)])
    result = segment(model, image())
    assert result.mask.dtype == np.uint16
    assert (result.mask == 299).all()


def test_a_model_is_traced_once_for_all_sizes():
    model = build()
    for size in ((8, 8), (9, 13), (30, 7)):
        segment(model, image(*size), scales=(1, 0.5), flip=True)
    assert network.probabilities_of(model).experimental_get_tracing_count() == 1


def test_the_traced_function_sees_new_weights():
    model = build()
    before = segment(model, image()).probabilities
    model.set_weights([-w for w in model.get_weights()])
    assert np.abs(segment(model, image()).probabilities - before).max() > 0.01


def test_a_segmented_model_can_be_saved_and_collected(tmp_path):
    model = build()
    segment(model, image())
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert segment(again, image()).labels == numbered(5)
    reference = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert reference() is None


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_is_told_instead_of_waiting_for_ever():
    model = build()
    segment(model, image())
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that hangs
        try:
            segment(model, image())
        except InputError as error:
            os._exit(0 if "spawn" in str(error) and "\n" not in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_too_little_memory_suggests_a_smaller_tile(pointwise, monkeypatch):
    def exhausted(images):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    monkeypatch.setattr(network, "probabilities_of", lambda model: exhausted)
    with pytest.raises(InputError, match="smaller tile"):
        segment(pointwise, image())


def test_a_model_that_is_not_of_the_zoo_is_refused():
    x = keras.Input((None, None, 3))
    with pytest.raises(InputError, match="not a zoo model"):
        segment(keras.Model(x, keras.layers.ReLU()(x)), image())


def test_a_name_is_loaded(pointwise, monkeypatch):
    import zoo.models.loading

    monkeypatch.setattr(zoo.models.loading, "load", {"some_model": pointwise}.__getitem__)
    assert segment("some_model", image()).labels == numbered(5)
