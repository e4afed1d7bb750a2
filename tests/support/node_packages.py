"""A folder of scripts for node with the npm packages of its lock file."""

import shutil
import subprocess
from pathlib import Path

import pytest

# A registry that cannot be reached must not hold up the tests.
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0")
PATIENCE = 240


def installed(source: Path, tmp_path_factory) -> Path:
    """`source` itself after ``npm ci`` there, else a copy in which the packages were installed; or a skip."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if (source / "node_modules").is_dir():
        return source
    folder = tmp_path_factory.mktemp(source.name)
    for path in source.iterdir():
        shutil.copy(path, folder)
    try:
        done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install its packages within {PATIENCE} s")
    if done.returncode:
        pytest.skip(f"npm cannot install its packages: {done.stderr.strip().splitlines()[-1]}")
    return folder
