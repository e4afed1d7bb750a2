"""Batches of records from the workers of a `tf.data` service, the same as those that are read directly.

What is sent to the service is TensorFlow alone, so that any of its workers can run it: for each batch of an
epoch the places of its records. The workers take batches as they come; here they are put in order again.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.dataset import Dataset
from zoo.datasets.records.example import IMAGE, MASK
from zoo.datasets.records.member import RecordFile
from zoo.datasets.shutdown import GATE
from zoo.datasets.stream import FILL, batches, changes_of, options_of_streams, order_of
from zoo.datasets.transform import drawn, transform
from zoo.errors import InputError

_ANSWER_SECONDS = 5.0
# Batches that may come before one that is waited for; beyond, the worker that had it is gone.
_MOST_WAITING = 256
_LOST = (
    "the data service has lost a batch, since one of its workers has ended; start again to go on from the "
    "last checkpoint"
)


def served_batches(
    dataset: Dataset,
    address: str,
    *,
    batch_size: int,
    crop: tuple[int, int],
    augment: Augmentation | None = None,
    seed: int = 0,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """Endless shuffled batches as `zoo.datasets.batches` gives them with ``drop_remainder=True``.

    They are equal and in equal order, at any start, for any number of workers of the service. Two things are
    not as without it: JPEG files are decoded by TensorFlow, whose pixels can differ by a level from
    Pillow's; and a worker that ends takes its batches along, which ends the iteration with an error.

    Args:
        dataset: Of the kind ``records``, whose workers see the shards under the same paths.
        address: Of the dispatcher, ``grpc://HOST:PORT``.
        batch_size: As for `zoo.datasets.batches`.
        crop: As for `zoo.datasets.batches`.
        augment: As for `zoo.datasets.batches`, without ``rare`` and ``paste``.
        seed: As for `zoo.datasets.batches`.
        start_step: As for `zoo.datasets.batches`.
        shard: As for `zoo.datasets.batches`.

    Raises:
        InputError: No records, images that TensorFlow does not read as they are meant, options that cannot
            be used, or no service at that address.
    """
    _check(dataset, augment)
    options = {"batch_size": batch_size, "crop": crop, "augment": augment, "seed": seed, "shard": shard}
    kept = {"shuffle": True, "repeat": None, "drop_remainder": True}
    spec = batches(dataset, **options, **kept).element_spec  # and every check of the options
    _check_answer(address)
    stream = _Ordered(_Plan(dataset, address, **options))

    @GATE.guarded
    def fetch(step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return stream.at(int(step))

    def load(step: tf.Tensor) -> tuple[tf.Tensor, ...]:
        parts = tf.numpy_function(fetch, [step], [part.dtype for part in spec])
        return tuple(tf.ensure_shape(part, own.shape) for part, own in zip(parts, spec, strict=True))

    return tf.data.Dataset.counter(start_step).map(load).with_options(options_of_streams()).prefetch(1)


@dataclass(frozen=True)
class _Plan:
    """What is asked of the service."""

    dataset: Dataset
    address: str
    batch_size: int
    crop: tuple[int, int]
    augment: Augmentation | None
    seed: int
    shard: tuple[int, int]

    @property
    def epoch_steps(self) -> int:
        """Batches of an epoch."""
        return len(self.dataset) // self.batch_size

    def batches(self, epoch: int, first: int) -> tf.data.Dataset:
        """Numbered batches of an epoch from one on, in any order."""
        index, count = self.shard
        rows = self.batch_size // count
        order = order_of(self.dataset, self.batch_size, seed=self.seed, epoch=epoch)
        chosen = order.reshape(-1, self.batch_size)[first:, index * rows : (index + 1) * rows]
        images = [image for image, _ in self.dataset.pairs]
        names = sorted({str(image.holder) for image in images})
        number = {name: at for at, name in enumerate(names)}
        files = np.array([number[str(image.holder)] for image in images], np.int32)
        offsets = np.array([image.entry.offset for image in images], np.int64)
        steps = np.arange(first, first + len(chosen))
        table = (steps, chosen, files[chosen], offsets[chosen])
        sample = self._sample(tf.constant(names), epoch)

        def whole(step: tf.Tensor, *places: tf.Tensor) -> tuple[tf.Tensor, ...]:
            found = tf.data.Dataset.from_tensor_slices(places).map(sample).batch(rows, drop_remainder=True)
            return step, *found.get_single_element()

        service = tf.data.experimental.service
        stream = tf.data.Dataset.from_tensor_slices(table).map(whole, num_parallel_calls=tf.data.AUTOTUNE)
        return stream.with_options(options_of_streams()).apply(
            service.distribute(processing_mode=service.ShardingPolicy.DYNAMIC, service=self.address)
        )

    def _sample(self, names: tf.Tensor, epoch: int) -> Callable:
        """The function of a record's place that gives its changed image and mask, by TensorFlow alone."""
        ignore, labels = self.dataset.label_set.ignore_label, tf.constant(self.dataset.values())
        features = {name: tf.io.FixedLenFeature((), tf.string) for name in (IMAGE, MASK)}

        def sample(index: tf.Tensor, file: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            variant = tf.raw_ops.TFRecordDatasetV2(
                filenames=names[file][tf.newaxis],
                compression_type="",
                buffer_size=1 << 18,
                byte_offsets=offset[tf.newaxis],
            )
            records = tf.data.experimental.from_variant(variant, tf.TensorSpec((), tf.string))
            found = tf.io.parse_single_example(records.take(1).get_single_element(), features)
            mask = tf.gather(labels, tf.cast(tf.io.decode_png(found[MASK], channels=1)[..., 0], tf.int32))
            key = changes_of(self.seed, epoch, index)
            image, mask = transform(
                _pixels(found[IMAGE]),
                mask,
                crop=self.crop,
                augment=self.augment,
                key=key,
                fill=FILL,
                ignore_label=ignore,
                draws=drawn(key),
            )
            return tf.ensure_shape(image, (*self.crop, 3)), tf.ensure_shape(mask, self.crop)

        return sample


def _pixels(content: tf.Tensor) -> tf.Tensor:
    """An image file of which the index says that TensorFlow reads it as it is meant."""
    image = tf.cond(
        tf.io.is_jpeg(content),
        lambda: tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(content, channels=3),
    )
    return tf.ensure_shape(image, (None, None, 3))


@dataclass
class _Ordered:
    """Batches by their number, from epochs whose batches come in any order."""

    plan: _Plan
    _expected: int = -1
    _source: Iterator = field(default_factory=lambda: iter(()))
    _waiting: dict[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of a step; mostly the one after that of the last call."""
        epoch, place = divmod(step, self.plan.epoch_steps)
        if step != self._expected or place == 0:
            self._source = iter(self.plan.batches(epoch, place).as_numpy_iterator())
            self._waiting.clear()
        self._expected = step + 1
        while place not in self._waiting:
            number, image, mask = next(self._source, (None, None, None))
            if number is None or len(self._waiting) == _MOST_WAITING:
                raise InputError(_LOST)
            self._waiting[int(number)] = image, mask
        return self._waiting.pop(place)


def _check(dataset: Dataset, augment: Augmentation | None) -> None:
    if type(dataset) is not Dataset:
        raise InputError("a data service does not shrink images: shrink them before they are packed")
    if dataset.name != "records" or not all(isinstance(image, RecordFile) for image, _ in dataset.pairs):
        raise InputError(f"a data service reads records, not the kind {dataset.name!r}: `zoo dataset pack`")
    if augment is not None and augment.composed:
        raise InputError("a data service gives no samples with rare or paste, which need other samples")
    other = next((image for image, _ in dataset.pairs if not image.entry.plain), None)
    if other is not None:
        raise InputError(
            f"{other}: a data service decodes JPEG and PNG files with 8 bits a channel, without "
            "transparency, that EXIF does not turn"
        )


def _check_answer(address: str) -> None:
    """`InputError` unless somebody listens there: TensorFlow itself would wait for ever."""
    host, _, port = address.removeprefix("grpc://").rpartition(":")
    if not address.startswith("grpc://") or not host or not port.isdecimal() or int(port) > 65535:
        raise InputError(f"the address of a data service is grpc://HOST:PORT, not {address!r}")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"no data service answers at {address} ({reason}); `zoo data-service` starts one"
        ) from error
