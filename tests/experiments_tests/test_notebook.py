"""A search in a notebook, on a real kernel: no `__main__` to guard, an event loop that runs already, output that is caught."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat (pip install -e '.[dev]')")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient (pip install -e '.[dev]')")
pytest.importorskip("ipykernel", reason="needs ipykernel (pip install -e '.[dev]')")

SEARCH = """
import tailor

result = tailor.run(
    {
        "study": {"name": "tiny", "dataset": "digits", "model": "mlp"},
        "search": {"trials": 2, "max_epochs": 2, "pruner": "none"},
        "space": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}},
        "training": {"depth": 1, "units": 32},
        "workers": {"count": 1},
    },
    store="s",
)
"""


@pytest.mark.slow
def test_a_search_in_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "jupyter"))
    cells = [nbformat.v4.new_code_cell(text) for text in (SEARCH, "result.trials", "result.model().count_params()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3", resources=place).execute()  # raises what a cell does

    searched, trials, parameters = notebook.cells
    assert not [output.text for output in searched.outputs if output.get("name") == "stderr"]  # no library speaks
    shown = "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in searched.outputs)
    assert "trial 0: done, val_accuracy" in shown and "trial 1: done" in shown
    (table,) = [output.data["text/html"] for output in trials.outputs if output.output_type == "execute_result"]
    assert table.count("<tr") == 3 and "<th>status</th>" in table  # a line for the names, and one for each trial
    (number,) = [output.data["text/plain"] for output in parameters.outputs if output.output_type == "execute_result"]
    assert int(number) == 64 * 32 + 32 + 32 * 10 + 10
    assert (tmp_path / "s" / "mlflow.db").is_file()
