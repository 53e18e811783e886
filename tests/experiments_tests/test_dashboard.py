"""optuna-dashboard on the address that `tailor env` prints: a search's study with all its trials."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Shell
from faults import free_port
from searches import runs

pytest.importorskip("optuna_dashboard", reason="needs optuna-dashboard (pip install -e '.[dev]')")
DASHBOARD = Path(sys.executable).parent / "optuna-dashboard"
STATES = {"complete": "Complete", "pruned": "Pruned"}


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return json.load(answer)


@contextmanager
def dashboard(storage: str, log: Path) -> Iterator[str]:
    """The address of its REST interface, while it serves."""
    port = free_port()
    command = [str(DASHBOARD), storage, "--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref"]
    with log.open("wb") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            with suppress(OSError):
                get(f"http://127.0.0.1:{port}/api/meta")
                break
            time.sleep(0.2)
        else:
            raise AssertionError(log.read_text())
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.kill()
        server.wait()


def test_the_dashboard_shows_the_trials_of_a_search(recorded: Shell, tmp_path: Path) -> None:
    _, trials = runs(recorded.folder)
    storage = json.loads(recorded("env", "--json").stdout)["OPTUNA_STORAGE"]
    with dashboard(storage, tmp_path / "dashboard.log") as api:
        ids = {study["study_name"]: study["study_id"] for study in get(f"{api}/studies")["study_summaries"]}
        shown = get(f"{api}/studies/{ids['small']}")
    assert shown["name"] == "small" and shown["directions"] == ["maximize"]
    assert [trial["number"] for trial in shown["trials"]] == [0, 1, 2, 3]
    for trial, run in zip(shown["trials"], trials, strict=True):
        assert trial["state"] == STATES[run.data.tags["tailor.status"]]
        params = {one["name"]: one["param_external_value"] for one in trial["params"]}
        assert float(params["learning_rate"]) == float(run.data.params["learning_rate"])
        if trial["state"] == "Complete":
            assert trial["values"] == [run.data.metrics["best_val_accuracy"]]
