import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import InputError
from zoo.metrics.boundary import boundary_band
from zoo.metrics.confusion import ConfusionMatrix, confusion_matrix

RNG = np.random.default_rng(5)


def by_hand(true, pred, classes, ignore_label):
    """One pixel after the other."""
    counts = np.zeros((classes, classes), np.int64)
    for t, p in zip(np.ravel(true), np.ravel(pred), strict=True):
        if t != ignore_label:
            counts[t, p] += 1
    return counts


def masks(classes=4, ignore_label=255, shape=(2, 9, 11)):
    true = RNG.integers(0, classes, shape).astype(np.uint8)
    true[RNG.random(shape) < 0.2] = ignore_label
    return true, RNG.integers(0, classes, shape).astype(np.uint8)


# --- counting -----------------------------------------------------------------------------------


def test_both_count_as_by_hand():
    expected, confusion = np.zeros((4, 4), np.int64), ConfusionMatrix(4, 255)
    for _ in range(3):
        true, pred = masks()
        expected += by_hand(true, pred, 4, 255)
        confusion.update(true, pred)
        counts = confusion_matrix(true, pred, classes=4, ignore_label=255)
        assert counts.dtype == tf.int64
        np.testing.assert_array_equal(counts, by_hand(true, pred, 4, 255))
    np.testing.assert_array_equal(confusion.matrix, expected)
    assert confusion.matrix.dtype == np.int64
    assert confusion.pixels == expected.sum()


def test_a_product_of_small_integers_does_not_overflow():
    confusion = ConfusionMatrix(200, None)
    confusion.update(np.full((2, 2), 199, np.uint8), np.full((2, 2), 198, np.uint8))
    assert confusion.matrix[199, 198] == 4


def test_without_an_ignore_label_all_pixels_count():
    true, pred = np.array([0, 1, 1]), np.array([0, 0, 1])
    confusion = ConfusionMatrix(2)
    confusion.update(true, pred)
    np.testing.assert_array_equal(confusion.matrix, [[1, 0], [1, 1]])
    np.testing.assert_array_equal(confusion_matrix(true, pred, classes=2), [[1, 0], [1, 1]])


def test_the_prediction_is_checked_where_the_truth_is_ignored():
    with pytest.raises(InputError, match=r"prediction has the value 3; allowed are the classes 0 to 2"):
        ConfusionMatrix(3, 255).update([0, 255], [0, 3])
    with pytest.raises(InputError, match=r"prediction has the value 3; allowed are the classes 0 to 2"):
        confusion_matrix([0, 255], [0, 3], classes=3, ignore_label=255)


@pytest.mark.parametrize("value", [-1, 3, 254])
def test_a_true_value_outside_is_named(value):
    message = f"ground truth has the value {value}; allowed are the classes 0 to 2"
    with pytest.raises(InputError, match=message):
        ConfusionMatrix(3, 255).update([0, value, 255], [0, 0, 0])
    with pytest.raises(InputError, match=message):
        confusion_matrix([0, value, 255], [0, 0, 0], classes=3, ignore_label=255)
    counting = tf.function(lambda t, p: confusion_matrix(t, p, classes=3, ignore_label=255))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"ground truth has the value\W+{value}"):
        counting(tf.constant([0, value, 255]), tf.constant([0, 0, 0]))


@pytest.mark.parametrize(
    ("true", "pred", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\)"),
        (np.zeros(2), np.zeros(2, int), "integers, not float"),
        (np.zeros(2, int), np.zeros(2, np.float32), "integers, not "),
    ],
)
def test_what_is_no_pair_of_masks(true, pred, message):
    with pytest.raises(InputError, match=message):
        ConfusionMatrix(2).update(true, pred)
    with pytest.raises(InputError, match=r"integers|must be equal"):
        confusion_matrix(true, pred, classes=2)


@pytest.mark.parametrize("classes", [1, 2.0, True])
def test_classes_are_checked(classes):
    with pytest.raises(InputError, match="at least 2"):
        ConfusionMatrix(classes)


def test_the_ignore_label_is_no_class():
    with pytest.raises(InputError, match="none of the classes 0 to 3, not 3"):
        ConfusionMatrix(4, 3)


