import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest
from PIL import Image
from support.tiny_export import SIZE, tiny

import zoo.models.loading
from zoo import cli, export
from zoo.errors import FormatError, InputError
from zoo.export.onnx.runner import ONNXRunner
from zoo.export.tflite.runner import TFLiteRunner
from zoo.export.timing.process import Process
from zoo.export.timing.report import plot, table, write_json
from zoo.export.timing.runners import open_runner, runner_class


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model in all formats; the ONNX file takes any size."""
    folder = tmp_path_factory.mktemp("bench")
    model = tiny(channels=16)
    model.save(folder / "m.keras")
    export.to_tflite(model, folder / "m.tflite", input_size=SIZE)
    export.to_onnx(model, folder / "m.onnx", layout="nchw")
    export.to_saved_model(model, folder / "m", input_size=SIZE)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    seen = []
    names = {"tflite": folder / "m.tflite", "onnx": folder / "m.onnx"}
    options = {"repeats": 4, "warm_up": 1, "threads": 1, "progress": lambda *numbers: seen.append(numbers)}
    found = export.bench(names, **options)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return found


def test_numbers_of_every_file(result, folder):
    first, second = result.timings
    assert (first.name, first.format, second.name, second.format) == ("tflite", "tflite", "onnx", "onnx")
    assert result.size == SIZE  # of the file that has one
    for timing in result.timings:
        assert len(timing.seconds) == len(timing.cpu_seconds) == 4
        assert min(timing.seconds) <= timing.quartiles[0] <= timing.median <= timing.quartiles[1]
        assert timing.peak_bytes > timing.runtime_bytes > 5e6
    assert first.bytes == (folder / "m.tflite").stat().st_size
    assert first.ratio == 1
    rounds = [a / b for a, b in zip(first.seconds, second.seconds, strict=True)]
    assert second.ratio == statistics.median(rounds)
    assert second.ratio_quartiles[0] <= second.ratio <= second.ratio_quartiles[1]


def test_operations_are_those_of_the_files(result, folder):
    lite, onnx_table = (timing.operations for timing in result.timings)
    stored = export.open_artifact(folder / "m.tflite").operations()
    assert {entry.operation: entry.count for entry in lite.times} == stored
    assert "no profiler" in lite.method
    # ONNX Runtime merges activations into convolutions, and changes neither their number nor the resize.
    counts = {entry.operation: entry.count for entry in onnx_table.times}
    assert counts["Conv"] == 3
    assert counts["Resize"] == 1
    for entries in (lite.times, onnx_table.times):
        seconds = [entry.seconds for entry in entries]
        assert seconds == sorted(seconds, reverse=True)
        assert seconds[-1] > 0


def test_formats_of_tensorflow_say_that_they_tell_no_operations(folder):
    found = runner_class(folder / "m").operation_times(folder / "m", size=SIZE, threads=1)
    assert found.times == ()
    assert found.method.startswith("not available")


def test_table_and_json(result, tmp_path):
    text = table(result)
    assert text.startswith("33x47, 1 thread, 4 rounds in turns, warm-up of 1\n")
    assert f"{1e3 * result.timings[0].median:8.1f}" in text
    assert "operations of onnx (ONNX Runtime's profiler" in text
    stored = json.loads(write_json(result, tmp_path / "b.json").read_text())
    assert stored["timings"][1]["ratio"] == result.timings[1].ratio
    assert stored["timings"][0]["operations"]["times"][0]["count"] >= 1
    with pytest.raises(InputError, match="cannot write"):
        write_json(result, tmp_path / "absent" / "b.json")
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_bars_are_as_long_as_the_medians(result, tmp_path):
    first, second = result.timings
    slow = replace(first, seconds=(0.03, 0.04, 0.05, 0.9))
    fast = replace(second, seconds=(0.019, 0.02, 0.021, 0.02))
    known = replace(result, timings=(slow, fast))
    picture = np.asarray(Image.open(plot(known, tmp_path / "b.png")).convert("RGB")).astype(int)
    grey, blue = (
        int((np.abs(picture - color).sum(-1) < 12).any(0).sum())
        for color in ((0x9A, 0xA5, 0xB1), (0x4C, 0x78, 0xA8))
    )
    assert blue / grey == pytest.approx(0.02 / 0.045, rel=0.03)
    assert [path.name for path in tmp_path.iterdir()] == ["b.png"]


def test_runners_take_files_of_anybody(folder, tmp_path):
    """They feed what a file declares: its layout, its type, and the size that is asked for."""
    runner = open_runner(folder / "m.onnx", threads=1)
    assert isinstance(runner, ONNXRunner)
    assert runner.size is None
    runner.prepare((20, 30))
    assert runner._feed["image"].shape == (1, 3, 20, 30)
    runner.run()
    lite = open_runner(folder / "m.tflite", threads=1)
    assert isinstance(lite, TFLiteRunner)
    assert lite.size == SIZE
    bare = onnx.load(folder / "m.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    assert open_runner(tmp_path / "bare.onnx", threads=1).size is None
    keras_runner = open_runner(folder / "m.keras", threads=1)
    keras_runner.prepare((12, 15))
    keras_runner.run()
    assert tuple(keras_runner._call(keras_runner._image).shape) == (1, 12, 15, 3)
    saved = open_runner(folder / "m", threads=1)
    assert saved.size == SIZE
    saved.prepare(SIZE)
    saved.run()


def test_peak_memory_is_what_was_held():
    code = """
