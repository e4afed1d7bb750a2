"""Writes the seeds of the corpus: small, valid files of every kind that is read, and crafted ones.

    python tests/fuzz/make_corpus.py

The same bytes each time. Files in the corpus that this does not write are inputs that once were findings.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import pickle
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]

import h5py  # noqa: E402
import numpy as np  # noqa: E402
import yaml  # noqa: E402
from fuzz.label_seeds import labels  # noqa: E402
from fuzz.targets import archive  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402
from PIL import Image  # noqa: E402
from support import mlpackage_files  # noqa: E402
from support.png import png  # noqa: E402
from support.tf_tables import constant, entries_block, entry, header, table_around  # noqa: E402
from support.tflite_files import quantized_graph  # noqa: E402
from support.tiff_files import tiff  # noqa: E402
from support.torch_files import Call, Name, Storage, pickled, simple, tensor, write_legacy  # noqa: E402
from support.wav_files import EXTENSIBLE, FLOATS, PCM, WIDE, chunk, extensible, fmt, rf64, riff  # noqa: E402

from zoo.training.recipe import Recipe  # noqa: E402

WEIGHT = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)


def array(values: object, **options: object) -> bytes:
    """A ``.npy`` file."""
    stream = io.BytesIO()
    np.save(stream, np.asarray(values, **options), allow_pickle=False)
    return stream.getvalue()


def numpy_files() -> dict[str, bytes]:
    """The zoo's own container, and the arrays in it."""
    arrays = {
        "half": array(WEIGHT, dtype="f2"),
        "turned": array(np.asfortranarray(WEIGHT[0])),
        "empty": array(np.zeros((0, 3))),
        "text": array("name"),
        "huge": array(WEIGHT).replace(b"(1, 2, 2, 2)", b"(1, 2, 2, 9999999999)"),
    }
    whole = archive(("w.npy", None), ("classes.npy", array(np.int64(2))))(arrays["half"])
    return {"npz/plain": whole, **{f"npz_array/{name}": content for name, content in arrays.items()}}


def torch_files(folder: Path) -> dict[str, bytes]:
    """Both of torch's containers, and the pickles in the newer one."""
    tensor, storage = simple("0", WEIGHT)
    root = {"conv.weight": tensor, "bn.bias": tensor}
    found = {}
    found["torch/legacy"] = write_legacy(folder / "m.pth", root, [storage]).read_bytes()
    members = (("archive/data.pkl", None), ("archive/data/0", storage.data), ("archive/version", b"3\n"))
    found["torch/zip"] = archive(*members)(pickled(root))
    for protocol in (2, 4):
        found[f"torch_pickle/protocol{protocol}"] = pickled(root, protocol=protocol)
    found["torch_pickle/wrapped"] = pickled({"state_dict": root, "epoch": 3})
    found["torch_pickle/runs_code"] = b"cos\nsystem\n(S'true'\ntR."
    found["torch/plain_pickle"] = pickle.dumps({"model": {"conv.weight": WEIGHT, "n": np.float32(1)}}, 2)
    header = json.dumps({"conv.weight": {"dtype": "F32", "shape": [1, 2, 2, 2], "data_offsets": [0, 32]}})
    found["safetensors/plain"] = len(header).to_bytes(8, "little") + header.encode() + WEIGHT.tobytes()
    small = json.dumps({"b": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}})
    found["safetensors/bfloat16"] = len(small).to_bytes(8, "little") + small.encode() + bytes(4)
    return found | {f"torch_pickle/{name}": pickled(value) for name, value in torch_objects().items()}