def test_add_takes_counts_of_the_same_classes_only():
    confusion = ConfusionMatrix(2)
    confusion.add(tf.constant([[1, 2], [3, 4]], tf.int64))
    confusion.add(np.eye(2, dtype=np.int32))
    np.testing.assert_array_equal(confusion.matrix, [[2, 2], [3, 5]])
    for wrong in (np.eye(3, dtype=int), np.eye(2), -np.eye(2, dtype=int)):
        with pytest.raises(InputError, match="of 2 classes"):
            confusion.add(wrong)


REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from zoo.metrics.confusion import confusion_matrix
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
true = tf.constant([[0, 1, 255], [2, 2, 1], [0, 0, 0], [255, 2, 1]])
pred = tf.constant([[0, 2, 1], [2, 1, 1], [0, 1, 2], [0, 2, 0]])
data = tf.data.Dataset.from_tensor_slices((true, pred)).batch(4)

@tf.function
def step(t, p):
    counts = strategy.run(lambda t, p: confusion_matrix(t, p, classes=3, ignore_label=255), (t, p))
    return strategy.reduce("sum", counts, axis=None)

[batch] = strategy.experimental_distribute_dataset(data)
assert [v.shape[0] for v in strategy.experimental_local_results(batch[0])] == [2, 2]
print(step(*batch).numpy().tolist())
"""


def test_two_replicas_sum_to_the_whole():
    done = subprocess.run([sys.executable, "-c", REPLICAS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "[[2, 1, 1], [1, 1, 1], [0, 1, 2]]"


# --- scores -------------------------------------------------------------------------------------


def test_scores_of_a_matrix_worked_out_on_paper():
    confusion = ConfusionMatrix(4, 255)
    confusion.add(np.array([[6, 2, 0, 0], [1, 3, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
    # Class 2 is predicted once and never true; class 3 is in neither.
    np.testing.assert_allclose(confusion.iou, [6 / 9, 3 / 7, 0, np.nan])
    assert confusion.mean_iou == pytest.approx((6 / 9 + 3 / 7) / 3)
    np.testing.assert_allclose(confusion.class_accuracy, [6 / 8, 3 / 5, np.nan, np.nan])
    assert confusion.mean_class_accuracy == pytest.approx((6 / 8 + 3 / 5) / 2)
    assert confusion.pixel_accuracy == pytest.approx(9 / 13)


@pytest.mark.filterwarnings("error")
def test_everything_ignored_gives_nan():
    confusion = ConfusionMatrix(2, 255)
    confusion.update(np.full((2, 2), 255), np.zeros((2, 2), int))
    assert np.isnan([confusion.mean_iou, confusion.pixel_accuracy, confusion.mean_class_accuracy]).all()
    assert np.isnan(confusion.iou).all()


def test_the_matrix_cannot_be_changed_from_outside():
    confusion = ConfusionMatrix(2)
    confusion.matrix[0, 0] = 7
    assert confusion.pixels == 0


# --- boundary band ------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [1, 2, 20])
def test_band_by_definition(distance):
    mask = np.zeros((9, 12), np.uint8)
    mask[2:5, 3:6], mask[7, 11] = 1, 255
    expected = np.zeros(mask.shape, bool)
    for row, column in np.ndindex(*mask.shape):
        rows = slice(max(0, row - distance), row + distance + 1)
        columns = slice(max(0, column - distance), column + distance + 1)
        expected[row, column] = (mask[rows, columns] != mask[row, column]).any()
    np.testing.assert_array_equal(boundary_band(mask, distance=distance), expected)


def test_no_border_no_band():
    assert not boundary_band(np.full((5, 6), 3), distance=2).any()


def test_only_the_band_counts():
    true = np.repeat([[0, 0, 0, 1, 1, 1]], 4, axis=0)
    pred = np.zeros_like(true)
    pred[:, 4:] = 1
    confusion = ConfusionMatrix(2, 255)
    confusion.update(true, pred, where=boundary_band(true, distance=1))
    np.testing.assert_array_equal(confusion.matrix, [[4, 0], [4, 0]])


@pytest.mark.parametrize(
    ("mask", "distance"),
    [(np.zeros(3, int), 1), (np.zeros((2, 2)), 1), (np.zeros((2, 2), int), 0), (np.zeros((2, 2), int), 1.5)],
)
def test_band_of_nothing_usable(mask, distance):
    with pytest.raises(InputError, match=r"mask is|distance must be"):
        boundary_band(mask, distance=distance)
