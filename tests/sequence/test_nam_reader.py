"""``.nam`` files that are damaged, inconsistent, hostile, or of variants that are not built here."""

import copy
import json

import numpy as np
import pytest
from goldens.nam_documents import document, documents, new_array, old_array
from support.nam_files import write_nam

from zoo.errors import FormatError, InputError
from zoo.sequence import read_nam

PLAIN = documents()["two_arrays"]


def refused(path, message, error=FormatError):
    with pytest.raises(error, match=message) as told:
        read_nam(path)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 500


def changed(**words):
    """A document with one thing changed: ``config__layers__0__channels=8``."""
    found = copy.deepcopy(PLAIN)
    for place, value in words.items():
        *path, last = [int(part) if part.isdigit() else part for part in place.split("__")]
        inner = found
        for part in path:
            inner = inner[part]
        inner[last] = value
    return found


def test_what_a_file_says(tmp_path):
    found = read_nam(write_nam(tmp_path / "a.nam"))
    assert (found.sample_rate, found.states_rate) == (48000, True)
    assert found.network.receptive_field == 61
    assert found.network.parameters == len(PLAIN["weights"])
    assert found.metadata == {"name": "drawn", "loudness": -20.0}
    # The tensors follow one another as the file has them; the last number scales the head.
    flat = np.concatenate([array.ravel() for array in found.arrays.values()])
    np.testing.assert_array_equal(flat, np.asarray(PLAIN["weights"], np.float32))


def test_a_file_without_a_sample_rate(tmp_path):
    content = copy.deepcopy(PLAIN)
    del content["sample_rate"]
    found = read_nam(write_nam(tmp_path / "a.nam", content))
    assert (found.sample_rate, found.states_rate) == (48000, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"architecture": "LSTM"}, "a model of the kind 'LSTM'; supported: WaveNet"),
        ({"config__head": {"channels": 3}}, "a head of its own"),
        ({"config__layers": []}, "no list of 1 to 16 layer arrays"),
        (
            {"config__layers__0__channels": 10**9},
            "channels must be a whole number from 1 to 512; got 1000000000",
        ),
        ({"config__layers__0__channels": True}, "channels must be a whole number"),
        ({"config__layers__0__channels": 5}, "takes 4 channels, but gets 5"),
        ({"config__layers__1__channels": 2}, "has 2 channels, but a head of 3 before it"),
        ({"config__layers__0__condition_size": 2}, "a condition of 2 channels, not 1"),
        ({"config__layers__0__dilations": [1] * 257}, "dilations is no list of 1 to 256"),
        ({"config__layers__0__dilations": [0, 1, 2, 4]}, "dilation must be a whole number from 1"),
        ({"config__layers__0__dilations": [65536] * 100, "config__layers__0__kernel_size": 1024}, "field of"),
        ({"config__layers__0__activation": "Fasttanh"}, "the activation 'Fasttanh'; supported: Tanh"),
        ({"config__layers__0__activation": {"type": "Hardtanh", "min_val": 0}}, "not supported"),
        ({"config__layers__0__activation": ["Tanh"]}, "1 activations for 4 dilations"),
        ({"config__layers__0__gated": 1}, "gated must be true or false"),
        ({"config__layers__0__bottleneck": 2}, "bottleneck of 2 channels"),
        ({"config__layers__0__groups_input": 2}, "grouped convolutions"),
        ({"config__layers__0__head1x1": {"active": True}}, "uses head1x1"),
        ({"config__layers__0__layer1x1": {"active": False}}, "no layer1x1"),
        ({"config__layers__0__conv_pre_film": {"active": True}}, r"uses FiLM \(conv_pre_film\)"),
        ({"config__layers__0__surprise": 1}, "has surprise, which is not supported"),
        ({"config__layers__0__gating_mode": "blended"}, "gating mode 'blended'"),
        ({"weights": PLAIN["weights"][:-1]}, f"{len(PLAIN['weights'])} weights, the file holds"),
        ({"weights": [*PLAIN["weights"], 0.0]}, "the file holds"),
        ({"weights": [None, *PLAIN["weights"][1:]]}, "no finite numbers"),
        ({"weights": ["0.1", *PLAIN["weights"][1:]]}, "no finite numbers"),
        ({"weights": [1e300, *PLAIN["weights"][1:]]}, "beyond the range of 32 bits"),
        ({"weights": [10**400, *PLAIN["weights"][1:]]}, "no finite numbers"),
        ({"sample_rate": 0}, "a sample rate of 0 Hz"),
        ({"sample_rate": "48k"}, "a sample rate of 48k Hz"),
        ({"config__condition_dsp": 3}, "no WaveNet of its own"),
    ],
)
def test_other_content_is_refused_by_name(words, message, tmp_path):
    refused(write_nam(tmp_path / "a.nam", changed(**words)), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no .nam file"),
        (b"\x89PNG", "no .nam file"),
        (b"[1, 2]", "no JSON object"),
        (b'{"architecture": NaN}', "NaN is not a number of JSON"),
        (b'{"weights": [-Infinity]}', "-Infinity is not a number"),
        (b'{"config": 1, "config": 2}', "a key stands twice"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"architecture": "WaveNet"}', "no JSON object"),
        (b'{"architecture": "SlimmableContainer"}', "no list of 1 to 64 submodels"),
        (b'{"architecture": "SlimmableContainer", "config": {"submodels": [1]}}', "a submodel without"),
        (b"9" * 5000, "no .nam file"),
    ],
)
def test_damaged_files_are_refused(text, message, tmp_path):
    path = tmp_path / "a.nam"
    path.write_bytes(text)
    refused(path, message)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "a.nam"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    refused(path, "at most 67108864")


def test_missing_file(tmp_path):
    refused(tmp_path / "a.nam", "no such file", InputError)


def container(*limits):
    rows = []
    for limit in limits:
        channels = int(limit * 10)
        array = new_array(channels, kernels=[3], rates=[2], activations=["ReLU"])
        rows.append({"max_value": limit, "model": document([array], seed=channels)})
    return {
        "architecture": "SlimmableContainer",
        "config": {"submodels": rows},
        "weights": [],
        "sample_rate": 44100,
    }


def test_of_several_sizes_the_largest_is_taken(tmp_path):
    path = write_nam(tmp_path / "a.nam", container(0.5, 1.0, 0.3))
    assert read_nam(path).network.arrays[0].channels == 10
    assert [read_nam(path, submodel=i).network.arrays[0].channels for i in range(3)] == [3, 5, 10]
    with pytest.raises(InputError, match="holds 3 sizes: submodel must be 0 to 2"):
        read_nam(path, submodel=3)


def test_a_result_of_two_channels_is_refused(tmp_path):
    refused(write_nam(tmp_path / "a.nam", document([old_array(1, 3, 2)], seed=0)), "2 channels of sound")


def test_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "a.nam"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(PLAIN).encode())
    assert read_nam(path).network.parameters == len(PLAIN["weights"])
