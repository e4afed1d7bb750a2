"""How many samples per second the digit speaker draws: step by step from ring buffers, and naively.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/generation.py

Naive generation runs the whole network over the codes of its receptive field for each sample. Both draw the
same codes from the same seed, which is checked before any time is taken. One thread; the two run in turns.
"""

from __future__ import annotations

import itertools
import time

import numpy as np
import tensorflow as tf

ROUNDS = 3
NAIVE, CACHED, CHECKED = 40, 2000, 2500


def by_the_whole(model, ids, codes: list[int], *, seed: int) -> list[int]:
    """What the whole network would have drawn behind each of the codes."""
    from zoo.sequence.drawing import chosen

    seen = np.array([[128, *codes[:-1]]], np.int32)
    logits, draw = model({"codes": seen, "ids": ids}).numpy(), np.random.default_rng(seed)
    return [int(chosen(logits[:, at], 1.0, draw)[0]) for at in range(len(codes))]


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import zoo
    from zoo.sequence.sampling import WaveNetSteps, drawn_codes
    from zoo.sequence.wavenet import config_of

    model = zoo.load("wavenet_digits")
    ids, field = np.array([[7, 4]], np.int32), config_of(model).receptive_field
    drawn = [int(code[0]) for code in itertools.islice(drawn_codes(model, ids=ids, seed=1), CHECKED)]
    assert drawn == by_the_whole(model, ids, drawn, seed=1)
    print(f"{CHECKED} codes drawn both ways are the same; a field of {field} samples\n")
    whole = tf.function(lambda codes: model({"codes": codes, "ids": tf.constant(ids)})[:, -1])
    window = tf.constant(np.random.default_rng(0).integers(0, 256, (1, field)), tf.int32)
    whole(window)
    steps = {batch: WaveNetSteps(model, batch=batch, ids=np.repeat(ids, batch, axis=0)) for batch in (1, 16)}
    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(NAIVE):
            whole(window)
        times.setdefault("naive", []).append((time.perf_counter() - start) / NAIVE)
        for batch, one in steps.items():
            codes, start = np.full(batch, 128), time.perf_counter()
            for _ in range(CACHED // batch):
                one.step(codes)
            took = (time.perf_counter() - start) / (CACHED // batch)
            times.setdefault(f"ring buffers, {batch} at once", []).append(took / batch)
    usual = float(np.median(times["naive"]))
    print("| generation | samples per second | times naive |\n|---|--:|--:|")
    for name, values in times.items():
        median = float(np.median(values))
        print(f"| {name} | {1 / median:,.0f} | {usual / median:.0f} |")


if __name__ == "__main__":
    main()
