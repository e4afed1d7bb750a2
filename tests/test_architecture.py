"""Imports run one way: between rooms as `support.rooms` allows, and never from one test to another."""

import json
import os
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from support.imports import REPOSITORY, imported_names, imports, modules
from support.rooms import ROOMS, may_import, outer, room_of

TESTS = Path(__file__).parent


def test_the_table_has_no_circle():
    """Each room names only rooms that stand before it, so that no chain of imports comes back."""
    before = set()
    for room, allowed in ROOMS.items():
        assert set(allowed) <= before, (room, set(allowed) - before)
        before.add(room)


def test_rooms_within_one_another_close_no_circle():
    """Nor does a chain come back to `export`, say, by way of another of its rooms."""
    allowed = {room: set() for room in map(outer, ROOMS)}
    for room, names in ROOMS.items():
        allowed[outer(room)] |= {outer(name) for name in names} - {outer(room)}
    tuple(TopologicalSorter(allowed).static_order())  # raises CycleError, which names the circle


def test_every_module_has_a_room():
    assert [name for name in modules() if room_of(name) is None] == []


def test_imports_follow_the_table():
    wrong = []
    for importer, imported, place in imports():
        a, b = room_of(importer), room_of(imported)
        if not (may_import(a, b) if b else a == "cli"):
            wrong.append(f"{place}: {importer} imports {imported}; {a or 'zoo'} may not import {b or 'zoo'}")
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    [
        "import zoo.models.loading",
        "from zoo.models import loading",
        "from zoo.models.loading import load",
        "from . import loading",
        "from .loading import load",
        "from ..models import loading",
        "def f():\n    from zoo.models.loading import load",
        "if TYPE_CHECKING:\n    from zoo.models.loading import load",
        "HOMES = {'load': 'zoo.models.loading'}",
        "HOME = 'zoo.models.loading:load'",
    ],
)
def test_imports_of_every_form_are_seen(line):
    known = modules()
    found = list(imported_names(line, "zoo.models.registry", known))
    assert found == [("zoo.models.loading", line.count("\n") + 1)]


def test_no_test_imports_another():
    """Nor does the source of a program that a test runs."""
    line = re.compile(r"^\s*(?:from|import)\s+(?:[\w.]+\.)?(?:test_\w+|conftest)\b", re.MULTILINE)
    wrong = []
    for path in sorted(TESTS.rglob("*.py")):
        source = path.read_text("utf-8")
        for match in line.finditer(source):
            wrong.append(f"{path.relative_to(REPOSITORY)}:{source.count(chr(10), 0, match.end()) + 1}")
    assert not wrong, wrong


def run(code: str):
    """What a new process prints as JSON, with the checkout on its path and nothing else of this one."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_a_checkout_holds_two_mapped_packages_and_no_other():
    code = """
import importlib.util, json, zoo
names = ("weights", "export", "setup", "tests", "zoo", "benchmarks")
print(json.dumps({name: importlib.util.find_spec(f"zoo.{name}") is not None for name in names}))
"""
    found = run(code)
    assert [name for name, there in found.items() if there] == ["weights", "export"]


def test_packages_are_attributes_of_zoo():
    assert run("import json, zoo; print(json.dumps(callable(zoo.export.to_tflite)))")


LOADED = """
import json, sys
print(json.dumps(sorted({"tensorflow", "keras", "tf_keras", "numpy", "PIL"} & set(sys.modules))))
"""


def test_import_zoo_is_light():
    assert run("import zoo" + LOADED) == []


@pytest.mark.parametrize("command", ["list", "--help"])
def test_commands_that_only_print_load_no_framework(command):
    code = f"""
import contextlib, zoo.cli
with contextlib.suppress(SystemExit):
    zoo.cli.main([{command!r}])
"""
    assert set(run(code + LOADED)) <= {"numpy"}
