"""The lint's tables against what others measured, and against the kernels that ONNX Runtime registers."""

import numpy as np
import onnx
import onnxruntime.capi.onnxruntime_pybind11_state as onnxruntime_state
import pytest
from support.tiny_export import SIZE, deeplab, tiny

from zoo import export
from zoo.export.lint.operations import read
from zoo.export.lint.tables import find, tables
from zoo.export.lint.verdicts import lint, problem_of
from zoo.export.proof.parity import synthetic_image

PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]

# Measured by others for maps of four axes: backend, version and day, and the status of operations by type.
# Facts of data/matrix in github.com/john-rocky/edge-compat, commit bcf67f53.
_FLOAT = [
    *("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DIV", "EXP"),
    *("FULLY_CONNECTED", "HARD_SWISH", "LOG", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MINIMUM", "MUL", "PAD"),
    *("RELU", "RESHAPE", "RESIZE_BILINEAR", "SLICE", "SOFTMAX", "SQRT"),
]
MEASURED = {
    "xnnpack": (
        ("cpu_xnnpack", "2.1.6", "2026-08-12"),
        {
            "float32": dict.fromkeys(_FLOAT, "delegated"),
            "int8": dict.fromkeys(("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "MUL", "PAD"), "delegated"),
        },
    ),
    "litert-gpu": (
        ("webgpu_mldrift", "2.5.3", "2026-08-12"),
        {"float32": dict.fromkeys(_FLOAT, "delegated"), "int64": {"ARG_MAX": "fallback", "CAST": "fallback"}},
    ),
}
TAKEN = ("delegated", "partial", "incorrect")


def snapshot(accelerator):
    """What was measured, in that package's own form."""
    (backend, version, day), found = MEASURED[accelerator]
    entries = [
        {
            "op": kind,
            "dtypes": [dtype],
            "status": status,
            "provenance": "measured",
            "evidence": {"source_model": "probe", "litert_version": version, "date": day},
        }
        for dtype, rows in found.items()
        for kind, status in rows.items()
    ]
    head = {"schema_version": "1.0", "backend": backend, "litert_version": version, "generated_at": day}
    return {**head, "entries": entries}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network of five layers and a DeepLab, as TFLite files of several kinds."""
    folder = tmp_path_factory.mktemp("files")
    integers = {"calibration": PHOTOS}
    kinds = {"float": {}, "mask": {"head": "mask"}, "int8": {"quantize": "int8", **integers}}
    for name, settings in kinds.items():
        export.to_tflite(tiny(), folder / f"{name}.tflite", input_size=SIZE, **settings)
    export.to_tflite(deeplab("torchvision", 16), folder / "deeplab.tflite", input_size=SIZE)
    return sorted(folder.glob("*.tflite"))


@pytest.mark.parametrize("accelerator", MEASURED)
def test_edge_compat_says_the_same_where_it_gives_a_verdict(accelerator, files):
    """Its linter reads the same files with what was measured on devices."""
    linter = pytest.importorskip("litert_compat.lint", reason="edge-compat is not installed (Python 3.11)")
    from litert_compat.matrix.query import Matrix
    from litert_compat.parser.reader import parse_tflite_file

    matrix, compared = Matrix(snapshot(accelerator)), 0
    for path in files:
        theirs = linter.classify_model(parse_tflite_file(path), matrix)
        _, operations = read(path)
        assert [node.node.op for node in theirs] == [operation.kind for operation in operations]
        for node, operation in zip(theirs, operations, strict=True):
            if node.verdict.status != "unknown":
                ours = problem_of(find(accelerator), operation)
                assert (ours is None) == (node.verdict.status in TAKEN), (path.name, operation, ours)
                compared += 1
    assert compared > 60


def registered():
    """Types that each operator of ONNX Runtime's processor has kernels for, by the operator's own names."""
    found = {}
    for kernel in onnxruntime_state.get_all_opkernel_def():
        if kernel.provider == "CPUExecutionProvider" and kernel.domain == "":
            for name, types in kernel.type_constraints.items():
                found.setdefault(kernel.op_name, {}).setdefault(name, set()).update(types)
    return found


def test_the_wasm_table_is_what_onnx_runtime_registers():
    """The processor's kernels are those of the browser; functions are taken apart before."""
    table, kernels = find("ort-wasm"), registered()
    words = {"float32": "tensor(float)"}
    for kind, row in table.rows.items():
        schema = onnx.defs.get_schema(kind)
        if kind not in kernels:
            assert schema.has_function or kind == "Constant", kind
            continue
        for ports, stated in ((schema.inputs, row.given), (schema.outputs[:1], row.gives or row.given)):
            # What kernels do not differ in is the operator's own.
            types = [kernels[kind].get(port.type_str, port.types) for port in ports]
            names = {words.get(name, f"tensor({name})") for name in stated or table.types}
            assert not ports or names <= set().union(*types), (kind, names)


def test_what_no_source_states_is_said(tmp_path, files, capsys):
    from zoo.cli import main

    notes = [row.unverified for table in tables() for row in table.rows.values() if row.unverified]
    assert notes and all("\n" not in note for note in notes)
    path = next(path for path in files if path.name == "int8.tflite")
    (verdict,) = lint(path, accelerators=["edgetpu"])
    assert verdict.whole and any(line.startswith("1 RESIZE_BILINEAR: ") for line in verdict.unverified)
    assert all("https://" in line for line in verdict.unverified)
    assert main(["lint", str(path), "--for", "edgetpu"]) == 0
    assert "  not certain: 1 RESIZE_BILINEAR: large ones fall back" in capsys.readouterr().out
    assert verdict.to_dict()["unverified"] == verdict.unverified


def test_every_row_states_a_public_source():
    for table in tables():
        for row in table.rows.values():
            assert (row.source or table.source).startswith("https://")
        assert (table.types_source or table.source).startswith("https://")
    assert np.all([table.version for table in tables()])


def test_a_package_of_a_network_with_branches_is_for_the_neural_engine(tmp_path):
    """A concatenation is of maps, whatever its axis is."""
    export.to_coreml(
        deeplab("torchvision", 16), tmp_path / "m.mlpackage", input_size=SIZE, quantize="float16"
    )
    (verdict,) = lint(tmp_path / "m.mlpackage")
    assert verdict.whole, verdict.lines()
    _, operations = read(tmp_path / "m.mlpackage")
    assert {op.given for op in operations if op.kind == "concat"} == {"float16"}


def test_files_of_anybody(tmp_path, capsys):
    """Two inputs, an open axis, and an operator that ONNX Runtime does not have."""
    from zoo.cli import main

    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    for name, operator, code in (("sum", "Add", 0), ("odd", "NoSuchThing", 1)):
        ends = [helper.make_tensor_value_info(end, kind, ["n", 4]) for end in "abc"]
        graph = helper.make_graph([helper.make_node(operator, ["a", "b"], ["c"])], "g", ends[:2], ends[2:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(model, tmp_path / f"{name}.onnx")
        assert main(["lint", str(tmp_path / f"{name}.onnx"), "--for", "ort-wasm"]) == code
        printed = capsys.readouterr().out
        assert ("outside of them nothing" if code == 0 else "was asked and does not run it: ") in printed
    (tmp_path / "saved").mkdir()
    assert main(["lint", str(tmp_path / "saved")]) == 2
    assert "is none of .tflite, .onnx, .mlpackage: export the model first" in capsys.readouterr().err
