"""What a release rests on: one version, archives without chance in them, a Dockerfile that holds together."""

import gzip
import importlib.util
import io
import re
import shutil
import subprocess
import tarfile

import pytest
from support.code_blocks import REPOSITORY

import zoo

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text("utf-8")


def fixed(content, seconds):
    path = REPOSITORY / ".ci" / "fixed_sdist.py"
    spec = importlib.util.spec_from_file_location("fixed_sdist", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fixed(content, seconds)


def archive(*, names, seconds, owner):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as target:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid, member.uname = 5, seconds, owner, f"user{owner}"
            member.mode = 0o640 if owner else 0o664
            target.addfile(member, io.BytesIO(name.ljust(5).encode()))
    return packed.getvalue()


def test_equal_files_make_equal_archives():
    first = archive(names=["a/1", "a/2"], seconds=1_700_000_000.25, owner=0)
    second = archive(names=["a/2", "a/1"], seconds=1_800_000_000, owner=1000)
    assert first != second
    made = fixed(first, 1_600_000_000)
    assert made == fixed(second, 1_600_000_000)
    with tarfile.open(fileobj=io.BytesIO(made)) as source:
        assert [(m.name, m.mtime, m.uid, m.mode) for m in source] == [
            ("a/1", 1_600_000_000, 0, 0o644),
            ("a/2", 1_600_000_000, 0, 0o644),
        ]
        assert source.extractfile("a/2").read() == b"a/2  "
    assert gzip.decompress(made)


def test_other_files_make_other_archives():
    one, two = (archive(names=[name], seconds=1, owner=0) for name in ("a/1", "a/2"))
    assert fixed(one, 1) != fixed(two, 1)


def test_the_version_stands_in_one_place():
    version = zoo.__version__
    assert f'"{version}"' in (REPOSITORY / "zoo" / "_version.py").read_text("utf-8")
    assert 'dynamic = ["version"]' in (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text("utf-8")
    newest = re.search(r"^## (\S+) – (.+)$", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest[1] == version
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", newest[2])


def test_both_images_stand_on_a_base_of_one_digest():
    bases = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE)
    (default,) = re.findall(r"^ARG BASE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[0-3][\w.-]*@sha256:[0-9a-f]{64}", default)
    assert [name for _, name in bases] == ["wheel", "cpu", "gpu"]
    assert {base for base, _ in bases} == {"${BASE}", "cpu"}


def test_the_gpu_image_has_the_tensorflow_of_the_package():
    (stated,) = re.findall(r'"tensorflow(>=\S+)"', (REPOSITORY / "pyproject.toml").read_text("utf-8"))
    assert f'"tensorflow[and-cuda]{stated}"' in DOCKERFILE


def test_what_is_built_from_is_in_the_context():
    """The ignore list leaves out everything but what the wheel needs."""
    lines = (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert (
        lines[0] == "*" and {"pyproject.toml", "setup.py", "README.md", "LICENSE", "zoo", "weights"} <= kept
    )
    assert [name for name in kept if not (REPOSITORY / name).exists()] == []


def test_hadolint_finds_nothing():
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip('hadolint is not installed (pip install ".[dev]")')
    done = subprocess.run([program, REPOSITORY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout, done.stdout