import numpy as np
from zoo.export.timing.worker import peak_memory
before = peak_memory()
held = np.ones(200_000_000, np.uint8)
del held
print(peak_memory() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(200e6, rel=0.05)


def test_refused(folder, tmp_path):
    other = tmp_path / "other.tflite"
    export.to_tflite(tiny(), other, input_size=(20, 30))
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "photo.png").touch()
    flat = keras.Sequential([keras.Input((7,)), keras.layers.Dense(2)])
    flat.save(tmp_path / "flat.keras")
    good = folder / "m.tflite"
    cases = [
        (([],), {}, InputError, "at least one file"),
        (([tmp_path / "absent.onnx"],), {}, InputError, "there is no artifact"),
        (([tmp_path / "photo.png"],), {}, InputError, "photo.png is no .tflite"),
        (([good, good],), {}, InputError, "given twice"),
        (([good, other],), {"warm_up": 0}, InputError, "takes images of 20x30, not 33x47"),
        (([good],), {"size": (5, 5)}, InputError, "takes images of 33x47, not 5x5"),
        (([good],), {"repeats": 0}, InputError, "repeats must be an integer of at least 1, not 0"),
        (([good],), {"threads": 1.5}, InputError, "threads must be"),
        (([3],), {}, InputError, "paths and Keras models, not int"),
        (([tmp_path / "broken.onnx"],), {}, FormatError, "broken.onnx cannot be loaded as onnx"),
    ]
    for arguments, options, error, message in cases:
        with pytest.raises(error, match=message):
            export.bench(*arguments, **options)
    with pytest.raises(InputError, match="not one batch of RGB images"):
        open_runner(tmp_path / "flat.keras", threads=1)


def test_process_that_ends_is_one_line(folder):
    with Process(folder / "m.tflite", threads=1) as process:
        process._process.kill()
        with pytest.raises(InputError, match=r"m\.tflite: the process that runs it has ended \(killed by"):
            process.ask("open")


# --- the command ------------------------------------------------------------------------------------------


def run(*arguments):
    words = [str(argument) for argument in arguments]
    return cli.main(["bench", *words])


def test_command_against_keras(folder, tmp_path, monkeypatch, capsys):
    calls = []

    def load(name, weights="default", **options):
        calls.append((name, weights))
        return tiny(channels=16)

    monkeypatch.setattr(zoo.models.loading, "load", load)
    options = ("--vs", "keras", "--model", "small", "--weights", "none", "--repeats", 2, "--warm-up", 1)
    target = tmp_path / "b.json"
    assert run(folder / "m.tflite", *options, "--no-operations", "--json", target) == 0
    assert calls == [("small", None)]
    printed = capsys.readouterr().out
    assert printed.splitlines()[2].startswith("keras tiny")
    assert "operations of" not in printed
    stored = json.loads(target.read_text())
    assert [timing["format"] for timing in stored["timings"]] == ["keras", "tflite"]
    assert stored["timings"][0]["runtime_bytes"] > 2 * stored["timings"][1]["runtime_bytes"]  # TensorFlow
    assert stored["threads"] == 2


def test_bad_arguments_are_one_line(folder, tmp_path, capsys):
    good = folder / "m.tflite"
    cases = [
        ((tmp_path / "absent.tflite",), "there is no artifact"),
        ((good, "--output", tmp_path / "b.jpg"), "a file named *.png"),
        ((good, "--json", tmp_path / "no" / "b.json"), "there is no folder"),
        ((good, "--model", "deeplabv3_aspp"), "add --vs keras"),
        ((good, "--repeats", 0), "repeats must be"),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 2
        line = capsys.readouterr().err
        assert message in line
        assert line.count("\n") == 1
    with pytest.raises(SystemExit):
        run("--help")
    assert "examples:\n  zoo bench " in capsys.readouterr().out


def test_arguments_are_parsed():
    parser = argparse.ArgumentParser()
    from zoo.cli import bench

    bench.add_parser(parser.add_subparsers())
    args = parser.parse_args(["bench", "a.onnx", "b.onnx", "--input-size", "360x480", "--threads", "4"])
    assert (args.artifacts, args.input_size, args.threads) == (["a.onnx", "b.onnx"], (360, 480), 4)
