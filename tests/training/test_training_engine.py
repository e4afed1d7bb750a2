import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import training_fixtures as fixtures

from zoo.errors import DivergedError, InputError
from zoo.training import OptimizerConfig, Settings, fit
from zoo.training.averaging import WeightAverage
from zoo.training.modes import computing
from zoo.training.records import Table
from zoo.training.step import GROWTH_STEPS, LossScale


def run(*, model=None, batches=None, loss=fixtures.pixel_loss, validate=None, output=None, **changes):
    """(history, model) of a short run."""
    model = model or fixtures.tiny_model(dropout=0.0)
    settings = fixtures.tiny_settings(**changes)
    options = {"loss": loss, "validate": validate, "output": output}
    return fit(model, batches or fixtures.make_batches(), settings=settings, **options), model


def plain_steps(model, config, *, steps, clip=None, batch=4):
    """The same training written out with plain Keras and TensorFlow, losses included."""
    optimizer = keras.optimizers.SGD(config.learning_rate, momentum=config.momentum)
    losses = []
    for image, mask in fixtures.make_batches(batch=batch)(0).take(steps):
        with tf.GradientTape() as tape:
            loss = fixtures.pixel_loss(mask, model(image, training=True))
        sources = [v.value for v in model.trainable_variables]
        gradients = tape.gradient(loss, sources)
        if clip:
            gradients, _ = tf.clip_by_global_norm(gradients, clip)
        optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    return losses


def assert_same_weights(model, other, **tolerance):
    for path, value in fixtures.weights_of(model).items():
        np.testing.assert_allclose(fixtures.weights_of(other)[path], value, err_msg=path, **tolerance)


SGD = OptimizerConfig(kind="sgd", learning_rate=0.05, weight_decay=0.0)


def test_the_loop_equals_training_written_out():
    history, model = run(steps=4, optimizer=SGD, clip_norm=0.2)
    other = fixtures.tiny_model(dropout=0.0)
    losses = plain_steps(other, SGD, steps=4, clip=0.2)
    np.testing.assert_allclose(history.losses, losses, rtol=1e-5)
    assert_same_weights(model, other, rtol=1e-5, atol=1e-6)


def test_accumulated_batches_equal_one_large_batch():
    """With frozen batch norm, whose statistics would differ; ignored pixels differ between the halves."""

    def halves(start):
        large = fixtures.make_batches(batch=4)(start // 2)
        return large.unbatch().batch(2, drop_remainder=True)

    together, model = run(steps=3, optimizer=SGD, freeze=("batch_norm",))
    apart, other = run(steps=3, optimizer=SGD, freeze=("batch_norm",), batches=halves, accumulate=2)
    np.testing.assert_allclose(apart.losses, together.losses, rtol=1e-5)
    assert_same_weights(model, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("precision", "tolerance"), [("float16", 2e-3), ("bfloat16", 2e-2)])
def test_mixed_precision_follows_float32(precision, tolerance):
    exact, _ = run(steps=6, optimizer=SGD)
    seen = []

    def loss(mask, logits):
        seen.append((logits.dtype.name, model.get_layer("backbone.stem.relu").compute_dtype))
        return fixtures.pixel_loss(mask, logits)

    model = fixtures.tiny_model(dropout=0.0)
    mixed, _ = run(model=model, loss=loss, steps=6, optimizer=SGD, precision=precision)
    assert set(seen) == {("float32", precision)}
    np.testing.assert_allclose(mixed.losses, exact.losses, atol=tolerance)
    assert mixed.losses != exact.losses
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}


def test_overflow_is_skipped_and_halves_the_scale():
    """A loss so large that only a small enough scale fits into float16."""
    initial = fixtures.weights_of(fixtures.tiny_model(dropout=0.0))["classifier/kernel"]
    _, model = run(steps=2, precision="float16", loss=lambda m, y: fixtures.pixel_loss(m, y) * 1e4)
    np.testing.assert_array_equal(fixtures.weights_of(model)["classifier/kernel"], initial)
    history, model = run(steps=12, precision="float16", loss=lambda m, y: fixtures.pixel_loss(m, y) * 1e4)
    assert np.abs(fixtures.weights_of(model)["classifier/kernel"] - initial).max() > 0
    assert history.step == 12


