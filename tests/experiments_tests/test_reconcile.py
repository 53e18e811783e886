"""Engine, MLflow and checkpoints that disagree, each way that a kill can leave them, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
from conftest import Shell
from mlflow import MlflowClient
from mlflow.entities import RunTag
from optuna.trial import TrialState
from searches import client, runs

from tailor.experiments.store import Store
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking.leaderboard import WORDS
from tailor.experiments.trials.checkpoints import Checkpoints


def optuna_storage(folder: Path) -> tuple[optuna.storages.BaseStorage, list]:
    storage = optuna.storages.get_storage(f"sqlite:///{folder / 'mlruns' / 'studies.db'}")
    return storage, storage.get_all_trials(storage.get_study_id_from_name("small"))


def unfinish(folder: Path, number: int) -> None:
    """Make the engine's trial as it was before it was told, in the database itself."""
    import sqlite3
    from contextlib import closing

    _, trials = optuna_storage(folder)
    with closing(sqlite3.connect(folder / "mlruns" / "studies.db")) as database:
        trial_id = trials[number]._trial_id
        database.execute("UPDATE trials SET state = 'RUNNING', datetime_complete = NULL WHERE trial_id = ?", (trial_id,))
        database.execute("DELETE FROM trial_values WHERE trial_id = ?", (trial_id,))
        database.commit()


def test_a_trial_that_mlflow_has_whole_is_told_to_the_engine(copy: Shell) -> None:
    _, before = optuna_storage(copy.folder)
    complete = next(t for t in before if t.state == TrialState.COMPLETE)
    unfinish(copy.folder, complete.number)
    assert optuna_storage(copy.folder)[1][complete.number].state == TrialState.RUNNING
    said = copy("fsck", "small")
    assert said.stdout == f"repaired: trial {complete.number}: complete in MLflow, unfinished in the engine; copied there\n"
    assert optuna_storage(copy.folder)[1][complete.number].value == complete.value
    assert copy("fsck", "small").stdout == "nothing to repair\n"


def test_a_run_left_open_is_closed_as_lost(copy: Shell) -> None:
    (parent,), trials = runs(copy.folder)
    mlflow = client(copy.folder)
    for run in (parent, trials[1]):
        mlflow.update_run(run.info.run_id, status="RUNNING")
    mlflow.log_batch(trials[1].info.run_id, tags=[RunTag("tailor.status", "running")])
    unfinish(copy.folder, 1)
    last = trials[1].info.end_time + 4321
    mlflow.log_metric(trials[1].info.run_id, "train_loss", 0.5, last, 99)
    (study,) = json.loads(copy("studies", "--json").stdout)["recorded"]
    assert study["status"] == "stopped"  # no process holds it
    said = copy("show", "small:1").stdout
    assert "repaired: run trial-001: its coordinator went away; closed as lost" in said
    assert "small:1  stopped, the coordinator went away" in said and "tailor reproduce" not in said
    assert "the study's run: its search was killed; closed" in said
    (parent,), trials = runs(copy.folder)
    assert {parent.info.status, trials[1].info.status} == {"KILLED"}
    assert trials[1].data.tags["tailor.status"] == "lost" and ": running" not in trials[1].data.tags["mlflow.note.content"]
    assert trials[1].info.end_time == last  # its last sign of life, whenever it is repaired


def test_status_and_report_of_a_killed_search_say_so_alike(copy: Shell) -> None:
    (parent,), _ = runs(copy.folder)
    mlflow = client(copy.folder)
    mlflow.update_run(parent.info.run_id, status="RUNNING")  # as a kill leaves it
    mlflow.delete_tag(parent.info.run_id, "tailor.ended")
    done = copy("report", "small", "-o", "report.html")
    assert "repaired: the study's run: its search was killed; closed" in done.stdout, done.stderr
    page = (copy.folder / "report.html").read_text()
    said = "its search was killed; the same `tailor search` resumes it"
    assert f"· {said}</p>" in page and "· running</p>" not in page
    assert said in copy("status", "small").stdout


