"""``zoo data-service``: a dispatcher and workers that read and augment batches for trainings elsewhere."""

from __future__ import annotations

import argparse
import signal
import threading

from zoo.cli import import_tensorflow
from zoo.errors import InputError

_DESCRIPTION = """\
Start the dispatcher of a tf.data service and one worker that uses all cores of this machine; with
--join only a worker, which takes its share of an older dispatcher's work. Runs until it is
interrupted. Trainings take their batches from it with --data-service; records must stand under the
same paths here. Whoever reaches the port can run TensorFlow programs: open it to your machines only.
"""
_EPILOG = """\
examples:
  zoo data-service --port 5050
  zoo data-service --join trainer:5050 --host reader-1
  zoo train deeplabv3_aspp --dataset records --data records/ --data-service grpc://trainer:5050 --output run/
"""


def add_parser(subparsers) -> None:
    """Add the parser of ``data-service``."""
    parser = subparsers.add_parser(
        "data-service",
        help="read and augment records for trainings elsewhere",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, metavar="N", help="of the server on this machine (5050; with --join any)")
    add("--host", default="127.0.0.1", metavar="NAME", help="name of this machine for others (127.0.0.1)")
    add("--join", metavar="HOST:PORT", help="dispatcher to work for")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    if args.port is not None and not 0 <= args.port <= 65535:
        raise InputError(f"--port must be from 0 to 65535, not {args.port}")
    import_tensorflow()
    import tensorflow as tf

    service = tf.data.experimental.service
    try:
        if args.join is None:
            port = 5050 if args.port is None else args.port
            dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
            inside = dispatcher.target.partition("://")[2]  # whatever others call this machine
            servers = (_worker(service, inside, args.host, 0), dispatcher)
            told = f"grpc://{args.host}:{inside.rpartition(':')[2]}"
        else:
            servers = (_worker(service, args.join, args.host, args.port or 0),)
            told = f"works for grpc://{args.join}"
    except (tf.errors.OpError, RuntimeError) as error:
        raise InputError(f"cannot serve: {str(error).strip().splitlines()[0]}") from error
    _until_signal(told)
    del servers  # the worker ends before its dispatcher
    return 0


def _worker(service, dispatcher: str, host: str, port: int):
    config = service.WorkerConfig(
        dispatcher_address=dispatcher,
        worker_address=f"{host}:%port%",
        port=port,
        dispatcher_timeout_ms=10_000,
    )
    return service.WorkerServer(config)


def _until_signal(told: str) -> None:
    """Say that it serves, and wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(told, flush=True)
    stop.wait()
