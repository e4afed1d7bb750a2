import json
import math

import keras
import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import export
from zoo.errors import InputError
from zoo.evaluation.report import plot_comparison, plot_confusion, table, to_dict
from zoo.evaluation.scoring import evaluate
from zoo.export.core.artifact_model import as_model
from zoo.inference import segment
from zoo.labels import CAMVID11, CAMVID11_FYU, KITTI11, LabelSet, class_order, named, numbered
from zoo.layers.resize import SegmentationLogits
from zoo.metrics.boundary import boundary_band

RGB = LabelSet("rgb", ("red", "green", "blue"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


def build(labels=RGB, size=(None, None), factor=1.0) -> keras.Model:
    """Every pixel gets the class of its largest channel."""
    image = keras.Input((*size, 3), name="image")
    layer = keras.layers.Conv2D(3, 1, name="classifier")
    logits = SegmentationLogits(convention="half_pixel", label_set=labels, name="logits")
    model = keras.Model(image, logits([layer(image), image]), name="largest")
    layer.set_weights([factor * np.eye(3)[None, None], np.zeros(3)])
    return model


@pytest.fixture(scope="module")
def model():
    return build()


class Data:
    """What `evaluate` needs of a data set."""

    def __init__(self, samples, label_set=RGB, split="val"):
        self.samples, self.label_set, self.split = samples, label_set, split
        self.pairs = [(f"photos/{index}.png", f"masks/{index}.png") for index in range(len(samples))]

    def __len__(self):
        return len(self.samples)

    def read(self, index):
        return self.samples[index]


def sample(height=12, width=17, seed=0, wrong=0.2):
    """Blocks of colours, and their mask with wrong and ignored pixels."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 3, (-(-height // 4), -(-width // 4)))
    classes = np.kron(blocks, np.ones((4, 4), int))[:height, :width]
    image = (np.eye(3)[classes] * 200 + 20).astype(np.uint8)
    mask = np.where(rng.random(classes.shape) < wrong, rng.integers(0, 3, classes.shape), classes)
    mask[rng.random(classes.shape) < 0.1] = 255
    return image, mask.astype(np.int32)


def iou_by_hand(pairs, classes=3):
    """Over lists of ``(true, found, where)``."""
    result = []
    for c in range(classes):
        both = sum((w & (t == c) & (f == c)).sum() for t, f, w in pairs)
        either = sum((w & ((t == c) | (f == c))).sum() for t, f, w in pairs)
        result.append(both / either)
    return result


# --- scores -------------------------------------------------------------------------------------


def test_scores_by_hand(model):
    samples = [sample(seed=1), sample(9, 30, seed=2)]
    told = []
    result = zoo.evaluate(model, Data(samples), boundary=2, progress=lambda *n: told.append(n))
    pairs = [(mask, image.argmax(-1), mask != 255) for image, mask in samples]
    np.testing.assert_allclose(list(result.iou.values()), iou_by_hand(pairs))
    assert result.mean_iou == pytest.approx(np.mean(iou_by_hand(pairs)))
    right = sum((w & (t == f)).sum() for t, f, w in pairs)
    assert result.pixel_accuracy == pytest.approx(right / sum(w.sum() for *_, w in pairs))
    near = [(t, f, w & boundary_band(t, distance=2)) for t, f, w in pairs]
    np.testing.assert_allclose(list(result.boundary_iou.values()), iou_by_hand(near))
    for score, pair in zip(result.images, pairs, strict=True):
        assert score.mean_iou == pytest.approx(np.mean(iou_by_hand([pair])))
    assert [score.name for score in result.images] == ["0.png", "1.png"]
    assert result.protocol == "rgb val mixed sizes single-scale"
    assert told == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "protocol"),
    [
        ({}, "rgb val 12x17 single-scale"),
        ({"scales": (0.5, 1), "flip": True}, "rgb val 12x17 scales 0.5,1 flip"),
        ({"scales": (2.0,), "tile": 8}, "rgb val 12x17 scale 2 tile 8x8"),
        ({"ignore_label": 7}, "rgb val 12x17 single-scale ignoring 7"),
    ],
)
def test_options_reach_the_model_and_the_protocol(model, options, protocol):
    image, mask = sample()
    rng = np.random.default_rng(4)
    image = rng.integers(0, 256, image.shape, np.uint8)
    mask = np.where(mask == 255, options.get("ignore_label", 255), mask)
    result = evaluate(model, Data([(image, mask)]), keep_worst=1, **options)
    seen = {key: value for key, value in options.items() if key != "ignore_label"}
    np.testing.assert_array_equal(result.images[0].mask, segment(model, image, **seen).mask)
    assert result.protocol == protocol
    assert result.confusion.pixels == (mask < 3).sum()


def test_pairs_of_files_and_of_arrays_are_alike(model, tmp_path):
    image, mask = sample()
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "m.png")
    files = evaluate(model, [(tmp_path / "a.png", str(tmp_path / "m.png"))])
    arrays = evaluate(model, [(image, mask)])
    np.testing.assert_array_equal(files.confusion.matrix, arrays.confusion.matrix)
    assert files.protocol == arrays.protocol == "rgb 1 images 12x17 single-scale"
    assert (files.images[0].name, arrays.images[0].name) == ("a.png", "image 0")


def test_the_worst_images_keep_their_masks(model):
    void = (sample()[0], np.full((12, 17), 255))
    shares = (0.1, 0.9, 0.0, 0.5)
    samples = [void, *(sample(seed=i, wrong=wrong) for i, wrong in enumerate(shares))]
    result = evaluate(model, Data(samples), keep_worst=2)
    assert [image.index for image in result.worst(9)] == [2, 4, 1, 3]
    assert [image.index for image in result.images if image.mask is not None] == [2, 4]
    np.testing.assert_array_equal(result.worst(1)[0].mask, samples[2][0].argmax(-1))
    assert math.isnan(result.images[0].mean_iou)
    assert all(image.mask is None for image in evaluate(model, Data(samples)).images)


# --- classes ------------------------------------------------------------------------------------


def test_classes_in_another_order_go_by_name(model):
    data = named(("Blue", "RED", "gre-en"), key="other")
    image, mask = sample()
    renamed = np.where(mask == 255, 255, np.array([1, 2, 0])[np.clip(mask, 0, 2)])
    result = evaluate(model, Data([(image, renamed)], data))
    expected = evaluate(model, Data([(image, mask)]))
    assert list(result.iou) == ["Blue", "RED", "gre-en"]
    np.testing.assert_allclose(list(result.iou.values()), np.array(list(expected.iou.values()))[[2, 0, 1]])


def test_orders_of_camvid():
    np.testing.assert_array_equal(class_order(CAMVID11_FYU, CAMVID11), [1, 5, 0, 8, 6, 3, 9, 7, 2, 4, 10])
    np.testing.assert_array_equal(class_order(CAMVID11, CAMVID11), range(11))
    np.testing.assert_array_equal(class_order(numbered(11), CAMVID11), range(11))
    np.testing.assert_array_equal(class_order(CAMVID11_FYU, numbered(11)), range(11))


@pytest.mark.parametrize(
    ("ours", "theirs", "message"),
    [
        (
            KITTI11,
            CAMVID11,
            "only the model has sign, sidewalk; only the data has pavement, sign symbol",
        ),
        (numbered(3), CAMVID11, "the model has the 3 classes of classes3, the data the 11 of camvid11"),
        (named(("a", "b", "c")), named(("a", "b")), "only the model has c"),
        (named(("a", "A")), named(("A", "a")), "names occur more than once"),
    ],
)
def test_other_classes(ours, theirs, message):
    with pytest.raises(InputError, match=message):
        class_order(ours, theirs)


# --- bad input ----------------------------------------------------------------------------------


def test_a_true_value_outside_names_the_file(model):
    image, mask = sample()
    mask[3, 3] = 9
    with pytest.raises(InputError, match=r"0\.png: ground truth has the value 9"):
        evaluate(model, Data([(image, mask)]))


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "no images"),
        ([1], {}, "pair 0 of the data is no"),
        ([(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), int))], {}, "do not fit"),
        ([sample()], {"boundary": 0}, "boundary must be"),
        ([sample()], {"keep_worst": -1}, "keep_worst must be"),
        ([sample()], {"ignore_label": 2}, "none of the classes"),
    ],
)
def test_what_cannot_be_evaluated(model, data, options, message):
    with pytest.raises(InputError, match=message):
        evaluate(model, data, **options)


# --- artifacts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("format_", "size"), [("onnx", None), ("tflite", (8, 10))])
def test_an_artifact_scores_as_its_model(model, tmp_path, format_, size):
    path = tmp_path / f"m.{format_}"
    getattr(export, f"to_{format_}")(model, path, input_size=size)
    samples = [sample(seed=1), sample(9, 30, seed=2)]
    expected = evaluate(model, Data(samples), scales=(1.0,), flip=True)
    for given in (str(path), export.open_artifact(path)):
        found = evaluate(given, Data(samples), flip=True)
        np.testing.assert_array_equal(found.confusion.matrix, expected.confusion.matrix)
    windows = "" if size is None else " tile 8x10"
    assert found.protocol == f"rgb val mixed sizes single-scale flip{windows}"


def test_logits_at_the_stride_of_the_network_are_refused(model, tmp_path):
    path = tmp_path / "small.onnx"
    export.to_onnx(model, path, head="small_logits", input_size=(8, 10))
    with pytest.raises(InputError, match="export it with head='logits'"):
        as_model(export.open_artifact(path))


# --- reports ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_blue():
    """An evaluation in which one class never occurs."""
    image, mask = sample()
    image[..., 2] = 0
    mask[mask == 2] = 255
    return evaluate(build(), Data([(image, mask)]))


def test_table(without_blue):
    lines = table(without_blue).splitlines()
    assert lines[0] == "rgb val 12x17 single-scale"
    assert lines[1].split() == ["IoU", "within", "3", "px"]
    iou, near = without_blue.iou, without_blue.boundary_iou
    assert lines[2].split() == ["red", f"{100 * iou['red']:.2f}", f"{100 * near['red']:.2f}"]
    assert lines[4].split() == ["blue", "–", "–"]
    assert lines[5].split()[2] == f"{50 * (iou['red'] + iou['green']):.2f}"
    assert [line.split()[0] for line in lines[5:]] == ["mean", "pixel", "mean"]


def test_plain_data(without_blue):
    found = json.loads(json.dumps(to_dict(without_blue), allow_nan=False))
    assert found["iou"]["blue"] is None
    assert found["mean_iou"] == without_blue.mean_iou
    assert found["confusion_matrix"] == without_blue.confusion.matrix.tolist()
    assert found["images"][0]["name"] == "0.png"


def test_pictures(without_blue, tmp_path):
    image, mask = sample()
    files = [
        plot_confusion(without_blue, tmp_path / "confusion.png"),
        plot_comparison(
            tmp_path / "worst.png", image=image, true=mask, found=image.argmax(-1), label_set=RGB, title="0"
        ),
    ]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    drawn = [np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) for path in files]
    for pixels in drawn:
        assert len(np.unique(pixels, axis=0)) > 10
    assert (drawn[1] == (214, 39, 40)).all(1).any()  # wrong pixels
    with pytest.raises(InputError, match="cannot write"):
        plot_confusion(without_blue, tmp_path / "missing" / "confusion.png")
