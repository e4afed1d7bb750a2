"""Records give what was packed, in the same order, by any number of processes and after any interruption."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from support import data_folders

from zoo.datasets import open_dataset
from zoo.datasets.records import pack, packing, verify
from zoo.errors import FormatError, InputError
from zoo.labels import CAMVID11


def packed(tmp_path, *, shards=3, count=10, **options):
    source = open_dataset("folder", data_folders.folder(tmp_path / "mine", count), split="all", classes=3)
    done = pack(source, tmp_path / "records", shards=shards, **options)
    return source, done


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_sample_is_what_was_packed(tmp_path):
    source, done = packed(tmp_path)
    records = open_dataset("records", tmp_path / "records", split="all")
    assert (done.samples, done.written, len(records), records.shards) == (10, 3, 10, 3)
    assert records.label_set == source.label_set
    for index in range(10):
        for ours, theirs in zip(records.read(index), source.read(index), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        image, original = records.pairs[index][0], source.pairs[index][0]
        assert image.open("rb").read() == original.read_bytes()
        assert (image.name, image.suffix) == (original.name, original.suffix)
        assert image.stat().st_size == original.stat().st_size
        assert records.shape(index) == source.shape(index)
    document = json.loads((tmp_path / "records" / "all.index.json").read_text())
    assert document["samples"] == 10
    assert sum(document["pixels"].values()) + document["ignored_pixels"] == 10 * 48
    assert [shard["samples"] for shard in document["shards"]] == [3, 3, 4]


def test_tensorflow_reads_the_shards(tmp_path):
    import tensorflow as tf

    source, done = packed(tmp_path)
    files = [str(done.folder / shard.file) for shard in done.index.shards]
    wanted = {
        name: tf.io.FixedLenFeature((), tf.string)
        for name in ("image/encoded", "image/filename", "image/segmentation/class/encoded")
    }
    for index, record in enumerate(tf.data.TFRecordDataset(files)):
        found = tf.io.parse_single_example(record, wanted)
        assert found["image/encoded"].numpy() == source.pairs[index][0].read_bytes()
        assert found["image/filename"].numpy().decode().endswith(f"images/{source.pairs[index][0].name}")
        labels = tf.io.decode_png(found["image/segmentation/class/encoded"], channels=1)
        np.testing.assert_array_equal(labels[..., 0], source.read(index)[1])


def test_classes_and_colours_come_back(tmp_path):
    camvid = open_dataset("camvid", data_folders.camvid(tmp_path / "camvid"), split="val")
    pack(camvid, tmp_path / "records")
    records = open_dataset("records", tmp_path / "records", split="val")
    assert records.label_set is CAMVID11
    np.testing.assert_array_equal(records.read(1)[1], camvid.read(1)[1])


def test_any_number_of_processes_writes_the_same(tmp_path):
    source, done = packed(tmp_path)
    pack(source, tmp_path / "other", shards=3, workers=2)
    assert contents(tmp_path / "other") == contents(done.folder)


def test_an_interrupted_packing_goes_on(tmp_path, monkeypatch):
    source, done = packed(tmp_path)
    write, folder, seen = packing._write, tmp_path / "again", []

    def stop_at_the_last(job):
        if job.number == 2:
            raise KeyboardInterrupt
        return write(job)

    monkeypatch.setattr(packing, "_write", stop_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        pack(source, folder, shards=3)
    with pytest.raises(InputError, match="no split of this kind"):
        open_dataset("records", folder, split="all")
    # A shard that was damaged since then is written again, too.
    (folder / done.index.shards[0].file).write_bytes(b"damaged")
    monkeypatch.setattr(packing, "_write", lambda job: seen.append(job.number) or write(job))
    assert pack(source, folder, shards=3).written == 2
    assert seen == [0, 2]
    assert contents(folder) == contents(done.folder)
    assert pack(source, folder, shards=3).written == 0


def test_another_packing_is_not_overwritten(tmp_path):
    source, done = packed(tmp_path)
    with pytest.raises(InputError, match=r"all\.index\.json: is of other data or shards"):
        pack(source, done.folder, shards=2)
    data_folders.save_mask(source.pairs[0][1], data_folders.mask_of(2))
    with pytest.raises(InputError, match="other data"):
        pack(source, done.folder, shards=3)


def test_a_wrong_sample_is_named_and_leaves_no_index(tmp_path):
    root = data_folders.folder(tmp_path / "mine", 4)
    data_folders.save_mask(root / "masks" / "2.png", data_folders.mask_of(0, 7))
    source = open_dataset("folder", root, split="all", classes=3)
    with pytest.raises(InputError, match=r"2\.png: value 7 is no class"):
        pack(source, tmp_path / "records", shards=2)
    assert not (tmp_path / "records" / "all.index.json").exists()


def test_shuffled_packing_has_every_sample_once(tmp_path):
    source, _ = packed(tmp_path)
    pack(source, tmp_path / "shuffled", shards=3, shuffle=1)
    names = [pair[0].name for pair in open_dataset("records", tmp_path / "shuffled", split="all").pairs]
    original = [pair[0].name for pair in source.pairs]
    assert names != original
    assert sorted(names) == sorted(original)


def test_a_pattern_names_some_shards(tmp_path):
    _, done = packed(tmp_path)
    part = open_dataset("records", done.folder / "all-0000[01]*.tfrecord", split="all")
    assert (len(part), part.shards) == (6, 2)
    (done.folder / "all-9.tfrecord").write_bytes(b"")
    with pytest.raises(InputError, match=r"all-9\.tfrecord: stands in no index beside it"):
        open_dataset("records", done.folder / "all-*.tfrecord", split="all")
    with pytest.raises(InputError, match="no such file of records"):
        open_dataset("records", done.folder / "none*.tfrecord", split="all")


def test_what_exif_means_is_kept(tmp_path):
    root = data_folders.folder(tmp_path / "mine", 2)
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 6), "red").save(root / "images" / "1.jpg", exif=exif)
    from zoo.datasets import Reading

    source = open_dataset("folder", root, split="all", classes=3, reading=Reading(exif="raw"))
    pack(source, tmp_path / "records", shards=1)
    records = open_dataset("records", tmp_path / "records", split="all", reading=Reading(max_pixels=100))
    assert (records.reading.exif, records.reading.max_pixels) == ("raw", 100)
    assert records.read(1)[0].shape == (6, 8, 3)


# --- damage -------------------------------------------------------------------------------------


def test_damaged_records_are_told(tmp_path):
    _, done = packed(tmp_path)
    shard, entry = done.folder / done.index.shards[1].file, done.index.shards[1].entries[1]
    whole = bytearray(shard.read_bytes())
    name = entry.image_name.split("/")[-1]
    places = {
        entry.offset + 40: "the record is damaged: its checksum is wrong",
        entry.offset + 3: "the record is damaged: the checksum of its length is wrong",
    }
    for place, message in places.items():
        shard.write_bytes(bytes(whole[:place]) + bytes([whole[place] ^ 1]) + bytes(whole[place + 1 :]))
        records = open_dataset("records", done.folder, split="all")
        records.read(3)
        with pytest.raises(FormatError, match=rf"-00001-of-00003\.tfrecord/.*{name}: {message}"):
            records.read(4)
        (problem,) = verify(done.folder, "all")
        assert message in problem.message
    shard.write_bytes(bytes(whole[:-1]))
    with pytest.raises(InputError, match="by its index: packed again or cut"):
        open_dataset("records", done.folder, split="all")
    shard.unlink()
    with pytest.raises(InputError, match=r"00001-of-00003\.tfrecord: no such file"):
        open_dataset("records", done.folder, split="all")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="zoo records 9"),
        lambda d: d["shards"][0].update(file="../x.tfrecord"),
        lambda d: d["shards"][0].update(samples=7),
        lambda d: d["shards"][0]["records"][0].__setitem__(0, -1),
        lambda d: d["shards"][0]["records"][0].__setitem__(1, 1 << 40),
        lambda d: d["shards"][0]["records"][0].__setitem__(2, "../../etc/passwd"),
        lambda d: d["shards"][0]["records"][0].__setitem__(3, 1 << 20),
        lambda d: d["shards"][0]["records"].append([1]),
        lambda d: d["shards"][0]["records"][0].__setitem__(6, 1),
        lambda d: d["shards"][0].update(pixels=[1]),
        lambda d: d.update(classes={}),
        lambda d: d.update(reading={"exif": "sideways"}),
        lambda d: d.pop("plan"),
    ],
)
def test_crafted_indexes_are_refused(tmp_path, change):
    _, done = packed(tmp_path, count=3, shards=1)
    path = done.folder / "all.index.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(FormatError, match=r"all\.index\.json: (a damaged index|no index) of records"):
        open_dataset("records", done.folder, split="all")


def test_what_packing_counted_holds_while_it_is_read_so(tmp_path):
    from zoo.datasets import Reading
    from zoo.datasets.examination import examine, without_damaged
    from zoo.datasets.folds import part_of

    source, done = packed(tmp_path)
    records = open_dataset("records", done.folder, split="all")
    counted = np.bincount(np.concatenate([source.read(n)[1].ravel() for n in range(10)]), minlength=256)
    assert records.counted == (*counted[:3], counted[255])
    assert examine(records, note=print).pixels == examine(source, note=print).pixels
    same = {"reading": Reading(max_pixels=10**6)}
    assert open_dataset("records", done.folder, split="all", **same).counted == records.counted
    other = {"reading": Reading(alpha="white")}, {"mapping": {2: 1}}
    changed = [open_dataset("records", done.folder, split="all", **how) for how in other]
    for dataset in (*changed, part_of(records, [0, 1])):
        assert dataset.counted is None
    part = open_dataset("records", done.folder / "all-00001-*.tfrecord", split="all")
    assert sum(part.counted) == 3 * 48
    shard = done.folder / done.index.shards[0].file
    content = bytearray(shard.read_bytes())
    content[40] ^= 1
    shard.write_bytes(content)
    left = without_damaged(open_dataset("records", done.folder, split="all"), note=print, in_place=False)
    assert (len(left), left.counted) == (9, None)


def test_a_moved_folder_reads(tmp_path):
    source, done = packed(tmp_path)
    moved = shutil.move(done.folder, tmp_path / "elsewhere")
    np.testing.assert_array_equal(open_dataset("records", moved, split="all").read(5)[0], source.read(5)[0])
