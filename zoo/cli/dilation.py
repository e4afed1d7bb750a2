"""``zoo dilation``: check the rates of stacked dilated convolutions, and draw what they reach."""

from __future__ import annotations

import argparse
import inspect
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from zoo.cli import dilation_sequence, options
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.dilation import ModelCoverage

_EXAMPLES = """\
examples:
  zoo dilation check 1 2 5
  zoo dilation plot 2 2 2 --output gridding.png
"""

_CHECK = """\
examples:
  zoo dilation check 1 2 5
  zoo dilation check 1 2 9 --kernel 5 --json -
  zoo dilation check --causal --kernel 2 --sample-rate 16000 1 2 4 8

The rates are those of layers that follow one another, first layer first; the rule says nothing about
parallel branches. The exact count of pixels that are reached stands beside it. Exits with 0 when they pass
the rule and reach every pixel of their receptive field, 1 when either fails, 2 on bad input.

With --causal or --centered the layers are those of a sequence, in one dimension: any kernel if causal, and
the rule is that each rate, by size, is at most 1 more than what the smaller ones reach.
"""

_PLOT = """\
examples:
  zoo dilation plot 2 2 2 --output gridding.png
  zoo dilation plot --causal --kernel 2 1 2 4 8 16 --output samples.png
  zoo dilation plot --model deeplabv3_aspp --output coverage.png
  zoo dilation plot --model duc_hdc_resnet101 --uniform --output gridding.png

A stack is drawn beside the rates suggested in its place; a model whole and magnified at the centre. With
--uniform a model of hybrid rates is drawn beside the same network with the uniform rates 2 and 4, both on the
map that enters the dilated layers (see --source): seen from the image, the undilated layers before them blend
neighbours, so that holes do not show.
"""


def add_parser(subparsers) -> None:
    """Adds ``dilation`` with its commands ``check`` and ``plot``.

    Args:
        subparsers: What `argparse.ArgumentParser.add_subparsers` returned.
    """
    parser = _parser(subparsers, "dilation", "check and draw the rates of dilated convolutions", _EXAMPLES)
    commands = parser.add_subparsers(dest="dilation_command", required=True, metavar="COMMAND")
    check = _parser(commands, "check", "apply the HDC rule to a stack of layers", _CHECK)
    check.add_argument("rates", nargs="+", metavar="RATE", help="dilation rates, first layer first")
    _add_shared(check)
    check.set_defaults(run=_check)

    plot = _parser(commands, "plot", "draw which input pixels reach an output pixel", _PLOT)
    plot.add_argument("rates", nargs="*", metavar="RATE", help="dilation rates, first layer first")
    options.add_model(plot, usual="none: the rates are drawn")
    plot.add_argument("--layer", metavar="L", help="layer of the model (default: before the resize)")
    plot.add_argument("--source", metavar="L", help="layer whose map stands in for the image")
    plot.add_argument("--uniform", action="store_true", help="draw the model beside one of uniform rates")
    plot.add_argument("--output", required=True, metavar="FILE", help=".png, .svg or .pdf to write")
    _add_shared(plot)
    plot.set_defaults(run=_plot)


def _parser(subparsers, name: str, text: str, epilog: str) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kernel", metavar="K", help="odd kernel size of the layers (default: 3)")
    dilation_sequence.add_options(parser)
    options.add_json(parser)


def _check(args: argparse.Namespace) -> int:
    if dilation_sequence.is_meant(args):
        return dilation_sequence.check(args)
    facts = _stack_facts(args)
    options.write_json(args, facts)
    if options.prints_text(args):
        print("\n".join(_check_lines(facts)))
    return 0 if facts["ok"] else 1


def _plot(args: argparse.Namespace) -> int:
    from zoo import dilation

    if bool(args.rates) == (args.model is not None):
        raise InputError("give either rates or --model NAME to draw")
    is_sequence = dilation_sequence.is_meant(args)
    dilation.check_path(args.output)  # before any model is built
    if is_sequence:
        return dilation_sequence.plot(args)
    facts = _plot_stack(args) if args.rates else _plot_model(args)
    options.write_json(args, facts)
    if options.prints_text(args):
        height, width = facts["receptive_field"]
        print(f"receptive field {height} × {width}, {facts['holes']} holes; wrote {facts['output']}")
    return 0


