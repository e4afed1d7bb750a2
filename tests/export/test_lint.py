"""Which accelerator takes a file: tables against the runtimes themselves."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from support.tiny_export import SIZE, tiny

from zoo import export
from zoo.cli import main
from zoo.errors import FormatError, InputError
from zoo.export.lint import runtime
from zoo.export.lint.operations import Operation
from zoo.export.lint.tables import Row, Table, tables
from zoo.export.lint.verdicts import lint, problem_of
from zoo.export.proof.parity import synthetic_image

PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
CORAL = Path(os.environ.get("ZOO_TEST_DATA", "../shared/data"), "coral")
INTEGERS = {"calibration": PHOTOS}
FILES = {
    "float": {},
    "mask": {"head": "mask"},
    "small_mask": {"head": "small_mask"},
    "float16": {"quantize": "float16"},
    "int8": {"quantize": "int8", **INTEGERS},
    "int8_mask": {"quantize": "int8", "head": "mask", **INTEGERS},
    "int16x8": {"quantize": "int16x8", **INTEGERS},
    "int16x8_mask": {"quantize": "int16x8", "head": "mask", **INTEGERS},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, settings in FILES.items():
        export.to_tflite(tiny(), folder / f"{name}.tflite", input_size=SIZE, **settings)
    for name in ("float", "mask", "int8"):
        export.to_onnx(tiny(), folder / f"{name}.onnx", input_size=SIZE, **FILES[name])
    return folder


def left(path, accelerator):
    (verdict,) = lint(path, accelerators=[accelerator])
    found = {}
    for fallback in verdict.fallbacks:
        found[fallback.kind] = found.get(fallback.kind, 0) + fallback.count
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_table_says_what_xnnpack_does(name, folder):
    path = folder / f"{name}.tflite"
    account = runtime.xnnpack(path)
    assert left(path, "xnnpack") == account.left
    # The int8 file takes and gives bytes, by a QUANTIZE at either end and one before the logits are resized.
    parts = 2 if name == "int8" else 1
    assert account.partitions == (0 if name.startswith("int16x8") else parts)


@pytest.mark.parametrize("name", ["pascal", "dm05_pascal"])
def test_the_table_says_what_xnnpack_does_with_the_published_file(name):
    path = CORAL / f"deeplabv3_mnv2_{name}_quant.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert left(path, "xnnpack") == runtime.xnnpack(path).left
    assert left(path, "edgetpu") == {"ARG_MAX": 1}


@pytest.mark.parametrize("name", ["float", "mask", "int8"])
def test_the_table_says_what_onnx_runtime_does(name, folder):
    path = folder / f"{name}.onnx"
    account = runtime.onnx_runtime(path)
    assert account.partitions and left(path, "ort-wasm") == account.left == {}


@pytest.mark.parametrize("name", ["float", "mask", "small_mask", "float16", "int8"])
def test_the_table_lets_nothing_pass_that_the_gpu_delegates_own_checker_refuses(name, folder, capfd):
    path = folder / f"{name}.tflite"
    tf.lite.experimental.Analyzer.analyze(model_content=path.read_bytes(), gpu_compatibility=True)
    text = capfd.readouterr().out
    compatible = "Your model looks compatible with GPU delegate" in text
    # The checker of the wheel takes an arg-max, which the delegate's own list does not hold.
    assert compatible or left(path, "litert-gpu"), text[-500:]


def test_64_bit_and_flex_never_appear(folder):
    for path in folder.glob("*.tflite"):
        for verdict in lint(path):
            for fallback in verdict.fallbacks:
                assert "64-bit" not in fallback.reason and "Flex" not in fallback.kind


def test_reasons():
    row = {"given": ("float32",)}
    kinds = {
        "Conv": Row(**row, dilation=2, advice="less"),
        "Resize": Row(align_corners=False),
        "Big": Row(elements=10),
    }
    words = {"title": "Toy", "format": "toy", "version": "1", "source": "here", "types_advice": "floats"}
    toy = Table(name="toy", types=("float32",), rows=kinds, absent={"Far": "nothing far"}, **words)

    def reason(**settings):
        return problem_of(toy, Operation(**{"name": "x", "given": "float32", "gives": "float32", **settings}))

    assert reason(kind="Conv", dilation=2) is None
    assert reason(kind="Conv", dilation=3) == ("dilation 3, at most 2", "less", "here")
    assert reason(kind="Resize", align_corners=True)[0] == "aligned corners"
    assert reason(kind="Big", elements=11)[0] == "11 values, at most 10"
    assert reason(kind="Far") == ("there is no such kernel", "nothing far", "here")
    assert reason(kind="Resize", gives="int64")[0] == "64-bit numbers, and it computes with float32"


def test_tables_state_version_and_source():
    assert len({table.name for table in tables()}) == len(tables()) == 7
    for table in tables():
        assert table.version and table.source.startswith("https://") and table.rows


def test_targets_set_what_they_need_and_refuse_what_falls_back(tmp_path):
    expected = {
        "cpu": "tflite",
        "android-gpu": "tflite",
        "android-npu": "tflite",
        "edgetpu": "tflite",
        "iphone": "coreml",
        "web": "onnx",
    }
    from zoo.export.lint.targets import TARGETS

    assert {name: target.format for name, target in TARGETS.items()} == expected
    for name, target in TARGETS.items():
        suffix = {"tflite": ".tflite", "onnx": ".onnx", "coreml": ".mlpackage"}[target.format]
        calibration = PHOTOS if target.quantize in ("int8", "int16x8") else None
        settings = {"quantize": target.quantize, "calibration": calibration, "target": name}
        path = tmp_path / f"{name}{suffix}"
        export.to_format(target.format, tiny(), path, input_size=SIZE, layout=target.layout, **settings)
        assert all(v.whole for v in lint(path, accelerators=target.accelerators))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"not all of it runs on the target android-gpu: .*1 ARG_MAX"):
        export.to_format(
            "tflite", tiny(), tmp_path / "m.tflite", input_size=SIZE, head="mask", target="android-gpu"
        )
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(InputError, match=r"target must be one of android-gpu, .*, not 'toaster'"):
        export.to_format("tflite", tiny(), tmp_path / "m.tflite", input_size=SIZE, target="toaster")


def test_the_command(folder, capsys):
    assert main(["lint", str(folder / "float.tflite"), "--for", "xnnpack"]) == 0
    assert "takes all of" in capsys.readouterr().out
    assert main(["lint", str(folder / "int8_mask.tflite"), "--for", "xnnpack", "--json", "-"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["asked"]["left"] == {"QUANTIZE": 1, "ARG_MAX": 1, "CAST": 1}
    assert not content["verdicts"][0]["whole"]
    assert main(["lint", str(folder / "float.tflite"), "--for", "ort-webgpu"]) == 2
    assert "takes onnx files" in capsys.readouterr().err


def test_files_that_are_none(tmp_path):
    for name in ("m.tflite", "m.onnx"):
        (tmp_path / name).write_bytes(b"nothing of that kind" * 20)
        with pytest.raises(FormatError, match=name):
            lint(tmp_path / name)
    with pytest.raises(InputError, match="there is no file"):
        lint(tmp_path / "absent.tflite")


def test_no_tensorflow_is_imported(folder):
    code = (
        "import sys; from zoo.cli import main;"
        "[main(['lint', p]) for p in sys.argv[1:]];"
        "print('loaded', *{'tensorflow', 'keras'} & set(sys.modules))"
    )
    files = [str(folder / "float.tflite"), str(folder / "float.onnx")]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded"


def test_a_package_in_half_precision_is_for_the_neural_engine(tmp_path):
    for quantize, whole in ((None, False), ("float16", True)):
        path = tmp_path / "m.mlpackage"
        export.to_coreml(tiny(), path, input_size=SIZE, quantize=quantize)
        (verdict,) = lint(path)
        assert verdict.whole == whole
        assert np.all([f.source.startswith("https://") for f in verdict.fallbacks])
