"""A module that tells when it is imported or called, and pickles that want it."""

import pickle

from support.torch_files import ORDERED, Call, Name, Raw

SOURCE = """
import pathlib
PLACE = pathlib.Path({place!r})
PLACE.touch()

def run(*arguments, **named):
    PLACE.touch()
    return Kind()

class Kind(dict):
    def __new__(cls, *arguments, **named):
        PLACE.touch()
        return super().__new__(cls)

    def __setstate__(self, state):
        PLACE.touch()
"""
RUN, KIND = Name("canary", "run"), Name("canary", "Kind")
_GET = Name("builtins", "getattr")


def paths(root):
    """By name, pickles that make objects of the module in every way there is, around or beside `root`."""
    text = pickle.BINUNICODE + b"\x01\x00\x00\x00a"
    run, kind = b"ccanary\nrun\n", b"ccanary\nKind\n"
    ways = {
        "REDUCE": run + b"(" + text + b"tR",
        "REDUCE and BUILD": run + b")R" + b"}b",
        "INST": b"(" + text + b"icanary\nKind\n",
        "OBJ": b"(" + kind + text + b"o",
        "NEWOBJ": kind + b")\x81",
        "NEWOBJ and BUILD": kind + b")\x81}b",
        "NEWOBJ_EX": kind + b")}\x92",
        "STACK_GLOBAL": b"\x8c\x06canary\x8c\x03run\x93)R",
        "getattr": b"cbuiltins\ngetattr\n(" + kind + text + b"tR)R",
        "copyreg": b"ccopyreg\n_reconstructor\n(" + kind + b"cbuiltins\nobject\nNtR",
        "what a call gave": run + b")R)R",
        "items of an object": kind + b")\x81(" + text + run + b")Ru",
        "elements of an object": b"ccollections\ndeque\n)R(" + run + b")Re",
        "a name alone": kind,
        "argument of a tensor": b"ctorch._utils\n_rebuild_parameter_with_state\n(" + run + b")R\x88NNtR",
        "partial": b"cfunctools\npartial\n(" + run + b"tR}b",
        "operator": b"coperator\nmethodcaller\n(X\x03\x00\x00\x00runtR(" + b"ccanary\nrun\n" + b"tR",
    }
    for name, way in ways.items():
        yield name, {"model": root, "other": Raw(way)}
    yield "as a key", {"model": root, "other": Raw(b"}(" + kind + b")\x81Nu")}
    yield "as the state", {"model": root, "other": Call(ORDERED, state=Call(RUN))}
    yield "as a hook", {"model": root, "other": Call(ORDERED, [["k", Call(_GET, KIND, "run")]])}
