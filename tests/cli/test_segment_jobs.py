"""`zoo segment` on many images: a record, so that a killed job goes on where it was."""

import csv
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from support.job_files import draw, kill_after, masks_of, rows_of, start
from support.tiny_export import tiny, write

from zoo.cli import main
from zoo.export import open_artifact
from zoo.images import read_mask
from zoo.inference import segment

LOCK = "lock"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """Two models of other weights that take any size."""
    folder = tmp_path_factory.mktemp("models")
    for seed in range(2):
        write("onnx", tiny(seed=seed), folder)
        (folder / "m.onnx").rename(folder / f"{seed}.onnx")
    return folder


@pytest.fixture
def work(tmp_path, files, monkeypatch) -> Path:
    """A working folder with 30 images, of which two are broken."""
    monkeypatch.chdir(tmp_path)
    for name in ("0.onnx", "1.onnx"):
        shutil.copy(files / name, name)
    draw(Path("photos"), 30, broken=(4, 17))
    return tmp_path


def table(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def keys(output) -> list[str]:
    return [row["key"] for row in rows_of(Path(output))]


def test_tables_and_reasons(work, capsys):
    assert main(["segment", "0.onnx", "photos", "--output", "out"]) == 1
    shares = table("out/shares.csv")
    assert [row["path"] for row in shares] == [f"photos/{n:05d}.png" for n in range(30) if n not in (4, 17)]
    found = segment(open_artifact("0.onnx"), "photos/00003.png")
    np.testing.assert_array_equal(read_mask(f"out/{shares[3]['mask']}"), found.mask)
    for name, share in found.shares():
        assert float(shares[3][f"share:{name}"]) == share
    assert sum(float(value) for key, value in shares[3].items() if key.startswith("share:")) == 1
    columns = parquet.read_table("out/shares.parquet").to_pylist()
    assert [{key: str(value) for key, value in row.items()} for row in columns] == shares
    failures = table("out/failures.csv")
    assert [row["path"] for row in failures] == ["photos/00004.png", "photos/00017.png"]
    assert all(row["reason"].startswith(row["path"]) for row in failures)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_nothing_is_done_twice(work, capsys):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    before, text = masks_of(work / "out"), (work / "out/shares.csv").read_text()
    capsys.readouterr()
    assert main(["segment", "0.onnx", "photos/*.png", "--output", "out", "--json", "all.json"]) == 1
    assert masks_of(work / "out") == before and (work / "out/shares.csv").read_text() == text
    captured = capsys.readouterr()
    assert "30 of 30 images were done before, 2 of them without a result" in captured.err
    document = json.loads(Path("all.json").read_text())
    assert (len(document["images"]), len(document["failed"])) == (28, 2)


def test_what_changed_is_done_again_and_names_stay(work):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    before = masks_of(work / "out")
    shutil.copy("photos/00000.png", "photos/00004.png")  # mended
    Image.new("RGB", (20, 20)).save("photos/00007.png")  # another image
    Path("out/00009_overlay.png").unlink()
    draw(Path("again"), 1)  # one of the same name, which sorts before
    assert main(["segment", "0.onnx", "again", "photos", "--output", "out"]) == 1
    after = masks_of(work / "out")
    changed = {name for name, time in after.items() if before.get(name) != time}
    assert changed == {f"{name}_mask.png" for name in ("00000-2", "00004", "00007", "00009")}
    assert len(table("out/shares.csv")) == 30 and len(table("out/failures.csv")) == 1
    assert read_mask("out/00007_mask.png").shape == (20, 20)


def test_redo(work):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    before = masks_of(work / "out")
    assert main(["segment", "0.onnx", "photos", "--output", "out", "--redo", "failed"]) == 1
    assert masks_of(work / "out") == before and len(rows_of(work / "out")) == 32
    assert main(["segment", "1.onnx", "photos", "--output", "out", "--redo", "all"]) == 1
    after = masks_of(work / "out")
    assert all(after[name] > before[name] for name in before) and len(rows_of(work / "out")) == 30


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1.onnx", "photos"], "digest of the model was"),
        (["0.onnx", "photos", "--flip"], "flip of the settings was False, now is True"),
        (["0.onnx", "photos", "--opacity", "0.2"], "opacity of the settings was 0.55, now is 0.2"),
        (["1.onnx", "photos/00001.png"], "digest of the model was"),  # of a single image, too
    ],
)
def test_another_model_or_setting_is_refused(work, words, said, capsys):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    before = masks_of(work / "out")
    capsys.readouterr()
    assert main(["segment", *words, "--output", "out"]) == 2
    error = capsys.readouterr().err
    assert said in error and "--redo all" in error and error.count("\n") == 1
    assert masks_of(work / "out") == before


def test_few_images_leave_no_record_unless_asked(work):
    few = [f"photos/{number:05d}.png" for number in range(3)]
    assert main(["segment", "0.onnx", *few, "--output", "out"]) == 0
    assert not (work / "out/record").exists()
    assert main(["segment", "0.onnx", *few, "--output", "out", "--record"]) == 0
    assert len(table("out/shares.csv")) == 3
    assert not (work / "out/failures.csv").exists()


