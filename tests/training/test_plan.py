"""The plan's numbers against counts by hand, and its formula against values worked out on paper."""

import json

import keras
import pytest
from support.training_fixtures import tiny_model

from zoo.cli import main
from zoo.errors import InputError
from zoo.training import Recipe
from zoo.training.devices import Device, Link, known_device
from zoo.training.plan import Demand, demand_of, scaling

DEMAND = Demand(
    parameters=1000,
    variables=1100,
    tensors=10,
    exchanged=4000,
    multiply_adds=10**6,
    activations=500,
    average=True,
)
NEAR, FAR = Link(1e-3, 1e6), Link(2e-3, 1e5)
DEVICE = Device(name="x", rate=1e8, near=NEAR, far=FAR, overhead=0.01, per_machine=4)


def test_memory_by_what_it_is_for():
    found = DEMAND.memory(3)
    assert found == {
        "weights": 4400,
        "gradients": 4000,
        "optimizer": 8000,
        "average": 4400,
        "activations": 1500,
    }


@pytest.mark.parametrize(
    ("workers", "compute", "exchange"),
    [
        (1, 0.01 + 3e6 * 8 / 1e8, 0.0),
        (2, 0.01 + 3e6 * 4 / 1e8, 10 * 2 * 1e-3 + 4000 / 1e6),
        (8, 0.01 + 3e6 / 1e8, 10 * 14 * 2e-3 + 2 * 7 / 8 * 4000 / 1e5),
    ],
)
def test_a_step_by_the_formula(workers, compute, exchange):
    found = scaling(DEMAND, DEVICE, batch_size=8, workers=workers)
    assert found.compute == pytest.approx(compute)
    assert found.exchange == pytest.approx(exchange)
    assert found.sent == 2 * (workers - 1) * 4000 // workers
    assert found.images_per_second == pytest.approx(8 / (compute + exchange))
    assert found.efficiency == pytest.approx(compute / (compute + exchange))


def test_workers_that_share_cores_are_bound_by_them():
    shared = Device(
        name="x", rate=1e8, near=NEAR, far=FAR, overhead=0.0, cores=2, core_rate=6e7, core_overhead=0.01
    )
    found = scaling(DEMAND, shared, batch_size=8, workers=4)
    assert found.compute == pytest.approx(4 * (0.01 + 3e6 * 2 / 6e7) / 2)
    assert found.exchange == pytest.approx(2 * (10 * 6 * 1e-3 + 1.5 * 4000 / 1e6))
    with pytest.raises(InputError, match="a batch of 8 images cannot be shared equally by 3 devices"):
        scaling(DEMAND, shared, batch_size=8, workers=3)


def test_a_model_is_counted():
    found = demand_of(tiny_model_of(16), Recipe(crop=(16, 16)))
    kernel, norm, head = 3 * 3 * 3 * 4, 4, 4 * 3
    assert found.parameters == kernel + 2 * norm + head + 3
    assert found.variables >= found.parameters + 2 * norm
    assert found.multiply_adds == 8 * 8 * (kernel + head)
    assert found.tensors == 5 + 3 + 6
    assert found.exchanged == 4 * (found.parameters + 3 + 2 * (2 * norm + 1))
    half = demand_of(tiny_model_of(16), Recipe(crop=(16, 16), precision="bfloat16", average=0.9))
    assert half.average
    assert 2 * half.activations == found.activations
    with pytest.raises(InputError, match="no fixed size"):
        demand_of(tiny_model(), Recipe())


def tiny_model_of(size):
    model = tiny_model()
    return keras.models.clone_model(model, input_tensors=keras.Input((size, size, 3), name="image"))


def test_known_devices():
    with pytest.raises(InputError, match="a plan is for one of v100, a100, h100, not 'tpu'"):
        known_device("tpu", precision="float32")
    slow, fast = (known_device("a100", precision=p) for p in ("float32", "bfloat16"))
    assert fast.rate == 2 * slow.rate
    assert slow.link(8) == slow.near and slow.link(9) == slow.far


def test_the_command_prints_and_does_not_train(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", "deeplabv3_aspp", "--plan", "a100", "--crop", "65x65", "--batch-size", "16"]
    assert main(words) == 2
    assert "a plan needs the classes" in capsys.readouterr().err
    words += ["--classes", "19", "--plan-workers", "1,8,16"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "a plan, not a measurement" in out
    assert main([*words, "--json", "-"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [row["devices"] for row in plan["scaling"]] == [1, 8, 16]
    assert plan["scaling"][1]["sent_bytes"] == 2 * 7 * plan["exchanged_bytes"] // 8
    assert not list(tmp_path.iterdir())


def test_training_needs_its_data_as_before(capsys):
    assert main(["train", "deeplabv3_aspp", "--output", "run"]) == 2
    assert "the following arguments are required: --dataset, --data" in capsys.readouterr().err
