"""Models from and to a hub: pinned, verified, kept for a machine without a network."""

import hashlib
import io
import json
import re
import zipfile

import keras
import numpy as np
import pytest
from PIL import Image
from support.hub_server import Hub
from support.tiny_export import seeded

import zoo
from zoo.cli import main
from zoo.errors import DownloadError, FormatError, InputError
from zoo.files import cache_dir
from zoo.hub import Score, push
from zoo.labels import named
from zoo.layers.resize import label_set_of, source_of
from zoo.models.loading import arrays_of
from zoo.weights.hub import parse_address

pytest.importorskip("huggingface_hub")
LABELS = named(("road", "sky | <b>", "naïve ☂"))
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub of its own, an empty cache, and a token that the hub takes."""
    server = Hub()
    for name, value in {
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": server.token,
        "ZOO_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)
    # Of the client, which reads its settings once: plain HTTP.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """A narrow model with settings, classes and weights that are not the usual ones."""
    settings = {"width": 0.35, "aspp_channels": 16, "rates": (2, 4)}
    return seeded(zoo.load("deeplabv3_aspp", None, classes=LABELS, settings=settings))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("saved") / "m.keras"
    model.save(path)
    return path.read_bytes()


def equal(one, other) -> bool:
    ours, theirs = arrays_of(one), arrays_of(other)
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[key], theirs[key]) for key in ours)


def test_there_and_back(hub, model, tmp_path, monkeypatch, capsys):
    score = Score(metric="mIoU", value=71.234, protocol="mine val 40x56", classes=(("road", 80.0),))
    address = push(model, "hf://me/narrow", licence="MIT", scores=[score], sample=IMAGE, private=True)
    commit = address.partition("@")[2]
    files = hub.files("me/narrow", commit)
    assert set(files) == {".gitattributes", "README.md", "model.keras", "sample.png"}
    assert hub.lfs == {hashlib.sha256(files["model.keras"]).hexdigest()}
    assert hub.repositories["me/narrow"]["private"] is True
    overlay = zoo.segment(model, IMAGE).overlay()
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(files["sample.png"]))), overlay)

    for name in ("hf://me/narrow", address, "hf://me/narrow@main", "hf://me/narrow/model.keras"):
        loaded = zoo.load(name)
        assert equal(loaded, model) and label_set_of(loaded) == LABELS
        assert source_of(loaded)["weights"].startswith(address)
    assert equal(zoo.load("deeplabv3_aspp", "hf://me/narrow"), model)

    requests = len(hub.log)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    for name in ("hf://me/narrow", address):
        assert equal(zoo.load(name), model)
    with pytest.raises(DownloadError, match="was never loaded on this machine, and ZOO_OFFLINE is set"):
        zoo.load("hf://me/other")
    assert len(hub.log) == requests


def test_the_card(hub, model):
    score = Score(metric="mIoU", value=71.234, protocol="mine val 40x56", classes=(("road", 80.0),))
    push(model, "hf://me/narrow", licence="Apache-2.0, data for research use", scores=[score], sample=IMAGE)
    files = hub.files("me/narrow")
    text = files["README.md"].decode()
    facts = text.split("---\n")[1]
    assert 'license: other\nlicense_name: "Apache-2.0, data for research use"' in facts
    assert "pipeline_tag: image-segmentation" in facts
    assert "| mIoU | 71.23 | mine val 40x56 |" in text
    assert "| 0 | road | `#000000` | 80.0 |" in text and "| 1 | sky \\| &lt;b> |" in text
    assert "naïve ☂" in text and "](sample.png)" in text
    assert hashlib.sha256(files["model.keras"]).hexdigest() in text
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert 'zoo.load("hf://me/narrow")' in code


def test_a_second_push_and_a_branch(hub, model):
    first = push(model, "hf://me/narrow", licence="MIT", message="one")
    push(model, "hf://me/narrow@try", licence="CC-BY-4.0", message="two")
    assert hub.repositories["me/narrow"]["summaries"] == ["one", "two"]
    assert "license: mit" in hub.files("me/narrow")["README.md"].decode()
    assert "license: cc-by-4.0" in hub.files("me/narrow", "try")["README.md"].decode()
    assert first.endswith(hub.repositories["me/narrow"]["refs"]["main"])


def test_refusals_of_push(hub, model, monkeypatch):
    with pytest.raises(InputError, match="no licence that is known"):
        push(model, "hf://me/narrow")
    with pytest.raises(InputError, match="not to a file in it"):
        push(model, "hf://me/narrow/model.keras", licence="MIT")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(DownloadError, match=r"^hf://me/narrow: .*401"):
        push(model, "hf://me/narrow", licence="MIT")
    assert hub.repositories == {}


def test_another_content_for_the_same_commit(hub, model, saved):
    commit = hub.commit("me/narrow", {"m.keras": saved})
    zoo.load("hf://me/narrow")
    hub.stored["me/narrow", "m.keras"] = saved[:-1] + b"x"
    kept = [path for path in (cache_dir() / "hub").rglob("blobs/*") if path.is_file()]
    kept[0].write_bytes(saved[:-1] + b"x")
    with pytest.raises(DownloadError, match=f"@{commit}: m.keras has the SHA-256 .*removed from the cache"):
        zoo.load("hf://me/narrow")
    with pytest.raises(DownloadError, match=f"@{commit}: m.keras has the SHA-256"):
        zoo.load(f"hf://me/narrow@{commit}")
    del hub.stored["me/narrow", "m.keras"]
    assert equal(zoo.load("hf://me/narrow"), model)


def test_a_branch_that_moves_and_a_commit_that_does_not(hub, model, saved, monkeypatch):
    commit = hub.commit("me/narrow", {"m.keras": saved})
    zoo.load("hf://me/narrow")
    hub.commit("me/narrow", {"m.keras": b"PK other"})
    requests = len(hub.log)
    assert equal(zoo.load(f"hf://me/narrow@{commit}"), model)
    assert not [line for line in hub.log[requests:] if "/api/" in line]  # nothing to look up
    with pytest.raises(FormatError):
        zoo.load("hf://me/narrow")


def members(saved: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(saved)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_what_keras_saves_to_a_hub(hub, model, saved):
    hub.commit("me/preset", {**members(saved), "README.md": b"# a model"})
    loaded = zoo.load("hf://me/preset")
    assert equal(loaded, model) and label_set_of(loaded) == LABELS
    config = json.loads(members(saved)["config.json"])
    other = {**config, "module": "keras_hub.src.models.deeplab_v3", "class_name": "DeepLabV3ImageSegmenter"}
    hub.commit("me/other", {**members(saved), "config.json": json.dumps(other).encode()})
    with pytest.raises(InputError, match="a preset of another library and no model of the zoo") as caught:
        zoo.load("hf://me/other")
    assert "DeepLabV3ImageSegmenter" in str(caught.value)
    other = {**config, "config": {**config["config"], "name": "functional_3"}}
    hub.commit("me/unknown", {**members(saved), "config.json": json.dumps(other).encode()})
    with pytest.raises(InputError, match="functional_3"):
        zoo.load("hf://me/unknown")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"README.md": b""}, "there is no file of weights"),
        ({"a.keras": b"a", "b.keras": b"b"}, "several files may be meant: a.keras, b.keras"),
        ({"model.safetensors": b"a" * 9}, "does not say of what model it is: zoo.load"),
        ({"m.keras": b"not a zip archive"}, "not a readable .keras|zip"),
        ({"m.npz": b"not a zip archive"}, "m.npz"),
    ],
)
def test_what_a_repository_may_hold(hub, files, said):
    hub.commit("me/other", files)
    with pytest.raises((InputError, FormatError), match=said) as caught:
        zoo.load("hf://me/other")
    assert "\n" not in str(caught.value)


def test_no_such_thing(hub, saved):
    hub.commit("me/narrow", {"m.keras": saved})
    for name in ("hf://me/nothing", "hf://me/narrow@v9"):
        with pytest.raises(DownloadError, match=f"^{name}: "):
            zoo.load(name)
    with pytest.raises(InputError, match=r"no such file; there are m\.keras"):
        zoo.load("hf://me/narrow/n.keras")
    with pytest.raises(InputError, match="has weights of its own"):
        zoo.load("hf://me/narrow", "camvid")


@pytest.mark.parametrize(
    "text",
    ["hf://me", "hf://me/a/b/c", "hf://../a", "hf://me/..", "hf://me/a@", "hf://me/a@x/../y", "hf:///a/b"],
)
def test_addresses_that_are_none(text):
    with pytest.raises(InputError, match="an address of the hub is hf://owner/name"):
        parse_address(text)


def test_commands(hub, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(IMAGE).save("a.png")
    scores = {"protocol": "camvid11 val", "mean_iou": 0.5, "iou": {"sky": 0.9, "building": None}}
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    assert main(["push", "deeplabv3_aspp", "hf://me/city", "--sample", "a.png"]) == 0
    address = capsys.readouterr().out.strip()
    text = hub.files("me/city")["README.md"].decode()
    assert "| mIoU | 75.11 | camvid11 val 360x480 single-scale |" in text  # of the catalog
    assert main(["push", "deeplabv3_aspp", "hf://me/city", "--scores", "scores.json"]) == 0
    assert "| mIoU | 50.00 | camvid11 val |" in hub.files("me/city")["README.md"].decode()
    assert main(["segment", address, "a.png", "--output", "hub"]) == 0
    assert main(["segment", "deeplabv3_aspp", "a.png", "--output", "own"]) == 0
    assert (tmp_path / "hub/a_mask.png").read_bytes() == (tmp_path / "own/a_mask.png").read_bytes()
    capsys.readouterr()
    (tmp_path / "scores.json").write_text("[]")
    assert main(["push", "deeplabv3_aspp", "hf://me/city", "--scores", "scores.json"]) == 2
    assert "not what zoo evaluate --json writes" in capsys.readouterr().err
