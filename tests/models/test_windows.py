"""Windows over an image: they equal one pass where the receptive field fits, and no seam is seen."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.window_models import convolution

import zoo
from zoo.images import read_image
from zoo.inference import network, segment, windows
from zoo.inference.viewing import viewer_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "city.jpg"


def photograph(height, width, seed=0):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def logits(probabilities):
    """Logits but for a constant of each pixel."""
    found = np.log(np.maximum(probabilities, 1e-30))
    return found - found.mean(axis=-1, keepdims=True)


MODELS = [
    ({"kernel": 5}, 0),
    ({"kernel": 3, "layers": 4}, 0),
    ({"kernel": 3, "stride": 2, "layers": 2}, 0),
    ({"kernel": 5, "stride": 8, "layers": 2}, 0),
    ({"kernel": 5, "stride": 8, "layers": 2}, 8),
]


@pytest.mark.parametrize(("settings", "more"), MODELS)
@pytest.mark.parametrize("tile", [(160, 160), (161, 192), (200, 400)])
def test_windows_equal_one_pass_where_the_receptive_field_fits(settings, more, tile):
    model, pixels = convolution(**settings), photograph(320 + more, 400)
    whole, tiled = segment(model, pixels), segment(model, pixels, tile=tile)
    np.testing.assert_allclose(logits(tiled.probabilities), logits(whole.probabilities), atol=1e-3)
    assert (tiled.mask == whole.mask).mean() > 0.9999
    cut = segment(model, pixels[:160]).probabilities[-1]
    assert np.abs(logits(cut) - logits(whole.probabilities[159])).max() > 1e-2  # what a border would do


def test_the_overlap_grows_with_the_receptive_field_while_half_a_window_holds_it():
    narrow, wide = convolution(kernel=3), convolution(kernel=9, layers=4)
    assert network.reach_of(narrow) == (3, 3)
    assert network.reach_of(wide) == (18, 18)
    overlaps = []
    for model, window in ((narrow, 96), (wide, 96), (wide, 64)):
        rows, _ = windows.grid(viewer_of(model), (1000, 1000), (window, window), most=100)
        overlaps.append(min(a.stop - b.start for a, b in itertools.pairwise(rows)) / window)
    assert overlaps[0] >= 0.25
    assert overlaps[1] >= (36 + 6) / 96
    assert 0.25 <= overlaps[2] < 36 / 64


@pytest.mark.parametrize("size", [(300, 401), (97, 640)])
def test_every_pixel_comes_once_and_in_order_of_rows(size):
    model, pixels = convolution(kernel=3), photograph(*size)
    seen, starts = np.zeros(size, int), []

    def rows_of(start, stop):
        starts.append(start)
        return pixels[start:stop]

    how = {"window": (96, 80), "scales": (1.0,), "flip": False}
    for top, left, found in windows.pieces(viewer_of(model), rows_of, size, **how):
        seen[top : top + found.shape[0], left : left + found.shape[1]] += 1
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert (seen == 1).all()
    assert starts == sorted(starts)


def test_memory_of_the_seam_is_bounded(monkeypatch):
    model, pixels = convolution(kernel=3), photograph(300, 400)
    wide = segment(model, pixels, tile=128).probabilities
    monkeypatch.setattr(windows, "SEAM_BYTES", 4 * 5 * 400 * 2)
    np.testing.assert_allclose(segment(model, pixels, tile=128).probabilities, wide, atol=1e-5)
    rows, columns = windows.grid(viewer_of(model), (300, 400), (128, 128), most=2)
    assert max(row.shared for row in rows) == 2 < max(column.shared for column in columns)


def test_a_published_kind_of_model_has_no_seams():
    """Its field is wider than the window and it pools the whole map: the two differ, but not at the seams."""
    model, pixels = zoo.load("deeplabv3_aspp"), read_image(EXAMPLE)
    whole, tiled = (segment(model, pixels, tile=tile) for tile in (None, 256))
    assert (whole.mask == tiled.mask).mean() > 0.95
    for axis in (0, 1):
        steps = [np.abs(np.diff(found.probabilities, axis=axis)).max(axis=-1) for found in (whole, tiled)]
        one, other = (step.mean(axis=1 - axis) for step in steps)
        assert other.max() < 1.1 * one.max()
