"""Who the workers are, by the environment of Kubernetes; `test_training_strategy` has the others."""

import pytest

from zoo.errors import InputError
from zoo.training.cluster import Workers, indexed_workers, workers_named


def pod(hosts, index="1"):
    return {"ZOO_WORKERS": hosts, "JOB_COMPLETION_INDEX": index}


def test_an_indexed_job_names_its_pods():
    expected = Workers(("train-0.train:2222", "train-1.train:2222", "train-2.train:2222"), 1)
    assert indexed_workers(pod("train-{0..2}.train:2222")) == expected
    assert indexed_workers(pod("a:1, b:2,c-{7..8}:3", "3")) == Workers(("a:1", "b:2", "c-7:3", "c-8:3"), 3)
    assert indexed_workers({"JOB_COMPLETION_INDEX": "0"}) is None
    assert indexed_workers({"ZOO_WORKERS": "a:1"}) is None
    assert workers_named(pod("train-{0..2}.train:2222")) == 3
    assert workers_named({}) == 0


@pytest.mark.parametrize(
    ("hosts", "index", "message"),
    [
        ("train", "0", "must name workers as host:port"),
        ("http://a:1", "0", "must name workers as host:port"),
        ("a:1,", "0", "must name workers as host:port"),
        ("a-{3..1}:1", "0", r"\{3\.\.1\} is no range"),
        ("a-{0..999999}:1", "0", "is no range"),
        ("a:1,a:1", "0", "names a worker twice"),
        ("a:1,b:1", "2", "JOB_COMPLETION_INDEX must be from 0 to 1"),
        ("a:1,b:1", "-1", "JOB_COMPLETION_INDEX must be from 0 to 1"),
    ],
)
def test_what_names_no_workers_is_one_line(hosts, index, message):
    with pytest.raises(InputError, match=message):
        indexed_workers(pod(hosts, index))
