"""Batches for training and evaluation as a `tf.data.Dataset` that can be entered at any step.

Which sample stands where and how it is changed depends on the seed, the epoch and the sample's index only:
not on the number of threads, on how a batch is divided among workers, or on where the stream begins.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from zoo.datasets.augmentation import Augmentation
from zoo.datasets.composition import Composer
from zoo.datasets.dataset import Dataset
from zoo.datasets.order import epoch_order, interleaved_order
from zoo.datasets.orders import BY_FILE
from zoo.datasets.shutdown import GATE
from zoo.datasets.transform import Window, drawn, transform
from zoo.datasets.window import cut
from zoo.errors import InputError

FILL = (123.675, 116.28, 103.53)  # ImageNet's mean colour, which torchvision's normalization maps to 0
_ENDLESS = 1 << 62
_BUFFER = 2  # batches that are ready ahead of the one in use


def batches(
    dataset: Dataset,
    *,
    batch_size: int,
    crop: tuple[int, int] | None = None,
    augment: Augmentation | None = None,
    shuffle: bool = False,
    seed: int = 0,
    repeat: int | None = 1,
    drop_remainder: bool = False,
    start_step: int = 0,
    shard: tuple[int, int] = (0, 1),
    fill: Sequence[float] = FILL,
    cache: bool = False,
    num_parallel_calls: int | None = None,
) -> tf.data.Dataset:
    """Batches of images and masks.

    Args:
        dataset: What to read; its label set needs an ignore label if there is a crop.
        batch_size: Samples in a batch, over all shards.
        crop: Height and width to crop or pad to; at a random place with `augment`, in the middle without.
            `None` keeps the size of the images, which must then be alike within a batch.
        augment: Changes of image and mask, see `Augmentation`; a range of scales needs a crop.
        shuffle: Another order in every epoch, as `Dataset.order` says; otherwise that of the data set.
        seed: Of the order and of the changes, 0 or more.
        repeat: Number of epochs, or `None` for an endless stream.
        drop_remainder: Each epoch ends with its last full batch. Otherwise batches reach over the ends of
            epochs, and only the last one of all may be smaller.
        start_step: Number of batches to leave out: the stream goes on exactly as if they had been taken.
        shard: ``(index, count)``: this stream gets the index-th of `count` equal parts of every batch.
        fill: RGB colour of padded pixels, in 0…255. Their label is the ignore label.
        cache: Keep decoded images and masks in memory, 4 bytes a pixel.
        num_parallel_calls: Samples that are prepared at the same time; by default one a core, up to 16.

    Returns:
        Dataset of ``(batch, height, width, 3)`` float32 images, RGB in 0…255, and ``(batch, height, width)``
        int32 masks. Of a large image no more than the part under the crop is kept: a sample that is prepared
        takes up to 16 bytes for each pixel of its file until then. A file that cannot be read ends the
        iteration with a TensorFlow error that names it.

    Raises:
        InputError: An option that cannot be used; see above.
    """
    size = len(dataset)
    crop = _checked_crop(crop)
    _check_numbers(batch_size=batch_size, seed=seed, repeat=repeat, start_step=start_step)
    _check_changes(dataset, crop, augment, fill)
    part = _checked_shard(shard, batch_size)
    if shuffle and dataset.order == BY_FILE:
        _check_files(dataset, shard[1], whole=drop_remainder)
    epoch_size = size // batch_size * batch_size if drop_remainder else size
    if not epoch_size:
        raise InputError(f"there are {size} samples, too few for one batch of {batch_size}")
    if part[1] != batch_size and not drop_remainder and repeat is not None:
        raise InputError("shards need full batches: drop_remainder=True, or repeat=None")
    if crop is None and batch_size > 1:
        _check_sizes(dataset, batch_size, anyhow=shuffle or (size % batch_size > 0 and repeat != 1))
    locate = _locator(dataset, batch_size, epoch_size, shuffle=shuffle, seed=seed)
    load = _loader(dataset, crop=crop, augment=augment, cache=cache)
    ignore = dataset.label_set.ignore_label

    def sample(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = locate(number)
        changes = changes_of(seed, number // epoch_size, index)
        image, mask, size, origin, draws = load(index, drawn(changes))
        image, mask = transform(
            image,
            mask,
            crop=crop,
            augment=augment,
            key=changes,
            fill=fill,
            ignore_label=ignore,
            window=Window(size, origin),
            draws=draws,
        )
        shape = crop or (None, None)
        return tf.ensure_shape(image, (*shape, 3)), tf.ensure_shape(mask, shape)

    total = _ENDLESS if repeat is None else repeat * epoch_size
    numbers = _numbers(total, batch_size, start_step=start_step, part=part)
    calls = num_parallel_calls or tf.data.AUTOTUNE
    stream = numbers.map(sample, num_parallel_calls=calls, deterministic=True)
    stream = stream.batch(part[1], drop_remainder=drop_remainder or repeat is None)
    if repeat is None:
        stream = stream.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    return stream.with_options(options_of_streams()).prefetch(_BUFFER)


# --- order --------------------------------------------------------------------------------------


def _numbers(total: int, batch_size: int, *, start_step: int, part: tuple[int, int]) -> tf.data.Dataset:
    """Numbers of the stream's samples from a step on; of each batch the `part` (start, length)."""
    start, length = part
    first = start_step * batch_size
    if length == batch_size:
        return tf.data.Dataset.range(min(first, total), total)
    steps = total // batch_size - start_step
    numbers = tf.data.Dataset.range(max(0, steps) * length)
    return numbers.map(lambda n: first + n // length * batch_size + start + n % length)


def order_of(dataset: Dataset, batch_size: int, *, seed: int, epoch: int) -> np.ndarray:
    """Sample indices in the order of a shuffled epoch, at least those of its full batches."""
    if dataset.order == BY_FILE:
        return interleaved_order(len(dataset), batch=batch_size, seed=seed, epoch=epoch)
    return epoch_order(len(dataset), seed=seed, epoch=epoch)


def changes_of(seed: int, epoch: tf.Tensor | int, index: tf.Tensor) -> tf.Tensor:
    """The key of a sample's changes in an epoch, as `zoo.datasets.transform.drawn` takes it."""
    key = tf.constant([seed & 0x7FFFFFFF, seed >> 31 & 0x7FFFFFFF], tf.int32)
    return _fold(_fold(key, epoch), index)


def _fold(key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(key, number, alg="philox")


def options_of_streams() -> tf.data.Options:
    """What each stream here is run with."""
    options = tf.data.Options()
    options.deterministic = True
    # The thread that tunes buffers sleeps for up to a minute at a time, and the end of an iterator waits for
    # it: so would the end of each training. Untuned, samples are prepared by all cores.
    options.autotune.enabled = False
    # The files are read by index: a strategy cannot divide them, only the samples.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


# --- reading ------------------------------------------------------------------------------------


def _locator(
    dataset: Dataset, batch_size: int, epoch_size: int, *, shuffle: bool, seed: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Number in the stream → index of the sample."""

    @functools.lru_cache(maxsize=4)
    def order(epoch: int) -> np.ndarray:
        if not shuffle:
            return np.arange(len(dataset))
        return order_of(dataset, batch_size, seed=seed, epoch=epoch)

    @GATE.guarded
    def find(number: np.ndarray) -> np.int64:
        epoch, position = divmod(int(number), epoch_size)
        return np.int64(order(epoch)[position])

    return lambda number: tf.ensure_shape(tf.numpy_function(find, [number], tf.int64, stateful=False), ())


def _loader(
    dataset: Dataset, *, crop: tuple[int, int] | None, augment: Augmentation | None, cache: bool
) -> Callable[[tf.Tensor, tf.Tensor], tuple]:
    """Index of a sample and its draws → part of image and mask that is needed, whole size, origin, draws.

    Pillow decodes, which reads the palette positions of a mask as they are.
    """
    kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def sample(index: int) -> tuple[np.ndarray, np.ndarray]:
        found = kept.get(index) or dataset.read_bytes(index)
        if cache:
            kept[index] = found
        return found

    composed = augment is not None and augment.composed
    compose = Composer(dataset, augment=augment, crop=crop, read=sample) if composed else None

    @GATE.guarded
    def read(number: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, ...]:
        image, mask = sample(int(number))
        if compose is not None:
            image, mask, draws = compose((image, mask), draws)
        return *cut(image, mask, draws=draws, crop=crop, augment=augment), draws

    def load(index: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, ...]:
        types = [tf.uint8, tf.uint8, tf.int32, tf.int32, tf.float32]
        image, mask, size, origin, used = tf.numpy_function(read, [index, draws], types, stateful=False)
        mask = tf.cast(tf.ensure_shape(mask, (None, None)), tf.int32)
        image, used = tf.ensure_shape(image, (None, None, 3)), tf.ensure_shape(used, draws.shape)
        return image, mask, tf.ensure_shape(size, (2,)), tf.ensure_shape(origin, (2,)), used

    return load


# --- arguments ----------------------------------------------------------------------------------


def _check_numbers(*, batch_size: int, seed: int, repeat: int | None, start_step: int) -> None:
    lowest = {"batch_size": (batch_size, 1), "seed": (seed, 0), "start_step": (start_step, 0)}
    if repeat is not None:
        lowest["repeat"] = (repeat, 1)
    for name, (value, low) in lowest.items():
        if not _is_integer(value) or value < low:
            raise InputError(f"{name} is an integer of {low} or more, not {value!r}")


def _checked_crop(crop: tuple[int, int] | None) -> tuple[int, int] | None:
    if crop is None:
        return None
    given = tuple(crop) if isinstance(crop, Sequence) else ()
    if len(given) != 2 or not all(_is_integer(n) and n > 0 for n in given):
        raise InputError(f"crop is (height, width) in pixels, not {crop!r}")
    return given


def _check_changes(
    dataset: Dataset,
    crop: tuple[int, int] | None,
    augment: Augmentation | None,
    fill: Sequence[float],
) -> None:
    if crop is None and augment is not None and tuple(augment.scale) != (1, 1):
        raise InputError(f"scales of {augment.scale} need a crop, since a batch has one size")
    if crop is not None and dataset.label_set.ignore_label is None:
        raise InputError(f"a crop needs an ignore label for its padding, {dataset.label_set.key} has none")
    if crop is None and augment is not None and augment.composed:
        raise InputError("rare and paste need a crop")
    color = np.asarray(fill)
    if color.shape != (3,) or color.dtype.kind not in "uif" or not ((color >= 0) & (color <= 255)).all():
        raise InputError(f"fill is an RGB colour in 0…255, not {fill!r}")


def _check_sizes(dataset: Dataset, batch_size: int, *, anyhow: bool) -> None:
    """Raise an `InputError` where images of a batch differ in size; `anyhow`: where any two images do."""
    first = None
    for index in range(len(dataset)):
        shape = dataset.shape(index)
        if first is None or (index % batch_size == 0 and not anyhow):
            first = index, shape
        elif shape != first[1]:
            (one, other), place = (dataset.pairs[i][0].name for i in (first[0], index)), first[1]
            raise InputError(
                f"images of a batch have one size, but {one} has {place[1]}x{place[0]} pixels and {other} "
                f"{shape[1]}x{shape[0]}: give a crop, or batch_size=1"
            )


def _checked_shard(shard: tuple[int, int], batch_size: int) -> tuple[int, int]:
    """Start and length of this shard's part of a batch."""
    index, count = shard
    if not (_is_integer(index) and _is_integer(count) and 0 <= index < count):
        raise InputError(f"shard is (index, count) with 0 <= index < count, not {shard!r}")
    if batch_size % count:
        raise InputError(f"a batch of {batch_size} cannot be divided into {count} equal parts")
    length = batch_size // count
    return index * length, length


def _check_files(dataset: Dataset, readers: int, *, whole: bool) -> None:
    if not whole:
        raise InputError("the order 'files' needs full batches: drop_remainder=True")
    if dataset.shards is not None and dataset.shards < readers:
        raise InputError(
            f"{readers} workers need as many files of records, but {dataset.split} has {dataset.shards}: "
            "pack it with --shards, or read it with --order samples"
        )


def _is_integer(value: object) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, bool)
