"""ONNX files with 16-bit activations and 8-bit weights: types, accuracy, what is refused, what lint says."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.tiny_export import SIZE, tiny

from zoo import export
from zoo.errors import InputError, ParityError
from zoo.export.lint.runtime import onnx_runtime
from zoo.export.lint.verdicts import lint
from zoo.export.onnx.artifact import run_once, session_of
from zoo.export.proof.parity import synthetic_image

PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
SETTINGS = {"input_size": SIZE, "quantize": "int16x8", "calibration": PHOTOS}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    path = tmp_path_factory.mktemp("int16x8") / "m.onnx"
    return path, export.to_onnx(tiny(), path, **SETTINGS)


def stored_types(path):
    """Types of the zero points of activations and of weights, and the graph."""
    graph = onnx.load(path).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    activations = {constants[n.input[2]].dtype.name for n in graph.node if n.op_type == "QuantizeLinear"}
    kernels = {array.dtype.name for name, array in constants.items() if name.endswith("kernel_quantized")}
    return activations, kernels, constants


def test_activations_have_sixteen_bits_and_weights_eight(wide):
    path, report = wide
    activations, kernels, constants = stored_types(path)
    assert (activations, kernels) == ({"uint16"}, {"int8"})
    # No processor adds these products in 16 bits: all 8 are used.
    assert (
        max(np.abs(a.astype(int)).max() for n, a in constants.items() if n.endswith("kernel_quantized"))
        == 127
    )
    versions = {entry.domain: entry.version for entry in onnx.load(path).opset_import}
    assert versions[""] == 21 and "com.microsoft" not in versions
    assert (report.inputs[0].dtype, report.outputs[0].dtype) == ("float32", "float32")
    done = report.quantization
    assert (done.kind, done.calibration_images) == ("int16x8", 8)
    assert {op.reason for op in done.float_operations} == {"ends"}
    assert report.parity.passed


def test_finer_than_eight_bits(wide, tmp_path):
    path, report = wide
    eight = export.to_onnx(tiny(), tmp_path / "m.onnx", **{**SETTINGS, "quantize": "int8"})
    assert report.parity.relative_error < 0.5 * eight.parity.relative_error
    assert report.parity.inner_agreement > 0.999
    assert export.verify(path, tiny()).passed and not export.verify(path, tiny(seed=1)).passed


def test_runtime_computes_what_the_nodes_say(wide):
    content, batch = wide[0].read_bytes(), PHOTOS[0][None].astype("float32")
    optimized, plain = (
        run_once(session_of(content, threads=1, optimize=on), batch, channels_first=False)
        for on in (True, False)
    )
    np.testing.assert_allclose(optimized, plain, atol=2e-3 * np.abs(plain).max())


def test_symmetric_activations_are_signed(tmp_path):
    path = tmp_path / "m.onnx"
    report = export.to_onnx(tiny(), path, symmetric=True, layout="nchw", **SETTINGS)
    activations, kernels, constants = stored_types(path)
    assert (activations, kernels) == ({"int16"}, {"int8"}) and report.parity.passed
    zero_points = [array for name, array in constants.items() if name.endswith("zero_point")]
    assert zero_points and not any(array.any() for array in zero_points)


def test_a_bound_is_kept_or_refused(tmp_path):
    report = export.to_onnx(tiny(), tmp_path / "m.onnx", max_drop=0.01, **SETTINGS)
    assert 1 - report.quantization.score <= 0.01 and report.parity.max_drop == 0.01
    with pytest.raises(ParityError, match="max_drop=0 cannot be kept"):
        export.to_onnx(tiny(), tmp_path / "n.onnx", max_drop=0.0, **SETTINGS)
    assert not (tmp_path / "n.onnx").exists()


@pytest.mark.parametrize("head", ["mask", "small_mask"])
def test_masks(head, tmp_path):
    report = export.to_onnx(tiny(), tmp_path / "m.onnx", head=head, **SETTINGS)
    assert report.parity.inner_agreement > 0.999 and report.outputs[0].dtype == "uint8"


def test_lint_and_the_runtime_agree(wide):
    path, _ = wide
    (wasm,) = lint(path, accelerators=["ort-wasm"])
    assert wasm.whole and onnx_runtime(path).left == {}
    (web_gpu,) = lint(path, accelerators=["ort-webgpu"])
    assert {f.kind for f in web_gpu.fallbacks} == {"QuantizeLinear", "DequantizeLinear"}


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match="16-bit activations need opset 21 or later, not 18"):
        export.to_onnx(tiny(), tmp_path / "m.onnx", opset=18, **SETTINGS)
    with pytest.raises(InputError, match="int16x8 needs calibration images"):
        export.to_onnx(tiny(), tmp_path / "m.onnx", input_size=SIZE, quantize="int16x8")
    assert list(tmp_path.iterdir()) == []
