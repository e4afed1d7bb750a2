"""``zoo dilation`` for stacks of 1-D convolutions: ``--causal`` and ``--centered``."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from zoo.cli import options
from zoo.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds what makes a stack one of a sequence."""
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--causal",
        action="store_true",
        help="1-D layers that read the past (any --kernel, also one per layer: 6,15)",
    )
    kind.add_argument("--centered", action="store_true", help="1-D layers that read both sides")
    parser.add_argument(
        "--sample-rate", metavar="HZ", help="samples per second, for the field in milliseconds"
    )


def is_meant(args: argparse.Namespace) -> bool:
    """Whether the layers are those of a sequence."""
    meant = args.causal or args.centered
    if args.sample_rate is not None and not meant:
        raise InputError("--sample-rate belongs to --causal or --centered: pixels have none")
    if meant and getattr(args, "model", None) is not None:
        raise InputError("--causal and --centered belong to rates; a model has its own layers")
    return meant


def check(args: argparse.Namespace) -> int:
    """Prints what the stack reaches; 0 where that is every sample of its field, else 1."""
    facts = _facts(args)
    options.write_json(args, facts)
    if options.prints_text(args):
        print("\n".join(_lines(facts)))
    return 0 if facts["passes"] else 1


def plot(args: argparse.Namespace) -> int:
    """Draws the stack."""
    from zoo import dilation

    facts = _facts(args)
    path = dilation.plot_sequence(
        [facts["rates"]],
        kernel=facts["kernels"],
        causal=args.causal,
        sample_rate=facts["sample_rate"],
        path=args.output,
    )
    options.write_json(args, {**facts, "output": str(path)})
    if options.prints_text(args):
        print(f"receptive field {facts['receptive_field']} samples, {facts['holes']} holes; wrote {path}")
    return 0


def _facts(args: argparse.Namespace) -> dict:
    from zoo import dilation

    rates = [_number(text, "each rate", int) for text in args.rates]
    texts = ("2" if args.causal else "3") if args.kernel is None else args.kernel
    kernels = [_number(text, "the kernel size", int) for text in texts.split(",")]
    report = dilation.check_sequence(rates, kernel=kernels, causal=args.causal)
    facts = {**asdict(report), "sample_rate": None, "milliseconds": None}
    if args.sample_rate is not None:
        facts["sample_rate"] = _number(args.sample_rate, "the sample rate", float)
        facts["milliseconds"] = report.milliseconds(facts["sample_rate"])
    return facts


def _number(text: str, what: str, kind: type):
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"{what} must be a {'whole ' * (kind is int)}number; got {text!r}") from None


def _lines(facts: dict) -> list[str]:
    kernels = ", ".join(map(str, dict.fromkeys(facts["kernels"])))
    kind = "causal" if facts["causal"] else "symmetric"
    field = f"{facts['receptive_field']:,} samples"
    if facts["milliseconds"] is not None:
        field += f", {facts['milliseconds']:.2f} ms at {facts['sample_rate']:g} Hz"
    share = 100 * (1 - facts["holes"] / facts["receptive_field"])
    first, last = facts["offsets"]
    return [
        f"{'-'.join(map(str, facts['rates']))}, {kind}, with kernel {kernels}: "
        f"{'pass' if facts['passes'] else 'fail'}",
        *(f"  because {reason}" for reason in facts["reasons"]),
        f"receptive field  {field}, from {first} to {last}",
        f"holes            {facts['holes']:,} of {facts['receptive_field']:,} ({share:.1f} % reached)",
        f"paths            {facts['fewest']:,} to {facts['most']:,} from each sample",
    ]
