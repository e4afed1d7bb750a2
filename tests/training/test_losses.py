import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.losses import CLASSES, EACH, NAMES, WEIGHTS, example, pixels

from zoo.errors import InputError
from zoo.training.losses import (
    Dice,
    LovaszSoftmax,
    OnlineHardExamples,
    SparseCrossEntropy,
    WeightedSum,
    WithAuxiliary,
)

each = pytest.mark.parametrize("loss", EACH, ids=NAMES)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_cross_entropy(weights, smoothing):
    labels, logits = example()
    w = weights or [1.0] * CLASSES
    total = amount = 0.0
    for y, p in pixels(labels, logits):
        spread = sum(w[c] * -math.log(p[c]) for c in range(CLASSES)) / CLASSES
        total += (1 - smoothing) * w[y] * -math.log(p[y]) + smoothing * spread
        amount += w[y]
    loss = SparseCrossEntropy(class_weights=weights, label_smoothing=smoothing)(labels, logits)
    assert float(loss) == pytest.approx(total / amount, rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"keep_ratio": 0.3},
        {"keep_ratio": 1.0},
        {"keep_ratio": 0.01, "min_kept": 4},
        {"threshold": 0.2},
        {"threshold": 0.001, "min_kept": 1000},
    ],
)
def test_online_hard_examples(options):
    labels, logits = example()
    total, amount = 0.0, 0
    for image_labels, image_logits in zip(labels, logits, strict=True):
        true = sorted(p[y] for y, p in pixels(image_labels, image_logits))
        if "keep_ratio" in options:
            wanted = math.ceil(options["keep_ratio"] * len(true))
        else:
            wanted = sum(p < options["threshold"] for p in true)
        kept = true[: max(wanted, options.get("min_kept", 1))]
        total += sum(-math.log(p) for p in kept)
        amount += len(kept)
    assert float(OnlineHardExamples(**options)(labels, logits)) == pytest.approx(total / amount, rel=1e-6)


def dice(found):
    terms = []
    for c in {y for y, _ in found}:
        both = sum(p[c] for y, p in found if y == c)
        terms.append(1 - 2 * both / (sum(p[c] for _, p in found) + sum(y == c for y, _ in found)))
    return terms


def lovasz(found):
    """The extension by its definition: errors in falling order, times the steps of the Jaccard loss."""
    terms = []
    for c in {y for y, _ in found}:
        ranked = sorted(((abs((y == c) - p[c]), y == c) for y, p in found), reverse=True)
        truth, value, before = {i for i, (_, is_true) in enumerate(ranked) if is_true}, 0.0, 0.0
        for i, (error, _) in enumerate(ranked):
            wrong = set(range(i + 1))
            jaccard_loss = 1 - len(truth - wrong) / len(truth | wrong)
            value += error * (jaccard_loss - before)
            before = jaccard_loss
        terms.append(value)
    return terms


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.parametrize(("kind", "terms_of"), [(Dice, dice), (LovaszSoftmax, lovasz)])
def test_region_losses(kind, terms_of, per_image):
    labels, logits = example()
    images = [pixels(*pair) for pair in zip(labels, logits, strict=True)]
    groups = [found for found in images if found] if per_image else [[*itertools.chain(*images)]]
    expected = np.mean([np.mean(terms_of(found)) for found in groups])
    assert float(kind(per_image=per_image)(labels, logits)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [Dice, LovaszSoftmax])
def test_region_losses_of_some_pixels(kind):
    labels, logits = example()
    some = float(kind(every=2)(labels, logits))
    assert some == pytest.approx(float(kind()(labels[:, ::2, ::2], logits[:, ::2, ::2])), rel=1e-6)
    assert some != pytest.approx(float(kind()(labels, logits)), rel=1e-3)


def test_lovasz_of_hard_predictions_is_one_minus_iou():
    labels = np.array([[[0, 0, 0, 1, 1, 1, 1, 255]]])
    pred = np.array([0, 0, 1, 1, 1, 1, 0, 0])
    logits = np.eye(2, dtype=np.float32)[pred][None, None] * 80
    expected = 1 - (2 / 4 + 3 / 5) / 2
    assert float(LovaszSoftmax()(labels, logits)) == pytest.approx(expected, rel=1e-6)


def test_sums_of_losses():
    labels, logits = example()
    one, two = SparseCrossEntropy(), Dice()
    expected = float(one(labels, logits)) + 0.5 * float(two(labels, logits))
    assert float(WeightedSum([one, two], [1, 0.5])(labels, logits)) == pytest.approx(expected, rel=1e-6)
    expected = float(one(labels, logits)) + 0.4 * float(one(labels, -logits))
    outputs = {"logits": logits, "auxiliary": -logits}
    assert float(WithAuxiliary(one)(labels, outputs)) == pytest.approx(expected, rel=1e-6)
    assert float(WithAuxiliary(one)(labels, logits)) == pytest.approx(float(one(labels, logits)))