def torch_objects() -> dict[str, object]:
    """What is in torch's pickles besides plain dictionaries of tensors."""
    weight, _ = simple("0", WEIGHT)
    ones, _ = simple("1", np.ones(2, np.int64))
    state = {"_parameters": {"weight": weight, "bias": None}, "_buffers": {}, "training": False}
    layer = Call(Name("copyreg", "__newobj__"), Name("nets", "Conv"), state={**state, "_modules": {}})
    inner = {"_parameters": {}, "_buffers": {}, "_modules": {"conv": layer, "same": layer}}
    affine = (Name("torch", "per_tensor_affine"), 0.5, 3)
    integers = Storage("0", "i1", bytes(8))
    quantized = (integers, 0, (2, 2, 2, 1), (4, 2, 1, 1), affine, False, None)
    layout = Call(Name("torch.serialization", "_get_layout"), "torch.sparse_coo")
    places = tensor(Storage("2", "i8", bytes(64)), 0, (1, 2), (2, 1))
    values = tensor(Storage("0", "f4", bytes(32)), 0, (2,), (1,))
    bytes_, rest = Storage("0", "u1", bytes(64)), (False, None, Name("torch", "float8_e4m3fn"))
    utils = "torch._utils"
    return {
        "network": Call(Name("copyreg", "__newobj__"), Name("nets", "Net"), state=inner),
        "namespace": {
            "model": {"conv.weight": weight},
            "args": Call(Name("argparse", "Namespace"), state={}),
        },
        "average": {"n_averaged": ones, "module.conv.weight": weight, "module.conv.bias": weight},
        "several": {"model": {"conv.weight": weight}, "model_ema": {"conv.weight": weight}},
        "quantized": {"conv.weight": Call(Name(utils, "_rebuild_qtensor"), *quantized)},
        "sparse": {"w": Call(Name(utils, "_rebuild_sparse_tensor"), layout, (places, values, (4,), True))},
        "float8": {"w": Call(Name(utils, "_rebuild_tensor_v3"), bytes_, 0, (2, 2), (2, 1), *rest)},
        "weight_norm": {"conv.weight_g": weight, "conv.weight_v": weight, "bn.weight": weight},
        "array": {"w": np.arange(4.0), "history": [np.float64(3), {"deep": (1, (2, (3,)))}]},
    }


