"""The notebooks: page and notebook of a pair are equal, and every one runs from top to bottom."""

import subprocess
import sys

import pytest
from support.code_blocks import REPOSITORY

jupytext = pytest.importorskip("jupytext", reason='pip install ".[notebooks]"')
nbclient = pytest.importorskip("nbclient", reason='pip install ".[notebooks]"')

FOLDER = REPOSITORY / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# What shows that a notebook did what it says.
SAID = {
    "gridding": "passes: False",
    "fine_tune": "mean IoU",
    "export": "100.00% of the pixels",
    "compress": "50.0% of the chosen weights are zero",
}


def test_there_are_four():
    assert [path.stem for path in NOTEBOOKS] == ["compress", "export", "fine_tune", "gridding"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_page_and_notebook_are_a_pair(path):
    page, notebook = jupytext.read(path.with_suffix(".md")), jupytext.read(path)
    assert notebook.metadata["jupytext"]["formats"] == page.metadata["jupytext"]["formats"] == "ipynb,md"
    shown = [[(cell.cell_type, cell.source) for cell in pair.cells] for pair in (page, notebook)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_no_output(path):
    """What it prints depends on the machine, and the page shows none."""
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    assert len(cells) > 3
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, monkeypatch, tmp_path):
    if path.stem == "compress":
        pytest.importorskip("tensorflow_model_optimization", reason='pip install ".[compression]"')
    install = [sys.executable, "-m", "ipykernel", "install", "--prefix", str(tmp_path), "--name", "python3"]
    subprocess.run(install, check=True, capture_output=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    notebook = jupytext.read(path)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(REPOSITORY)}}
    ).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert SAID[path.stem] in printed, printed
