"""Forms of the head ``mask`` beside each other: from the scores of cells to the class of every pixel.

For TensorFlow, LiteRT and ONNX Runtime, each with two threads. The forms take turns; printed are the medians
of the time on the clock and of the processor, the latter also beside the form that the exports use, and how
many pixels agree with TensorFlow's resize and arg-max. On a busy machine, the processor's time
tells more. At last, the exported head is set against a whole artifact.

    python benchmarks/mask_head.py
    python benchmarks/mask_head.py --rounds 50 --skip-artifact
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter

from zoo.export.core.mask_head import MaskHead

THREADS = 2
# (rows, columns, classes) of the cells, and (height, width) of the image.
SHAPES = (((33, 33, 21), (513, 513)), ((23, 30, 11), (360, 480)))
HEAD = MaskHead(convention="half_pixel", factor=None, probabilities=False, cell=1, small=False)
SMALL = MaskHead(convention="half_pixel", factor=None, probabilities=False, cell=1, small=True)
# Scores become integers by far, so that a difference of two is either 0 or more than any class index.
SCALE = 2.0**64
# What the exports use.
USED = {"tensorflow": "resize", "litert": "resize", "onnxruntime": "products"}
Run = Callable[[np.ndarray], np.ndarray]


# --- forms ------------------------------------------------------------------------------------------------


def resize(x, image):
    return HEAD(x, image)


def products(x, image):
    return HEAD(x, image, products=True)


def _planes(x, size):
    """Interpolated classes as planes of the image, ``(classes, height, width)``, by two products."""
    rows, columns, classes = x.shape[1:]
    with tf.init_scope():
        weights = [HEAD._weights(*pair).numpy() for pair in zip((rows, columns), size, strict=True)]
    x = tf.linalg.matmul(tf.reshape(tf.transpose(x[0], (2, 1, 0)), (classes * columns, rows)), weights[0].T)
    x = tf.transpose(tf.reshape(x, (classes, columns, size[0])), (0, 2, 1))
    x = tf.linalg.matmul(tf.reshape(x, (-1, columns)), weights[1].T * np.float32(SCALE))
    return tf.reshape(x, (classes, *size))


def plane_chain(x, image):
    """Planes one after the other: maximum, and the index by a minimum with the difference."""
    planes = tf.split(_planes(x, image.shape[1:3]), x.shape[-1])
    best, index = planes[0], tf.zeros_like(planes[0])
    for number, plane in enumerate(planes[1:], start=1):
        index = tf.maximum(index, tf.minimum(plane - best, float(number)))
        best = tf.maximum(best, plane)
    return tf.cast(index, tf.uint8)


def plane_maximum(x, image):
    """Maximum over the planes, then over numbers that only the winners keep."""
    planes, classes = _planes(x, image.shape[1:3]), x.shape[-1]
    kept = planes - tf.reduce_max(planes, 0, keepdims=True) + np.arange(classes, 0, -1.0)[:, None, None]
    return tf.cast(classes - tf.reduce_max(kept, 0), tf.uint8)[tf.newaxis]


def plane_arg_max(x, image):
    return tf.cast(tf.argmax(_planes(x, image.shape[1:3]), 0, output_type=tf.int32), tf.uint8)[tf.newaxis]


def small_mask(x, image):
    """The head of that name: no exact form."""
    return SMALL(x, image)


FORMS = (resize, products, plane_chain, plane_maximum, plane_arg_max, small_mask)


# --- runtimes ---------------------------------------------------------------------------------------------


def _function(form, cells: tuple[int, ...], size: tuple[int, int]):
    spec = tf.TensorSpec((1, *cells), tf.float32, name="scores")
    return tf.function(lambda x: form(x, tf.zeros((1, *size, 3))), input_signature=[spec], autograph=False)


def tensorflow(form, cells, size) -> Run:
    function = _function(form, cells, size).get_concrete_function()
    return lambda x: function(tf.constant(x)).numpy()


def litert(form, cells, size) -> Run:
    concrete = _function(form, cells, size).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    return _interpreter(bytes(converter.convert()))


def _interpreter(content: bytes) -> Run:
    interpreter = Interpreter(model_content=content, num_threads=THREADS)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x):
        interpreter.set_tensor(source["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(target["index"])

    return run


def onnx_runtime(form, cells, size) -> Run:
    function = _function(form, cells, size)
    model, _ = tf2onnx.convert.from_function(function, input_signature=function.input_signature, opset=18)
    return _session(model.SerializeToString())


def _session(content: bytes) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    # Threads that wait would count as the processor's time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return lambda x: session.run(None, {source.name: x})[0]


RUNTIMES = {"tensorflow": tensorflow, "litert": litert, "onnxruntime": onnx_runtime}


# --- measuring --------------------------------------------------------------------------------------------


def measure(runs: dict[str, Run], inputs: dict[str, np.ndarray], *, rounds: int) -> dict:
    """Medians in milliseconds, (clock, processor), of runs that take turns."""
    for name, run in runs.items():
        run(inputs[name])
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            clock, processor = time.perf_counter(), time.process_time()
            run(inputs[name])
            times[name].append((time.perf_counter() - clock, time.process_time() - processor))
    return {
        name: tuple(1e3 * statistics.median(column) for column in zip(*rows, strict=True))
        for name, rows in times.items()
    }


def compare_forms(runtime: str, cells, size, *, rounds: int) -> None:
    x = np.random.default_rng(0).normal(0, 5, (1, *cells)).astype(np.float32)
    wanted = tf.argmax(tf.image.resize(x, size), -1).numpy()
    runs = {form.__name__: RUNTIMES[runtime](form, cells, size) for form in FORMS}
    agreement = {name: (run(x) == wanted).mean() for name, run in runs.items()}
    found = measure(runs, dict.fromkeys(runs, x), rounds=rounds)
    print(f"\n{runtime}, {cells[2]} classes, {cells[0]}x{cells[1]} cells to {size[0]}x{size[1]}")
    for name, (clock, processor) in found.items():
        ratio = processor / found[USED[runtime]][1]
        mark = " (used)" if name == USED[runtime] else ""
        row = f"  {name:<14} clock {clock:7.2f} ms, processor {processor:7.2f} ms, ratio {ratio:5.2f}"
        print(f"{row}, agreement {agreement[name]:.4%}{mark}", flush=True)


def compare_artifact(*, rounds: int) -> None:
    """The share of the head in artifacts of the bundled model at 513x513."""
    import zoo
    from zoo import export

    model, size = zoo.load("deeplabv3_aspp_mobilenet_v2"), (513, 513)
    classes = model.output_shape[-1]
    x = np.random.default_rng(0).normal(0, 5, (1, 33, 33, classes)).astype(np.float32)
    image = np.random.default_rng(0).uniform(0, 255, (1, *size, 3)).astype(np.float32)
    print(f"\n{model.name} at {size[0]}x{size[1]}, {classes} classes, head mask")
    with tempfile.TemporaryDirectory() as folder:
        for runtime, suffix in (("litert", "tflite"), ("onnxruntime", "onnx")):
            path = Path(folder) / f"m.{suffix}"
            getattr(export, f"to_{suffix}")(model, path, input_size=size, head="mask")
            opened = (_interpreter if suffix == "tflite" else _session)(path.read_bytes())
            form = globals()[USED[runtime]]
            runs = {"head": RUNTIMES[runtime](form, (33, 33, classes), size), "whole": opened}
            found = measure(runs, {"head": x, "whole": image}, rounds=rounds)
            share = found["head"][1] / found["whole"][1]
            whole = f"{found['head'][1]:.2f} of {found['whole'][1]:.2f} ms of the processor"
            print(f"  {runtime}: the head takes {share:.1%}, {whole}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="times that each form runs (15)")
    parser.add_argument("--runtime", choices=RUNTIMES, action="append", help="only this one; repeatable")
    parser.add_argument("--skip-artifact", action="store_true", help="leave the whole network out")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    for runtime in args.runtime or RUNTIMES:
        for cells, size in SHAPES:
            compare_forms(runtime, cells, size, rounds=args.rounds)
    if not args.skip_artifact:
        compare_artifact(rounds=args.rounds)


if __name__ == "__main__":
    main()
