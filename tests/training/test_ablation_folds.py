"""`zoo ablate --folds`: every variant without every part, and variants that change the recipe."""

import json
from dataclasses import replace

import pytest
from PIL import Image
from support.ablation_fixtures import EYES, budget, command, draw, small_model

from zoo import cli
from zoo.ablation.budget import deciding
from zoo.ablation.comparisons import RECIPE, Variant
from zoo.ablation.keys import describe, key_of
from zoo.ablation.runner import Run, Scores
from zoo.ablation.summary import Summary
from zoo.datasets.folds import folds
from zoo.training import Recipe

# "still" does not learn: a rate so small that nothing moves.
RATES = replace(
    EYES,
    name="rates",
    variants=(
        Variant("learning", "learns", recipe={"noise": 0.01}),
        Variant("still", "does not", recipe={"learning_rate": 1e-9}),
    ),
    settings={"output_stride": 1, "light": 1.0},
    ranked=False,
)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.ablation.networks.load", small_model)
    monkeypatch.setattr("zoo.ablation.comparisons.COMPARISONS", {"rates": RATES})
    folder = draw(tmp_path)
    for kind in ("images", "masks"):
        for number, path in enumerate(sorted((folder / kind).iterdir())):
            path.rename(path.with_name(f"{'a' if number < 4 else 'b'}_{number}.png"))
    return folder


def test_each_part_is_held_out_once(data, capsys):
    words = command(data.parent, "--folds", "drives", "--seeds", "1", "--epochs", "12")
    words[1] = "rates"
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert "[4/4] still without b, seed 0: mean IoU" in err
    assert "mean over a, b, each held out once" in out
    assert out.splitlines()[-1].startswith("still over learning -")
    table = [line.split() for line in out.splitlines() if line.startswith(("learning ", "still "))]
    held = [row for row in table if len(row) == 6]
    assert [row[0] for row in held] == ["learning", "still"]
    for row in held:
        a, b, mean, training, validation = map(float, row[1:])
        assert mean == pytest.approx((a + b) / 2, abs=0.011)
        assert 0 < training <= 100 and 0 < validation <= 100
    document = json.loads((data.parent / "out" / "rates.json").read_text())
    runs = document["variants"][0]["runs"]
    assert [run["fold"] for run in runs] == ["a", "b"] and document["outcome"] is None
    assert document["variants"][1]["recipe"] == {"learning_rate": 1e-9}
    section = (data.parent / "out" / "rates.md").read_text()
    assert min(Image.open(data.parent / "out" / "rates.png").size) > 300
    assert "| variant | a | b | mean | on training | on validation |" in section


def test_what_a_run_is_trained_on_decides_its_key(data):
    of = budget(data)
    of = replace(of, folds=folds(of.training, "drives"))
    keys = set()
    for variant in RATES.variants:
        for fold in of.folds:
            one = of.of(variant, fold)
            assert one.training is fold.training and one.loss is None
            keys.add(key_of(describe(RATES, variant, 0, budget=replace(one, validation=fold.held_out))))
    assert len(keys) == 4


def test_settings_that_are_off_leave_earlier_keys_alone():
    assert "noise" not in deciding(Recipe()) and "focus" not in deciding(Recipe())
    assert deciding(Recipe(focus=1.0))["focus"] == 1.0


def test_a_seed_counts_by_its_mean_over_the_parts():
    def run(variant, seed, fold, value):
        return Run(variant, seed, Scores(value, None, value, {}, f"p, without {fold}"), 1.0, False, fold)

    runs = [run("plain", s, f, v) for s, f, v in ((0, "a", 0.2), (0, "b", 0.6), (1, "a", 0.3), (1, "b", 0.5))]
    runs += [run("light", s, f, 0.5) for s in (0, 1) for f in ("a", "b")]
    summary = Summary(RECIPE.only(("plain", "light")), tuple(runs))
    assert summary.statistic("plain").values == pytest.approx((0.4, 0.4))
    assert summary.folds == ("a", "b") and summary.of_fold("plain", "a") == pytest.approx(0.25)
    (found,) = summary.differences
    assert (found.better, found.worse) == ("light", "plain") and found.mean == pytest.approx(0.1)


@pytest.mark.parametrize("variant", RECIPE.variants, ids=lambda variant: variant.name)
def test_every_recipe_is_one(data, variant):
    changed = budget(data).of(variant, None).recipe
    assert (deciding(changed) != deciding(budget(data).recipe)) == bool(variant.recipe)
