"""Rates of DUC-HDC: the published ones, what they reach, and what is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.networks import of_registry as build

from zoo import dilation
from zoo.errors import InputError
from zoo.models.architectures.duc_hdc import check_rates, hybrid_rates, uniform_rates
from zoo.models.backbones.resnet import DEPTHS


def test_published_rates():
    first, last = hybrid_rates(23)
    assert first == (2, 2, 5, 9, 1, 2, 5, 9, 1, 2, 5, 9, 1, 2, 5, 9, 1, 2, 5, 9, 1, 2, 5)
    assert last == (5, 9, 17)
    built = build("duc_hdc_resnet101", input_shape=(32, 32, 3), cell=1)
    for stage, rates in ((3, first), (4, last)):
        names = [f"backbone.stage{stage}.block{b}.middle.conv" for b in range(len(rates))]
        assert tuple(built.get_layer(name).rate for name in names) == rates


def test_mobile_rates_are_in_the_depthwise_convolutions():
    built = build(input_shape=(32, 32, 3))
    rates = [built.get_layer(f"backbone.block{b}.depthwise.conv").rate for b in range(17)]
    assert rates == [1] * 6 + [2, 2, 5, 9, 1, 2, 5] + [5, 9, 17, 1]


def test_numbers_of_the_docstring():
    assert dilation.check((5, 9, 17)).m == (5, 9, 17)
    assert dilation.reached((5, 9, 17), dims=1) == (27, 63)
    assert dilation.reached((2, 5, 9, 1, 5, 9, 17), dims=1) == (97, 97)
    assert dilation.reached(sum(hybrid_rates(23), ()), dims=1) == (251, 251)
    uniform = sum(uniform_rates(23), ())
    assert dilation.reached(uniform, dims=1) == (59, 117)
    assert dilation.reached(uniform) == (3481, 13689)
    counts = dilation.coverage((1,) * 4 + uniform, dims=1).astype(float)
    middle = len(counts) // 2
    assert counts[middle + 1] / counts[middle] > 0.97


def brute_force(rates):
    """Offsets that a stack of residual 3-tap layers reaches, by walking every choice."""
    reached = {0}
    for rate in rates:
        reached |= {offset + step for offset in reached for step in (-rate, rate)}
    return reached


@pytest.mark.parametrize("first, last", [((2,) * 6, (4,) * 3), ((2, 2, 5, 9, 1, 2), (5, 9, 17))])
def test_judgement_equals_brute_force_over_the_residual_paths(first, last):
    reached, reach = brute_force(first + last), sum(first + last)
    has_holes = len(reached) < 2 * reach + 1
    if has_holes:
        smallest = min(set(range(reach)) - reached)
        with pytest.raises(InputError, match=f"at the offsets ±{smallest},"):
            check_rates((first, last), blocks=(6, 3))
    else:
        assert check_rates((first, last), blocks=(6, 3)) == (first, last)


def test_holes_are_named_and_can_be_allowed():
    message = (
        "rates 2-2-2-2-2-2-2-4-4-4-4 leave holes: 30 of 61 positions along each axis are never read, at the "
        "offsets ±1, ±3, ±5, ±7, ±9, ±11, … on the stride-8 map"
    )
    with pytest.raises(InputError) as caught:
        build(rates="uniform")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    built = build(rates="uniform", allow_gridding=True, input_shape=(32, 32, 3))
    assert built.get_layer("backbone.block12.depthwise.conv").rate == 2


def test_last_group_is_right_only_behind_smaller_rates():
    with pytest.raises(InputError, match=r"rates 5-9-17 leave holes: 36 of 63"):
        check_rates(((), (5, 9, 17)), blocks=(0, 3))
    assert check_rates(((2, 5, 9, 1), (5, 9, 17)), blocks=(4, 3))


@pytest.mark.parametrize("name", ["duc_hdc_resnet50", "duc_hdc_resnet101", "duc_hdc_resnet152"])
def test_hybrid_rates_cover_at_every_depth(name):
    blocks = DEPTHS[name.removeprefix("duc_hdc_")][2:]
    assert check_rates(hybrid_rates(*blocks), blocks=blocks)


def measured_reads(model, source, layer, size):
    """Positions of the map of `source` that one output position depends on, by the model's own gradient."""
    inner = keras.Model(model.get_layer(source).output, model.get_layer(layer).output)
    for variable in inner.variables:
        if "kernel" in variable.path:
            # All positive, and small enough that no ReLU6 is full: every path counts.
            taps = np.prod(variable.shape[:2] if "depthwise" in variable.path else variable.shape[:-1])
            variable.assign(tf.fill(variable.shape, 0.2 / taps if "project" in variable.path else 1 / taps))
    x = tf.Variable(tf.ones((1, size, size, model.get_layer(source).output.shape[-1])))
    with tf.GradientTape() as tape:
        y = inner(x)[0, size // 2, size // 2, 0]
    return tape.gradient(y, x).numpy()[0].max(-1) > 0


@pytest.mark.parametrize("rates, share, side", [("hybrid", 1.0, 117), ("uniform", (31 / 61) ** 2, 61)])
def test_the_network_itself_reads_what_is_said(rates, share, side):
    """TensorFlow's gradient of the dilated stages, over all residual paths at once."""
    built = build(rates=rates, allow_gridding=True, cell=1, width=0.1)
    reads = measured_reads(built, "backbone.block5.add", "backbone.block16.project.bn", side)
    assert reads.mean() == pytest.approx(share)


def derived_receptive_field(depth, *, head):
    """From the paper's table of the network: 3×3 windows, their steps in pixels, one after the other."""
    windows = [(1, 1), (1, 2), (1, 2), (1, 2)]  # stem (stride 2 at the first), max pooling
    windows += [(1, 4)] * DEPTHS[depth][0]
    windows += [(1, 8)] * DEPTHS[depth][1]  # v1 has its stride on the 1×1 before the 3×3
    first, last = hybrid_rates(*DEPTHS[depth][2:])
    windows += [(rate, 8) for rate in (*first, *last, *head)]
    return 1 + sum(2 * rate * step for rate, step in windows)


@pytest.mark.parametrize("depth", ["resnet50", "resnet101", "resnet152"])
def test_receptive_field_is_the_derived_one(depth):
    built = build(f"duc_hdc_{depth}", cell=2)
    wanted = derived_receptive_field(depth, head=())
    found = dilation.analyse(built, layer="backbone.stage4.block2.relu")
    assert found.receptive_field == (wanted, wanted)
    assert found.output_stride == (8, 8)
    # The summed branches: the widest has rate 24.
    found = dilation.analyse(built)
    assert found.layer == "duc.sum"
    wanted = derived_receptive_field(depth, head=(24,))
    assert found.receptive_field == (wanted, wanted)
    if depth == "resnet101":
        assert wanted == 2487
