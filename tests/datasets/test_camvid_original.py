"""CamVid's original labels in 32 colours: pairing, the merge to 11 classes, and what is wrong with files."""

import numpy as np
import pytest
from PIL import Image
from support.data_folders import SIZE, save_image

from zoo import cli
from zoo.datasets import check, open_dataset
from zoo.datasets.camvid_original import CLASSES
from zoo.errors import FormatError, InputError
from zoo.labels import CAMVID11

VOID = CAMVID11.ignore_label


def save_label(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def all_colors():
    """``(6, 8, 3)``: each of the 32 colours, then black."""
    pixels = np.zeros((SIZE[0] * SIZE[1], 3), np.uint8)
    pixels[:32] = [color for _, color, _ in CLASSES]
    return pixels.reshape(*SIZE, 3)


def original(root, stems=("0001TP_1", "0006R0_2", "0016E5_3")):
    for stem in stems:
        save_image(root / "701_StillsRaw_full" / f"{stem}.png")
        save_label(root / "LabeledApproved_full" / f"{stem}_L.png", all_colors())
    return root


def test_every_colour_becomes_its_class(tmp_path):
    dataset = open_dataset("camvid_original", original(tmp_path), split="all")
    image, mask = dataset.read(1)
    assert image.shape == (*SIZE, 3) and mask.shape == SIZE and mask.dtype == np.int32
    members = {name: set() for name in (*CAMVID11.names, "void")}
    for (name, _, _), label in zip(CLASSES, mask.ravel()[:32], strict=True):
        members["void" if label == VOID else CAMVID11.names[label]].add(name)
    assert members == {
        "sky": {"Sky"},
        "building": {"Bridge", "Building", "Wall", "Tunnel", "Archway"},
        "pole": {"Column_Pole", "TrafficCone"},
        "road": {"Road", "LaneMkgsDriv", "LaneMkgsNonDriv"},
        "pavement": {"Sidewalk", "ParkingBlock", "RoadShoulder"},
        "tree": {"Tree", "VegetationMisc"},
        "sign symbol": {"SignSymbol", "Misc_Text", "TrafficLight"},
        "fence": {"Fence"},
        "car": {"Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"},
        "pedestrian": {"Pedestrian", "Child", "CartLuggagePram", "Animal"},
        "bicyclist": {"Bicyclist", "MotorcycleScooter"},
        "void": {"Void"},
    }
    assert (mask.ravel()[32:] == VOID).all()


def test_colours_of_the_merged_classes_are_those_of_the_label_set():
    """But for the pavement, to which SegNet gave a colour of its own."""
    first = {"pole": "Column_Pole", "sign symbol": "SignSymbol"}
    colors = {name: color for name, color, _ in CLASSES}
    for name, color in zip(CAMVID11.names, CAMVID11.palette, strict=True):
        if name != "pavement":
            assert colors[first.get(name, name.capitalize())] == color


def test_segnets_lists_give_the_split(tmp_path):
    root = original(tmp_path)
    lines = "/SegNet/CamVid/train/0016E5_3.png /SegNet/CamVid/trainannot/0016E5_3.png\n0001TP_1.png\n"
    (root / "train.txt").write_text(lines)
    dataset = open_dataset("camvid_original", root)
    assert [pair[1].name for pair in dataset.pairs] == ["0016E5_3_L.png", "0001TP_1_L.png"]
    with pytest.raises(InputError, match="unknown split 'val'; there are: train, all"):
        open_dataset("camvid_original", root, split="val")
    (root / "train.txt").write_text("0009_9.png\n")
    with pytest.raises(InputError, match=r"0009_9_L\.png: listed, but not there"):
        open_dataset("camvid_original", root)


def test_a_colour_of_no_class_is_named(tmp_path):
    pixels = all_colors()
    pixels[0, 0], pixels[0, 1] = (1, 2, 3), (255, 255, 255)
    path = save_label(original(tmp_path) / "LabeledApproved_full" / "0001TP_1_L.png", pixels)
    dataset = open_dataset("camvid_original", tmp_path, split="all")
    with pytest.raises(FormatError, match=r"2 pixels have a colour of no class, such as \(1, 2, 3\)"):
        dataset.read(0)
    report = check(tmp_path)
    assert report.kind == "camvid_original"
    assert [(p.path, p.kind) for p in report.splits[0].problems] == [(path, "unreadable")]


def test_partners_and_repeated_names(tmp_path):
    root = original(tmp_path)
    save_image(root / "other" / "0001TP_1.png")
    with pytest.raises(InputError, match="the same name as"):
        open_dataset("camvid_original", root, split="all")
    (root / "other" / "0001TP_1.png").unlink()
    (root / "701_StillsRaw_full" / "0006R0_2.png").unlink()
    with pytest.raises(InputError, match=r"0006R0_2_L\.png: no image 0006R0_2\.png"):
        open_dataset("camvid_original", root, split="all")


def test_the_check_counts_the_merged_classes(tmp_path, capsys):
    assert cli.main(["dataset", "check", str(original(tmp_path))]) == 0
    assert "camvid_original" in capsys.readouterr().out
    (split,) = check(tmp_path).splits
    assert split.split == "all" and split.samples == 3
    assert dict(zip(CAMVID11.names, split.pixels, strict=True))["building"] == 3 * 5
    assert split.ignored == 3 * 17
