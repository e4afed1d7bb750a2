"""``zoo train --plan``: what a training will need, without training."""

from __future__ import annotations

import argparse

from zoo.cli import import_tensorflow, opening, options
from zoo.errors import InputError

_USUAL = (1, 8, 64)


def add_plan(parser: argparse.ArgumentParser) -> None:
    """``--plan DEVICE`` and ``--plan-workers``."""
    add = parser.add_argument_group("plan").add_argument
    text = (
        "print memory, multiply-adds, bytes exchanged and expected scaling on v100, a100 or h100; no training"
    )
    add("--plan", metavar="DEVICE", help=text)
    usual = ",".join(map(str, _USUAL))
    add("--plan-workers", type=_counts, default=_USUAL, metavar="N,N,…", help=f"numbers of devices ({usual})")
    options.add_json(parser)


def _counts(text: str) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"must be numbers of devices such as 1,8,64, not {text!r}")
    return tuple(int(part) for part in parts)


def run_plan(args: argparse.Namespace, recipe) -> int:
    """Print the plan; data are opened only where they are named."""
    from zoo.training.devices import known_device

    device = known_device(args.plan, precision=recipe.precision)
    data = None
    if args.dataset is not None and args.data is not None:
        data = options.open_dataset(args)
    classes = opening.classes_of(args.classes) if data is None else data.label_set
    if classes is None:
        raise InputError("a plan needs the classes: --classes N, or --dataset and --data")
    import_tensorflow()
    from zoo.training.plan import demand_of, scaling

    wishes = {"classes": classes, "input_shape": (*recipe.crop, 3)}
    if args.set:
        wishes["settings"] = dict(args.set)
    if recipe.auxiliary:
        wishes["auxiliary"] = True
    if args.output_stride is not None:
        wishes["output_stride"] = args.output_stride
    demand = demand_of(opening.load_model(args.model, "none", **wishes), recipe)
    steps = [scaling(demand, device, batch_size=recipe.batch_size, workers=n) for n in args.plan_workers]
    document = _document(args, recipe, demand, device, steps, images=data and len(data))
    options.write_json(args, document)
    if options.prints_text(args):
        _print(document)
    return 0


def _document(args, recipe, demand, device, steps, *, images: int | None) -> dict:
    rows = [
        {
            "devices": step.workers,
            "images": step.images,
            "memory": demand.memory(step.images),
            "multiply_adds": 3 * demand.multiply_adds * step.images,
            "step_seconds": step.seconds,
            "exchange_seconds": step.exchange,
            "sent_bytes": step.sent,
            "images_per_second": step.images_per_second,
            "efficiency": step.efficiency,
            "epoch_seconds": None if images is None else images / step.images_per_second,
        }
        for step in steps
    ]
    return {
        "model": args.model,
        "device": device.name,
        "device_memory": device.memory,
        "crop": list(recipe.crop),
        "batch_size": recipe.batch_size,
        "precision": recipe.precision,
        "parameters": demand.parameters,
        "exchanged_bytes": demand.exchanged,
        "messages": demand.tensors,
        "rate": device.rate,
        "links": {"near": vars(device.near), "far": vars(device.far)},
        "scaling": rows,
    }


def _print(plan: dict) -> None:
    crop = "x".join(map(str, plan["crop"]))
    print(
        f"{plan['model']}, {crop}, batch {plan['batch_size']}, {plan['precision']}: a plan, not a measurement"
    )
    size = f"{plan['exchanged_bytes'] / 1e6:.1f} MB in {plan['messages']} tensors"
    print(f"  {plan['parameters'] / 1e6:.1f} M parameters; {size} are summed over the devices in each step")
    near, far = (plan["links"][name] for name in ("near", "far"))
    links = f"{near['beta'] / 1e9:g} GB/s within 8 devices, {far['beta'] / 1e9:g} GB/s beyond"
    print(f"  {plan['device']}: taken for {plan['rate'] / 1e12:.1f} T multiply-adds/s, {links}")
    heads = "devices  images  memory GiB  T mult-adds  step s  exchange s  sent MB  images/s  efficiency"
    print(f"  {heads}  epoch s")
    for row in plan["scaling"]:
        memory = sum(row["memory"].values())
        full = "" if memory <= plan["device_memory"] else f"  more than {plan['device_memory'] >> 30} GiB"
        epoch = "-" if row["epoch_seconds"] is None else f"{row['epoch_seconds']:.1f}"
        print(
            f"  {row['devices']:>7}  {row['images']:>6}  {memory / (1 << 30):>10.2f}  "
            f"{row['multiply_adds'] / 1e12:>11.2f}  {row['step_seconds']:>6.3f}  "
            f"{row['exchange_seconds']:>10.4f}  {row['sent_bytes'] / 1e6:>7.1f}  "
            f"{row['images_per_second']:>8.1f}  {row['efficiency']:>10.2f}  {epoch:>7}{full}"
        )
