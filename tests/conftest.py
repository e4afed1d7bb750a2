import gc
import os
import sys
from pathlib import Path

import pytest
from support.tiers import LIMIT, tier_of

# Fixtures of more than one folder.
pytest_plugins = ("support.browser",)
REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Mark each test with its tier, `quick` or `slow`; what is neither is run by a run of the whole."""
    for item in items:
        function = getattr(item, "originalname", item.name)
        tier = tier_of(item.path.parent.name, function, getattr(item, "fixturenames", ()))
        if tier == "slow":
            item.add_marker("slow")
        elif tier == "quick" and item.get_closest_marker("slow") is None:
            item.add_marker("quick")


def pytest_terminal_summary(terminalreporter):
    """Name the tests that are marked quick and were not."""
    for report in terminalreporter.getreports("passed"):
        if report.when == "call" and "quick" in report.keywords and report.duration > LIMIT:
            terminalreporter.write_line(f"not quick: {report.nodeid}, {report.duration:.1f} s")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data that some tests need; ``ZOO_TEST_DATA`` chooses another one."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("ZOO_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"test data is absent: {folder} is not a folder (set ZOO_TEST_DATA)")
    return folder


@pytest.fixture
def shallow(monkeypatch):
    """Few blocks per stage in every backbone."""
    from support.small_models import make_shallow

    make_shallow(monkeypatch)


@pytest.fixture
def narrow(monkeypatch):
    """Few channels in every ResNet."""
    from support.small_models import make_narrow

    make_narrow(monkeypatch)


@pytest.fixture
def narrow_resnets(monkeypatch):
    """Few blocks and few channels in ResNet-50."""
    from support.networks import make_narrow_resnets

    make_narrow_resnets(monkeypatch)


@pytest.fixture(scope="module", autouse=True)
def forget_models():
    """Keras remembers every graph that it traced; a whole run would hold a dozen gigabytes."""
    yield
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
    gc.collect()