def messages() -> dict[str, bytes]:
    """Protocol buffers."""
    weights = [
        helper.make_tensor("w", TensorProto.FLOAT, WEIGHT.shape, WEIGHT.ravel()),
        helper.make_tensor("h", TensorProto.FLOAT16, (2,), np.ones(2, "f2").tobytes(), raw=True),
        helper.make_tensor("s", TensorProto.INT64, (2,), [1, -1]),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("BatchNormalization", ["c", "h", "h", "h", "h"], ["b"], epsilon=1e-3),
        helper.make_node("Reshape", ["b", "s"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=weights)
    whole = helper.make_model(graph)
    outside = helper.make_model(graph)
    outside.graph.initializer[0].data_location = TensorProto.EXTERNAL
    outside.graph.initializer[0].external_data.add(key="location", value="../../etc/passwd")
    deep = b""
    for _ in range(300):
        deep = b"\x0b" + deep + b"\x0c"
    return {
        "onnx/plain": whole.SerializeToString(deterministic=True),
        "onnx/outside": outside.SerializeToString(deterministic=True),
        "onnx/deep": whole.SerializeToString(deterministic=True) + deep,
        "caffe/new": _caffe(),
        "caffe/old": b"\x12" + bytes([len(_v1())]) + _v1(),
    }


def _caffe() -> bytes:
    blob = b"\x3a\x06\x0a\x04\x01\x02\x01\x02" + b"\x2a\x10" + bytes(16)
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    return b"\xa2\x06" + bytes([len(layer)]) + layer


def _v1() -> bytes:
    blob = b"\x08\x01\x10\x01\x18\x01\x20\x02" + b"\x2a\x08" + bytes(8)
    return b"\x22\x01a" + b"\x32" + bytes([len(blob)]) + blob


def core_ml_files() -> dict[str, bytes]:
    """The parts of a package."""
    outside = mlpackage_files.manifest().replace(b"com.apple.CoreML/", b"../../")
    return {
        "coreml_manifest/plain": mlpackage_files.manifest(),
        "coreml_manifest/outside": outside,
        "coreml_program/plain": mlpackage_files.program(),
        "coreml_program/unknown": mlpackage_files.program().replace(b"relu", b"argm"),
        "coreml_weights/plain": mlpackage_files.weights(),
        "coreml_weights/beyond": mlpackage_files.weights()[:-8],
    }


def tensorflow_files() -> dict[str, bytes]:
    """The table of a checkpoint, the entries in it, a frozen graph, and archives with these."""
    pairs = [header(), (b"a/weights", entry((2, 3))), (b"a/weights/Momentum", entry((2, 3), offset=24))]
    entries = entries_block(pairs)
    graph = constant("a/weights", (1, 2, 2, 2), WEIGHT.tobytes()) + constant("a/gamma", (9,), bytes(4), key=5)
    found = {"tf_index/plain": table_around(entries), "tf_entries/plain": entries, "tf_graph/plain": graph}
    members = {"./m.index": found["tf_index/plain"], "./m.data-00000-of-00001": bytes(48), "g.pb": graph}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    plain = stream.getvalue()
    return {**found, "tf_archive/plain": plain, "tf_archive/packed": gzip.compress(plain, mtime=0)}


def keras_files() -> dict[str, bytes]:
    """HDF5 files without times in them, and a ``.keras`` around one."""
    found = {}
    for name in ("plain", "packed", "linked"):
        stream = io.BytesIO()
        with h5py.File(stream, "w") as file:
            group = file.create_group("layers/conv2d/vars")
            options = {"chunks": True, "compression": "gzip"} if name == "packed" else {}
            group.create_dataset("0", data=WEIGHT, track_times=False, **options)
            if name == "linked":
                group["1"] = h5py.ExternalLink("/etc/passwd", "/")
        found[f"h5/{name}"] = stream.getvalue()
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        source = {"model": "m", "weights": None, "settings": {"width": 1.0}}
        labels = {"key": "two", "names": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1]], "ignore_label": 255}
        logits = {"class_name": "SegmentationLogits", "config": {"source": source, "label_set": labels}}
        file.attrs["model_config"] = json.dumps({"config": {"layers": [logits]}})
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"conv"]
        group = root.create_group("conv")
        group.attrs["weight_names"] = [b"conv/kernel:0"]
        group.create_dataset("conv/kernel:0", data=WEIGHT, track_times=False)
    found["keras2/plain"] = stream.getvalue()
    table = {"metadata": {}, "weight_map": {"/layers/a/vars": ["m_00000.weights.h5"]}}
    found["keras_shards/plain"] = json.dumps(table).encode()
    config = json.dumps({"class_name": "Functional", "config": {"layers": []}}).encode()
    members = (("config.json", config), ("metadata.json", b"{}"), ("model.weights.h5", None))
    return {**found, "keras/plain": archive(*members)(found["h5/plain"])}


def images() -> dict[str, bytes]:
    """Photographs and masks in each format."""
    pixels = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
    grey = Image.fromarray(pixels[..., 0])
    found = {}
    for kind in ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, kind)
        found[f"image/{kind.lower()}"] = stream.getvalue()
    for kind in ("PNG", "BMP", "TIFF"):
        stream = io.BytesIO()
        (grey.convert("P") if kind == "PNG" else grey).save(stream, kind)
        found[f"mask/{kind.lower()}"] = stream.getvalue()
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0].astype(np.uint16)).save(stream, "TIFF", compression="tiff_deflate")
    return {**found, **deep_images(), "mask/tiff16": stream.getvalue()}


