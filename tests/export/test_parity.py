import numpy as np
import pytest
from support.tiny_export import NAMES, all_formats, deeplab, tiny

from zoo import export
from zoo.errors import ParityError
from zoo.export.proof.parity import compare


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    """The tiny model in all three formats, with their reports."""
    return all_formats(model, tmp_path_factory.mktemp("artifacts"))


def measured(difference, scale=1.0, classes=3):
    rng = np.random.default_rng(0)
    want = scale * rng.uniform(-1, 1, (1, 200, 200, classes))
    return compare(lambda _: want + difference, lambda _: want, [np.zeros((200, 200, 3))])


def test_parity_numbers_and_gates():
    assert measured(0.0).argmax_agreement == 1
    parity = measured(np.array([0.0005, 0, 0]))
    assert parity.max_error == pytest.approx(0.0005)
    assert parity.mean_error == pytest.approx(0.0005 / 3)
    logits = np.random.default_rng(0).uniform(-1, 1, (1, 200, 200, 3))
    assert parity.relative_error == pytest.approx(0.0005 / np.sqrt(3) / logits.std())
    assert not measured(0.002).passed  # the winners agree, the logits do not
    assert measured(0.002, scale=100.0).passed
    assert not measured(np.nan).passed
    few = measured(np.array([0.0009, 0, 0]))
    assert few.max_error < few.tolerance
    assert few.differing_pixels > 4
    assert not few.passed  # the logits agree, too many winners do not
    assert few.widest_margin <= 2 * few.max_error


def test_one_pixel_on_the_fence_does_not_fail_a_small_image():
    want = np.zeros((1, 10, 10, 2))
    want[..., 0] = 1
    want[0, 0, 0] = (0.5, 0.5 - 1e-6)
    got = want.copy()
    got[0, 0, 0, 1] += 1e-5
    parity = compare(lambda _: got, lambda _: want, [np.zeros((10, 10, 3))])
    assert parity.differing_pixels == 1
    assert parity.argmax_agreement == 0.99
    assert parity.passed


def test_verify_tells_equal_from_different(artifacts, model):
    folder, _ = artifacts
    for name in NAMES.values():
        assert export.verify(folder / name, model).passed
        assert not export.verify(folder / name, tiny(seed=1)).passed


def test_verify_refuses_other_classes(artifacts):
    folder, _ = artifacts
    with pytest.raises(ParityError, match="the artifact gives"):
        export.verify(folder / "m.tflite", deeplab("tf_deeplab_folded", 16, rates=()))
