"""`zoo ablate`: its comparisons at tiny sizes, and its runs with a small model on drawn images."""

import json
import math
import os
import signal

import keras
import numpy as np
import pytest
from PIL import Image
from support.drawn_images import draw_squares

from zoo import cli, dilation
from zoo.ablation import runner
from zoo.ablation.comparisons import COMPARISONS, DUC, HDC, Comparison, Variant, resolve
from zoo.ablation.report import notes, verdict
from zoo.ablation.runner import Budget, Cost, Run, Scores, cost, describe, key_of, run_all, settings_of
from zoo.ablation.summary import _T, Statistic, Summary, difference
from zoo.datasets import Augmentation, batches, open_dataset
from zoo.datasets.shrunk import shrink
from zoo.errors import DivergedError, FormatError, InputError
from zoo.layers import DilatedConv2D
from zoo.models.architectures.duc_hdc import hybrid_rates, uniform_rates
from zoo.models.heads.classifier import classify
from zoo.training.engine import Settings
from zoo.training.losses import SparseCrossEntropy
from zoo.training.optimizer import OptimizerConfig
from zoo.training.strategy import make_strategy

# "blind" sees a black image, so that only the classes' shares are left to learn.
EYES = Comparison(
    "eyes",
    "seeing against not seeing",
    "Nobody 2000, section 1",
    "small",
    (Variant("seeing", "sees", {"light": 1.0}), Variant("blind", "does not", {"light": 0.0})),
    {"output_stride": 1},
)
STEPS = 12


def small_model(name, *, weights, classes, settings, output_stride, input_shape=(None, None, 3)):
    """What stands in for `zoo.load`."""
    assert (name, output_stride) == ("small", 1) and set(settings) <= {"light", "width"}
    image = keras.Input(input_shape, name="image")
    x = keras.layers.Rescaling(settings["light"] / 127.5, offset=-1, name="scale")(image)
    x = DilatedConv2D(settings.get("width", 6), kernel_size=3, rate=2, use_bias=True, name="backbone.conv")(x)
    x = keras.layers.ReLU(name="backbone.relu")(x)
    return keras.Model(image, classify(x, image, label_set=classes, convention="half_pixel"), name="small")


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Folder of the drawn images, with the small model in the registry's place."""
    monkeypatch.setattr(runner, "load", small_model)
    monkeypatch.setattr("zoo.ablation.comparisons.COMPARISONS", {"eyes": EYES})
    return draw_squares(tmp_path / "data")


def budget(folder, **changes):
    training, validation = (open_dataset("folder", folder, split=s, classes=2) for s in ("train", "val"))
    config = OptimizerConfig(learning_rate=0.03)
    stream = {"batch_size": 2, "crop": (32, 32), "augment": Augmentation(), "drop_remainder": True}

    def settings(seed):
        return Settings(
            steps=STEPS, epoch_steps=4, optimizer=config, ignore_label=255, seed=seed, progress=False
        )

    options = {
        "training": training,
        "validation": validation,
        "settings": settings,
        "batches": lambda seed, start: batches(
            training, shuffle=True, seed=seed, repeat=None, start_step=start, **stream
        ),
        "loss": SparseCrossEntropy(ignore_label=255),
        "strategy": make_strategy("one"),
        "crop": (32, 32),
        "recipe": {"steps": STEPS},
        "weights": None,
    }
    return Budget(**{**options, **changes})


def command(folder, *more):
    words = ["ablate", "eyes", "--dataset", "folder", "--data", folder / "data", "--classes", 2]
    words += ["--output", folder / "out", "--batch-size", 2, "--crop", "32x32", "--weights", "none"]
    return [str(word) for word in (*words, "--epochs", 4, "--learning-rate", "0.03", "--seeds", 2, *more)]


# --- the comparisons ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def costs(tmp_path_factory):
    """Every variant of every comparison, built narrow for crops of 96×96."""
    of = budget(draw_squares(tmp_path_factory.mktemp("costs") / "data"), crop=(96, 96), extra={"width": 0.1})
    return {
        name: {variant.name: cost(comparison, variant, budget=of) for variant in comparison.variants}
        for name, comparison in COMPARISONS.items()
    }


@pytest.mark.parametrize("name", COMPARISONS)
def test_variants_differ(name):
    comparison = resolve(name)
    assert len(comparison.variants) >= 2
    settings = [json.dumps(settings_of(comparison, v, {}), sort_keys=True) for v in comparison.variants]
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
    changed = [key(1), key(recipe={"steps": 3}), key(weights="imagenet"), key(validation=small)]
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


# --- what the scores say --------------------------------------------------------------------------------


def test_student_table():
    """95 % of the density of t lies within the tabulated bounds."""
    for freedom, bound in enumerate(_T, start=1):
        t = np.linspace(-bound, bound, 20_001)
        scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2))
        density = scale / math.sqrt(freedom * math.pi) * (1 + t**2 / freedom) ** (-(freedom + 1) / 2)
        assert np.trapezoid(density, t) == pytest.approx(0.95, abs=1e-4)


