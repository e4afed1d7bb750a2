"""Of several sets of tensors in a file the weights are taken, or none; and a line says which."""

import numpy as np
import pytest

from zoo.errors import InputError, MismatchError
from zoo.weights.choosing import choose, hint
from zoo.weights.folding import folded
from zoo.weights.name_maps.base import NameMap
from zoo.weights.name_maps.conversion import fit
from zoo.weights.readers.tensor_sets import MODULE, TensorSet

LAYERS = {"backbone.conv": "backbone.0", "backbone.bn": "backbone.1", "classifier": "classifier"}
IGNORED = ("*.num_batches_tracked",)
WHOLE = NameMap(key="whole", layout="torch", layers=LAYERS, ignored=IGNORED)
BACKBONE = NameMap(
    key="imagenet",
    layout="torch",
    layers={"backbone.conv": "0", "backbone.bn": "1"},
    ignored=("fc.*", *IGNORED),
    scope=("backbone.",),
)
MAPS = [BACKBONE, WHOLE]


def state(value=1.0, prefix=""):
    norm = ("weight", "bias", "running_mean", "running_var")
    names = ["backbone.0.weight", *(f"backbone.1.{name}" for name in norm), "classifier.weight"]
    tensors = {f"{prefix}{name}": np.full(2, value + i, np.float32) for i, name in enumerate(names)}
    return tensors | {f"{prefix}backbone.1.num_batches_tracked": np.array(3)}


def chosen(*pairs, key=None, maps=MAPS):
    """Value of the first tensor, key and lines, of a file with these sets."""
    sets = [TensorSet(key=name, tensors=tensors) for name, tensors in pairs]
    best, lines = choose(sets, maps, key=key, file="m.pth")
    assert any(fits(best.tensors, name_map) for name_map in maps)
    return float(best.tensors["backbone.0.weight"][0]), best.key, "".join(lines)


def fits(tensors, name_map):
    try:
        return fit(tensors, name_map)
    except MismatchError:
        return None


@pytest.mark.parametrize(
    "prefix",
    [
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "module._orig_mod.",
        "model.module.",
        "a.b.c.d.",
        "_fsdp_wrapped_module.",
    ],
)
def test_prefixes_that_all_names_share(prefix):
    value, key, line = chosen(("", state(7, prefix)))
    assert (value, key) == (7, "")
    assert line.startswith("m.pth: names are read without ")


def test_wrappers_in_the_middle_of_names():
    tensors = {name.replace("backbone.", "backbone._orig_mod.module."): a for name, a in state(7).items()}
    assert chosen(("", tensors))[0] == 7


def test_names_as_they_are_need_no_line():
    assert chosen(("", state(7))) == (7, "", "")


@pytest.mark.parametrize(
    "others",
    [
        ["model_ema"],
        ["ema"],
        ["ema_state_dict", "swa_model"],
        ["modelEma"],
        ["teacher"],
        ["optimizer/exp_avg"],
        ["student_of_somebody"],
        ["best_model"],
    ],
)
def test_of_several_the_plain_one(others):
    """In whatever order; all of them fit by their names."""
    pairs = [("model", state(7)), *((key, state(9)) for key in others)]
    for order in (pairs, pairs[::-1]):
        value, key, line = chosen(*order)
        assert (value, key) == (7, "model")
        assert all(repr(other) in line for other in others) and "--checkpoint-key" in line


def test_an_average_alone_is_taken_and_named():
    assert chosen(("model_ema", state(7)), ("model", {"x": np.ones(1)})) == (
        7,
        "model_ema",
        "m.pth: the weights are those under 'model_ema'",
    )


def test_what_an_optimizer_keeps_is_the_last_choice():
    value, key, _ = chosen(("optimizer/momentum", state(9)), ("ema", state(7)))
    assert (value, key) == (7, "ema")


@pytest.mark.parametrize("keys", [("netA", "netB"), ("0", "1"), ("model", "state_dict"), ("ema", "swa")])
def test_two_readings_are_refused(keys):
    with pytest.raises(
        MismatchError, match=r"m\.pth: several sets of tensors fit, and differ: '.*--checkpoint-key"
    ):
        chosen((keys[0], state(7)), (keys[1], state(9)))
    for key, value in zip(keys, (7, 9), strict=True):
        assert chosen((keys[0], state(7)), (keys[1], state(9)), key=key)[0] == value


def test_the_same_weights_twice_are_no_question():
    assert chosen(("model", state(7)), ("state_dict", state(7)))[0] == 7


def test_a_trainer_beside_its_network():
    tensors = {"criterion.weight": np.ones(5), **state(7, "net."), "metric.total": np.ones(())}
    value, key, line = chosen(("state_dict", tensors))
    assert (value, key) == (7, "state_dict/net")
    assert "2 other tensors there are not used (criterion.weight, …)" in line


def test_a_network_and_its_average_in_one_dictionary():
    tensors = {**state(9, "ema_model.module."), **state(7, "model.module.")}
    assert chosen(("", tensors))[:2] == (7, "model")
    assert chosen(("", tensors), key="ema_model")[:2] == (9, "ema_model")
    assert chosen(("", tensors), key="ema_model/module")[0] == 9
    both = {**state(9, "one."), **state(7, "other.")}
    with pytest.raises(MismatchError, match="differ: 'one', 'other'"):
        chosen(("", both))