def test_loss_scale_rule():
    scale = LossScale(8.0)
    scale.update(finite=False)
    assert scale == LossScale(4.0, 0)
    for _ in range(GROWTH_STEPS):
        scale.update(finite=True)
    assert scale == LossScale(8.0, 0)


def test_average_is_the_formula_and_what_the_model_ends_with():
    kept = [fixtures.weights_of(fixtures.tiny_model(dropout=0.0))["classifier/kernel"]]

    def keep(model):
        kept.append(fixtures.weights_of(model)["classifier/kernel"])
        return {"miou": 0.0}

    run(steps=3, epoch_steps=1, optimizer=SGD, validate=keep)
    assert len(kept) == 4
    expected = kept[0]
    for step, weights in enumerate(kept[1:]):
        share = min(0.15, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * weights
    _, model = run(steps=3, optimizer=SGD, average=0.15)
    np.testing.assert_allclose(
        fixtures.weights_of(model)["classifier/kernel"], expected, rtol=1e-5, atol=1e-7
    )


def test_average_is_only_lent_to_the_model():
    model = fixtures.tiny_model()
    average = WeightAverage(model, momentum=0.9)
    before = fixtures.weights_of(model)
    model.get_layer("classifier").bias.assign([1.0, 2.0, 3.0])
    with average.applied():
        np.testing.assert_array_equal(
            fixtures.weights_of(model)["classifier/bias"], before["classifier/bias"]
        )
    np.testing.assert_array_equal(fixtures.weights_of(model)["classifier/bias"], [1.0, 2.0, 3.0])


def test_nan_stops_with_the_step_and_advice():
    def batches(start):
        dataset = fixtures.make_batches()(start)
        return dataset.enumerate(start).map(lambda i, x: (tf.where(i == 3, math.nan, x[0]), x[1]))

    with pytest.raises(DivergedError, match=r"loss is not finite at step 4; try a lower.*clip_norm"):
        run(batches=batches)


def test_an_exploding_gradient_is_never_saved(tmp_path):
    def batches(start):
        return fixtures.make_batches()(start).take(4)

    def loss(mask, logits):
        # Finite, with an infinite gradient.
        return fixtures.pixel_loss(mask, logits) + tf.sqrt(tf.reduce_sum(logits) * 0.0)

    with pytest.raises(DivergedError, match="gradient is not finite at step 1"):
        run(batches=batches, loss=loss, output=tmp_path, checkpoint_steps=1)
    assert not list(tmp_path.glob("checkpoints/*.index"))


def test_best_model_is_kept_and_patience_stops(tmp_path):
    scores = iter([0.3, 0.5, 0.5, 0.4, 0.9])
    weights = []

    def validate(model):
        weights.append(fixtures.weights_of(model))
        return {"miou": next(scores), "accuracy": 1.0}

    options = {"steps": 100, "epoch_steps": 2, "patience": 2, "average": 0.5, "freeze": ("backbone",)}
    history, _ = run(validate=validate, output=tmp_path, precision="bfloat16", **options)
    assert (history.stopped, history.step, history.best_score, history.best_step) == ("early", 8, 0.5, 4)
    assert [row["miou"] for row in Table(tmp_path / "validation.csv", step=99).rows] == [0.3, 0.5, 0.5, 0.4]
    best = keras.models.load_model(tmp_path / "best.keras")
    for path, value in fixtures.weights_of(best).items():
        np.testing.assert_array_equal(value, weights[1][path], err_msg=path)
    assert all(layer.trainable and layer.dtype_policy.name == "float32" for layer in best.layers)
    again, _ = run(validate=validate, output=tmp_path, precision="bfloat16", **options)
    assert (again.stopped, again.step, again.losses) == ("early", 8, [])


def test_dropout_goes_on_where_it_was(tmp_path):
    """In two calls of one process, where Keras numbers the second model's random generators differently."""
    options = {"steps": 6, "epoch_steps": 3, "average": 0.9}
    whole, model = run(model=fixtures.tiny_model(), **options)
    first, _ = run(model=fixtures.tiny_model(), output=tmp_path, **{**options, "steps": 3})
    second, resumed = run(model=fixtures.tiny_model(), output=tmp_path, **options)
    assert first.losses + second.losses == pytest.approx(whole.losses, rel=1e-6)
    assert_same_weights(model, resumed, rtol=1e-5, atol=1e-6)
    assert [row["step"] for row in second.training] == [3, 6]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    run(steps=2, output=tmp_path)
    with pytest.raises(InputError, match="is of another model, optimizer, precision or average"):
        run(steps=4, output=tmp_path, average=0.9)


def test_events_hold_scalars_and_overlays(tmp_path):
    image = np.full((20, 30, 3), 128, np.uint8)
    settings = fixtures.tiny_settings(steps=2)
    options = {"validate": fixtures.pixel_accuracy, "output": tmp_path, "examples": (image,)}
    model = fixtures.tiny_model()
    history = fit(model, fixtures.make_batches(), loss=fixtures.pixel_loss, settings=settings, **options)
    found = {}
    (file,) = (tmp_path / "events").iterdir()
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            assert event.step == 2
            found[value.tag] = value
    assert found["training/loss"].simple_value == pytest.approx(np.mean(history.losses), rel=1e-6)
    assert found["validation/miou"].simple_value == pytest.approx(history.best_score)
    picture = tf.io.decode_png(found["examples/0"].image.encoded_image_string)
    assert picture.shape[0] >= 20 and picture.shape[1] >= 30 and picture.dtype == tf.uint8


def test_a_cut_off_log_is_mended(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text("step,loss\n5,1.5\n10,1.25\n15,1.0\n20,0.")
    table = Table(path, step=10)
    table.append({"step": 15, "loss": 0.75})
    assert path.read_text() == "step,loss\n5,1.5\n10,1.25\n15,0.75\n"


def test_a_log_without_a_column_goes_on_without_it(tmp_path):
    path = tmp_path / "training.csv"
    path.write_text("step,loss\n5,1.5\n")
    Table(path, step=5).append({"step": 10, "loss": 1.25, "batches_per_second": 2.0})
    assert path.read_text() == "step,loss\n5,1.5\n10,1.25\n"


def test_synchronized_flag_holds_only_within_the_context():
    model = fixtures.tiny_model()
    norm = model.get_layer("backbone.stem.bn")
    with computing(model, precision="float32", synchronized=True):
        assert norm.synchronized is True
    assert norm.synchronized is False


def test_model_fit_of_keras_works_afterwards():
    _, model = run(steps=1)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255))
    history = model.fit(fixtures.make_batches()(0).take(2), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_a_model_from_outside_of_the_scope_is_refused():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    settings = fixtures.tiny_settings()
    model = fixtures.tiny_model()
    with pytest.raises(InputError, match=r"strategy\.scope"):
        fit(model, fixtures.make_batches(), loss=fixtures.pixel_loss, settings=settings, strategy=strategy)


def test_data_that_end_too_early_are_an_error():
    with pytest.raises(InputError, match="the data ended after 2 of 12 steps"):
        run(batches=lambda start: fixtures.make_batches()(start).take(2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "steps must be a positive integer"),
        ({"checkpoint_steps": 0}, "checkpoint_steps must be"),
        ({"precision": "int8"}, "float32, float16, bfloat16, not 'int8'"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"accumulate": 0}, "accumulate"),
        ({"average": 1.0}, "between 0 and 1"),
        ({"patience": 2}, "needs a validation"),
        ({"freeze": ("decoder",)}, "nothing to freeze"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        run(**wrong)


def test_an_unknown_monitor_lists_the_scores():
    with pytest.raises(InputError, match="'dice' is no validation score; they are miou"):
        run(steps=1, monitor="dice", validate=fixtures.pixel_accuracy)


def test_settings_are_complete():
    assert Settings(steps=1, epoch_steps=1).optimizer == OptimizerConfig()
