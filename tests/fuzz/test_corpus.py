"""Every reader on the corpus and on damaged copies of it: what fuzzing looks for, without its tools."""

import os
import random
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from fuzz import labels
from fuzz.targets import TARGETS, attempt

FUZZ = Path(__file__).parent
SEEDS = [
    (name, path) for name in TARGETS for path in sorted((FUZZ / "corpus" / name).iterdir()) if path.is_file()
]
MUTATIONS = 80  # of each file


def mutated(content: bytes, random: random.Random) -> bytes:
    """A copy with a few bytes or numbers changed, parts repeated, or an end cut off."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 8))):
        place = random.randrange(len(data) + 1)
        kind = random.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << random.randrange(8)
        elif kind == 1:
            data[place : place + 4] = random.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
        elif kind == 2:
            data[place : place + 8] = b"\xff\xff\xff\xff\xff\xff\xff\x7f"
        elif kind == 3:
            data[place:place] = data[place : place + random.randrange(1, 64)]
        elif kind == 4:
            del data[place : place + random.randrange(1, 16)]
        else:
            del data[place:]
    return bytes(data)


@pytest.mark.parametrize("name, path", SEEDS, ids=lambda value: getattr(value, "name", value))
def test_corpus_and_damaged_copies(tmp_path, name, path):
    target, content = TARGETS[name], path.read_bytes()
    read = target.load()
    attempt(target, read, content, tmp_path)
    source = random.Random(zlib.crc32(f"{name}/{path.name}".encode()))
    for _ in range(MUTATIONS):
        attempt(target, read, mutated(content, source), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_the_plain_seeds_are_read(tmp_path, name):
    """A target whose every input is refused at the door would prove nothing."""
    target, read = TARGETS[name], TARGETS[name].load()
    files = [path for owner, path in SEEDS if owner == name]
    assert any(attempt(target, read, path.read_bytes(), tmp_path) for path in files)


@pytest.mark.parametrize(
    ("target", "slot"),
    [
        (target, slot)
        for target, slots in (
            ("labels_text", labels.TEXTS),
            ("labels_table", labels.TABLES),
            ("labels_packed", labels.PACKED),
        )
        for slot in slots
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_plain_seed_of_each_annotation_reader_is_read(tmp_path, target, slot):
    content = (FUZZ / "corpus" / target / slot.name).read_bytes()
    assert attempt(TARGETS[target], TARGETS[target].load(), content, tmp_path)


def test_seeds_are_what_the_script_writes(tmp_path):
    """The corpus is committed; all of it but former findings can be made again."""
    script = FUZZ / "make_corpus.py"
    subprocess.run([sys.executable, script, "--output", tmp_path], check=True, env={**os.environ})
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    kept = {path.relative_to(FUZZ / "corpus") for _, path in SEEDS}
    assert len(made) > 40 and set(made) <= kept


def test_a_short_run_ends_without_a_finding(tmp_path):
    pytest.importorskip("atheris", reason="atheris is absent: pip install 'atrous-zoo[fuzz]'")
    command = [sys.executable, FUZZ / "run.py", "npz", "--seconds", "2", "--findings", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and " runs in 2 s: no finding" in done.stdout, done.stdout + done.stderr
