import numpy as np
import pytest
import tensorflow as tf
from support.compression_fixtures import SIZE, images, mini, settings, tiny, tuning
from support.training_fixtures import make_batches, pixel_accuracy

from zoo.compression import (
    ClusteringConfig,
    FineTuning,
    PruningConfig,
    cluster,
    prune,
    sparsity,
    to_tf_keras,
)
from zoo.compression.selection import gzip_size, select
from zoo.errors import DivergedError, InputError
from zoo.training.checkpoints import write_model

SPARED = {"backbone.stem.conv", "classifier"}


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def pruned(model, tmp_path_factory):
    before = [v.numpy() for v in model.weights]
    folder = tmp_path_factory.mktemp("pruned")
    result = prune(model, PruningConfig(sparsity=0.75), tuning(6, output=folder))
    for value, variable in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)  # the given model stays as it was
    return result, folder


def kernel(model, name):
    return model.get_layer(name).kernel.numpy()


def test_pruning_gives_a_plain_model_with_the_zeros(model, pruned):
    result, _ = pruned
    assert [type(x) for x in result.model.layers] == [type(x) for x in model.layers]
    chosen = {x.layer: x for x in result.sparsity.layers if x.selected}
    assert chosen and not SPARED & set(chosen)
    assert not any("depthwise" in name for name in chosen)
    for row in chosen.values():
        assert row.sparsity == pytest.approx(0.75, abs=0.5 / row.weights + 1e-9)
        assert (kernel(result.model, row.layer) == 0).mean() == row.sparsity
    for row in result.sparsity.layers:
        assert row.selected or row.zeros == 0
    assert result.sparsity.selected_sparsity == pytest.approx(0.75, abs=0.01)
    # Those that remain were fine-tuned.
    name = "backbone.last.conv"
    kept = kernel(result.model, name) != 0
    assert np.abs(kernel(result.model, name) - kernel(model, name))[kept].max() > 1e-4
    assert result.model(images(1)[0][None].astype("float32")).shape == (1, 33, 33, 3)


def test_best_model_counts_only_with_all_zeros(pruned):
    result, folder = pruned
    history = result.history
    assert history.stopped == "finished" and len(history.losses) == 6
    assert [row["step"] for row in history.validation] == [3, 6]
    assert history.best_step == 6  # pruning ends at step 4
    assert pixel_accuracy(result.model)["miou"] == pytest.approx(history.best_score)
    assert {p.name for p in folder.iterdir()} >= {
        "best.keras",
        "checkpoints",
        "training.csv",
        "validation.csv",
    }


def test_pruned_file_is_smaller_after_gzip(model, pruned, tmp_path):
    result, _ = pruned
    write_model(model, tmp_path / "a.keras")
    write_model(result.model, tmp_path / "b.keras")
    assert gzip_size(tmp_path / "b.keras") < gzip_size(tmp_path / "a.keras")


