"""What the suites over whole searches share: a study's runs in MLflow, a search under way, its worker processes."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import time
from contextlib import closing
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run
from shells import TAILOR

OWN = """
[study]
name = "own"
dataset = "digits"
model = "nets.py:build"
objective = "val_accuracy"
direction = "maximize"

[search]
trials = 2
max_epochs = 1
"""  # a study of a model in nets.py


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlruns' / 'mlflow.db'}")


def runs(folder: Path, study: str = "small") -> tuple[list[Run], list[Run]]:
    """The study's runs, and its trials' in order."""
    mlflow = client(folder)
    experiment = mlflow.get_experiment_by_name(study)
    assert experiment is not None
    found = mlflow.search_runs([experiment.experiment_id], max_results=1000)
    trials = [run for run in found if run.data.tags["tailor.kind"] == "trial"]
    key = lambda r: (int(r.data.tags["tailor.trial"]), int(r.data.tags["tailor.attempt"]))  # noqa: E731
    return [run for run in found if run.data.tags["tailor.kind"] == "study"], sorted(trials, key=key)


def list_studies(folder: Path) -> list[str]:
    """The names of Optuna's studies in the folder's store."""
    return optuna.get_all_study_names(f"sqlite:///{folder / 'mlruns' / 'studies.db'}")


def artifacts(run: Run) -> Path:
    """The folder of a run's artifacts."""
    return Path(url2pathname(urlsplit(run.info.artifact_uri).path))


def copy_study(source: Path, target: Path) -> None:
    """Copy a folder's study file and store, and the paths in MLflow's database with them, which are absolute."""
    shutil.copy(source / "small.toml", target)
    shutil.copytree(source / "mlruns", target / "mlruns")
    with closing(sqlite3.connect(target / "mlruns" / "mlflow.db")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in database.execute(f"PRAGMA table_info({table})")]
        for (table, column), path in product(columns, (str, Path.as_uri)):
            moved = (f"{path(source)}/", f"{path(target)}/")
            database.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?)", (*moved, moved[0])
            )
        database.commit()


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [str(TAILOR), "search", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_epochs(folder: Path, count: int) -> None:
    """Until the study's running trials have logged that many epochs between them."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if not (folder / "mlruns" / "mlflow.db").exists():
            continue
        with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db", timeout=30)) as database:
            (seen,) = database.execute("SELECT COUNT(*) FROM metrics WHERE key = 'val_loss'").fetchone()
        if seen >= count:
            return
    raise AssertionError("the search logged no epoch in 90 seconds")


COUNT = """
SELECT COUNT(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid AND tags.key = 'tailor.attempt' WHERE runs.status LIKE ?
"""


def count_runs(folder: Path, status: str = "%") -> int:
    """How many attempts have a run, of that status where one is given."""
    if not (folder / "mlruns" / "mlflow.db").exists():
        return 0
    with closing(sqlite3.connect(folder / "mlruns" / "mlflow.db", timeout=30)) as database:
        return int(database.execute(COUNT, (status,)).fetchone()[0])


def wait_for_runs(folder: Path, count: int, status: str = "%") -> None:
    """Until the study's trials have that many runs, of attempts that ended too; of that status where one is given."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(0.3)
        if count_runs(folder, status) >= count:
            return
    raise AssertionError(f"the search began no trial in 90 seconds; expected {count} runs in all")


def worker_pids(search: int) -> list[int]:
    """The worker processes of a search: forked from the one process that it keeps for that."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it ended meanwhile
    return [pid for pid, parent in parents.items() if parents.get(parent) == search]
