"""What torch's own training scripts leave is read: files that `torch_files/write.py` wrote with torch."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import FormatError, InputError
from zoo.weights.choosing import read_weights
from zoo.weights.containers import recognize
from zoo.weights.name_maps.base import NameMap
from zoo.weights.name_maps.conversion import convert

FILES = Path(__file__).parent / "torch_files" / "files"
TINY = NameMap(
    key="tiny",
    layout="torch",
    layers={
        "backbone.stem.conv": "backbone.conv1",
        "backbone.stem.bn": "backbone.bn1",
        "head.conv": "classifier.0",
        "head.bn": "classifier.1",
        "classifier": "classifier.3",
    },
    ignored=("*.num_batches_tracked",),
)
# Where the weights are and what else is said of them; files that are not here have nothing to say.
SAID = {
    "compiled.pth": ("under 'model'", "without '_orig_mod.' and 'module.'"),
    "data_parallel.pth": ("without 'module.'",),
    "ema.pth": ("under 'model'", "'model_ema' would fit too", "--checkpoint-key"),
    "history.pth": ("under 'state_dict'",),
    "learner.pkl": ("under 'model'",),
    "legacy.pth.tar": ("under 'state_dict'",),
    "lightning.ckpt": ("under 'state_dict/model'", "1 other tensors there are not used (criterion.weight"),
    "nested.pth": ("under 'state/model'",),
    "numpy_scores.ckpt": ("under 'state_dict'",),
    "pickled": ("under 'model'",),
    "quantized.pth": ("quantized tensors, taken as the numbers that they stand for: 3",),
    "random_states.pth": ("under 'network'",),
    "reference.pth": ("under 'model'",),
    "schedule_lambda.pth": ("under 'net'",),
    "schedule_one_cycle.pth": ("under 'net'",),
    "schedule_plateau.pth": ("under 'net'",),
    "schedule_sequential.pth": ("under 'net'",),
    "sparse.pth": ("sparse tensors, filled up with zeros: 1",),
    "swa.pth": ("'n_averaged' not used", "without 'module.'"),
    "weight_norm_and_pruned.pth": ("pruning, folded into parameters: 1", "weight norm, folded", ": 2"),
    "whole_module_in_a_dictionary.pth": ("under 'model'", "without 'module.'"),
}
NOT_THEMSELVES = ("expected.npz", "meta.pth")
NAMES = sorted(p.name for p in FILES.iterdir() if "-of-" not in p.name and p.name not in NOT_THEMSELVES)


@pytest.fixture(scope="module")
def expected():
    with np.load(FILES / "expected.npz") as file:
        return dict(file)


def wanted(expected, name):
    """The variables that a file stands for: its own, or those of the network as it is."""
    file = name if any(key.startswith(f"{name}:") for key in expected) else ""
    tensors = {key.partition(":")[2]: a for key, a in expected.items() if key.partition(":")[0] == file}
    return convert(tensors, TINY)


def read(path, **options):
    weights = read_weights(path, recognize(path), [TINY], **options)
    return convert(weights.tensors, TINY)


def check(arrays, truth):
    assert set(arrays) == set(truth)
    for path, array in truth.items():
        np.testing.assert_allclose(arrays[path], array, rtol=1e-6, atol=1e-7, err_msg=path)


def test_there_are_thirty():
    assert len(NAMES) == 30 and set(SAID) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_in_it_are_read(name, expected, caplog):
    with caplog.at_level(logging.WARNING, logger="zoo"):
        check(read(FILES / name), wanted(expected, name))
    assert len(caplog.messages) == (name in SAID)
    for words in SAID.get(name, ()):
        assert words in caplog.text


@pytest.mark.parametrize("name", [n for n in NAMES if not n.endswith(".json")])
@pytest.mark.parametrize("other", ["checkpoint", "weights.onnx", "OLD.KERAS"])
def test_its_name_does_not_matter(name, other, expected, tmp_path):
    shutil.copy(FILES / name, tmp_path / other)
    check(read(tmp_path / other), wanted(expected, name))


def test_a_key_chooses(expected):
    truth = wanted(expected, "ema.pth")
    halves = read(FILES / "ema.pth", key="model_ema")
    check({path: 2 * array for path, array in halves.items()}, truth)
    check(read(FILES / "lightning.ckpt", key="state_dict"), truth)
    check(read(FILES / "lightning.ckpt", key="state_dict/model"), truth)
    with pytest.raises(InputError, match=r"ema\.pth: no tensors under 'teacher'; .* 'model_ema', 'model'"):
        read(FILES / "ema.pth", key="teacher")
    with pytest.raises(InputError, match=r"plain\.pth: no tensors under 'teacher'; there are some under: no"):
        read(FILES / "plain.pth", key="teacher")


def test_a_tensor_without_numbers_says_what_to_do():
    with pytest.raises(FormatError, match=r"^meta\.pth: tensor 'backbone.*meta device.*save the state_dict"):
        read(FILES / "meta.pth")


@pytest.mark.parametrize("gone", ["model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors"])
def test_a_shard_that_is_not_there(gone, tmp_path):
    for path in FILES.glob("model*"):
        if path.name != gone:
            shutil.copy(path, tmp_path)
    with pytest.raises(FormatError, match=rf"index\.json: its part {gone} is not beside it"):
        read(tmp_path / "model.safetensors.index.json")
