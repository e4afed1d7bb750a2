import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real data that some tests need; ``ZOO_TEST_DATA`` chooses another one."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("ZOO_TEST_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"test data is absent: {folder} is not a folder (set ZOO_TEST_DATA)")
    return folder
