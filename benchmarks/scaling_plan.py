"""The plan of `zoo.training.plan` against measured steps of 1, 2 and 4 workers on this machine.

    python benchmarks/scaling_plan.py [--model deeplabv3_aspp] [--crop 129] [--batch-size 8]

Measured first: one worker with a quarter, a half and all of the batch, which gives the rate and the overhead
by wall clock and by computing time; and between two workers sums of a small and of a large tensor, which give
alpha and beta. From these the plan says what a step takes, and how many bytes cross the loopback interface;
then both are measured. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

WARM, STEPS = 3, 8
SMALL, LARGE = 1, 4 << 20  # numbers of a tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="deeplabv3_aspp")
    parser.add_argument("--crop", type=int, default=129)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--work", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument(
        "--batches", type=lambda text: [int(n) for n in text.split(",")], help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.work:
        work(args)
        return
    compare(args)


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def compare(args: argparse.Namespace) -> None:
    from zoo.training.devices import Device, Link
    from zoo.training.plan import Demand, scaling

    size = args.batch_size
    alone = measured(args, 1, [size // 4, size // 2, size])
    demand = Demand(**alone["demand"])
    two, four = measured(args, 2, [size]), measured(args, 4, [size])
    wall = line([(b, seconds["wall"]) for b, seconds in alone["steps"].items()])
    busy = line([(b, seconds["cpu"]) for b, seconds in alone["steps"].items()])
    work_of_one = 3 * demand.multiply_adds
    alpha = two["sums"][str(SMALL)] / 2
    beta = 4 * LARGE / max(two["sums"][str(LARGE)] - two["sums"][str(SMALL)], 1e-9)
    link = Link(alpha, beta)
    device = Device(
        name="this machine",
        rate=work_of_one / wall[1],
        overhead=max(0.0, wall[0]),
        near=link,
        far=link,
        cores=os.cpu_count(),
        core_rate=work_of_one / busy[1],
        core_overhead=max(0.0, busy[0]),
    )
    print(f"{args.model}, {args.crop}x{args.crop}, batch {size}:")
    size_of_step = f"{demand.exchanged / 1e6:.2f} MB in {demand.tensors} tensors a step"
    print(f"{demand.multiply_adds / 1e9:.2f} G multiply-adds an image, {size_of_step}")
    print(f"measured: {device.rate / 1e9:.1f} G multiply-adds/s and {1e3 * device.overhead:.0f} ms a step;")
    print(f"alpha {1e3 * alpha:.2f} ms, beta {beta / 1e6:.0f} MB/s, {device.cores} cores shared")
    print("workers  planned s  measured s  ratio  planned MB  measured MB  ratio")
    for workers, found in ((1, alone), (2, two), (4, four)):
        plan = scaling(demand, device, batch_size=size, workers=workers)
        seconds, sent = found["steps"][str(size)]["wall"], found["steps"][str(size)]["bytes"] / 1e6
        planned = workers * plan.sent / 1e6
        ratio = f"{planned / sent:5.2f}" if workers > 1 else "    -"
        print(
            f"{workers:>7}  {plan.seconds:>9.3f}  {seconds:>10.3f}  {plan.seconds / seconds:>5.2f}  "
            f"{planned:>10.2f}  {sent:>11.2f}  {ratio}"
        )


def line(points: list[tuple[str, float]]) -> tuple[float, float]:
    """Intercept and slope of the best line."""
    x, y = [float(b) for b, _ in points], [seconds for _, seconds in points]
    slope, intercept = statistics.linear_regression(x, y)
    return intercept, slope


def measured(args: argparse.Namespace, workers: int, batches: list[int]) -> dict:
    from zoo.training.launching import launch

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "found.json")
        own = ["--model", args.model, "--crop", str(args.crop), "--classes", str(args.classes)]
        command = [
            sys.executable,
            __file__,
            "--work",
            str(file),
            "--batches",
            ",".join(map(str, batches)),
            *own,
        ]
        if launch(command, workers=workers, restarts=0).status:
            sys.exit(1)
        return json.loads(file.read_text())


def work(args: argparse.Namespace) -> None:
    """One worker: seconds of a step with each global batch, and of sums."""
    from dataclasses import asdict

    import tensorflow as tf

    import zoo
    from zoo.labels import numbered
    from zoo.training import Recipe, losses, make_strategy
    from zoo.training.engine import KerasStepper
    from zoo.training.modes import computing
    from zoo.training.plan import demand_of
    from zoo.training.settings import Settings
    from zoo.training.strategy import distributed_iterator, is_chief

    strategy = make_strategy("multi-worker")
    shape = (args.crop, args.crop, 3)
    with strategy.scope():
        model = zoo.load(args.model, None, classes=numbered(args.classes), input_shape=shape)
    found = {"demand": asdict(demand_of(model, Recipe(crop=shape[:2]))), "steps": {}, "sums": {}}
    loss = losses.SparseCrossEntropy(ignore_label=255)
    workers = strategy.num_replicas_in_sync
    with computing(model, precision="float32", synchronized=workers > 1):
        settings = Settings(steps=1000, epoch_steps=1000, ignore_label=255)
        flags = {layer.name: layer.trainable for layer in model.layers}
        stepper = KerasStepper(model, loss=loss, settings=settings, strategy=strategy, flags=flags)
        for size in args.batches:
            image = tf.random.stateless_uniform((size, *shape), (1, 2)) * 255
            batch = image, tf.cast(image[..., 0] * args.classes / 256, tf.int32)
            data = tf.data.Dataset.from_tensors(batch).cache().repeat()
            iterator = distributed_iterator(lambda start, data=data: data, strategy=strategy, start=0)
            found["steps"][size] = timed(lambda i=iterator: stepper.step(i, number=0, stop=False))
    if workers > 1:
        found["sums"] = {n: timed(sums(strategy, n))["wall"] for n in (SMALL, LARGE)}
    if is_chief(strategy):
        Path(args.work).write_text(json.dumps(found))


def sums(strategy, numbers: int):
    """A sum of one tensor over all workers."""
    import tensorflow as tf

    from zoo.layers.replicas import replica_sums

    value = tf.ones((numbers,))

    @tf.function
    def run():
        return strategy.run(lambda: tf.reduce_sum(replica_sums([value])[0]))

    return lambda: float(strategy.experimental_local_results(run())[0])


def timed(step) -> dict[str, float]:
    """Median seconds of a step, its computing time in this process, and bytes on the loopback interface."""
    for _ in range(WARM):
        step()
    walls, before, sent = [], busy(), loopback()
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        walls.append(time.perf_counter() - start)
    return {
        "wall": statistics.median(walls),
        "cpu": (busy() - before) / STEPS,
        "bytes": (loopback() - sent) / STEPS,
    }


def busy() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def loopback() -> int:
    """Bytes sent over ``lo`` so far."""
    for row in Path("/proc/net/dev").read_text().splitlines():
        name, _, counts = row.partition(":")
        if name.strip() == "lo":
            return int(counts.split()[8])
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
