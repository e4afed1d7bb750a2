"""Zip archives and HDF5 files that claim too much, lead elsewhere, or hide a bomb."""

import io
import json
import stat
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from support.damaged import refusal

from zoo.models.assemble import Wishes
from zoo.models.keras_files import from_variables, read_keras
from zoo.models.registry import resolve
from zoo.weights.npz import read_npz
from zoo.weights.readers.hdf5 import check_h5

BOUND = 100 << 20  # bytes that refusing may take


def measured(read, path):
    """The line with which `read` refuses a file, which must not take memory for what the file claims."""
    tracemalloc.start()
    try:
        message = refusal(read, path)
        assert tracemalloc.get_traced_memory()[1] < BOUND
    finally:
        tracemalloc.stop()
    return message


def header(shape, descr="<f4", version=1):
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def npz(path, *members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def array(values):
    stream = io.BytesIO()
    np.save(stream, np.asarray(values), allow_pickle=False)
    return stream.getvalue()


CLASSES = ("classes.npy", array(np.int64(2)))


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000000,)"),
        header("(1000000000, 1000000)", version=2),
        header("(5,)") + bytes(16),
        header("(3,)") + bytes(16),
        header("(-4,)") + bytes(16),
        header("(4,)", "|O") + bytes(32),
        header("(1,)", "|V3500000000") + bytes(4),
        header("(1,)", "<U900000000") + bytes(4),
        header("(True,)") + bytes(4),
        header("(" * 3000),
        header("-" * 9000 + "1"),
        header("(4,)", version=3) + bytes(16),
        b"\x93NUMPY\x01",
        b"",
    ],
    ids=lambda content: repr(content[12:50]),
)
def test_npz_with_an_array_that_is_not_what_it_claims(tmp_path, content):
    assert len(measured(read_npz, npz(tmp_path / "m.npz", CLASSES, ("w.npy", content)))) < 400


def test_npz_that_is_a_bomb(tmp_path):
    path = npz(tmp_path / "m.npz", CLASSES, ("w.npy", header("(20000000,)") + bytes(80_000_000)))
    assert "claims 80," in measured(read_npz, path)


def test_npz_whose_members_share_one_bomb(tmp_path):
    """One megabyte of content, listed two hundred times by the directory."""
    path = npz(tmp_path / "m.npz", CLASSES, ("w000.npy", header("(250000,)") + bytes(1_000_000)))
    content = path.read_bytes()
    first = content.rindex(b"PK\x01\x02")
    entry, end = content[first : content.rindex(b"PK\x05\x06")], content[content.rindex(b"PK\x05\x06") :]
    more = b"".join(entry.replace(b"w000", b"w%03d" % index) for index in range(1, 200))
    counts = struct.pack("<HHI", 201, 201, struct.unpack("<I", end[12:16])[0] + len(more))
    path.write_bytes(content[: first + len(entry)] + more + end[:8] + counts + end[16:])
    assert "claims" in measured(read_npz, path)


def test_npz_with_a_false_length_in_its_directory(tmp_path):
    path = npz(tmp_path / "m.npz", CLASSES, ("w.npy", array(np.ones(4, np.float32))))
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 3_000_000_000)
    path.write_bytes(content)
    assert "claims" in measured(read_npz, path)


@pytest.mark.parametrize("name", ["../w.npy", "/etc/w.npy", "a\\w.npy", "a/../../w.npy"])
def test_npz_with_a_path_that_leads_elsewhere(tmp_path, name):
    assert "refused" in refusal(read_npz, npz(tmp_path / "m.npz", CLASSES, (name, array(np.ones(4)))))


def link(name):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info


def test_npz_with_a_link_or_a_name_twice(tmp_path):
    path = npz(tmp_path / "m.npz", CLASSES, (link("w.npy"), b"/etc/passwd"))
    assert "is a link" in refusal(read_npz, path)
    with pytest.warns(UserWarning, match="Duplicate"):
        npz(path, CLASSES, CLASSES)
    assert "two members" in refusal(read_npz, path)


def test_npz_in_an_unusual_packing(tmp_path):
    assert "unusual" in refusal(read_npz, npz(tmp_path / "m.npz", CLASSES, compression=zipfile.ZIP_LZMA))


def test_npz_of_any_plain_layout_is_read(tmp_path):
    turned = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    arrays = {"w": turned, "e": np.zeros((0, 3), "f2"), "b": np.ones(2, ">f8")}
    members = [(f"{name}.npy", array(values)) for name, values in arrays.items()]
    found = read_npz(npz(tmp_path / "m.npz", CLASSES, *members))
    np.testing.assert_array_equal(found["w"], turned)
    assert found["e"].shape == (0, 3) and found["b"].tolist() == [1, 1]
    assert all(found[name].dtype == np.float32 for name in "web")


# --- HDF5 -----------------------------------------------------------------------------------------


def external_link(file, outside):
    file["layers"]["other"] = h5py.ExternalLink(outside, "/secret")