# --- all of them --------------------------------------------------------------------------------


def gradient(loss, labels, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(labels, logits)
    return float(value), tape.gradient(value, logits).numpy()


@each
def test_gradients_are_those_of_the_value(loss):
    labels, logits = example((2, 3, 4), seed=3)
    _, found = gradient(loss, labels, logits)
    direction = np.random.default_rng(1).normal(size=logits.shape)
    step = 1e-3
    change = float(loss(labels, logits + step * direction)) - float(loss(labels, logits - step * direction))
    assert float((found * direction).sum()) == pytest.approx(change / (2 * step), rel=0.02, abs=1e-3)
    assert np.abs(found).max() > 1e-3
    np.testing.assert_array_equal(found[labels == 255], 0)


@each
@pytest.mark.parametrize("scale", [1, 1e4])
def test_everything_ignored_is_zero(loss, scale):
    labels, logits = example()
    value, found = gradient(loss, np.full_like(labels, 255), logits * scale)
    assert value == 0
    np.testing.assert_array_equal(found, 0)


@each
def test_huge_logits_stay_finite(loss):
    labels, logits = example()
    value, found = gradient(loss, labels, logits * 1e4)
    assert np.isfinite(value)
    assert np.isfinite(found).all()


@each
def test_ignored_pixels_change_nothing(loss):
    labels, logits = example()
    changed = np.where((labels == 255)[..., None], -3 * logits, logits)
    assert float(loss(labels, changed)) == float(loss(labels, logits))


@each
def test_half_precision_is_computed_in_float32(loss):
    labels, logits = example()
    halves = logits.astype(np.float16)
    value = loss(labels, tf.constant(halves))
    assert value.dtype == tf.float32
    assert float(value) == float(loss(labels, halves.astype(np.float32)))


@each
def test_saved_and_restored(loss):
    labels, logits = example()
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(restored) is type(loss)
    assert restored.get_config() == loss.get_config()
    assert float(restored(labels, logits)) == float(loss(labels, logits))


@each
def test_a_value_that_is_no_class_is_named(loss):
    labels, logits = example()
    labels[0, 0, 0] = 17
    with pytest.raises(InputError, match="ground truth has the value 17; allowed are the classes 0 to 3"):
        loss(labels, logits)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"ground truth has the value\W+17"):
        tf.function(loss)(tf.constant(labels), tf.constant(logits))


def test_xla_gives_nan_for_a_value_that_is_no_class():
    labels, logits = example()
    compiled = tf.function(SparseCrossEntropy(), jit_compile=True)
    value = compiled(tf.constant(labels), tf.constant(logits))
    assert float(value) == pytest.approx(float(SparseCrossEntropy()(labels, logits)), rel=1e-5)
    labels[0, 0, 0] = 17
    assert math.isnan(float(compiled(tf.constant(labels), tf.constant(logits))))


def test_a_channel_of_one_in_the_labels_is_dropped():
    labels, logits = example()
    assert float(Dice()(labels[..., None], logits)) == float(Dice()(labels, logits))


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SparseCrossEntropy(label_smoothing=1.0), "label_smoothing must be"),
        (lambda: SparseCrossEntropy(class_weights=[1, -1]), "class_weights must be"),
        (lambda: SparseCrossEntropy(ignore_label="void"), "ignore_label must be"),
        (lambda: SparseCrossEntropy(reduction="sum"), "reduction must be"),
        (lambda: OnlineHardExamples(), "either keep_ratio or threshold"),
        (lambda: OnlineHardExamples(keep_ratio=0.5, threshold=0.5), "either keep_ratio or threshold"),
        (lambda: OnlineHardExamples(keep_ratio=0), "keep_ratio must be a number above 0 to 1"),
        (lambda: OnlineHardExamples(threshold=0.5, min_kept=0), "min_kept must be"),
        (lambda: Dice(every=0), "every must be a whole number of 1 or more, not 0"),
        (lambda: WeightedSum([Dice()], []), "1 losses and 0 weights"),
        (lambda: WithAuxiliary(Dice(), weight=-1), "weight of the auxiliary loss"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_what_cannot_be_compared():
    labels, logits = example()
    with pytest.raises(InputError, match=r"not \(3, 5, 7, 4\) and \(3, 5, 6\)"):
        Dice()(labels[:, :, 1:], logits)
    with pytest.raises(InputError, match="2 class_weights for logits with 4 channels"):
        SparseCrossEntropy(class_weights=[1, 1])(labels, logits)
    with pytest.raises(InputError, match="no sample_weight"):
        Dice()(labels, logits, np.ones(3))
    with pytest.raises(InputError, match="outputs must be"):
        WithAuxiliary(Dice())(labels, {"logits": logits, "other": logits})
