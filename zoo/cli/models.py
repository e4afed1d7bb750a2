"""``zoo list`` and ``zoo info``: what models there are, without importing TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import re

from zoo.cli import options
from zoo.models import registry
from zoo.sequence.table import SEQUENCE_MODELS, SequenceSpec
from zoo.weights import catalog
from zoo.weights.entry import WeightsEntry


def add_parser(subparsers) -> None:
    """Add the parsers of ``list`` and ``info``."""
    listing = subparsers.add_parser(
        "list",
        help="list the models and their weights",
        description="List the models, their sizes and the weights that can be loaded.",
        epilog="example:\n  zoo list --architecture deeplabv3_aspp",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--architecture", help="only models of this architecture")
    options.add_json(listing)
    listing.set_defaults(run=run_list)
    about = subparsers.add_parser(
        "info",
        help="tell everything about one model",
        description="Paper, size, weights, scores with their protocol, and licences of one model.",
        epilog="example:\n  zoo info deeplabv3_aspp",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    about.add_argument("model", metavar="MODEL", help="name of a model, or of an architecture")
    options.add_json(about)
    about.set_defaults(run=run_info)


def _plain(info: registry.ModelInfo) -> dict:
    """An info as JSON data; `dataclasses.asdict` cannot copy its read-only mappings."""
    values = {f.name: getattr(info, f.name) for f in dataclasses.fields(info)}
    found = {k: dict(v) if hasattr(v, "keys") else v for k, v in values.items()}
    return {"task": "segmentation", **found}


def _score(entry: WeightsEntry) -> str:
    return (
        "–" if entry.score is None else f"{entry.metric} {entry.score:.{_digits(entry)}f}, {entry.protocol}"
    )


def _digits(entry: WeightsEntry) -> int:
    """Decimals of a score: percentages have two, correlations three."""
    return 3 if entry.score is not None and abs(entry.score) < 1 else 2


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _facts(spec: registry.ModelSpec) -> tuple[str, ...]:
    facts = spec.facts
    cost = f"{facts.multiply_adds / 1e9:.1f} G"
    return f"{facts.parameters / 1e6:.2f} M", cost, str(facts.output_stride), str(facts.receptive_field)


def _rows(names: list[str]) -> list[tuple[str, ...]]:
    """A header, then for each model one row per tag; a model without weights has one row too."""
    rows = [("model", "parameters", "mult-adds", "stride", "field", "weights", "licence", "score, protocol")]
    for name in names:
        spec = registry.resolve(name)
        head = (spec.name, *_facts(spec))
        for entry in spec.weights:
            default = "*" if entry.tag == spec.default_weights else ""
            licence = re.split(r"[;(]", entry.licence)[0].strip()
            rows.append((*head, entry.tag + default, licence, _score(entry)))
            head = ("",) * len(head)
        if not spec.weights:
            rows.append((*head, "none", "–", "–"))
    return rows


def run_list(args: argparse.Namespace) -> int:
    """Print one line for each model and tag."""
    names = registry.list_models(args.architecture)
    # Models of sequences have no architecture that images know.
    sequences = list(SEQUENCE_MODELS.values()) if args.architecture is None else []
    if args.json is not None:
        rows = [_plain(registry.info(name)) for name in names]
        options.write_json(args, [*rows, *map(dataclasses.asdict, sequences)])
    if not options.prints_text(args):
        return 0
    print(_table(_rows(names)))
    aliases = ", ".join(f"{a} = {n}" for a, n in registry.ALIASES.items() if n in names)
    print("\n* default weights. mult-adds: convolutions at 513x513. field: receptive field in pixels.")
    print(f"Short names: {aliases}")
    if sequences:
        rows = [("model of sequences", "task", "weights", "use")]
        rows += [(row.name, row.task, _weights_of(row), row.command) for row in sequences]
        print(f"\n{_table(rows)}")
    return 0


def _weights_of(spec: SequenceSpec) -> str:
    """The tags of a model of sequences, the default marked, or the kinds of file that it takes."""
    tags = [tag + "*" if tag == spec.default else tag for tag in spec.weights]
    return " ".join(tags) or "a file: " + " ".join(spec.files)


def run_info(args: argparse.Namespace) -> int:
    """Print everything about one model."""
    if args.model in SEQUENCE_MODELS:
        return _sequence_info(args, SEQUENCE_MODELS[args.model])
    info = registry.info(args.model)
    options.write_json(args, _plain(info))
    if not options.prints_text(args):
        return 0
    print(f"{info.name}\n  architecture  {info.architecture}\n  backbone      {info.backbone}")
    print(f"  paper         {info.paper}\n  parameters    {info.parameters:,} without weights")
    print(f"  mult-adds     {info.multiply_adds / 1e9:.2f} billion at 513x513")
    print(f"  output stride {info.output_stride}\n  field         {info.receptive_field} pixels")
    print(f"  files         {' '.join(info.files)}")
    for entry in registry.resolve(info.name).weights:
        _print_entry(entry, is_default=entry.tag == info.default_weights)
    return 0


def _print_entry(entry: WeightsEntry, *, is_default: bool) -> None:
    default = " (default)" if is_default else ""
    print(f"\n  weights {entry.tag}{default}\n    score    {_score(entry)}\n    labels   {entry.labels}")
    print(f"    licence  {entry.licence}\n    source   {entry.source}\n    file     {entry.file}")
    start = f"{entry.sha256_start}…, the rest never published" if entry.sha256_start else None
    print(f"    sha256   {entry.sha256 or start or 'never published'}")


def _sequence_info(args: argparse.Namespace, spec: SequenceSpec) -> int:
    options.write_json(args, dataclasses.asdict(spec))
    if options.prints_text(args):
        print(f"{spec.name}\n  task          {spec.task}\n  paper         {spec.paper}")
        print(f"  takes         {spec.takes}\n  files         {' '.join(spec.files)}")
        print(f"  use           {spec.command}")
        for tag in spec.weights:
            _print_entry(catalog.find(spec.name, tag), is_default=tag == spec.default)
    return 0