def external_link_in_the_way(file, outside):
    del file["layers"]
    file["layers"] = h5py.ExternalLink(outside, "/layers")


def soft_link(file, outside):
    file["layers"]["other"] = h5py.SoftLink("/layers/conv2d")


def virtual(file, outside):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource(outside, "secret", (4,))
    file["layers"].create_virtual_dataset("other", layout)


def raw_outside(file, outside):
    file["layers"].create_dataset("other", (4,), "f4", external=[(outside, 0, 16)])


def not_stored(file, outside):
    file["layers"].create_dataset("other", (1 << 40,), "f4")


def not_stored_in_chunks(file, outside):
    file["layers"].create_dataset("other", (1 << 20, 1 << 20), "f4", chunks=(8, 8), compression="gzip")


def great_chunk(file, outside):
    file["layers"].create_dataset("other", (1,), "f4", maxshape=(None,), chunks=(1 << 28,))


def many_claims(file, outside):
    for index in range(100):
        file["layers"].create_dataset(f"other{index}", (1 << 20,), "f4", compression="gzip")


def foreign_filter(file, outside):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
    space = h5py.h5s.create_simple((4,))
    h5py.h5d.create(file["layers"].id, b"other", h5py.h5t.IEEE_F32LE, space, plan)


def named_type(file, outside):
    file["layers"]["other"] = np.dtype("f4")


def deep(file, outside):
    group = file["layers"]
    for _ in range(100):
        group = group.create_group("g")


HOSTILE = [
    external_link,
    external_link_in_the_way,
    soft_link,
    virtual,
    raw_outside,
    not_stored,
    not_stored_in_chunks,
    great_chunk,
    many_claims,
    foreign_filter,
    named_type,
    deep,
]


def h5(path, hostile, outside):
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group["0"], group["1"] = np.ones((1, 1, 2, 3), "f4"), np.ones(3, "f4")
        if hostile is not None:
            hostile(file, outside)
    return path


def read_variables(path):
    return from_variables(resolve("deeplabv3_aspp_mobilenet_v2"), path, Wishes())


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    with h5py.File(folder / "secret.h5", "w") as file:
        file["secret"] = np.arange(4, dtype="f4")
        file.create_group("layers")
    return str(folder / "secret.h5")


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda function: function.__name__)
@pytest.mark.parametrize("kind", ["weights", "keras", "packed"])
def test_hdf5_that_leads_outside_or_claims_too_much(tmp_path, outside, hostile, kind):
    path = h5(tmp_path / "m.weights.h5", hostile, outside)
    if kind == "weights":
        message = measured(read_variables, path)
    else:
        compression = zipfile.ZIP_STORED if kind == "keras" else zipfile.ZIP_DEFLATED
        members = [("config.json", b"{}"), ("metadata.json", b"{}"), ("model.weights.h5", path.read_bytes())]
        whole = npz(tmp_path / "m.keras", *members, compression=compression)
        message = measured(read_keras, whole)
    assert "refused" in message or "claim" in message


def test_hdf5_with_a_circle_of_groups_ends(tmp_path, outside):
    def circle(file, _):
        file["layers/conv2d/back"] = file["layers"]

    check_h5(h5(tmp_path / "m.weights.h5", circle, outside))


# --- .keras ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("config.json", b"{}")],
        [("config.json", b"[1]"), ("model.weights.h5", b"")],
        [("config.json", b"[" * 100_000), ("model.weights.h5", b"")],
        [("config.json", b"\xff"), ("model.weights.h5", b"")],
        [("config.json", b"{}"), ("model.weights.h5", b"no such file")],
        [("config.json", b"{}"), ("model.weights.h5", b""), ("assets/../../x", b"")],
        [("config.json", b"{}"), ("model.weights.h5", b""), (link("assets/x"), b"/etc")],
        [("config.json", b"{}"), ("model.weights.h5", b""), ("assets/x", bytes(80_000_000))],
    ],
    ids=range(9),
)
def test_keras_files_that_are_none(tmp_path, members):
    assert len(measured(read_keras, npz(tmp_path / "m.keras", *members))) < 400


def test_a_keras_file_that_would_run_code(tmp_path, outside):
    """A description that names a class of another package: nothing of it is imported."""
    content = h5(tmp_path / "m.weights.h5", None, outside).read_bytes()
    config = {"module": "subprocess", "class_name": "Popen", "config": {"args": ["true"]}}
    members = [("config.json", json.dumps(config).encode()), ("metadata.json", b"{}")]
    path = npz(tmp_path / "m.keras", *members, ("model.weights.h5", content))
    assert "m.keras" in refusal(read_keras, path)


def test_a_truncated_keras_file_is_called_that(tmp_path, outside):
    content = h5(tmp_path / "m.weights.h5", None, outside).read_bytes()
    path = npz(tmp_path / "m.keras", ("config.json", b"{}"), ("model.weights.h5", content))
    path.write_bytes(path.read_bytes()[:-200])
    assert "not a readable .keras file" in refusal(read_keras, path)
