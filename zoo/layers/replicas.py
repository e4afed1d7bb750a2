"""Sums over the replicas of a `tf.distribute` strategy, without a trace left behind.

`tf.distribute.ReplicaContext.all_reduce` enters a gradient into TensorFlow's global registry at each trace,
as `tf.custom_gradient` does; see `zoo.layers.gradients`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.eager import record

_ENTRY = "AtrousZoo/replica_sum"


def replica_sums(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The sum of each value over all replicas, differentiable: its gradient is the sum of all gradients.

    Call it on every replica, in the same order, outside of branches and loops. On one replica the values are
    given back.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1 or not values:
        return list(values)
    # Identities, because a tensor that all replicas were given from outside is nobody's own to reduce.
    given = [tf.identity(value) for value in values]
    sums = list(context.merge_call(_reduced, args=tuple(given)))
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": _ENTRY}):
        marked = tf.raw_ops.IdentityN(input=[*sums, *given])
    # Tapes do not look at the map: of two records of one result they follow the later.
    record.record_operation(_ENTRY, marked, [*sums, *given], _gradient)
    return marked[: len(given)]


def _reduced(strategy: tf.distribute.Strategy, *values) -> list:
    pairs = [(value, value) for value in values]
    return strategy.extended.batch_reduce_to(tf.distribute.ReduceOp.SUM, pairs)


def _gradient(*dy) -> list:
    count = len(dy) // 2
    return [*[None] * count, *replica_sums(dy[:count])]


# A module that is loaded anew meets the entry of its predecessor, which does the same.
with contextlib.suppress(KeyError):
    tf.RegisterGradient(_ENTRY)(lambda _, *dy: _gradient(*dy))