def test_a_part_of_a_model_is_not_taken_for_a_model():
    """The backbone of a model with another head would fit the map of a backbone."""
    tensors = {name: a for name, a in state(7).items() if not name.startswith("classifier")}
    other = {**tensors, "decode.conv.weight": np.ones(2)}
    best, _ = choose([TensorSet(key="", tensors=other)], MAPS, key=None, file="m.pth")
    assert set(best.tensors) == set(other) and not best.left


def test_counts_of_averages_are_left_out():
    value, _, line = chosen(("", {"n_averaged": np.array(3), **state(7, "module.")}))
    assert value == 7 and "'n_averaged' not used" in line


def test_of_none_that_fits_the_nearest():
    near = {**state(7), "classifier.more": np.ones(2)}
    sets = [TensorSet(key=key, tensors=t) for key, t in (("a", {"x": np.ones(2)}), ("b", near))]
    best, _ = choose(sets, MAPS, key=None, file="m.pth")
    assert best.key == "b" and not hint(best)
    whole = TensorSet(key="", tensors=near, kind=MODULE)
    assert "torch.save(model.state_dict()" in hint(choose([whole], MAPS, key=None, file="m.pth")[0])


def test_a_stranger_is_shown_as_it_is():
    """Nothing of it is known, so no part of it is nearer than another."""
    stranger = {f"encoder.blocks.{i}.attention.weight": np.ones(2) for i in range(9)} | {"head.w": np.ones(2)}
    best, lines = choose([TensorSet(key="", tensors=stranger)], MAPS, key=None, file="m.pth")
    assert list(best.tensors) == list(stranger) and not lines


def test_a_small_network_beside_a_large_teacher():
    large = {f"distiller.blocks.{i}.weight": np.ones(2) for i in range(90)}
    assert chosen(("state_dict", {**large, **state(7, "student.")}))[:2] == (7, "state_dict/student")


def test_keys_that_are_not_there():
    with pytest.raises(
        InputError, match=r"m\.pth: no tensors under 'emma'; there are some under: 'ema', 'model'"
    ):
        chosen(("ema", state(7)), ("model", state(9)), key="emma")


# --- what parameters are computed from ------------------------------------------------------------

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(4, 3, 2, 2)).astype(np.float32)


@pytest.mark.parametrize(
    "names", [("a.weight_g", "a.weight_v"), [f"a.parametrizations.weight.original{i}" for i in "01"]]
)
@pytest.mark.parametrize("axis", [0, 1])
def test_weight_norm(names, axis):
    """``g`` times the direction, per slice along the axis on which ``g`` extends."""
    extent = [1] * 4
    extent[axis] = WEIGHT.shape[axis]
    length = RANDOM.uniform(1, 2, extent).astype(np.float32)
    tensors, notes = folded({"a.bias": WEIGHT[0], names[0]: length, names[1]: WEIGHT})
    assert list(tensors) == ["a.bias", "a.weight"] and notes == ("weight norm, folded into parameters: 1",)
    for index in range(WEIGHT.shape[axis]):
        part = WEIGHT.take(index, axis)
        wanted = length.ravel()[index] * part / np.sqrt((part**2).sum())
        np.testing.assert_allclose(tensors["a.weight"].take(index, axis), wanted, rtol=1e-6)


def test_weight_norm_of_the_whole_kernel():
    tensors, _ = folded({"a.weight_g": np.array(3, np.float32), "a.weight_v": WEIGHT})
    np.testing.assert_allclose(np.sqrt((tensors["a.weight"] ** 2).sum()), 3, rtol=1e-6)


@pytest.mark.parametrize(
    "names",
    [
        ("a.weight_orig", "a.weight_u", "a.weight_v"),
        ("a.parametrizations.weight.original", *(f"a.parametrizations.weight.0._{x}" for x in "uv")),
    ],
)
def test_spectral_norm(names):
    """With the first singular vectors it is the kernel over its largest singular value."""
    left, values, right = np.linalg.svd(WEIGHT.reshape(4, -1))
    tensors, notes = folded(dict(zip(names, (WEIGHT, left[:, 0], right[0]), strict=True)))
    assert list(tensors) == ["a.weight"] and "spectral norm" in notes[0]
    np.testing.assert_allclose(tensors["a.weight"], WEIGHT / values[0], rtol=1e-5)


def test_pruning():
    mask = (RANDOM.uniform(size=WEIGHT.shape) < 0.5).astype(np.float32)
    tensors, notes = folded({"a.weight_orig": WEIGHT, "a.weight_mask": mask, "a.bias_orig": WEIGHT[0]})
    np.testing.assert_array_equal(tensors["a.weight"], WEIGHT * mask)
    assert list(tensors) == ["a.weight", "a.bias_orig"] and notes == ("pruning, folded into parameters: 1",)


@pytest.mark.parametrize(
    "parts",
    [
        {"a.weight_g": np.ones((3, 1, 1, 1)), "a.weight_v": WEIGHT},
        {"a.weight_orig": WEIGHT, "a.weight_mask": np.ones(4)},
        {"a.weight_orig": WEIGHT, "a.weight_u": np.ones(3), "a.weight_v": np.ones(12)},
    ],
)
def test_parts_that_do_not_fit_each_other(parts):
    tensors, _ = folded(parts)
    with pytest.raises(MismatchError, match=r"a\.weight: .* fit"):
        tensors["a.weight"]
