"""The stream of batches: its order, what it is independent of, and entering it at any step."""

import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.datasets import Augmentation, Dataset, batches, open_dataset
from zoo.datasets.stream import epoch_order
from zoo.errors import InputError
from zoo.images import write_png
from zoo.labels import VOC21, LabelSet

COUNT = 7
SIZE = (12, 16)
ORDER = [0, 3, 7, 5, 1, 2, 6, 4]  # of seed 0 in epoch 0, by NumPy 2.4
AUGMENT = Augmentation(scale=(0.8, 1.5))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Seven samples; the mask of each holds its number, in a palette file."""
    root = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir()
    for index in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (*SIZE, 3), np.uint8)).save(root / "images" / f"{index}.png")
        mask = np.full(SIZE, index, np.uint8)
        write_png(root / "masks" / f"{index}.png", mask, palette=VOC21.palette)
    return root


@pytest.fixture(scope="module")
def dataset(root):
    return open_dataset("folder", root, split="all", classes=COUNT)


def taken(stream, count=None):
    return [(image.numpy(), mask.numpy()) for image, mask in stream.take(-1 if count is None else count)]


def numbers(stream, count=None):
    """Numbers of the samples in each batch."""
    return [[int(mask[0, 0]) for mask in masks] for _, masks in taken(stream, count)]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for (image, mask), (other_image, other_mask) in zip(first, second, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(mask, other_mask)


def test_values_and_types(dataset):
    stream = batches(dataset, batch_size=3)
    assert stream.element_spec == (
        tf.TensorSpec((None, None, None, 3), tf.float32),
        tf.TensorSpec((None, None, None), tf.int32),
    )
    found = taken(stream)
    assert [image.shape for image, _ in found] == [(3, *SIZE, 3), (3, *SIZE, 3), (1, *SIZE, 3)]
    for index in range(COUNT):
        image, mask = dataset.read(index)
        np.testing.assert_array_equal(found[index // 3][0][index % 3], image)
        np.testing.assert_array_equal(found[index // 3][1][index % 3], mask)


def test_shape_with_a_crop_is_static(dataset):
    stream = dataset.as_tf(batch_size=3, crop=(8, 24), augment=AUGMENT, drop_remainder=True)
    assert [tuple(spec.shape) for spec in stream.element_spec] == [(3, 8, 24, 3), (3, 8, 24)]


def test_epochs_and_remainders(dataset):
    assert numbers(batches(dataset, batch_size=3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert numbers(batches(dataset, batch_size=3, drop_remainder=True)) == [[0, 1, 2], [3, 4, 5]]
    assert numbers(batches(dataset, batch_size=3, repeat=2))[2:] == [[6, 0, 1], [2, 3, 4], [5, 6]]
    dropped = batches(dataset, batch_size=3, repeat=2, drop_remainder=True)
    assert numbers(dropped) == [[0, 1, 2], [3, 4, 5]] * 2
    assert int(dropped.cardinality()) == 4
    endless = batches(dataset, batch_size=3, repeat=None)
    assert numbers(endless, 5)[4] == [5, 6, 0]
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY


def test_every_epoch_is_another_permutation(dataset):
    found = numbers(batches(dataset, batch_size=COUNT, shuffle=True, repeat=20))
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in found)
    assert len({tuple(epoch) for epoch in found}) >= 19
    # No place is fixed: each of the 7 samples comes first in some epoch.
    assert len({epoch[0] for epoch in found}) >= 5
    other = numbers(batches(dataset, batch_size=COUNT, shuffle=True, repeat=20, seed=1))
    assert found != other


def test_orders_are_those_of_chance():
    """Over 4000 epochs: who comes where, and who follows whom, by chi-square at about five deviations."""
    orders = np.stack([epoch_order(20, seed=3, epoch=epoch) for epoch in range(4000)])
    np.testing.assert_array_equal(np.sort(orders), np.tile(np.arange(20), (4000, 1)))
    for place in (0, 7, 19):
        counts = np.bincount(orders[:, place], minlength=20)
        assert ((counts - 200) ** 2 / 200).sum() < 19 + 5 * np.sqrt(2 * 19)
    pairs = np.bincount((20 * orders[:, :-1] + orders[:, 1:]).ravel(), minlength=400)
    pairs = pairs.reshape(20, 20)[~np.eye(20, dtype=bool)]
    assert ((pairs - 200) ** 2 / 200).sum() < 379 + 5 * np.sqrt(2 * 379)
    kept = (orders[:-1] == orders[1:]).sum(1)
    assert abs(kept.mean() - 1) < 5 / np.sqrt(4000)


def test_the_order_of_a_seed_never_changes():
    assert epoch_order(8, seed=0, epoch=0).tolist() == ORDER
    assert epoch_order(8, seed=0, epoch=1).tolist() != ORDER


def test_dropped_samples_change_with_the_order(dataset):
    found = numbers(batches(dataset, batch_size=6, shuffle=True, repeat=20, drop_remainder=True))
    missing = [set(range(COUNT)) - set(batch) for batch in found]
    assert all(len(m) == 1 for m in missing)
    assert len(set.union(*missing)) > 2


OPTIONS = {"batch_size": 2, "crop": (10, 10), "augment": AUGMENT, "shuffle": True, "seed": 11}


@pytest.mark.parametrize("ending", [{"repeat": None}, {"repeat": 3}, {"repeat": 3, "drop_remainder": True}])
def test_entering_at_any_step_gives_the_same_stream(dataset, ending):
    whole = taken(batches(dataset, **OPTIONS, **ending), 9)
    for step in (1, 4, 8):
        assert_same(whole[step:], taken(batches(dataset, **OPTIONS, **ending, start_step=step), 9 - step))


def test_entering_after_the_end_is_empty(dataset):
    assert not taken(batches(dataset, batch_size=2, start_step=4))
    assert not taken(batches(dataset, batch_size=2, start_step=400))
    assert not taken(batches(dataset, batch_size=2, start_step=9, shard=(0, 2), drop_remainder=True))


@pytest.mark.parametrize("calls", [1, 4])
def test_the_stream_does_not_depend_on_threads_or_cache(dataset, calls):
    whole = taken(batches(dataset, **OPTIONS, repeat=4))
    assert_same(whole, taken(batches(dataset, **OPTIONS, repeat=4, num_parallel_calls=calls, cache=True)))


@pytest.mark.parametrize("count", [2, 4])
def test_shards_together_are_the_stream(dataset, count):
    options = OPTIONS | {"batch_size": 4, "repeat": None}
    whole = taken(batches(dataset, **options), 6)
    parts = [taken(batches(dataset, **options, shard=(i, count), start_step=2), 4) for i in range(count)]
    joined = [tuple(map(np.concatenate, zip(*row, strict=True))) for row in zip(*parts, strict=True)]
    assert_same(whole[2:], joined)


def test_a_mirrored_strategy_divides_the_same_stream(dataset):
    """Two replicas on one device, as a strategy sees the stream: each batch is divided, none is lost."""
    whole = taken(batches(dataset, **OPTIONS, repeat=2, drop_remainder=True))
    stream = batches(dataset, **OPTIONS, repeat=2, drop_remainder=True)
    distributed = tf.distribute.MirroredStrategy(["CPU:0"]).experimental_distribute_dataset(stream)
    assert_same(whole, [(image.numpy(), mask.numpy()) for image, mask in distributed])


def test_a_sample_changes_from_epoch_to_epoch_and_with_the_seed(dataset):
    options = {"batch_size": COUNT, "crop": (10, 10), "augment": AUGMENT}
    first, second = (image for image, _ in taken(batches(dataset, **options, repeat=2)))
    other = taken(batches(dataset, **options, seed=1))[0][0]
    far = taken(batches(dataset, **options, seed=1 << 40))[0][0]
    for a, b in ((first, second), (first, other), (first, far), (other, far)):
        assert all(np.abs(x - y).max() > 1 for x, y in zip(a, b, strict=True))


def test_changes_belong_to_the_sample_not_to_its_place(dataset):
    """Shuffled or not, a sample looks the same in the same epoch."""
    options = {"batch_size": COUNT, "crop": (10, 10), "augment": AUGMENT, "seed": 3}
    (plain,) = taken(batches(dataset, **options))
    (mixed,) = taken(batches(dataset, **options, shuffle=True))
    order = [int(mask[mask != 255][0]) for mask in mixed[1]]
    assert order != sorted(order)
    np.testing.assert_array_equal(mixed[0], plain[0][order])


def test_the_cache_reads_each_file_once(dataset, tmp_path, root):
    copy = tmp_path / "copy"
    for name in ("images", "masks"):
        (copy / name).mkdir(parents=True)
        for path in (root / name).iterdir():
            (copy / name / path.name).write_bytes(path.read_bytes())
    iterator = iter(
        batches(
            open_dataset("folder", copy, split="all", classes=COUNT),
            batch_size=COUNT,
            repeat=None,
            cache=True,
        )
    )
    first = next(iterator)
    for path in copy.rglob("*.png"):
        path.unlink()
    second = next(iterator)
    np.testing.assert_array_equal(first[0], second[0])


def test_a_wrong_file_is_named(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "a.png")
    write_png(tmp_path / "masks" / "a.png", np.full((4, 4), 9, np.uint8))
    dataset = open_dataset("folder", tmp_path, split="all", classes=3)
    with pytest.raises(tf.errors.OpError, match=r"a\.png: value 9 is no class of classes3"):
        next(iter(batches(dataset, batch_size=1)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is an integer of 1 or more, not 0"),
        ({"batch_size": 2.0}, "batch_size is an integer"),
        ({"batch_size": 2, "seed": -1}, "seed is an integer of 0 or more"),
        ({"batch_size": 2, "repeat": 0}, "repeat is an integer of 1 or more"),
        ({"batch_size": 2, "start_step": -1}, "start_step"),
        ({"batch_size": 2, "crop": 8}, r"crop is \(height, width\)"),
        ({"batch_size": 2, "crop": (8, 0)}, r"crop is \(height, width\)"),
        ({"batch_size": 2, "augment": Augmentation()}, "need a crop"),
        ({"batch_size": 2, "fill": (0, 0)}, "fill is an RGB colour"),
        ({"batch_size": 2, "fill": (0, 0, 256)}, "fill is an RGB colour"),
        ({"batch_size": 8, "drop_remainder": True}, "7 samples, too few for one batch of 8"),
        ({"batch_size": 3, "shard": (0, 2)}, "cannot be divided into 2 equal parts"),
        ({"batch_size": 4, "shard": (2, 2)}, "shard is"),
        ({"batch_size": 4, "shard": (0, 2)}, "shards need full batches"),
    ],
)
def test_options_are_checked(dataset, options, message):
    with pytest.raises(InputError, match=message):
        batches(dataset, **options)


def test_a_crop_needs_an_ignore_label(dataset):
    labels = LabelSet("x", ("a",), ((0, 0, 0),), None)
    with pytest.raises(InputError, match="a crop needs an ignore label"):
        batches(Dataset("x", "all", labels, dataset.pairs), batch_size=1, crop=(4, 4))


def test_real_camvid(data_dir):
    dataset = open_dataset("camvid", data_dir / "camvid")
    stream = batches(dataset, batch_size=4, crop=(320, 416), augment=AUGMENT, shuffle=True, repeat=None)
    image, mask = taken(stream, 1)[0]
    assert image.shape == (4, 320, 416, 3)
    assert image.min() >= 0
    assert image.max() <= 255
    assert set(np.unique(mask)) <= set(range(12))
    # Road lies low and sky high in a street, in the image and in its mask.
    rows = np.arange(320)[:, None].repeat(416, 1)
    assert rows[(mask == 3).any(0)].mean() > rows[(mask == 0).any(0)].mean()


def test_no_thread_tunes_the_stream(dataset):
    """It sleeps for up to a minute at a time, and the end of an iterator waits for it."""
    for repeat in (1, None):
        assert batches(dataset, **OPTIONS, repeat=repeat).options().autotune.enabled is False


def test_a_process_ends_while_batches_are_read_ahead(root):
    """TensorFlow's threads call Python to read; at exit such a call must not wait for the interpreter."""
    program = (
        "import sys; from zoo.datasets import batches, open_dataset;"
        "data = open_dataset('folder', sys.argv[1], split='train', classes=21);"
        "stream = iter(batches(data, batch_size=2, crop=(64, 64), repeat=None));"
        "print(next(stream)[0].shape)"
    )
    command = [sys.executable, "-c", program, str(root)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "(2, 64, 64, 3)" in run.stdout
