"""Files of TensorFlow 1 that are damaged, claim what they do not hold, or lead elsewhere."""

import io
import struct
import tarfile
import tracemalloc

import numpy as np
import pytest
from support.damaged import refusal
from support.tf_tables import constant, entries_block, entry, field, header, number, table, table_around

from zoo.weights.readers.crc32c import crc32c, masked
from zoo.weights.readers.tf_archive import read_archive
from zoo.weights.readers.tf_checkpoint import read_checkpoint
from zoo.weights.readers.tf_graph import read_graph

BOUND = 100 << 20  # bytes that refusing may take
VALUES = np.arange(12, dtype="<f4").tobytes()
NAME = b"a/weights"


def written(tmp_path, index, data=VALUES):
    (tmp_path / "m.data-00000-of-00001").write_bytes(data)
    path = tmp_path / "m.index"
    path.write_bytes(index)
    return path


def measured(read, path):
    """The line with which `read` refuses a file, which must not take memory for what the file claims."""
    tracemalloc.start()
    try:
        message = refusal(read, path)
        assert tracemalloc.get_traced_memory()[1] < BOUND
    finally:
        tracemalloc.stop()
    return message


def test_a_written_checkpoint_is_read(tmp_path):
    """The files below are refused for what is wrong with them, and not for how they are written."""
    right = entry((3, 4), checksum=masked(crc32c(VALUES)))
    found = read_checkpoint(written(tmp_path, table([header(), (NAME, right)])))
    np.testing.assert_array_equal(found["a/weights"], np.arange(12).reshape(3, 4))


