"""The page in Chromium: its masks, what a person does with it, and what it says of files it cannot use."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny_export import tiny

import zoo
from zoo import export
from zoo.images import read_mask
from zoo.labels import named

EQUAL = 0.999
SIZE = (96, 144)  # of the photograph
# A phone at night, and a table by day.
SCREENS = [(390, 844, True), (1280, 800, False)]


@pytest.fixture(scope="module")
def want(model, photo):
    return zoo.segment(model, photo)


@pytest.fixture(scope="module")
def seen(drive, serving, files, photo, tmp_path_factory):
    """Every file on the photograph, in one page."""
    folder = tmp_path_factory.mktemp("seen")
    with serving(*files.values()) as (url, _):
        found = drive("models", url=url, photo=photo, folder=folder)
    return found, folder


def own_mask(path, photo):
    """What the file gives here, for those that do not compute what the model computes."""
    return zoo.segment(export.open_artifact(path), photo).mask


@pytest.mark.parametrize("index", range(9))
def test_masks_are_those_of_keras(index, seen, files, want, photo):
    (name, path), (found, folder) = list(files.items())[index], seen
    mask = read_mask(folder / f"{index}.png")
    exact = name in ("float.tflite", "half.tflite", "mask.tflite", "float.onnx", "any.onnx")
    assert len(np.unique(mask)) >= 3
    assert (mask == (want.mask if exact else own_mask(path, photo))).mean() >= EQUAL, name
    entry = found["seen"][index]
    runtime = "LiteRT.js" if name.endswith(".tflite") else "ONNX Runtime Web"
    assert f"ms per frame · {runtime}, WASM SIMD, " in entry["status"]
    assert entry["name"] == "city_mask.png"


def test_the_legend_tells_the_shares(seen, want):
    found, _ = seen
    shown = [(name, share) for name, share in want.shares() if share >= 0.001]
    for (name, share), (label, text) in zip(shown, found["seen"][0]["legend"], strict=False):
        assert name == label and abs(float(text.removesuffix(" %")) / 100 - share) < 0.002


def test_masks_are_palette_files_in_the_colours_of_the_classes(seen, want):
    with Image.open(seen[1] / "0.png") as image:
        assert image.mode == "P"
        colours = np.array(image.getpalette()).reshape(-1, 3)[: len(want.labels)]
        np.testing.assert_array_equal(colours, want.labels.palette)


def test_nothing_is_wrong_and_nothing_leaves_the_origin(seen):
    found, _ = seen
    assert found["errors"] == []
    (origin, *blobs) = [origin for origin in found["origins"] if origin != "null"]
    assert origin.startswith("http://localhost:") and not blobs
    assert found["isolated"] is True


@pytest.mark.parametrize(("width", "height", "dark"), SCREENS)
def test_a_person_and_a_picture(width, height, dark, drive, serving, files, photo, want, tmp_path):
    with serving(files["float.tflite"]) as (url, _):
        found = drive("person", url=url, photo=photo, folder=tmp_path, width=width, height=height, dark=dark)
    assert found["errors"] == []
    mask, names = want.mask, want.labels.names
    rows, columns = mask.shape
    assert found["tip"] == names[mask[int(0.15 * rows), columns // 2]]
    assert found["keyed"] == found["spoken"] == names[mask[-1, columns // 2]]
    assert found["gone"] and found["opacity"] == "1" and found["hidden"] == "hidden"
    assert found["wide"] <= width
    tabs = ["stage", "choose", "take", "camera", "opacity", "only"]
    kept = [tab for tab in found["tabs"] if tab in tabs]
    assert kept == [tab for tab in tabs if tab != "opacity"]  # which has no effect on a mask alone
    light = sum(map(int, found["page_color"][4:-1].split(","))) > 3 * 128
    assert light is not dark
    overlay = np.asarray(Image.open(tmp_path / f"overlay_{width}.png").convert("RGB"))
    np.testing.assert_array_equal(overlay, np.array(want.labels.palette, np.uint8)[read_saved(overlay, want)])


def read_saved(overlay, want):
    """Classes of an overlay at full opacity, which are those of Keras but for few pixels."""
    palette = np.array(want.labels.palette, np.int64)
    distance = np.abs(overlay[:, :, None].astype(np.int64) - palette).sum(-1)
    classes = distance.argmin(-1)
    assert (classes == want.mask).mean() >= EQUAL
    return classes


def test_long_names_of_classes_fit_a_telephone(drive, serving, photo, tmp_path):
    model = tiny()
    names = ["a name of a class that goes on and on " + "without end " * n for n in (1, 2)]
    model.layers[-1].label_set = named((*names, "x" * 80))
    export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE)
    with serving(tmp_path / "m.tflite") as (url, _):
        found = drive("person", url=url, photo=photo, folder=tmp_path, width=390, height=844)
    assert len(found["legend"]) >= 2 and found["errors"] == []
    assert found["wide"] <= 390 and found["tip"] in (*names, "x" * 80)


def test_dropped_and_pasted_pictures(drive, serving, files, photo, want, tmp_path):
    with serving(files["float.tflite"]) as (url, _):
        found = drive("given", url=url, photo=photo, folder=tmp_path)
    assert found["names"] == ["drop_mask.png", "paste_mask.png"] and found["errors"] == []
    for kind in ("drop", "paste"):
        assert (read_mask(tmp_path / f"{kind}.png") == want.mask).mean() >= EQUAL


# --- the camera -------------------------------------------------------------------------------------------


def write_y4m(path, pixels, frames=4):
    """A film of one picture in 4:2:0, in the range of television."""
    luma, blue, red = (np.asarray(c, np.float32) for c in Image.fromarray(pixels).convert("YCbCr").split())
    planes = [16 + luma * 219 / 255]
    planes += [128 + (c[::2, ::2] - 128) * 224 / 255 for c in (blue, red)]
    frame = b"FRAME\n" + b"".join(np.rint(plane).astype(np.uint8).tobytes() for plane in planes)
    height, width = pixels.shape[:2]
    path.write_bytes(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420\n" % (width, height) + frames * frame)


def test_the_camera_is_segmented(drive, serving, files, model, pixels, tmp_path):
    write_y4m(tmp_path / "film.y4m", pixels)
    with serving(files["float.tflite"]) as (url, _):
        found = drive("camera", url=url, camera=tmp_path / "film.y4m", folder=tmp_path)
    assert (found["running"], found["stopped"]) == ("true", "false")
    assert found["error"] is None and found["errors"] == []
    frame = base64.b64decode(found["frame"].partition(",")[2])
    frame = np.asarray(Image.open(io.BytesIO(frame)).convert("RGB"))
    assert np.abs(frame.astype(int) - pixels).mean() < 12
    mask = read_mask(tmp_path / "camera_mask.png")
    assert len(np.unique(mask)) >= 3
    assert (mask == zoo.segment(model, frame).mask).mean() >= EQUAL


# --- what goes wrong --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unusable(files, photo, tmp_path_factory):
    """Pictures and models that cannot be used, each with a part of what the page says."""
    folder = tmp_path_factory.mktemp("unusable")
    cut = photo.read_bytes()
    (folder / "cut.png").write_bytes(cut[:60])
    (folder / "text.jpg").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    lite, onnx = files["float.tflite"].read_bytes(), files["float.onnx"].read_bytes()
    (folder / "cut.tflite").write_bytes(lite[: len(lite) // 2])
    (folder / "cut.onnx").write_bytes(onnx[: len(onnx) // 2])
    (folder / "noise.tflite").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "foreign.tflite").write_bytes(lite.replace(b"atrous_zoo", b"something_"))
    (folder / "foreign.onnx").write_bytes(onnx.replace(b"atrous_zoo", b"something_"))
    export.to_onnx(tiny(), folder / "small.onnx", head="small_logits", input_size=(33, 47))
    damaged, foreign = "is damaged, or", "was not exported by the zoo"
    pictures = dict.fromkeys(("cut.png", "text.jpg", "empty.png"), "cannot be read as a picture")
    models = dict.fromkeys(("cut.tflite", "cut.onnx", "noise.tflite", "empty.onnx"), damaged)
    models |= {"foreign.tflite": foreign, "foreign.onnx": foreign, "small.onnx": "smaller than the picture"}
    return folder, pictures, models


def test_files_that_cannot_be_used_give_a_sentence(unusable, drive, serving, files, photo, want, tmp_path):
    folder, pictures, models = unusable
    paths = {"pictures": [str(folder / p) for p in pictures], "models": [str(folder / m) for m in models]}
    with serving(files["float.tflite"], files["float.onnx"]) as (url, _):
        found = drive("errors", url=url, photo=photo, folder=tmp_path, **paths)
    for name, part in {**pictures, **models}.items():
        said = found["said"][str(folder / name)]
        assert name in said and part in said and said.endswith("."), said
    assert found["dismissed"] is None and found["after"] is None
    assert (read_mask(tmp_path / "after.png") == want.mask).mean() >= EQUAL


def test_a_model_file_of_ones_own(drive, serving, files, photo, tmp_path):
    with serving(files["float.tflite"]) as (url, _):
        found = drive("own", url=url, photo=photo, model=files["int8.tflite"], folder=tmp_path)
    assert found["chosen"] == "int8.tflite" and found["errors"] == []
    mask = own_mask(files["int8.tflite"], photo)
    assert (read_mask(tmp_path / "own.png") == mask).mean() >= EQUAL


# --- without a network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float.tflite", "float.onnx"])
def test_the_page_works_when_the_server_is_gone(name, drive, serving, files, photo, want, tmp_path):
    with serving(files[name]) as (url, process):

        def stop():
            process.terminate()
            process.wait()

        found = drive("offline", url=url, photo=photo, folder=tmp_path, stop=stop)
    assert found["error"] is None and found["isolated"] is True
    for mask in ("online", "offline"):
        assert (read_mask(tmp_path / f"{mask}.png") == want.mask).mean() >= EQUAL


def test_a_server_without_the_headers_of_threads(drive, files, node_folder, photo, want, tmp_path):
    """The service worker adds them; the page loads itself once more."""
    from zoo.demo.site import write_site

    write_site(tmp_path / "site", [export.open_artifact(files["float.tflite"])], runtime=Path(node_folder))
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        command, cwd=tmp_path / "site", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        port = json.loads(server.stdout.readline().split()[5])

        def stop():
            server.terminate()
            server.wait()

        found = drive("offline", url=f"http://localhost:{port}/", photo=photo, folder=tmp_path, stop=stop)
    finally:
        server.kill()
        server.stdout.close()
    assert found["before"] is True and found["isolated"] is True
    assert (read_mask(tmp_path / "offline.png") == want.mask).mean() >= EQUAL