def deep_images() -> dict[str, bytes]:
    """Colours of 16 bits, of which 12 are in use."""
    values = np.arange(0, 4000, 50, dtype=np.uint16).reshape(5, 4, 4)
    clear = ((b"tRNS", values[0, 0, :3].astype(">u2").tobytes()),)
    return {
        "image/png16": png(values[..., :3], bits=16, kind=2, chunks=clear, level=0),
        "image/png16_grey_alpha": png(values[..., :2], bits=16, kind=4, level=0),
        "image/png16_alpha": png(values, bits=16, kind=6, level=0),
        "image/tiff16": tiff(values[..., :3], photometric=2),
        "image/tiff16_planes": tiff(values[..., :3], photometric=2, planes=True),
    }


def texts() -> dict[str, bytes]:
    """Recipes, lists, metadata and results."""
    labels = {"key": "two", "names": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1]], "ignore_label": 255}
    fields = {"model": "m", "source": None, "head": "logits", "layout": "nhwc", "producer": "p"}
    metadata = {"schema": 1, **fields, "label_set": labels, "input_size": [65, 65], "fingerprint": "f"}
    scores = {
        "mean_iou": 0.5,
        "boundary_iou": None,
        "pixel_accuracy": 0.5,
        "iou": {"a": 0.5},
        "protocol": "p",
    }
    recipe = {**Recipe().to_dict(), "crop": [65, 65]}
    laughs = "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9) if i else 'lol'}]\n" for i in range(20))
    return {
        "recipe_json/plain": json.dumps(recipe).encode(),
        "recipe_json/deep": b"[" * 20_000,
        "recipe_yaml/plain": yaml.safe_dump(recipe, default_flow_style=None).encode(),
        "recipe_yaml/laughs": laughs.encode(),
        "recipe_yaml/code": b"!!python/object/apply:os.system [true]\n",
        "list/pairs": b"/SegNet/CamVid/train/a.png /SegNet/CamVid/trainannot/a.png\n",
        "list/names": b"sky\nroad\n",
        "metadata/plain": json.dumps(metadata).encode(),
        "metadata/deep": b"[" * 20_000,
        "result/plain": json.dumps({"setup": {}, "scores": scores}).encode(),
        "result/deep": b"[" * 20_000,
    }


def records() -> dict[str, bytes]:
    """A record of an image and its mask, and an index."""
    from zoo.datasets.reading import Reading
    from zoo.datasets.records.example import Sample, encoded
    from zoo.datasets.records.index import Entry, Index, Shard
    from zoo.labels import numbered

    png = images()["mask/png"]
    record = encoded(Sample("images/a.png", png, "masks/a.png", png))
    entry = Entry(0, len(record), "images/a.png", len(png), "masks/a.png", len(png), True)
    shard = Shard("train-00000-of-00001.tfrecord", len(record) + 16, "0" * 64, (3, 2, 1), (entry,))
    index = Index("train", "folder", numbered(2), Reading(exif="raw"), "plan", (shard,))
    return {"record/plain": record, "records_index/plain": json.dumps(index.to_dict()).encode()}


def sounds() -> dict[str, bytes]:
    """WAV files of the forms that hosts write."""
    wide = extensible(1, 24)
    return {
        "sound/plain.wav": riff(fmt(), chunk(b"LIST", b"abc"), chunk(b"data", PCM)),
        "sound/extensible.wav": riff(fmt(EXTENSIBLE, bits=24, extra=wide), chunk(b"data", WIDE)),
        "sound/floats.wav": riff(fmt(3, channels=2, bits=32), chunk(b"data", FLOATS)),
        "sound/rf64.wav": rf64((80, 8, 4)),
    }


def main() -> None:
    """Write every seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=HERE / "corpus", help="folder (%(default)s)")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        seeds = {**numpy_files(), **torch_files(folder), **messages(), **keras_files(), **images(), **texts()}
        seeds |= {**tensorflow_files(), **core_ml_files(), **labels(folder), **records(), **sounds()}
        seeds["tflite/plain"] = quantized_graph()[0].write(folder / "m.tflite").read_bytes()
    for name, content in seeds.items():
        path = output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