def test_differences_by_hand():
    clear = difference("a", (0.5, 0.6, 0.7), "b", (0.1, 0.2, 0.3))
    assert (clear.mean, clear.spread) == (pytest.approx(0.4), pytest.approx(0.1))
    assert clear.margin == pytest.approx(2.776 * 0.1 * math.sqrt(2 / 3))
    assert (clear.outcome, clear.wins, clear.seeds) == ("holds", 3, 3)
    assert difference("b", (0.1, 0.2, 0.3), "a", (0.5, 0.6, 0.7)).outcome == "does not hold"
    assert difference("a", (0.5, 0.6, 0.7), "b", (0.3, 0.4, 0.9)).outcome == "is undecided"
    alone = difference("a", (0.5,), "b", (0.1,))
    assert alone.outcome == "is undecided" and math.isnan(alone.margin)
    assert Statistic((0.1, 0.3)).spread == pytest.approx(math.sqrt(0.02))


def summary(*scores, comparison=HDC):
    """One tuple of mean IoUs a variant, a value for each seed."""
    runs = [
        Run(variant.name, seed, Scores(value, None, value, {}, "labels val 10x10"), 1.0, False)
        for variant, values in zip(comparison.variants, scores, strict=True)
        for seed, value in enumerate(values)
    ]
    return Summary(comparison, tuple(runs))


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        ([(0.8, 0.82), (0.6, 0.62), (0.2, 0.22)], "hybrid > hybrid-narrow > uniform, holds here"),
        ([(0.8, 0.82), (0.2, 0.22), (0.6, 0.62)], "uniform, does not hold here"),
        ([(0.8, 0.82), (0.6, 0.62), (0.59, 0.62)], "uniform, is undecided here"),
        ([(0.8,), (0.6,), (0.2,)], "is undecided here: hybrid over hybrid-narrow +20.00 points, of one seed"),
    ],
)
def test_the_verdict_follows_the_weakest_step(scores, words):
    assert words in verdict(summary(*scores))


def test_the_verdict_tells_how_much():
    """The spread is √0.0002 = 1.41 points, the interval 4.303 of it to either side."""
    told = verdict(summary((0.8, 0.82), (0.6, 0.62), (0.2, 0.22)))
    assert told.endswith(
        "hybrid over hybrid-narrow +20.00 points (14.1 times the spread; 95 % interval +13.91 to +26.09; "
        "2 of 2 seeds); hybrid-narrow over uniform +40.00 points (28.3 times the spread; 95 % interval "
        "+33.91 to +46.09; 2 of 2 seeds)."
    )
    assert verdict(summary((0.5,), comparison=HDC.only(("hybrid",)))) == (
        "One variant alone: there is nothing to compare."
    )


def test_a_note_names_rates_beyond_the_map():
    found = {variant.name: Cost(1, 1, None, ()) for variant in HDC.variants}
    found["hybrid"] = Cost(1, 1, (12, 16), (12, 17))
    assert notes(summary((0.1,), (0.1,), (0.1,)), found) == [
        "hybrid: at rate 12, 17 some taps see only padding, since the map of a crop has 12x16 positions."
    ]


# --- runs -----------------------------------------------------------------------------------------------


def test_the_command_trains_compares_and_repeats_nothing(data, capsys, monkeypatch):
    folder = data.parent
    assert cli.main(command(folder)) == 0
    out, err = capsys.readouterr()
    assert "[4/4] blind, seed 1: mean IoU " in err
    assert out.splitlines()[-1].startswith(
        "The paper's order, seeing > blind, holds here: seeing over blind +"
    )
    document = json.loads((folder / "out" / "eyes.json").read_text())
    assert document["outcome"] == "holds" and document["verdict"] == out.splitlines()[-1]
    seeing, blind = document["variants"]
    assert seeing["mean_iou"]["mean"] > 0.8 > 0.5 > blind["mean_iou"]["mean"]
    scores = [run["mean_iou"] for run in seeing["runs"]]
    assert [run["seed"] for run in seeing["runs"]] == [0, 1]
    assert seeing["mean_iou"] == {
        "mean": pytest.approx(np.mean(scores)),
        "spread": pytest.approx(np.std(scores, ddof=1)),
    }
    section = (folder / "out" / "eyes.md").read_text()
    assert f"| seeing | sees | {100 * np.mean(scores):.2f} ± " in section
    assert f"**{document['verdict']}**" in section and "4 epochs of 6 images from random weights" in section
    runs = list((folder / "out" / "runs").iterdir())
    assert len(runs) == 4 and all(run.name.startswith("small-") for run in runs)
    assert not list(folder.rglob("checkpoints")) and not list(folder.rglob("*.partial"))

    def never(*args, **options):
        raise AssertionError("a finished run was repeated")

    monkeypatch.setattr(runner, "fit", never)
    assert cli.main(command(folder)) == 0
    again = capsys.readouterr()
    assert again.out == out and again.err.count("kept from an earlier call") == 4


