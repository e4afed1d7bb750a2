"""Every block of code in the documents runs, in the order of its page, or says before it why it does not."""

import re
import shlex
import shutil

import numpy as np
import pytest
import rasterio
import soundfile
from rasterio.transform import from_origin
from support.code_blocks import REPOSITORY, blocks, pages
from support.drawn_images import draw_folder
from support.nam_files import write_nam

from zoo.cli import main

CITY = REPOSITORY / "examples" / "city.jpg"
PLACE = from_origin(500000, 5400000, 0.5, 0.5)
ALL = {path: list(blocks(path)) for path in pages()}
EACH = [block for found in ALL.values() for block in found]
RUN = [path for path, found in ALL.items() if any(block.kind in ("", "run with") for block in found)]
EXTRA = re.compile(r'pip install (?:-e )?["\']?(?:atrous-zoo|\.)\[([a-z,]+)\]["\']?$')
PIP = re.compile(r"pip install \.$")


def by_place(block):
    return block.place


@pytest.mark.parametrize("block", EACH, ids=by_place)
def test_what_is_not_run_says_why(block):
    """A reason is a sentence, and the tests that it names are there."""
    if block.kind in ("not run", "run in"):
        assert len(block.said) > 20
        assert [
            name for name in re.findall(r"tests/[\w/.]*", block.said) if not (REPOSITORY / name).exists()
        ] == []


@pytest.mark.parametrize("block", [b for b in EACH if b.kind == "run in"], ids=by_place)
def test_a_block_that_a_test_runs_is_the_one_of_readme(block):
    test = (REPOSITORY / block.said).read_text("utf-8")
    assert "README" in test or "transfer_learning.py" in test
    assert block.text in (REPOSITORY / "README.md").read_text("utf-8")


def test_there_are_blocks_of_each_kind():
    kinds = [block.kind for block in EACH]
    assert {"", "not run", "run in", "run with"} == set(kinds)
    assert kinds.count("") + kinds.count("run with") >= 12


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the pages speak of: photographs, a data set, a map and a sound."""
    (tmp_path / "examples").mkdir()
    shutil.copy(CITY, tmp_path / "examples")
    shutil.copy(CITY, tmp_path / "street.jpg")
    draw_folder(tmp_path / "mine", count=8, size=80, seed=0)
    write_nam(tmp_path / "amp.nam")
    chance = np.random.default_rng(0)
    soundfile.write(tmp_path / "in.wav", chance.uniform(-0.5, 0.5, 4800).astype(np.float32), 48000)
    pixels = chance.integers(0, 256, (3, 150, 190), dtype=np.uint8)
    shape = {"driver": "GTiff", "count": 3, "height": 150, "width": 190, "dtype": "uint8"}
    with rasterio.open(tmp_path / "town.tif", "w", crs="EPSG:32632", transform=PLACE, **shape) as target:
        target.write(pixels)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    return tmp_path


@pytest.mark.parametrize("path", RUN, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_the_blocks_of_a_page_run(path, folder):
    names = {"images": np.zeros((1, 65, 97, 3), np.float32)}
    for block in ALL[path]:
        if block.kind in ("not run", "run in"):
            continue
        if block.language == "python":
            exec(compile(block.text, block.place, "exec"), names)
        else:
            added = dict(part.strip().split(" ", 1) for part in block.said.split(";") if part)
            for line in block.commands():
                run(line, added=added, place=block.place)


def run(line, *, added, place):
    """One line of shell. Installing is what made this environment: such a line must name what there is."""
    command, _, comment = line.partition("  #")
    for part in command.split(" && "):
        extra = EXTRA.match(part.strip())
        if extra:
            extras = (REPOSITORY / "pyproject.toml").read_text("utf-8")
            assert all(re.search(rf"^{name} = \[", extras, re.MULTILINE) for name in extra[1].split(",")), (
                part
            )
        elif not PIP.match(part.strip()):
            program, *words = shlex.split(part)
            assert program == "zoo", f"{place}: {part!r} needs a comment that says why it is not run"
            expected = int((re.search(r"status (\d)", comment) or [0, 0])[1])
            assert status_of([*words, *shlex.split(added.get(words[0], ""))]) == expected, f"{place}: {part}"


def status_of(words):
    try:
        return main(words)
    except SystemExit as error:  # of --help
        return error.code
