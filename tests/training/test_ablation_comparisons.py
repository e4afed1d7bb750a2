"""The comparisons of `zoo ablate` at tiny sizes, and what tells their runs apart."""

import json

import pytest
from support.ablation_fixtures import EYES, budget, draw, stand_in

from zoo import dilation
from zoo.ablation.comparisons import COMPARISONS, DUC, HDC, resolve
from zoo.ablation.keys import describe, key_of
from zoo.ablation.networks import Cost, cost, settings_of
from zoo.datasets.shrunk import shrink
from zoo.errors import InputError
from zoo.models.architectures.duc_hdc import hybrid_rates, uniform_rates


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Folder of the drawn images, with the small model in the registry's place."""
    stand_in(monkeypatch)
    return draw(tmp_path)


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Every variant of every comparison, built narrow for crops of 96×96."""
    of = budget(draw(tmp_path_factory.mktemp("costs")), recipe={"crop": (96, 96)}, extra={"width": 0.1})
    return {
        name: {variant.name: cost(comparison, variant, budget=of) for variant in comparison.variants}
        for name, comparison in COMPARISONS.items()
    }


@pytest.mark.parametrize("name", COMPARISONS)
def test_variants_differ(name):
    comparison = resolve(name)
    assert len(comparison.variants) >= 2
    both = [(settings_of(comparison, v, {}), dict(v.recipe)) for v in comparison.variants]
    settings = [json.dumps(changes, sort_keys=True) for changes in both]
    assert len(set(settings)) == len({v.name for v in comparison.variants}) == len(settings)


def test_what_is_alike_in_a_comparison(costs):
    """Rates and strides change no parameter, rates no cost; the stride is what costs."""
    hdc = [(c.parameters, c.multiply_adds) for c in costs["hdc"].values()]
    assert len(set(hdc)) == 1
    pooled, pyramid, one_rate = costs["aspp"].values()
    assert (pyramid.parameters, pyramid.multiply_adds) == (one_rate.parameters, one_rate.multiply_adds)
    assert pooled.parameters > pyramid.parameters
    strides = list(costs["output-stride"].values())
    assert len({c.parameters for c in strides}) == 1
    assert strides[0].multiply_adds > strides[1].multiply_adds > strides[2].multiply_adds
    large, basic, front = (c.parameters for c in costs["context"].values())
    # Table 1 for 2 classes: seven 3×3 layers of 2 channels with biases, and a 1×1 layer.
    assert basic - front == 7 * (9 * 2 * 2 + 2) + (2 * 2 + 2)
    assert large > basic


def test_rates_that_the_crop_has_no_room_for(costs):
    """At output stride 8 a crop of 96×96 has 12×12 positions: a tap 12 away is always outside."""
    assert costs["aspp"]["pyramid"] == Cost(
        costs["aspp"]["pyramid"].parameters, costs["aspp"]["pyramid"].multiply_adds, (12, 12), (12, 18)
    )
    assert costs["hdc"]["hybrid"].beyond == (12, 17, 18, 24)
    assert costs["hdc"]["uniform"].beyond == (12, 18, 24)
    assert costs["output-stride"]["stride-8"] == Cost(
        costs["output-stride"]["stride-32"].parameters,
        costs["output-stride"]["stride-8"].multiply_adds,
        None,
        (),
    )


def test_hybrid_rates_cover_and_uniform_ones_do_not():
    narrow = HDC.variants[1].settings["rates"]
    assert [dilation.covers(sum(rates, ())) for rates in (hybrid_rates(7, 4), narrow)] == [True, True]
    assert not dilation.covers(sum(uniform_rates(7, 4), ()))
    assert [sum(stage) for stage in narrow] == [sum(stage) for stage in uniform_rates(7, 4)]


def test_comparisons_share_a_run(data):
    """DUC is compared in the network that HDC's uniform rates make."""
    of = budget(data)
    (uniform,) = [v for v in HDC.variants if v.name == "uniform"]
    same, other = (describe(HDC, uniform, 0, budget=of), describe(DUC, DUC.variants[0], 0, budget=of))
    assert key_of(same) == key_of(other)
    assert key_of(same) != key_of(describe(DUC, DUC.variants[1], 0, budget=of))


def test_the_key_knows_what_decides_a_run(data):
    """Seed, recipe, size and files; not the folder."""
    variant = EYES.variants[0]

    def key(seed=0, **changes):
        return key_of(describe(EYES, variant, seed, budget=budget(data, **changes)))

    first = key()
    assert first == key()
    small = shrink(budget(data).validation, (20, 20))
    changed = [key(1), key(recipe={"epochs": 3}), key(weights="imagenet"), key(validation=small)]
    changed += [key(extra={"width": 3})]
    moved = data.rename(data.with_name("moved"))
    assert key_of(describe(EYES, variant, 0, budget=budget(moved))) == first
    (moved / "images" / "0.png").write_bytes((moved / "images" / "0.png").read_bytes() + b"\0")
    changed += [key_of(describe(EYES, variant, 0, budget=budget(moved)))]
    assert len({first, *changed}) == 7


def test_a_choice_of_variants_keeps_the_papers_order():
    chosen = resolve("hdc").only(("uniform", "hybrid"))
    assert [variant.name for variant in chosen.variants] == ["hybrid", "uniform"]
    with pytest.raises(InputError, match="variants of hdc are hybrid, hybrid-narrow, uniform; got 'zigzag'"):
        HDC.only(("zigzag",))
    with pytest.raises(InputError, match="unknown comparison 'crf'; known: hdc, aspp"):
        resolve("crf")