def test_an_interrupted_comparison_goes_on(data, tmp_path, monkeypatch):
    """Ctrl-C comes while the second run is traced; its first step is finished, saved and not repeated."""
    histories, fit = [], runner.fit

    def recorded(*args, **options):
        histories.append(fit(*args, **options))
        return histories[-1]

    monkeypatch.setattr(runner, "fit", recorded)
    plain = SparseCrossEntropy(ignore_label=255)

    def interrupting(mask, logits):
        if len(histories) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return plain(mask, logits)

    options = {"seeds": range(1), "output": tmp_path / "out"}
    first = run_all(EYES, budget=budget(data, loss=interrupting), **options)
    assert [run.variant for run in first] == ["seeing"]
    assert histories[1].stopped == "interrupted" and 1 <= len(histories[1].losses) < STEPS
    told = []
    second = run_all(EYES, budget=budget(data), tell=lambda *news: told.append(news), **options)
    assert [(run.variant, run.kept) for run in second] == [("seeing", True), ("blind", False)]
    assert second[0].scores == first[0].scores
    assert len(histories[1].losses) + len(histories[2].losses) == STEPS and len(histories) == 3
    assert [(run.variant, done, total) for run, done, total in told] == [("seeing", 1, 2), ("blind", 2, 2)]


def test_ctrl_c_is_told(data, capsys, monkeypatch):
    monkeypatch.setattr(runner, "run_all", lambda *args, **options: [])
    assert cli.main(command(data.parent)) == 130
    assert "interrupted after 0 runs; the same command goes on from here" in capsys.readouterr().err


def test_a_damaged_result_is_told(data, tmp_path):
    of, one = budget(data), EYES.only(("blind",))
    folder = tmp_path / "out" / "runs" / f"small-{key_of(describe(EYES, one.variants[0], 0, budget=of))}"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text('{"setup": {}, "scores"')
    with pytest.raises(FormatError, match=r"result\.json: no result of this run .*; delete it"):
        run_all(one, budget=of, seeds=range(1), output=tmp_path / "out")


def test_a_divergence_names_its_run(data, tmp_path):
    plain = SparseCrossEntropy(ignore_label=255)
    of = budget(data, loss=lambda mask, logits: plain(mask, logits) * math.inf)
    with pytest.raises(DivergedError, match=r"^seeing, seed 5: the loss is not finite at step 1"):
        run_all(EYES, budget=of, seeds=range(5, 6), output=tmp_path / "out")
    assert not list(tmp_path.rglob("result.json"))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--seeds", 0), "--seeds must be 1 or more"),
        (("--seed", -1), "--seed 0 or more"),
        (("--variants", "seeing,deaf"), "variants of eyes are seeing, blind; got 'deaf'"),
        (("--set", "light=0.5"), "light: set by the comparison eyes itself"),
        (("--patience", 2), "different budgets"),
        (("--auxiliary",), "no second head"),
        (("--validation", "none"), "nothing to compare"),
        (("--learning-rate", "-1"), "learning_rate"),
        (("--scale", "1,2", "--brightness", "3"), "brightness"),
        (("--batch-size", 99), "a batch no larger than the data"),
        (("--strategy", "magic"), "magic"),
    ],
)
def test_bad_arguments_are_one_line_and_leave_nothing(data, capsys, more, message):
    assert cli.main(command(data.parent, *more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("zoo: error:") == 1
    assert not (data.parent / "out").exists()


# --- smaller images -------------------------------------------------------------------------------------


def save_sample(folder, image, mask):
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    Image.fromarray(image).save(folder / "images" / "a.png")
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    return open_dataset("folder", folder, split="all", classes=3)


def test_shrunk_images_and_masks_stay_aligned(tmp_path):
    """A ramp stays the ramp below the centres of the larger pixels; the mask has the label there."""
    ramp = np.repeat(np.arange(24, dtype=np.uint8)[np.newaxis] * 10, 18, axis=0)
    mask = np.where(np.arange(24) < 12, 1, 2)[np.newaxis].repeat(18, axis=0).astype(np.uint8)
    dataset = save_sample(tmp_path, np.stack([ramp] * 3, axis=-1), mask)
    small = shrink(dataset, (9, 100))
    image, found = small.read(0)
    assert image.shape == (9, 12, 3) and image.dtype == np.uint8 and found.dtype == np.int32
    np.testing.assert_array_equal(image[4, 1:-1, 0], np.arange(1, 11) * 20 + 5)
    np.testing.assert_array_equal(found, np.where(np.arange(12) < 6, 1, 2)[np.newaxis].repeat(9, axis=0))
    assert (small.name, small.split, small.label_set, len(small)) == ("folder", "all", dataset.label_set, 1)


def test_small_images_are_not_enlarged(tmp_path):
    image = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    dataset = save_sample(tmp_path, image, np.ones((6, 8), np.uint8))
    np.testing.assert_array_equal(shrink(dataset, (6, 9)).read(0)[0], image)
    for limit in ((0, 5), (3,), (2.5, 4)):
        with pytest.raises(InputError, match="a size is a height and a width"):
            shrink(dataset, limit)