def test_a_killed_study_that_a_search_takes_up_is_not_called_killed(copy: Shell) -> None:
    (parent,), _ = runs(copy.folder)
    mlflow = client(copy.folder)
    mlflow.update_run(parent.info.run_id, status="KILLED")  # as its repair leaves it
    mlflow.delete_tag(parent.info.run_id, "tailor.ended")
    assert "its search was killed" in copy("status", "small").stdout
    with lock_study(copy.folder / "mlruns" / "locks", "small"):  # what a search does first, before its workers load
        assert "; a search begins, and resumes it\n" in copy("status", "small").stdout
        assert json.loads(copy("status", "small", "--json").stdout)["ended"] is None
        (study,) = json.loads(copy("studies", "--json").stdout)["recorded"]
    assert study["status"] == "running"


def test_what_only_one_side_knows_is_said(copy: Shell) -> None:
    storage, trials = optuna_storage(copy.folder)
    number = next(t.number for t in trials if t.state == TrialState.COMPLETE)
    client(copy.folder).delete_run(runs(copy.folder)[1][number].info.run_id)
    assert copy("fsck", "small").stdout == (
        f"cannot be repaired: trial {number}: complete in the engine, without a run in MLflow\n"
    )
    storage.delete_study(storage.get_study_id_from_name("small"))
    assert "ended in MLflow, and the engine does not know it" in copy("fsck", "small").stdout


def test_a_search_with_another_database_of_studies_is_refused_and_loses_nothing(copy: Shell) -> None:
    """As when `--studies` is forgotten: it would give numbers out again, and delete the models of trials that it misses."""
    mlflow = client(copy.folder)
    (experiment,) = [e.experiment_id for e in mlflow.search_experiments() if e.name == "small"]
    before = {model.model_id for model in mlflow.search_logged_models([experiment])}
    said = copy("search", "small.toml", "--trials", "9", "--studies", f"sqlite:///{copy.folder}/other.db")
    assert said.returncode == 2 and "trials ended that the studies' database does not know (0, 1" in said.stderr
    assert before and {model.model_id for model in mlflow.search_logged_models([experiment])} == before


def test_a_search_with_another_mlflow_is_refused(copy: Shell) -> None:
    """As when MLFLOW_TRACKING_URI is forgotten: the rest of the budget would be spent where nobody looks."""
    said = copy("search", "small.toml", "--trials", "9", MLFLOW_TRACKING_URI=f"sqlite:///{copy.folder}/other.db")
    assert said.returncode == 2 and "the studies' database has 4 trials of it, and this MLflow has none" in said.stderr
    assert len(optuna_storage(copy.folder)[1]) == 4
    assert MlflowClient(f"sqlite:///{copy.folder}/other.db").get_experiment_by_name("small") is None  # nothing was created


def test_a_study_that_was_deleted_in_mlflow_is_refused_with_the_way_to_restore_it(copy: Shell) -> None:
    mlflow = client(copy.folder)
    experiment = mlflow.get_experiment_by_name("small")
    assert experiment is not None
    mlflow.delete_experiment(experiment.experiment_id)
    said = copy("search", "small.toml", "--trials", "9")
    assert said.returncode == 2 and f"mlflow experiments restore -x {experiment.experiment_id}" in said.stderr


def test_checkpoints_of_ended_trials_are_dropped(copy: Shell) -> None:
    place = Checkpoints(Store.at(str(copy.folder / "mlruns"), {}).checkpoints, "small").attempt(2, 1)
    place.write_bytes(b"left over")
    assert copy("fsck", "small").stdout == "repaired: trial 2: not running; its checkpoint is deleted\n"
    assert not place.exists()


def test_a_repair_after_the_end_counts_on_the_screen(copy: Shell) -> None:
    """An ended study's overview is recorded; what a repair changes is not shown as it was before."""
    mlflow, (_, trials) = client(copy.folder), runs(copy.folder)
    before = json.loads(copy("status", "small", "--json").stdout)["counts"]
    counted = ", ".join(f"{count} {WORDS.get(status, status)}" for status, count in sorted(before.items()))
    assert counted in copy("status", "small").stdout
    mlflow.update_run(trials[0].info.run_id, "RUNNING")
    assert "closed as lost" in copy("fsck", "small").stdout
    assert counted not in (said := copy("status", "small").stdout) and "1 stopped" in said
