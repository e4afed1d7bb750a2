"""``zoo weights pack``: a small file of one's own weights, and what is no such file."""

import hashlib

import numpy as np
import pytest

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError
from zoo.weights.npz import write_npz

MODEL = "deeplabv3_aspp_mobilenet_v2"


@pytest.mark.parametrize("name", [MODEL, "duc_hdc_mobilenet_v2", "context_aggregation_mobilenet_v2"])
def test_packed_weights(tmp_path, name, capsys):
    """16 bits for kernels, 32 for the rest; the classes are known though DUC's classifier is wider."""
    model = zoo.load(name, weights=None, classes=5)
    model.save(tmp_path / "mine.keras")
    command = ["weights", "pack", str(tmp_path / "mine.keras"), str(tmp_path / "mine.npz")]
    assert cli.main(command) == 0
    digest = hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()
    assert digest in capsys.readouterr().out
    again = zoo.load(name, tmp_path / "mine.npz")
    assert again.output_shape == model.output_shape
    for ours, theirs in zip(again.variables, model.variables, strict=True):
        if "seed" in ours.path:
            continue
        stored = np.asarray(theirs, np.float16 if len(ours.shape) > 1 else np.float32)
        assert np.array_equal(np.asarray(ours), stored.astype(np.float32)), ours.path
    assert cli.main(command) == 0
    assert digest == hashlib.sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()


def test_packing_refuses_what_it_cannot_hold(tmp_path):
    with pytest.raises(InputError, match="a/kernel: a value beyond"):
        write_npz(tmp_path / "x.npz", {"a/kernel": np.full((2, 2), 1e6)}, classes=2)
    with pytest.raises(InputError, match="cannot write"):
        write_npz(tmp_path / "absent" / "x.npz", {"a/kernel": np.ones((2, 2))}, classes=2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["junk", "cut", "objects", "foreign", "integers"])
def test_packed_weights_that_are_damaged(tmp_path, content):
    path = tmp_path / "x.npz"
    write_npz(path, {"a/kernel": np.ones((64, 64))}, classes=2)
    if content == "junk":
        path.write_bytes(b"junk" * 99)
    elif content == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    else:
        array = {"objects": np.array([{}]), "foreign": np.ones(2), "integers": np.ones((2, 2), int)}[content]
        known = {} if content == "foreign" else {"classes": np.int64(2)}
        np.savez(path, **known, **{"a/kernel": array})
    with pytest.raises(FormatError, match=r"x\.npz"):
        zoo.load(MODEL, path)
