"""``zoo weights``: list, fetch, verify and clear published weights; pack one's own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from zoo.cli import import_tensorflow, options, weights_changes
from zoo.errors import InputError, ZooError
from zoo.weights.entry import WeightsEntry

_DESCRIPTION = """\
Published weights: what there is, and what is on this machine.

environment:
  ZOO_CACHE    cache folder
  ZOO_OFFLINE  1 forbids network access
  ZOO_MIRROR   folder or base URL tried first; several separated by ;
"""


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    """Add ``weights`` and its actions to the parser of ``zoo``."""
    parser = subparsers.add_parser(
        "weights",
        help="list, fetch, verify and clear published weights; pack your own",
        description=_DESCRIPTION,
        epilog="example:\n  zoo weights fetch deeplabv3_aspp_mobilenet_v2 --weights voc2012",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="list|fetch|verify|clear|pack|unfold|calibrate"
    )
    _add_action(actions, "list", _list, "list the catalog", "zoo weights list --json -")
    action = _add_action(actions, "fetch", _fetch, "download and verify", "zoo weights fetch --all")
    action.add_argument("--all", action="store_true", help="every entry of the catalog")
    options.add_unverified(action)
    _add_action(
        actions,
        "verify",
        _verify,
        "check size and SHA-256 of the cached files; exit 1 if one is damaged",
        "zoo weights verify deeplabv3_aspp_mobilenet_v2",
    )
    _add_action(
        actions,
        "clear",
        _clear,
        "remove downloaded, partial and converted files",
        "zoo weights clear",
    )
    _add_pack(actions)
    weights_changes.add_parsers(actions)


def _add_action(
    actions: argparse._SubParsersAction,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    example: str,
) -> argparse.ArgumentParser:
    action = actions.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("model", nargs="?", metavar="MODEL", help="only the weights of this model")
    action.add_argument("--weights", metavar="TAG", help="only these weights, such as voc2012")
    options.add_json(action)
    action.set_defaults(run=run)
    return action


def _add_pack(actions: argparse._SubParsersAction) -> None:
    action = actions.add_parser(
        "pack",
        help="write the weights of a trained model as a small file",
        description="Write a trained model's weights, kernels in 16 bits; print size and SHA-256.",
        epilog="example:\n  zoo weights pack run/best.keras camvid.npz",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("source", type=Path, metavar="MODEL.keras", help="as zoo train writes it")
    action.add_argument("target", type=Path, metavar="FILE.npz", help="file to write")
    action.set_defaults(run=_pack)


def _pack(args: argparse.Namespace) -> int:
    import_tensorflow()
    from zoo import provenance
    from zoo.layers.resize import label_set_of
    from zoo.models.loading import arrays_of, read_keras, settings_of
    from zoo.weights import fetch
    from zoo.weights.npz import write_npz

    if args.target.suffix != ".npz":
        raise InputError(f"the file to write ends with .npz, not {args.target.name!r}")
    if not args.source.is_file():
        raise InputError(f"no such file: {args.source}")
    model = read_keras(args.source)
    label_set, settings = label_set_of(model), settings_of(model)
    if settings is None:
        raise InputError(
            f"{args.source.name} does not say how {model.name!r} was built, and its graph is none of the "
            "known ones: load it with zoo.load and its settings, save that model, and pack it"
        )
    about = provenance.to_text(model=model.name, settings=settings, labels=label_set)
    write_npz(args.target, arrays_of(model), classes=len(label_set), about=about)
    print(f"{args.target}: {args.target.stat().st_size} bytes, sha256 {fetch.sha256_of(args.target)}")
    return 0


def _chosen(args: argparse.Namespace) -> list[WeightsEntry]:
    """Entries that MODEL and --weights select; an empty selection is an error."""
    from zoo.models import registry
    from zoo.weights import catalog

    model = registry.ALIASES.get(args.model, args.model)
    if model and args.weights:
        return [catalog.find(model, args.weights)]
    entries = catalog.EVERY if model is None else catalog.entries_of(model)
    entries = [e for e in entries if args.weights in (None, e.tag)]
    if not entries and (args.model or args.weights):
        known = sorted({entry.model if model else entry.tag for entry in catalog.EVERY})
        raise InputError(
            f"the catalog has no weights for {args.model or args.weights!r};"
            f" it knows {', '.join(known) or 'nothing'}"
        )
    return entries


def _list(args: argparse.Namespace) -> int:
    rows = [_row(entry) for entry in _chosen(args)]
    options.write_json(args, rows)
    if not options.prints_text(args):
        return 0
    for row in rows:
        size = "size unknown" if row["bytes"] is None else _human(row["bytes"])
        state = "bundled" if row["bundled"] else "cached" if row["cached"] else "not cached"
        print(f"{row['model']}  {row['weights']}  {size}  {state}")
        print(f"    {_score(row)}labels {row['labels']}, licence {row['licence']}")
    return 0


def _row(entry: WeightsEntry) -> dict[str, object]:
    from zoo.weights import fetch

    path = fetch.cached(entry)
    return {
        "model": entry.model,
        "weights": entry.tag,
        "file": entry.file,
        "urls": list(entry.urls),
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "licence": entry.licence,
        "source": entry.source,
        "labels": entry.labels,
        "metric": entry.metric,
        "score": entry.score,
        "protocol": entry.protocol,
        "bundled": entry.bundled,
        "cached": None if path is None else str(path),
    }


def _score(row: dict[str, object]) -> str:
    if row["score"] is None:
        return ""
    return f"{row['metric']} {row['score']:g} ({row['protocol']}), "


def _fetch(args: argparse.Namespace) -> int:
    from zoo.weights import fetch

    if args.all == bool(args.model):
        raise InputError("zoo weights fetch takes either a MODEL or --all")
    fetched, failed = [], []
    for entry in _chosen(args):
        try:
            path = fetch.fetch(entry, allow_unverified=args.allow_unverified)
        except ZooError as error:
            if not args.all:
                raise
            failed.append({"entry": entry.key, "error": str(error)})
            print(f"zoo: error: {error}", file=sys.stderr)
            continue
        fetched.append({"entry": entry.key, "path": str(path), "bytes": path.stat().st_size})
        if options.prints_text(args):
            print(f"{entry.key}  {path}")
    options.write_json(args, {"fetched": fetched, "failed": failed})
    return 2 if failed else 0


def _verify(args: argparse.Namespace) -> int:
    from zoo.weights import fetch

    states = [
        {"entry": entry.key, "file": entry.file, "state": fetch.verify(entry)} for entry in _chosen(args)
    ]
    options.write_json(args, states)
    if options.prints_text(args):
        for state in states:
            print(f"{state['state']:<10}  {state['entry']}  {state['file']}")
    return 1 if any(state["state"] == "damaged" for state in states) else 0


def _clear(args: argparse.Namespace) -> int:
    from zoo.weights import cache, fetch

    removed = fetch.clear(_chosen(args) if args.model or args.weights else None)
    freed = sum(removed.values())
    files = [{"path": str(path), "bytes": size} for path, size in removed.items()]
    options.write_json(args, {"removed": files, "freed_bytes": freed})
    if not options.prints_text(args):
        return 0
    for path, size in removed.items():
        print(f"removed {path} ({_human(size)})")
    print(f"{len(removed)} files, {freed} bytes freed in {cache.cache_dir()}")
    return 0


def _human(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