def test_all_broken_leaves_nothing(work):
    draw(work / "bad", 26, broken=range(26))
    assert main(["segment", "0.onnx", "bad", "--output", "new"]) == 2
    assert not (work / "new").exists()


def test_results_among_the_images(work, capsys):
    assert main(["segment", "0.onnx", "photos", "--output", "photos", "--record"]) == 2
    assert "holds the images themselves" in capsys.readouterr().err
    assert main(["segment", "0.onnx", "photos", "--output", "photos"]) == 1
    assert not (work / "photos/record").exists()


def test_killed_at_random(work):
    draw(work / "more", 400, broken=(5, 300), seed=1)
    words = ["segment", "0.onnx", "more", "--output", "out"]
    rng, killed, times = random.Random(0), 0, {}
    for _ in range(3):
        killed = kill_after(start(words), work / "out", killed + rng.randrange(1, 90), seconds=60)
        for row in rows_of(work / "out"):
            if "mask" in row:
                times.setdefault(row["mask"], (work / "out" / row["mask"]).stat().st_mtime_ns)
    (work / "out/.0123456789abcdef.png").write_bytes(b"half")  # as a killed process leaves it
    with open(work / "out/record/done.jsonl", "ab") as file:
        file.write(b'{"key": "cut o')
    assert main([*words]) == 1
    assert len(keys("out")) == len(set(keys("out"))) == 400
    after = masks_of(work / "out")
    assert len(after) == 398 and {name: after[name] for name in times} == times
    assert not list((work / "out").glob(".*"))
    whole = work / "whole"
    assert main(["segment", "0.onnx", "more", "--output", str(whole)]) == 1
    assert (whole / "shares.csv").read_bytes() == (work / "out/shares.csv").read_bytes()


def test_one_process_at_a_time(work, capsys):
    import filelock

    main(["segment", "0.onnx", "photos", "--output", "out"])
    with filelock.FileLock("out/record/lock"):
        capsys.readouterr()
        assert main(["segment", "0.onnx", "photos", "--output", "out"]) == 2
    assert "out is worked on by another process" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 1}'])
def test_a_damaged_record(work, text, capsys):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    Path("out/record/job.json").write_text(text)
    assert main(["segment", "0.onnx", "photos", "--output", "out"]) == 2
    assert "job.json is damaged; --redo all begins anew" in capsys.readouterr().err
    Path("out/record/done.jsonl").write_text('{"key": "a", "name": "../b"}\n')
    assert main(["segment", "0.onnx", "photos", "--output", "out", "--redo", "all"]) == 1


def test_a_name_that_leads_elsewhere_is_refused(work, capsys):
    main(["segment", "0.onnx", "photos", "--output", "out"])
    record = Path("out/record/done.jsonl")
    record.write_text(record.read_text().replace('"name": "00000"', '"name": "../00000"'))
    assert main(["segment", "0.onnx", "photos", "--output", "out"]) == 2
    assert "done.jsonl is damaged at byte 0" in capsys.readouterr().err


def parquet_file(path, *, column: str, kind: str):
    paths = sorted(Path("photos").glob("*.png"))
    content = [file.read_bytes() for file in paths]
    values = {
        "bytes": content,
        "structure": [{"bytes": data, "path": None} for data in content],
        "path": [str(file) for file in paths],
    }[kind]
    parquet.write_table(pyarrow.table({column: values, "number": range(30)}), path, row_group_size=7)


@pytest.mark.parametrize(("column", "kind"), [("image", "structure"), ("content", "bytes"), ("path", "path")])
def test_parquet(work, column, kind):
    parquet_file("p.parquet", column=column, kind=kind)
    assert main(["segment", "0.onnx", "p.parquet", "--output", "out"]) == 1
    shares = table("out/shares.csv")
    assert len(shares) == 28
    assert len(table("out/failures.csv")) == 2
    main(["segment", "0.onnx", "photos", "--output", "other"])
    rest = [[row[key] for key in row if key not in ("path", "mask")] for row in shares]
    assert rest == [
        [row[key] for key in row if key not in ("path", "mask")] for row in table("other/shares.csv")
    ]


def test_columns_of_parquet(work, capsys):
    parquet_file("p.parquet", column="scan", kind="bytes")
    assert main(["segment", "0.onnx", "p.parquet", "--output", "out"]) == 2
    assert "no column has a usual name; --column NAME of scan" in capsys.readouterr().err
    assert main(["segment", "0.onnx", "p.parquet", "--column", "scan", "--output", "out"]) == 1
    Path("cut.parquet").write_bytes(Path("p.parquet").read_bytes()[:-20])
    assert main(["segment", "0.onnx", "cut.parquet", "--output", "out"]) == 2
    assert "cut.parquet: a damaged parquet file" in capsys.readouterr().err


def test_engines_and_their_options(work, capsys):
    assert main(["segment", "0.onnx", "photos", "--actors", "2", "--output", "out"]) == 2
    assert "--actors are processes of --engine ray" in capsys.readouterr().err
    assert main(["segment", "0.onnx", "gs://bucket/a.png", "--output", "out"]) == 2
    assert "addresses are not read" in capsys.readouterr().err
