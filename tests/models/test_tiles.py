"""Margins, tiles and the upsampling of context aggregation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens import seeding
from support.context_networks import small, tents

from zoo.layers import BilinearUpsampling2D, JoinTiles, ReflectionPadding2D
from zoo.models.architectures.context_aggregation import (
    VARIANTS,
)


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("size", [(1, 2), (5, 3), (40, 187), (186, 200)])
def test_margin_is_numpys_reflection_at_any_size(size, static):
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    image = keras.Input((*(size if static else (None, None)), 3))
    model = keras.Model(image, ReflectionPadding2D(margin=186)(image))
    wanted = np.pad(x, [(0, 0), (186, 186), (186, 186), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(model(x), wanted)
    if static:
        assert model.output_shape[1:3] == wanted.shape[1:3]


def authors_tiles(image, tile, margin):
    """The loop of the authors' ``predict.py``, with NumPy's reflection for OpenCV's."""
    border = np.pad(image, [(margin, margin), (margin, margin), (0, 0)], mode="reflect")
    full = [n + 2 * margin for n in tile]
    for top in range(0, image.shape[0], tile[0]):
        for left in range(0, image.shape[1], tile[1]):
            part = border[top : top + full[0], left : left + full[1]]
            below, right = (f - p for f, p in zip(full, part.shape[:2], strict=True))
            yield np.pad(part, [(0, below), (0, right), (0, 0)], mode="reflect")


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (24, 16), (33, 50), (25, 17)])
def test_tiles_are_the_authors(size, static):
    tile, margin = (24, 16), 6
    x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    image = keras.Input((*(size if static else (None, None)), 3))
    cut = ReflectionPadding2D(margin=margin, tile=tile)(image)
    model = keras.Model(image, [cut, JoinTiles(tile=tile)([cut, image])])
    tiles, joined = model(x)
    wanted = [t for picture in x for t in authors_tiles(picture, tile, margin)]
    np.testing.assert_array_equal(tiles, wanted)
    across = -(-size[1] // tile[1])
    rows = [np.concatenate(wanted[i : i + across], axis=1) for i in range(0, len(wanted) // 2, across)]
    np.testing.assert_array_equal(joined[0], np.concatenate(rows))


def test_an_image_that_fills_its_tile_is_the_whole_image():
    whole, tiled = small("camvid"), small("camvid", tiled=True)
    tiled.set_weights(whole.get_weights())
    rows, columns = VARIANTS["camvid"].tile
    x = seeding.image(rows, columns)[None]
    np.testing.assert_allclose(tiled(x), whole(x), atol=1e-5)


@pytest.mark.parametrize("factor", [2, 8])
def test_upsampling_is_the_bilinear_deconvolution(factor):
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")
    kernel = tents(4, 2 * factor).transpose(2, 3, 0, 1) * np.eye(4, dtype="float32")
    shape = (2, 5 * factor, 3 * factor, 4)
    wanted = tf.nn.conv2d_transpose(x, kernel, shape, factor, "SAME")
    layer = BilinearUpsampling2D(factor=factor)
    np.testing.assert_allclose(layer(x), wanted, atol=1e-5)
    assert layer.compute_output_shape((None, None, 3, 4)) == (None, None, 3 * factor, 4)