def test_finished_run_is_not_trained_again(model, pruned):
    result, folder = pruned
    again = prune(model, PruningConfig(sparsity=0.75), tuning(6, output=folder))
    assert again.history.losses == [] and again.history.step == 6
    assert again.history.training == result.history.training
    for a, b in zip(again.model.weights, result.model.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_two_of_four_input_channels_and_a_resumed_run(tmp_path):
    model, config = mini(), PruningConfig(pattern="2:4", layers=["aspp"])
    options = {"steps": 4, "epoch_steps": 2, "validate": None}
    whole = prune(model, config, tuning(**options))
    with pytest.raises(KeyboardInterrupt):
        prune(model, config, tuning(output=tmp_path, report=_stop_after(2), **options))
    resumed = prune(model, config, tuning(output=tmp_path, **options))
    assert len(resumed.history.losses) == 2
    # Sums may be taken in another order, no more.
    assert resumed.history.losses == pytest.approx(whole.history.losses[2:], rel=1e-5)
    for a, b in zip(resumed.model.weights, whole.model.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-5)
    assert [row.layer for row in whole.sparsity.layers if row.selected] == ["aspp.project.conv"]
    values = np.moveaxis(kernel(whole.model, "aspp.project.conv"), 2, 3)
    assert ((values.reshape(-1, 4) == 0).sum(axis=1) == 2).all()


def test_a_run_goes_on_from_a_checkpoint_within_an_epoch(tmp_path):
    """Where it ended by an error, as after a kill."""
    options = {"steps": 5, "epoch_steps": 5, "checkpoint_steps": 2, "validate": None}
    whole = prune(mini(), PruningConfig(), tuning(**options))
    endless = make_batches(size=SIZE, batch=2)

    def three(start):
        return endless(start).take(3 - start)

    with pytest.raises(InputError, match="the data ended after 3 of 5 steps"):
        prune(
            mini(),
            PruningConfig(),
            tuning(output=tmp_path, batches=lambda i: three(i).take(3 - i), **options),
        )
    resumed = prune(mini(), PruningConfig(), tuning(output=tmp_path, **options))
    assert resumed.history.losses == pytest.approx(whole.history.losses[2:], rel=1e-5)
    assert (tmp_path / "events").is_dir() and resumed.history.step == 5


def _stop_after(step):
    def report(trained, scored):
        if trained["step"] == step:
            raise KeyboardInterrupt

    return report


def test_blocks_are_zero_as_a_whole():
    config = PruningConfig(pattern="block", block=(2, 4))
    values = kernel(prune(mini(), config, tuning(2, validate=None)).model, "aspp.project.conv")
    matrix = values.reshape(-1, values.shape[-1])
    blocks = matrix.reshape(matrix.shape[0] // 2, 2, -1, 4).transpose(0, 2, 1, 3).reshape(-1, 8)
    zeros = (blocks == 0).sum(axis=1)
    assert set(zeros) == {0, 8}
    assert (zeros == 8).mean() == pytest.approx(0.5, abs=0.02)


@pytest.fixture(scope="module")
def clustered(model):
    return cluster(model, ClusteringConfig(clusters=8), tuning(3, validate=None))


def test_clustering_leaves_few_values(model, clustered):
    rows = {x.layer: x for x in clustered.sparsity.layers}
    assert all(row.values <= 8 for row in rows.values() if row.selected)
    assert rows["backbone.last.conv"].values > 2
    assert rows["backbone.last.conv"].selected and not SPARED & {n for n, x in rows.items() if x.selected}
    assert rows["classifier"].values == rows["classifier"].weights
    name = "backbone.last.conv"
    assert np.corrcoef(kernel(clustered.model, name).ravel(), kernel(model, name).ravel())[0, 1] > 0.9


def test_clustering_preserves_the_zeros_of_a_pruned_model(pruned):
    source = pruned[0].model
    config = ClusteringConfig(clusters=8, preserve_sparsity=True, layers=["backbone.last"])
    result = cluster(source, config, tuning(3, validate=None))
    before, after = (kernel(m, "backbone.last.conv") for m in (source, result.model))
    assert (after[before == 0] == 0).all()
    assert 2 < len(np.unique(after)) <= 8


def test_only_pruned_models_have_sparsity_to_preserve(model):
    config = ClusteringConfig(preserve_sparsity=True)
    with pytest.raises(InputError, match="no zeros to preserve"):
        cluster(model, config, tuning(2))


def test_selection_by_name(model):
    assert select(model, ["aspp.project"]) == ["aspp.project.conv"]
    assert "backbone.stem.conv" not in select(model, ["backbone"])
    assert select(model, ["backbone.stem"]) == ["backbone.stem.conv"]
    assert select(model, ["classifier"]) == ["classifier"]
    assert select(model, ["backbone.block.depthwise"]) == ["backbone.block.depthwise.conv"]
    with pytest.raises(InputError, match=r"at 'head'; there are backbone, aspp, classifier"):
        select(model, ["head"])


def test_frozen_parts_stay():
    model = mini()
    result = prune(model, PruningConfig(), tuning(2, freeze=("backbone",), validate=None))
    for layer in result.model.layers:
        if layer.name.startswith("backbone."):
            for a, b in zip(layer.weights, model.get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert layer.trainable == model.get_layer(layer.name).trainable
    assert not np.array_equal(kernel(result.model, "classifier"), kernel(model, "classifier"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sparsity": 1.0}, "above 0 and below 1"),
        ({"pattern": "4:8"}, "unstructured, 2:4, block"),
        ({"pattern": "2:4", "sparsity": 0.6}, "2:4 has a sparsity of 0.5"),
        ({"pattern": "block", "block": (1, 1)}, "one above 1"),
        ({"initial_sparsity": 0.7}, "from 0 to 0.5"),
    ],
)
def test_impossible_pruning(changes, message):
    with pytest.raises(InputError, match=message):
        PruningConfig(**changes)


def test_schedule_ends_on_a_pruning_step():
    for total, every in ((6, None), (450, None), (450, 7), (100, 60)):
        begin, end, step = PruningConfig(every=every).steps(total)
        assert 1 <= begin < end <= round(0.6 * total) and (end - begin) % step == 0
    with pytest.raises(InputError, match="does not fit into 6 steps"):
        PruningConfig(begin=4, end=8).steps(6)


def test_impossible_clusters():
    with pytest.raises(InputError, match="at least 3"):
        ClusteringConfig(clusters=2, preserve_sparsity=True)
    with pytest.raises(InputError, match="kmeans_plus_plus"):
        ClusteringConfig(initialization="zero")


def test_settings_that_the_loop_lacks_are_refused():
    with pytest.raises(InputError, match="without accumulate"):
        FineTuning(batches=None, loss=None, settings=settings(accumulate=2))


def test_diverging_training_stops():
    bad = tuning(2, validate=None)
    bad = FineTuning(batches=bad.batches, settings=bad.settings, loss=lambda m, x: tf.reduce_mean(x) * np.nan)
    with pytest.raises(DivergedError, match="step 1"):
        prune(mini(), PruningConfig(), bad)


def test_optimizer_agrees_with_the_one_of_zoo_train(model):
    """One step, the same gradient: decay of kernels only, and the backbone's own rate."""
    from zoo.compression.optimizers import GroupedOptimizers
    from zoo.training.optimizer import make_optimizer

    config = settings().optimizer
    bridge = to_tf_keras(model)
    theirs, ours = make_optimizer(config, model.trainable_variables), GroupedOptimizers(config, bridge)
    rng = np.random.default_rng(0)
    target = {id(t): s for s, t in bridge.pairs}
    gradients = {s.path: rng.normal(0, 1, s.shape).astype("float32") for s, _ in bridge.pairs}
    before = [v.numpy() for v in model.weights]
    for step in range(2):
        ours.set_rate(step)
        ours.apply([tf.constant(gradients[target[id(v)].path]) for v in ours.variables])
        theirs.apply([tf.constant(gradients[v.path]) for v in model.trainable_variables])
    for source, ours_now in bridge.pairs:
        np.testing.assert_allclose(
            ours_now.numpy(), source.numpy(), rtol=1e-4, atol=1e-6, err_msg=source.path
        )
    for value, variable in zip(before, model.weights, strict=True):
        variable.assign(value)


def test_sparsity_counts_zeros(model):
    report = sparsity(model)
    assert report.sparsity == 0 and all(row.values > 1 for row in report.layers)
    assert "all kernels: 0.0%" in str(report)
