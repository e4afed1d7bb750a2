"""Focal loss and border weights within cross-entropy, against statements of their own."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.losses import CLASSES, WEIGHTS, example

from zoo.errors import InputError
from zoo.training import Recipe
from zoo.training.losses import SparseCrossEntropy
from zoo.training.losses.pixels import BORDER


def expected(labels, logits, *, weights, focus, border):
    total = amount = 0.0
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for (image, row, column), label in np.ndenumerate(labels):
        if label == 255:
            continue
        rows = slice(max(0, row - BORDER), row + BORDER + 1)
        columns = slice(max(0, column - BORDER), column + BORDER + 1)
        around = labels[image, rows, columns]
        near = len(set(around[around != 255].tolist())) > 1
        weight = weights[label] * (1 + border * near)
        p = probabilities[image, row, column, label]
        total += weight * (1 - p) ** focus * -np.log(p)
        amount += weight
    return total / amount


def blocks():
    """Labels of which most pixels are far from a border."""
    labels, logits = example((2, 12, 16))
    labels[:] = 0
    labels[0, :, 8:] = 2
    labels[0, 3:5, 2:4] = 255
    labels[1, 5:] = 1
    return labels, logits


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("focus", "border"), [(0, 0), (2.0, 0), (0, 3.0), (0.5, 1.5)])
@pytest.mark.parametrize("make", [example, blocks])
def test_focus_and_border(weights, focus, border, make):
    labels, logits = make()
    loss = SparseCrossEntropy(class_weights=weights, focus=focus, border_weight=border)
    wanted = expected(labels, logits, weights=weights or [1.0] * CLASSES, focus=focus, border=border)
    assert float(loss(labels, logits)) == pytest.approx(wanted, rel=1e-5)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert float(again(labels, logits)) == float(loss(labels, logits))


def test_an_ignored_neighbour_is_no_border():
    labels = np.full((1, 6, 6), 1)
    labels[:, :, 3:] = 255
    logits = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype(np.float32)
    plain, weighted = SparseCrossEntropy(), SparseCrossEntropy(border_weight=9.0)
    assert float(plain(labels, logits)) == pytest.approx(float(weighted(labels, logits)), rel=1e-6)


def test_the_gradient_is_finite_where_a_pixel_is_right():
    logits = tf.constant([[[[60.0, 0.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = SparseCrossEntropy(focus=0.5)(np.zeros((1, 1, 1), np.int32), logits)
    assert np.isfinite(tape.gradient(loss, logits).numpy()).all()


@pytest.mark.parametrize("name", ["focus", "border_weight"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), True, "1"])
def test_impossible_numbers(name, value):
    with pytest.raises(InputError, match=f"{name} must be a number"):
        SparseCrossEntropy(**{name: value})
    with pytest.raises(InputError, match=f"{name} must be a number"):
        Recipe(**{name: value})


def test_what_does_not_go_together():
    with pytest.raises(InputError, match="exclude each other"):
        SparseCrossEntropy(focus=1.0, label_smoothing=0.1)
    with pytest.raises(InputError, match="exclude each other"):
        Recipe(focus=1.0, label_smoothing=0.1)
    with pytest.raises(InputError, match="belong to cross-entropy"):
        Recipe(loss={"dice": 1.0}, border_weight=1.0)
