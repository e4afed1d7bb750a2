"""An object server on this machine: data, weights and runs under ``s3://``; needs s3fs and moto's server."""

import importlib.util
import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from support import data_folders

from zoo.datasets import open_dataset
from zoo.datasets.records import pack
from zoo.remote import RemoteFolder, local_file

missing = [name for name in ("s3fs", "moto") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed (extra remote)")


@pytest.fixture(scope="module")
def server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-c",
        "from moto.server import main; main()",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < limit
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def bucket(server):
    """An S3 file system with an empty bucket."""
    settings = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    import s3fs

    system = s3fs.S3FileSystem(use_listings_cache=False)
    system.mkdir("bucket")
    yield system
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def test_records_and_folders_are_read(bucket, tmp_path):
    source = open_dataset("folder", data_folders.folder(tmp_path / "mine"), split="all", classes=3)
    pack(source, tmp_path / "records", shards=3)
    for name in ("mine", "records"):
        bucket.put(f"{tmp_path / name}/", f"bucket/{name}/", recursive=True)
    for found in (
        open_dataset("folder", "s3://bucket/mine", split="all", classes=3),
        open_dataset("records", "s3://bucket/records", split="all"),
        open_dataset("records", "s3://bucket/records/all-*.tfrecord", split="all"),
    ):
        assert len(found) == len(source)
        for index in range(len(source)):
            np.testing.assert_array_equal(found.read(index)[1], source.read(index)[1])


def test_a_large_file_is_there_only_once_it_is_whole(bucket, tmp_path, monkeypatch):
    content = bytes(101 << 20)  # beyond 100 MiB s3fs sends a file in parts
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "large").write_bytes(content)
    remote = RemoteFolder("s3://bucket/large-run", tmp_path / "run")
    import s3fs

    call = s3fs.S3FileSystem._call_s3

    async def cut(self, method, *args, **options):
        if method == "complete_multipart_upload":
            raise OSError("the line is cut")
        return await call(self, method, *args, **options)

    monkeypatch.setattr("zoo.remote._PAUSE_SECONDS", 0.0)
    with monkeypatch.context() as broken, pytest.raises(OSError, match="the line is cut"):
        broken.setattr(s3fs.S3FileSystem, "_call_s3", cut)
        remote.push()
    assert not bucket.exists("bucket/large-run/large")
    remote.push()
    assert local_file("s3://bucket/large-run/large").read_bytes() == content


def test_a_run_goes_on_from_its_copy(bucket, tmp_path):
    from support.training_fixtures import tiny_model, weights_of

    from zoo.training import Recipe, train

    root = data_folders.folder(tmp_path / "mine", 8)
    data = open_dataset("folder", root, split="all", classes=3)
    recipe = Recipe(epochs=2, batch_size=4, crop=(8, 8), learning_rate=0.01)

    def trained(output, report=None):
        model = tiny_model()
        history = train(model, data, recipe, output=output, report=report, note=lambda message: None)
        return len(history.losses), weights_of(model)

    def stop(trained, scored):
        raise KeyboardInterrupt

    _, whole = trained(None)
    with pytest.raises(KeyboardInterrupt):
        trained("s3://bucket/run", stop)
    steps, weights = trained("s3://bucket/run")
    assert steps == 2
    for name, value in whole.items():
        np.testing.assert_allclose(weights[name], value, atol=1e-6, err_msg=name)
    assert bucket.exists("bucket/run/final.keras")
