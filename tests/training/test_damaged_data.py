"""What training looks at before its first step, and how it ends when files go wrong on the way."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.training_fixtures import tiny_model

import zoo
from zoo.cli import main
from zoo.datasets import Augmentation, check, open_dataset
from zoo.errors import InputError
from zoo.training import Recipe, Settings, fit, losses, train

QUIET = {"scale": (1.0, 1.0), "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
RECIPE = Recipe(epochs=4, batch_size=2, crop=(16, 16), augmentation=Augmentation(**QUIET))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def folder(path: Path, masks, *, classes="a\nb\nc", suffix=".jpg") -> Path:
    """A data set of one image for each mask ``(16, 16)``."""
    random = np.random.default_rng(0)
    for part in ("images", "masks"):
        (path / part).mkdir(parents=True)
    for index, mask in enumerate(masks):
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path / "images" / f"{index}{suffix}")
        Image.fromarray(np.asarray(mask, np.uint8)).save(path / "masks" / f"{index}.png")
    if classes:
        (path / "classes.txt").write_text(classes)
    return path


def drawn(count, *values) -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.choice(np.array(values, np.uint8), (16, 16)) for _ in range(count)]


def run(data, output=None, **options):
    said = []
    history = train(
        tiny_model(dropout=0), data, RECIPE, output=output, examples=0, note=said.append, **options
    )
    return history, said


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 60])


def test_masks_of_0_and_255_are_asked_about(tmp_path):
    data = folder(tmp_path / "d", drawn(6, 0, 255))
    with pytest.raises(InputError, match=r"hold 0 and 255 only, and 255 is ignored.*--binary or --map 255=1"):
        run(open_dataset("folder", data))
    with pytest.raises(InputError, match=r"hold 0 and 255 only"):
        zoo.evaluate(tiny_model(), open_dataset("folder", data))
    for options in ({"binary": True, "classes": ["a", "b"]}, {"mapping": {255: 1}}, {"mapping": {255: "b"}}):
        dataset = open_dataset("folder", data, split="all", **options)
        _, mask = dataset.read(0)
        raw = np.asarray(Image.open(dataset.pairs[0][1]))
        np.testing.assert_array_equal(mask, raw == 255)


def test_binary_refuses_other_values_and_other_counts(tmp_path):
    data = folder(tmp_path / "d", drawn(4, 0, 3, 255), classes=None)
    dataset = open_dataset("folder", data, split="all", binary=True)
    assert dataset.label_set.names == ("background", "object")
    with pytest.raises(InputError, match=r"value 3 is no class"):
        dataset.read(0)
    with pytest.raises(InputError, match=r"binary masks have two classes, the data set has 3"):
        open_dataset("folder", data, classes=3, binary=True)
    with pytest.raises(InputError, match=r"becomes a class from 0 to 2"):
        open_dataset("folder", data, classes=3, mapping={255: 3})


def test_one_class_is_nothing_to_learn(tmp_path):
    data = folder(tmp_path / "d", drawn(4, 1, 255))
    with pytest.raises(InputError, match=r"every pixel that counts is 'b', so there is nothing to learn"):
        run(open_dataset("folder", data, split="all"))


def test_a_class_without_a_pixel_is_said(tmp_path, capsys):
    data = folder(tmp_path / "d", drawn(4, 0, 2))
    _, said = run(open_dataset("folder", data, split="all"))
    assert said == ["folder all: no pixel of b"]
    with pytest.warns(UserWarning, match=r"folder all: no pixel of b"):
        zoo.evaluate(tiny_model(), open_dataset("folder", data, split="all"))
    assert main(["dataset", "check", str(data)]) == 0
    assert "without a single pixel: b" in capsys.readouterr().out


def test_noise_in_masks_without_names_is_asked_about(tmp_path):
    random = np.random.default_rng(0)
    noisy = [np.clip(150 * (m // 255) + random.integers(0, 9, (16, 16)), 0, 255) for m in drawn(4, 0, 255)]
    data = folder(tmp_path / "noisy", noisy, classes=None)
    (problem,) = check(data).splits[0].problems
    assert problem.kind == "classes"
    assert "18 different values up to 158: give --classes" in problem.message
    assert check(folder(tmp_path / "good", drawn(4, 0, 1, 2), classes=None)).ok


def test_a_validation_without_a_counted_pixel(tmp_path):
    data = folder(tmp_path / "d", drawn(4, 0, 1, 2))
    empty = folder(tmp_path / "e", [np.full((16, 16), 255)] * 2)
    validation = open_dataset("folder", empty, split="all")
    for call in (
        lambda: run(open_dataset("folder", data), tmp_path / "run", validation=validation),
        lambda: zoo.evaluate(tiny_model(), validation),
    ):
        with pytest.raises(InputError, match=r"no pixel counts"):
            call()


def test_headers_of_all_files_are_read_before_the_first_step(tmp_path):
    data = folder(tmp_path / "d", drawn(4, 0, 1, 2))
    Image.new("RGB", (17, 16)).save(data / "images" / "3.jpg")
    with pytest.raises(
        InputError, match=r"3.png: 16x16 pixels, but its image has 17x16; `zoo dataset check`"
    ):
        run(open_dataset("folder", data, split="all"), tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_damaged_image_ends_in_one_line_after_a_save(tmp_path):
    data = folder(tmp_path / "d", drawn(6, 0, 1, 2))
    truncate(data / "images" / "3.jpg")
    dataset, output = open_dataset("folder", data, split="all"), tmp_path / "run"
    with pytest.raises(
        InputError, match=r"^the data cannot be read: \S+3.jpg: damaged image: [^\n]+$"
    ) as raised:
        run(dataset, output)
    saved = list((output / "checkpoints").glob("step-*.index"))
    assert bool(saved) == ("steps are saved in" in str(raised.value))


def test_what_was_trained_before_the_damage_is_saved(tmp_path):
    data = folder(tmp_path / "d", drawn(6, 0, 1, 2))
    dataset, output = open_dataset("folder", data, split="all"), tmp_path / "run"

    def damage(trained, scored):
        truncate(data / "images" / "5.jpg")

    with pytest.raises(InputError, match=r"5.jpg: damaged image.*; [0-9]+ steps are saved in"):
        run(dataset, output, report=damage)
    assert list((output / "checkpoints").glob("step-*.index"))
    history, said = run(dataset, output, skip_damaged=True)
    assert history.step == 4 * 3
    assert any("left out" in line and "5.jpg" in line for line in said)


def test_damaged_samples_are_left_out_and_listed(tmp_path):
    masks = drawn(6, 0, 1, 2)
    masks[4][0, 0] = 9
    data = folder(tmp_path / "d", masks)
    truncate(data / "images" / "1.jpg")
    dataset = open_dataset("folder", data, split="all")
    history, said = run(dataset, validation=dataset, skip_damaged=True)
    assert history.step == 4 * 3
    for name in ("1.jpg: damaged image", "4.png: value 9 is no class"):
        assert sum(name in line for line in said) == 2  # of training and of validation


def test_the_step_before_a_failed_validation_is_saved(tmp_path):
    data = folder(tmp_path / "d", drawn(6, 0, 1, 2))
    dataset, output = open_dataset("folder", data, split="all"), tmp_path / "run"
    broken = open_dataset("folder", folder(tmp_path / "v", drawn(2, 0, 1, 2)), split="all")
    truncate(tmp_path / "v" / "images" / "1.jpg")
    with pytest.raises(zoo.errors.FormatError, match=r"1.jpg: damaged image"):
        run(dataset, output, validation=broken)
    assert [p.stem for p in (output / "checkpoints").glob("*.index")] == ["step-3"]
    Image.new("RGB", (16, 16)).save(tmp_path / "v" / "images" / "1.jpg")
    history, _ = run(dataset, output, validation=broken)
    assert [row["step"] for row in history.validation] == [3, 6, 9, 12]


def test_a_label_outside_the_classes_is_one_line():
    import tensorflow as tf

    def batches(start):
        image, mask = tf.zeros((2, 16, 16, 3)), tf.fill((2, 16, 16), 7)
        return tf.data.Dataset.from_tensors((image, mask)).repeat()

    settings = Settings(steps=2, epoch_steps=1)
    with pytest.raises(InputError, match=r"^step 1: ground truth has the value 7 allowed are[^\n]+$"):
        fit(tiny_model(), batches, loss=losses.SparseCrossEntropy(), settings=settings)


def test_masks_are_decoded_once(tmp_path, monkeypatch):
    data = folder(tmp_path / "d", drawn(4, 0, 1, 2))
    run(open_dataset("folder", data, split="all"))
    seen = []
    original = zoo.datasets.Dataset.read_values
    monkeypatch.setattr(
        zoo.datasets.Dataset, "read_values", lambda self, path: seen.append(path) or original(self, path)
    )
    from zoo.datasets.examination import examine

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        examine(open_dataset("folder", data, split="all"), note=warnings.warn)
    assert seen == []
    Image.fromarray(drawn(1, 0, 7)[0]).save(data / "masks" / "0.png", compress_level=0)
    with pytest.raises(InputError, match=r"0.png: value 7 is no class"):
        examine(open_dataset("folder", data, split="all"), note=warnings.warn)