CHECKPOINTS = {
    "no header": (table([(NAME, entry((3, 4)))]), "has no header"),
    "many files": (table([header(10**9), (NAME, entry((3, 4)))]), "in 1000000000 files"),
    "another machine": (table([(b"", field(1, 1) + field(2, 1))]), "byte order"),
    "a file that is not there": (table([header(), (NAME, entry((3, 4), shard=1))]), "lies in file 1 of 1"),
    "a size that is no shape's": (table([header(), (NAME, entry((3, 4), size=47))]), "47 bytes at 0"),
    "a huge shape": (table([header(), (NAME, entry((10**6, 10**6)))]), "need 4,000,000,000,000 bytes"),
    "a shape of any size": (table([header(), (NAME, entry((2**63,), size=0))]), "impossible shape"),
    "many sides": (table([header(), (NAME, entry((1,) * 9))]), "impossible shape"),
    "behind the end": (table([header(), (NAME, entry((3, 3), offset=20))]), "ends before a tensor does"),
    "one region for all": (
        table([header(), *((b"a/w%03d" % i, entry((3, 4))) for i in range(200))]),
        "need 9,600 bytes, and there are 48",
    ),
    "in slices": (table([header(), (NAME, entry((3, 4)) + field(7, b""))]), "in slices"),
    "other values": (
        table([header(), (NAME, entry((3, 4), checksum=7))]),
        "checksum of 'a/weights' is another",
    ),
    "a long name": (table([header(), (b"a/" * 600, entry((3, 4)))]), "a name of more than 1,024 bytes"),
    "a name that is no text": (table([header(), (b"a/\xff", entry((3, 4)))]), "not a readable checkpoint"),
    "many names": (
        table([header(), *((b"a/%d" % i, b"") for i in range(70_000))]),
        "more than 65,536 entries",
    ),
    "packed": (table_around(entries_block([header()]), kind=1), "compressed"),
    "an entry beyond its block": (
        table_around(number(0) + number(99) + number(9) + bytes(8)),
        "beyond its block",
    ),
    "a shared beginning of nothing": (table_around(number(5) + number(1) + bytes(12)), "beyond its block"),
    "many restarts": (table_around(struct.pack("<II", 0, 2**31)), "without entries"),
    "no table": (b"hello" * 20, "no table of TensorFlow"),
    "nothing": (b"", "no table of TensorFlow"),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_crafted_checkpoints_are_refused(kind, tmp_path):
    index, reason = CHECKPOINTS[kind]
    assert reason in measured(read_checkpoint, written(tmp_path, index))


def test_a_damaged_index_is_refused(tmp_path):
    block = entries_block([header(), (NAME, entry((3, 4)))])
    whole = table_around(block)
    unused = range(len(block) + 5, len(block) + 18)  # a block of statistics
    for place in set(range(len(whole) - 48)) - set(unused):
        data = bytearray(whole)
        data[place] ^= 4
        refusal(read_checkpoint, written(tmp_path, bytes(data)))
    for size in range(0, len(whole), 7):
        refusal(read_checkpoint, written(tmp_path, whole[:size]))


def test_a_part_of_a_checkpoint_names_the_other(tmp_path):
    path = written(tmp_path, table([header(), (NAME, entry((3, 4)))]))
    (tmp_path / "m.data-00000-of-00001").unlink()
    assert "need 48 bytes, and there are 0" in refusal(read_checkpoint, path)
    path.unlink()
    (tmp_path / "m.meta").write_bytes(b"x")
    assert "there is no m.index beside it" in refusal(read_checkpoint, tmp_path / "m.meta")


GRAPHS = {
    "nothing": (b"", "holds no weights"),
    "text": (b"node { name: 'x' }", "damaged"),
    "no weights": (constant("a/shape", (3,), VALUES[:12]), "holds no weights"),
    "too few values": (constant("a/weights", (3, 5), VALUES), "48 bytes for a tensor of the shape (3, 5)"),
    "twice": (2 * constant("a/weights", (3, 4), VALUES), "two constants"),
    "one value for many": (
        constant("a/gamma", (10**9,), VALUES[:4], key=5),
        "4 bytes of numbers for the shape",
    ),
    "many of one value": (
        b"".join(constant(f"a{i}/gamma", (15_000,), VALUES[:4], key=5) for i in range(1800)),
        "claim far more",
    ),
    "a number for a name": (field(1, field(1, 7) + field(2, b"Const")), "stored as a number"),
    "a message beyond its end": (number(1 << 3 | 2) + number(99) + b"abc", "ends beyond its message"),
    "a number without an end": (b"\xff" * 20, "has no end"),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_crafted_graphs_are_refused(kind, tmp_path):
    content, reason = GRAPHS[kind]
    path = tmp_path / "m.pb"
    path.write_bytes(content)
    assert reason in measured(read_graph, path)


def packed(members, mode="w:gz"):
    """An archive of members that are (name, content or options of a `TarInfo`)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            else:
                member.type, member.linkname = content
                archive.addfile(member)
    return stream.getvalue()


GRAPH = constant("a/weights", (3, 4), VALUES)
ARCHIVES = {
    "a name that leads elsewhere": (packed([("../m.pb", GRAPH)]), "refused: it has a member '../m.pb'"),
    "a whole path": (packed([("/etc/m.pb", GRAPH)]), "refused: it has a member '/etc/m.pb'"),
    "a link": (packed([("m.pb", (tarfile.SYMTYPE, "/etc/passwd"))]), "member 'm.pb' is a link"),
    "a hard link": (packed([("m.pb", (tarfile.LNKTYPE, "other"))]), "member 'm.pb' is a link"),
    "a device": (packed([("m.pb", (tarfile.CHRTYPE, ""))]), "member 'm.pb' is a link, or nothing"),
    "a name twice": (packed([("m.pb", GRAPH), ("./m.pb", GRAPH)]), "'m.pb' is there twice"),
    "a bomb": (packed([("a.txt", bytes(90 << 20))]), "refused: it unpacks to far more"),
    "cut off": (packed([("m.pb", GRAPH * 50 + bytes(9000))])[:-60], "not a readable archive"),
    "no archive": (b"hello" * 200, "not a readable archive"),
    "an index alone": (
        packed([("m.index", table([header(), (NAME, entry((0,)))]))]),
        "its numbers are in m.data-00000-of-00001, which it does not hold",
    ),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_crafted_archives_are_refused(kind, tmp_path):
    content, reason = ARCHIVES[kind]
    path = tmp_path / "m.tar.gz"
    path.write_bytes(content)
    assert reason in measured(read_archive, path)


def test_a_hole_in_an_archive_is_refused(tmp_path):
    """A sparse member says that it is of any size."""
    member = tarfile.TarInfo("m.pb")
    member.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(10**12),
    }
    content = b"1\n0\n1\n".ljust(512, b"\0") + bytes(512)
    member.size = len(content)
    path = tmp_path / "m.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(content))
    assert "is a link, or nothing that holds weights" in measured(read_archive, path)
