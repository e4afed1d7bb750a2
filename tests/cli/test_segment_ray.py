"""`zoo segment --engine ray`: the same files and tables by several processes, killed and gone on with."""

import csv
import functools
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from support.job_files import draw, kill_after, masks_of, rows_of, start
from support.tiny_export import tiny, write

from zoo.cli import main
from zoo.errors import InputError
from zoo.export import open_artifact
from zoo.images import read_image
from zoo.inference import RaySegmenter, segment
from zoo.inference.batches import segment_batch

COUNT, BROKEN = 120, (3, 50, 77)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write("onnx", tiny(), folder)
    return folder / "m.onnx"


def table(path) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_killed_and_gone_on_with(model, tmp_path, monkeypatch):
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.chdir(tmp_path)
    draw(Path("photos"), COUNT, broken=BROKEN)
    words = ["segment", model, "photos", "--output", "out", "--engine", "ray", "--actors", "2"]
    kill_after(start(words), tmp_path / "out", 10, seconds=300)
    again = start(words)
    error = again.communicate(timeout=300)[1]
    assert again.returncode == 1 and f"of {COUNT} images were done before" in error
    keys = [row["key"] for row in rows_of(tmp_path / "out")]
    assert len(keys) == len(set(keys)) == COUNT
    assert len(masks_of(tmp_path / "out")) == COUNT - len(BROKEN)
    assert [row["path"] for row in table("out/failures.csv")] == [f"photos/{n:05d}.png" for n in BROKEN]
    assert sorted(path.name for path in Path("out/record").iterdir()) == ["done.jsonl", "job.json", "lock"]
    # By one process, the same; and what one began another can go on with.
    assert main(["segment", str(model), "photos", "--output", "one"]) == 1
    assert Path("one/shares.csv").read_bytes() == Path("out/shares.csv").read_bytes()
    before = masks_of(tmp_path / "out")
    assert main(["segment", str(model), "photos", "--output", "out"]) == 1
    assert masks_of(tmp_path / "out") == before


def test_a_step_of_a_pipeline(model, tmp_path, monkeypatch):
    ray_data = pytest.importorskip("ray.data", reason="needs the extra ray")
    import ray

    monkeypatch.setenv("RAY_worker_niceness", "0")
    draw(tmp_path / "photos", 12, broken=(5,))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    try:
        images = ray_data.read_binary_files(str(tmp_path / "photos"), include_paths=True)
        found = images.map_batches(
            RaySegmenter,
            fn_constructor_kwargs={"model": str(model)},
            compute=ray_data.ActorPoolStrategy(size=1),
            batch_size=6,
        )
        found.write_parquet(str(tmp_path / "shares"))
        rows = ray_data.read_parquet(str(tmp_path / "shares")).take_all()
    finally:
        ray.shutdown()
    assert len(rows) == 12 and "bytes" not in rows[0]
    for row in rows:
        if row["path"].endswith("00005.png"):
            assert row["error"] and (row["height"], row["mask"]) == (0, b"")
            continue
        seen = segment(open_artifact(model), row["path"])
        assert row["error"] == "" and (row["height"], row["width"]) == seen.mask.shape
        for name, share in seen.shares():
            assert row[f"share:{name}"] == share


def test_columns(model, tmp_path):
    """Without Ray: bytes, structures, arrays, paths and addresses."""
    draw(tmp_path / "photos", 3, broken=(2,))
    paths = sorted(map(str, (tmp_path / "photos").iterdir()))
    content = [Path(path).read_bytes() for path in paths]
    segmenter = RaySegmenter(model)
    expected = segmenter({"path": np.array(paths, object)})
    assert list(expected["path"]) == paths and [bool(text) for text in expected["error"]] == [
        False,
        False,
        True,
    ]
    batches = {
        "bytes": np.array(content, object),
        "image": np.array([{"bytes": data, "path": None} for data in content], object),
        "path": np.array([f"file://{path}" for path in paths], object),
    }
    for name, column in batches.items():
        found = segmenter({name: column, "id": np.arange(3)})
        assert list(found["mask"]) == list(expected["mask"]) and list(found["id"]) == [0, 1, 2]
        assert bool(found["error"][2]) and str(tmp_path) not in found["error"][2].replace(paths[2], "")
    arrays = np.empty(2, object)
    arrays[:] = [read_image(path) for path in paths[:2]]
    assert list(segmenter({"image": arrays})["mask"]) == list(expected["mask"][:2])
    assert "mask" not in RaySegmenter(model, masks=False)({"image": arrays})
    with pytest.raises(InputError, match="a batch has a column bytes or image or path, not photo"):
        segmenter({"photo": arrays})
    with pytest.raises(InputError, match="a batch has a column scan, not image"):
        RaySegmenter(model, column="scan")({"image": arrays})


@pytest.mark.parametrize("keras_model", [False, True])
@pytest.mark.parametrize("how", [{}, {"flip": True}, {"tile": 24}])
def test_batches_are_what_one_by_one_gives(model, keras_model, how):
    network = tiny() if keras_model else open_artifact(model)
    rng = np.random.default_rng(0)
    sizes = [(24, 32), (33, 47), (24, 32), (32, 24), (24, 32)]
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    found = dict(segment_batch(network, images, **how))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for index, image in enumerate(images):
        expected = segment(network, image, **how)
        assert found[index].mask.dtype == expected.mask.dtype
        np.testing.assert_array_equal(found[index].mask, expected.mask)
        np.testing.assert_allclose(found[index].probabilities, expected.probabilities, atol=1e-6)


def test_images_at_addresses(model, tmp_path):
    pytest.importorskip("aiohttp", reason="needs fsspec's package for http")
    draw(tmp_path / "photos", 2)
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "photos"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        found = RaySegmenter(model)({"path": np.array([f"{address}/00000.png", f"{address}/x.png"], object)})
    finally:
        server.shutdown()
        server.server_close()
    assert found["error"][0] == "" and address in found["error"][1]


def test_what_ray_does_not_do(model, tmp_path, monkeypatch, capsys):
    pytest.importorskip("ray", reason="needs the extra ray")
    monkeypatch.chdir(tmp_path)
    draw(Path("photos"), 2)
    words = ["segment", str(model), "photos", "--output", "out", "--engine", "ray"]
    assert main([*words, "--actors", "0"]) == 2
    assert "--actors must be a positive integer, not 0" in capsys.readouterr().err
    assert main([*words, "--threads", "2"]) == 2
    assert "--threads are of this process" in capsys.readouterr().err
    assert main([*words, "--output", "photos"]) == 2
    assert "holds the images themselves" in capsys.readouterr().err
    with pytest.raises(InputError, match="random weights would differ"):
        RaySegmenter("deeplabv3_aspp", weights="none")
