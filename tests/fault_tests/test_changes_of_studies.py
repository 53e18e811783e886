"""Faults of `delete` and `rename`: killed at each step, the same command finishes them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from conftest import OwnProcess, Shell
from faults import broken, study, to_the_end
from ledger import Ledger
from searches import client, copy_study

HERE = Path(__file__).resolve().parent
DELETE = (
    ("tailor.search.engines.states:_delete", "after", 1),
    ("tailor.experiments.tracking.erase:Eraser.erase_model", "after", 1),
    ("tailor.experiments.tracking.erase:Eraser._erase_files", "after", 3),
    ("mlflow:MlflowClient.delete_run", "after", 1),
    ("tailor.experiments.tracking.erase:Eraser.erase_run", "after", 2),
    ("tailor.experiments.tracking.erase:Eraser.erase_experiment", "before", 1),
    ("mlflow:MlflowClient.delete_experiment", "after", 1),
)
RENAME = (
    ("tailor.experiments.tracking.pending:begin", "after", 1),
    ("optuna:copy_study", "after", 1),
    ("tailor.search.engines.states:_delete", "after", 2),
    ("mlflow:MlflowClient.log_batch", "after", 1),
    ("mlflow:MlflowClient.log_text", "before", 1),
    ("mlflow:MlflowClient.rename_experiment", "before", 1),
    ("mlflow:MlflowClient.rename_experiment", "after", 1),
)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A finished study of two trials."""
    shell = Shell(tmp_path_factory.mktemp("searched"))
    study(shell.folder, trials=2)
    to_the_end(shell)
    return shell


def kill(folder: Path, step: tuple[str, str, int], *command: str) -> list[str]:
    """Run the command until it kills itself at the step."""
    target, when, number = step
    driver = [sys.executable, str(HERE / "driver.py"), "call", target, when, str(number), "--"]
    done = subprocess.run([*driver, *command], cwd=folder, capture_output=True, text=True, check=False)
    return [] if done.returncode == -signal.SIGKILL else [f"{target} was not reached: {done.stdout}{done.stderr}"]


@pytest.mark.parametrize("step", DELETE, ids=lambda step: f"{step[0].rpartition(':')[2]}-{step[1]}")
def test_a_deletion_that_is_killed_is_finished_by_the_same_command(
    searched: Shell, tailor_process: OwnProcess, ledger: Ledger, step: tuple[str, str, int]
) -> None:
    tailor = tailor_process  # MLflow's client keeps the places of runs, which the copies share
    copy_study(searched.folder, tailor.folder)
    wrong = kill(tailor.folder, step, "delete", "small", "--yes")
    again = tailor("delete", "small", "--yes")
    wrong += [] if again.returncode == 0 else [again.stdout + again.stderr]
    root = tailor.folder / "mlruns"
    wrong += [] if client(tailor.folder).get_experiment_by_name("small") is None else ["the experiment is there"]
    left = [str(path) for path in (root / "artifacts").rglob("*") if path.is_file()]
    wrong += [f"files are left: {left}"] if left or list((root / "cache").iterdir()) else []
    wrong += ["Optuna's study is there"] if optuna.get_all_study_names(f"sqlite:///{root / 'studies.db'}") else []
    ledger.check("25 a deletion killed at any step", wrong)


@pytest.mark.parametrize("step", RENAME, ids=lambda step: f"{step[0].rpartition(':')[2]}-{step[1]}")
def test_a_renaming_that_is_killed_is_finished_by_the_same_command(
    searched: Shell, tailor_process: OwnProcess, ledger: Ledger, step: tuple[str, str, int]
) -> None:
    tailor = tailor_process  # MLflow's client keeps the places of runs, which the copies share
    copy_study(searched.folder, tailor.folder)
    wrong = kill(tailor.folder, step, "rename", "small", "other")
    again = tailor("rename", "small", "other")
    wrong += [] if again.returncode == 0 else [again.stdout + again.stderr]
    back = tailor("rename", "other", "small")  # the invariant is of a study of that name
    wrong += [] if back.returncode == 0 else [back.stdout + back.stderr]
    wrong += broken(tailor.folder, 2)
    ledger.check("25 a renaming killed at any step", wrong)
