import subprocess
import sys

import keras
import numpy as np
import pytest
from support.losses import CLASSES, EACH, NAMES

from zoo.training.losses import SparseCrossEntropy, WithAuxiliary


def small_model(auxiliary=False):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(CLASSES, 1)(image)
    return keras.Model(
        image, {"logits": x, "auxiliary": keras.layers.Conv2D(CLASSES, 1)(image)} if auxiliary else x
    )


@pytest.mark.parametrize("loss", EACH[1:9:2], ids=NAMES[1:9:2])
def test_fit_lowers_it(loss):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    labels = images.argmax(-1)
    labels[:, 0] = 255
    model = small_model()
    model.compile("adam", loss=loss, jit_compile=False)
    model.optimizer.learning_rate = 0.1
    before, *_, after = model.fit(images, labels, batch_size=2, epochs=12, verbose=0).history["loss"]
    assert after < 0.6 * before


def test_fit_of_two_heads():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    labels, model, loss = images.argmax(-1), small_model(auxiliary=True), SparseCrossEntropy()
    weights = {"logits": 1.0, "auxiliary": 0.4}
    model.compile("sgd", loss=dict.fromkeys(weights, loss), loss_weights=weights, jit_compile=False)
    found = model.evaluate(images, dict.fromkeys(weights, labels), verbose=0)
    outputs = model(images)
    expected = float(WithAuxiliary(loss)(labels, outputs))
    assert (found if np.isscalar(found) else found[0]) == pytest.approx(expected, rel=1e-5)


REPLICAS = """
import sys
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path.insert(0, sys.argv[1])
from support.losses import EACH, NAMES, example
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
labels, logits = example((4, 5, 7))
data = tf.data.Dataset.from_tensor_slices((labels, logits)).batch(4)
[batch] = strategy.experimental_distribute_dataset(data)
for name, loss in zip(NAMES, EACH):
    if name not in ("weighted", "ohem_ratio", "dice", "sum"):
        continue

    @tf.function
    def step(y, x):
        def each(y, x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss(y, x)
            return value, tape.gradient(value, x)
        value, gradient = strategy.run(each, (y, x))
        return strategy.reduce("sum", value, axis=None), strategy.gather(gradient, axis=0)

    value, gradient = step(*batch)
    x = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(x)
        whole = loss(labels, x)
    np.testing.assert_allclose(value, whole, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(gradient, tape.gradient(whole, x), rtol=1e-4, atol=1e-7, err_msg=name)
    print("equal", name)
"""


def test_two_replicas_have_the_loss_of_the_batch(request):
    """The second replica has fewer pixels that count: means of means would be wrong."""
    command = [sys.executable, "-c", REPLICAS, str(request.path.parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal") == 4