def _plot_stack(args: argparse.Namespace) -> dict:
    from zoo import dilation

    if args.layer is not None or args.source is not None or args.uniform:
        raise InputError("--layer, --source and --uniform belong to --model; rates have no layers")
    facts = _stack_facts(args)
    path = dilation.plot(facts["rates"], kernel=facts["kernel"], path=args.output)
    side = facts["receptive_field"]
    return {**facts, "receptive_field": [side, side], "output": str(path)}


def _plot_model(args: argparse.Namespace) -> dict:
    if args.kernel is not None:
        raise InputError("--kernel belongs to rates; a model has its own kernels")
    import zoo
    from zoo import dilation

    model, source, beside = zoo.load(args.model, weights=None), args.source, None
    if args.uniform:
        source = source or dilation.dilation_input(model, layer=args.layer)
        uniform = dilation.analyse(_with_uniform_rates(args.model), layer=args.layer, source=source)
        beside = replace(uniform, model="the same network, uniform rates")
    found = dilation.analyse(model, layer=args.layer, source=source)
    shown = replace(found, model=f"{found.model}, hybrid rates") if args.uniform else found
    path = dilation.plot_model(shown, beside=beside, path=args.output)
    facts = _model_facts(found)
    if beside is not None:
        facts["uniform"] = _model_facts(uniform)
    return {**facts, "output": str(path)}


def _with_uniform_rates(name: str):
    """The model of that name with the rates that refused strides give, gridding and all."""
    from zoo import labels
    from zoo.models import registry

    spec = registry.resolve(name)
    build = spec.build()
    if "allow_gridding" not in inspect.signature(build).parameters:
        raise InputError(f"--uniform: {spec.name} has no hybrid rates to compare with")
    settings = {**spec.settings, "rates": "uniform", "allow_gridding": True, "name": spec.name}
    return build(label_set=labels.resolve(spec.labels), **settings)


def _model_facts(found: ModelCoverage) -> dict:
    reached, pixels = found.reached
    return {
        "model": found.model,
        "layer": found.layer,
        "source": found.source,
        "output_stride": list(found.output_stride),
        "receptive_field": list(found.receptive_field),
        "holes": pixels - reached,
        "rates": [list(rates) for rates in found.rates],
        "context": list(found.context),
        "assumed_pointwise": list(found.assumed_pointwise),
    }


def _stack_facts(args: argparse.Namespace) -> dict:
    """The report of the rule, what the stack reaches, and the suggestion, as plain values."""
    from zoo import dilation

    rates = [_whole(text, "each rate") for text in args.rates]
    kernel = 3 if args.kernel is None else _whole(args.kernel, "the kernel size")
    report = dilation.check(rates, kernel=kernel)
    reached, pixels = dilation.reached(rates, kernel=kernel)
    return {
        **asdict(report),
        "m2": report.m2,
        "receptive_field": dilation.receptive_field(rates, kernel=kernel),
        "pixels": pixels,
        "holes": pixels - reached,
        "ok": report.passes and reached == pixels,
        "suggestion": dilation.suggest(rates, kernel=kernel),
    }


def _whole(text: str, what: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{what} must be a whole number; got {text!r}") from None


def _check_lines(facts: dict) -> list[str]:
    from zoo import dilation

    rates, side = _dashed(facts["rates"]), facts["receptive_field"]
    verdict = "pass" if facts["ok"] else "fail"
    m_values = ", ".join(f"M_{i} = {m}" for i, m in enumerate(facts["m"], 1))
    share = 100 * (1 - facts["holes"] / facts["pixels"])
    lines = [
        f"{rates} with kernel {facts['kernel']}: {verdict}",
        *(f"  because {reason}" for reason in facts["reasons"]),
        *(["  because pixels of the receptive field are never reached"] if facts["holes"] else []),
        f"rule             {'pass' if facts['passes'] else 'fail'} (M_2 and common factor)",
        f"M values         {m_values}",
        f"common factor    {facts['common_factor']}",
        f"receptive field  {side} × {side} pixels",
        f"holes            {facts['holes']} of {facts['pixels']} pixels ({share:.1f} % reached)",
        *(f"advice           {advice}" for advice in facts["advice"]),
    ]
    if facts["suggestion"] != facts["rates"]:
        wider = dilation.receptive_field(facts["suggestion"], kernel=facts["kernel"])
        lines.append(
            f"suggestion       {_dashed(facts['suggestion'])}: passes without holes, "
            f"receptive field {wider} × {wider}"
        )
    return lines


def _dashed(rates: tuple[int, ...]) -> str:
    return "-".join(map(str, rates))
