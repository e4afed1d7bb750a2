"""The cache of converted weights."""

import errno

import numpy as np
import pytest

from zoo.errors import InputError
from zoo.weights import cache

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def converted():
    path = cache.converted_path(source_sha256="ab" * 32, converter_version="1", key="m/t")
    arrays = {
        "stem/conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "file": np.array(7),
        "empty": np.zeros((0, 3), np.float16),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }
    assert cache.load_converted(path) is None
    assert cache.store_converted(path, arrays)
    return path, arrays


def same(left, right):
    return list(left) == list(right) and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name]) for name in left
    )


def test_converted_round_trip(converted):
    path, arrays = converted
    assert same(cache.load_converted(path), arrays)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    others = [
        cache.converted_path(source_sha256="ab" * 32, converter_version="2", key="m/t"),
        cache.converted_path(source_sha256="ab" * 32, converter_version="1", key="m/u"),
        cache.converted_path(source_sha256="cd" * 32, converter_version="1", key="m/t"),
    ]
    assert len({path, *others}) == 4


def test_damaged_converted_file_is_absent_and_rewritten(converted):
    path, arrays = converted
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x11]) + good[position + 1 :])
        loaded = cache.load_converted(path)
        assert loaded is None or same(loaded, arrays), position
    path.write_bytes(good[: len(good) // 2])
    assert cache.load_converted(path) is None
    assert cache.store_converted(path, arrays) and same(cache.load_converted(path), arrays)


def test_converted_refuses_objects_and_survives_a_full_disk(converted, monkeypatch):
    path, arrays = converted
    with pytest.raises(InputError):
        cache.store_converted(path, {"a": np.array([object()])})

    def full(file, arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_write_arrays", full)
    assert cache.store_converted(path, {"b": np.zeros(2)}) is False
    assert same(cache.load_converted(path), arrays)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
