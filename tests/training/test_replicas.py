"""Sums over replicas: value and gradient of TensorFlow's own, and nothing left in its registry."""

import json
import os
import subprocess
import sys

PROGRAM = """
import gc, json, sys, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from tensorflow.python.framework import ops
from support.training_fixtures import make_batches, pixel_loss, real_model, tiny_settings
from zoo.layers import FusedBatchNormalization
from zoo.layers.replicas import replica_sums
from zoo.training import fit, make_strategy

strategy = make_strategy("mirrored", devices=["CPU:0", "CPU:1"])
SUM = tf.distribute.ReduceOp.SUM

def theirs(values):
    return tf.distribute.get_replica_context().all_reduce(SUM, values)

def gradients(summed):
    def replica():
        index = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.float32)
        x, y = tf.constant([1.0, 2.0]) + index, tf.constant([[3.0]]) - index
        with tf.GradientTape() as outer:
            outer.watch([x, y])
            with tf.GradientTape() as inner:
                inner.watch([x, y])
                a, b = summed([x * y[0], tf.sin(y)])
                value = tf.reduce_sum(a ** 2 * (index + 1.0)) * tf.reduce_sum(b)
            first = inner.gradient(value, [x, y])
            total = tf.reduce_sum(first[0]) + tf.reduce_sum(first[1] ** 2)
        return [a, b, *first, *outer.gradient(total, [x, y])]
    found = tf.function(lambda: strategy.run(replica))()
    return [np.array(v) for one in found for v in strategy.experimental_local_results(one)]

ours, wanted = gradients(replica_sums), gradients(theirs)
for a, b in zip(ours, wanted, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5)

def round():
    with strategy.scope():
        model = real_model()
    settings = tiny_settings(1, epoch_steps=1)
    fit(model, make_batches(size=33), loss=pixel_loss, settings=settings, strategy=strategy)
    del model
    gc.collect()
    alive = [x for x in gc.get_objects() if isinstance(x, tf.Graph)]
    return [
        len([x for x in alive if not getattr(x, "name", "").startswith("Dataset_")]),
        len(ops.gradient_registry.list()),
    ]

json.dump([round(), round()], sys.stdout)
"""


def test_replicas_leave_no_graph_and_have_the_right_gradients(tmp_path):
    program = tmp_path / "replicas.py"  # TensorFlow wants to see the source
    program.write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(program)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert found.returncode == 0, found.stderr[-2000:]
    first, second = json.loads(found.stdout.splitlines()[-1])
    assert first == second
