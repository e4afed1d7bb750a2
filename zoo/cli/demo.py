"""``zoo demo``: a web page that segments pictures and the camera in the browser."""

from __future__ import annotations

import argparse
import contextlib
import signal
import tempfile
from pathlib import Path

from zoo.cli import opening, options
from zoo.errors import InputError

_DEFAULT = "deeplabv3_aspp"
_PORT = 8000
_DESCRIPTION = """\
Segment pictures and the camera on a web page, wholly in the browser: no picture leaves the device.
The page is served to this machine alone, or written as a folder for any web server, from which it
can be installed and used without a network. A MODEL is exported once and kept in the cache; files
that were exported already are taken as they are. The browser's runtimes are npm packages of pinned
versions: from --runtime DIR, from a node_modules at hand, or downloaded once and verified.
"""
_EPILOG = """\
examples:
  zoo demo
  zoo demo deeplabv3_aspp mine.onnx --port 8080
  zoo demo --output site/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="a web page that segments pictures and the camera",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("models", metavar="MODEL|FILE", nargs="*", help=f"models, .tflite and .onnx files ({_DEFAULT})")
    options.add_weights(parser)
    options.add_input_size(parser, usual="360x480")
    add("--onnx", action="store_true", help="export models as ONNX instead of TFLite")
    add("--runtime", type=Path, metavar="DIR", help="folder with the npm packages of the runtimes")
    add("--port", type=int, default=_PORT, metavar="N", help=f"of the server on this machine ({_PORT})")
    add("--output", type=Path, metavar="DIR", help="write the page into a folder instead of serving it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the folder, or serve it until interrupted."""
    from zoo.demo.server import serve
    from zoo.demo.site import check_folder, write_site

    names = args.models or [_DEFAULT]
    # What can be wrong of the folder or the port is said before the minutes that an export takes.
    if args.output is not None:
        check_folder(args.output)
        size = write_site(args.output, [_artifact(name, args) for name in names], runtime=args.runtime)
        print(f"{args.output}  {size / 1e6:.1f} MB, for any web server; https or localhost")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        site = Path(folder, "site")
        with serve(site, port=args.port) as server:
            write_site(site, [_artifact(name, args) for name in names], runtime=args.runtime)
            _run(server)
    return 0


def _run(server) -> None:
    """Until interrupted."""
    print(f"http://localhost:{server.server_address[1]}/  (Ctrl+C ends it)", flush=True)
    # Ended from elsewhere, it takes its temporary folder along as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def _artifact(name: str, args: argparse.Namespace):
    """The opened file, or that of a model, which is exported where it is not in the cache."""
    from zoo.demo import models
    from zoo.export.opening import is_artifact, open_artifact

    if is_artifact(name):
        if opening.needs_tensorflow(name):
            raise InputError(f"{name}: the page runs .tflite and .onnx files, no SavedModel")
        return open_artifact(name)
    if Path(name).exists():
        raise InputError(f"{name}: the page runs .tflite and .onnx files")
    form = "onnx" if args.onnx else "tflite"
    size = args.input_size or models.DEFAULT_SIZE
    path = models.place_of(name, weights=args.weights, format=form, size=size)
    if not path.is_file():
        _export(name, path, args, form=form, size=size)
    return open_artifact(path)


def _export(name: str, path: Path, args: argparse.Namespace, *, form: str, size: tuple[int, int]) -> None:
    from zoo.cli.export import tell
    from zoo.cli.quantization import native_output_hidden
    from zoo.demo import models, runtimes

    for _ in runtimes.files(form, folder=args.runtime):
        pass  # they are there
    opening.quiet_tensorflow()
    tell(f"exporting {name} to {path}")
    model = opening.load_model(name, args.weights or "default", allow_unverified=args.allow_unverified)
    with native_output_hidden():
        models.export_to(path, model, format=form, size=size)
