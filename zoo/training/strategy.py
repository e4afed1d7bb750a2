"""Where training runs: one device, all GPUs of a machine, or several machines; and who reads which images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from zoo.errors import InputError
from zoo.training.cluster import HOSTS, INDEX, config_workers, indexed_workers, slurm_tasks, workers_named

STRATEGIES = ("auto", "one", "mirrored", "multi-worker", "tpu")

Batches = Callable[[int], tf.data.Dataset]


@dataclass(frozen=True)
class SharedBatches:
    """Batches of which a worker can make its own rows without reading those of others.

    Attributes:
        size: Rows of a global batch.
        part: Called with the index of the first batch, and with the number of a worker and of all; gives that
            worker's equal part of each batch.
    """

    size: int
    part: Callable[[int, tuple[int, int]], tf.data.Dataset]

    def __call__(self, start: int) -> tf.data.Dataset:
        """Whole batches."""
        return self.part(start, (0, 1))


def make_strategy(name: str = "auto", *, devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """The strategy of that name. Models that it trains must be built under its ``scope()``.

    Make it before anything else runs in TensorFlow: the workers of ``"multi-worker"`` cannot join later.

    Args:
        name: ``"one"``: a single device. ``"mirrored"``: replicas on `devices`, or on all GPUs of this
            machine. ``"multi-worker"``: as ``TF_CONFIG`` says, or else the tasks of a Slurm step, or else
            the pods of an indexed job (`zoo.training.cluster.indexed_workers`); every worker runs the same
            program. ``"tpu"``: that of ``TPU_NAME``, or of this machine. ``"auto"``: several workers where
            the environment names them, else mirrored where there are several GPUs (or `devices`), else one
            device.
        devices: Names such as ``"GPU:0"`` or, of logical devices, ``"CPU:1"``; for ``"auto"`` and
            ``"mirrored"``.

    Raises:
        InputError: An unknown name, devices that are not there, or an environment that names no workers.
    """
    if name not in STRATEGIES:
        raise InputError(f"strategy must be one of {', '.join(STRATEGIES)}, not {name!r}")
    if devices and name not in ("auto", "mirrored"):
        raise InputError(f"strategy {name!r} takes no devices, but got {', '.join(devices)}")
    if name == "auto":
        name = _chosen(devices)
    if name == "multi-worker":
        return _multi_worker()
    if name == "tpu":
        return _tpu()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy(_existing(devices))
    return tf.distribute.get_strategy()


def _chosen(devices: Sequence[str] | None) -> str:
    if devices:
        return "mirrored"
    if workers_named(os.environ) > 1:
        return "multi-worker"
    return "mirrored" if len(tf.config.list_logical_devices("GPU")) > 1 else "one"


def _existing(devices: Sequence[str] | None) -> list[str]:
    """`devices`, each checked, or all GPUs."""
    present = [device.name.removeprefix("/device:") for device in tf.config.list_logical_devices()]
    chosen = list(devices or (name for name in present if name.startswith("GPU")))
    missing = [name for name in chosen if name.removeprefix("/device:") not in present]
    if missing or not chosen:
        wanted = ", ".join(missing) or "a GPU"
        raise InputError(f"mirrored strategy: no such device: {wanted}; there are {', '.join(present)}")
    return chosen


def _multi_worker() -> tf.distribute.Strategy:
    # TF_CONFIG comes first: whoever sets it inside of a Slurm job means it.
    if config_workers(os.environ):
        return tf.distribute.MultiWorkerMirroredStrategy()
    resolvers = tf.distribute.cluster_resolver
    if slurm_tasks(os.environ):
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolvers.SlurmClusterResolver())
    workers = indexed_workers(os.environ)
    if workers is None:
        raise InputError(
            "multi-worker strategy: neither TF_CONFIG nor a Slurm step names the workers, nor do "
            f"{INDEX} and {HOSTS}"
        )
    resolver = resolvers.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(workers.addresses)}),
        task_type="worker",
        task_id=workers.index,
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _tpu() -> tf.distribute.Strategy:
    """All cores of a TPU; `InputError` where there is none."""
    name = os.environ.get("TPU_NAME") or "local"
    if name == "local" and not tf.config.list_physical_devices("TPU"):
        raise InputError("tpu strategy: TensorFlow sees no TPU on this machine, and TPU_NAME names none")
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"tpu strategy: no TPU is reached as {name!r} ({reason})") from error
    return tf.distribute.TPUStrategy(resolver)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes files: the only one there is, or the first of several workers."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.task_type:
        return True
    if resolver.task_type == "chief":
        return True
    has_chief = "chief" in resolver.cluster_spec().jobs
    return resolver.task_type == "worker" and resolver.task_id == 0 and not has_chief


def distributed_iterator(batches: Batches, *, strategy: tf.distribute.Strategy, start: int):
    """Iterator over what each replica gets of the global batches from batch `start` on.

    Each worker takes its own rows of every global batch, and cuts them for its replicas; of `SharedBatches`
    it reads no others. TensorFlow's automatic sharding is not used: it shards by files where it can, and then
    the batches, hence the losses, depend on the number of workers.

    Args:
        batches: Called with `start`; gives global batches (image, mask), the same on every worker.
        strategy: Whose replicas are fed.
        start: Index of the first batch.

    Raises:
        InputError: A batch that the replicas cannot share equally (when it is read, or at once where its
            size is static).
    """

    def own_part(context: tf.distribute.InputContext) -> tf.data.Dataset:
        replicas = context.num_replicas_in_sync
        if replicas == 1:
            return batches(start)
        if isinstance(batches, SharedBatches):
            _check_shares(batches.size, replicas)
            own = batches.part(start, (context.input_pipeline_id, context.num_input_pipelines))
            return own.rebatch(batches.size // replicas).prefetch(2)
        dataset = batches(start)
        size = _static_batch(dataset, replicas)
        rows = size // context.num_input_pipelines
        first = context.input_pipeline_id * rows
        dataset = dataset.map(lambda *parts: tuple(part[first : first + rows] for part in parts))
        return dataset.rebatch(size // replicas).prefetch(2)

    return iter(strategy.distribute_datasets_from_function(own_part))


def _static_batch(dataset: tf.data.Dataset, replicas: int) -> int:
    """Rows of a global batch; they must be known and divide among the replicas."""
    size = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if size is None:
        raise InputError(
            f"{replicas} replicas need batches of one static size: batch with drop_remainder=True"
        )
    _check_shares(size, replicas)
    return size


def _check_shares(size: int, replicas: int) -> None:
    if size % replicas:
        raise InputError(f"a batch of {size} images cannot be shared equally by {replicas} replicas")
