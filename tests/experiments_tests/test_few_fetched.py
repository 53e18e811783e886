"""What a screen needs few runs for fetches few, and shows what a read of every run would; on a real store."""

from __future__ import annotations

import math
import random
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Shell
from mlflow.entities import Metric, Param, RunTag, ViewType
from searches import client, runs

from tailor.experiments.cli.leaderboard import print_leaderboard
from tailor.experiments.errors import InputError
from tailor.experiments.maintenance.gc import find_garbage
from tailor.experiments.registry.files import find_logged_models
from tailor.experiments.store import Store
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking import leaderboard, pages
from tailor.experiments.tracking.entries import RUN_STATUS, end_tags
from tailor.experiments.tracking.leaderboard import (
    GONE,
    OVERVIEW,
    Overview,
    Row,
    find_best,
    read_best,
    read_leaderboard,
    read_overview,
    record_overview,
)
from tailor.experiments.tracking.local import read_local_studies
from tailor.experiments.tracking.reader import RecordedStudy, find_studies, find_study, open_client
from tailor.experiments.tracking.recorded import RecordedAttempt
from tailor.experiments.tracking.references import find_run

SEARCH = r"\.search_(?:runs|experiments|logged_models|registered_models|model_versions)\([^\n]*"
GOALS = {
    "one": {"tailor.objective": "val_accuracy", "tailor.direction": "maximize"},
    "lowest": {"tailor.objective": "latency_ms", "tailor.direction": "minimize"},
    "constrained": {
        "tailor.objective": "val_accuracy",
        "tailor.direction": "maximize",
        "tailor.goal": '{"constraints": ["latency_ms <= 3"]}',
    },
    "several": {
        "tailor.objective": "val_accuracy",
        "tailor.direction": "maximize",
        "tailor.goal": '{"others": [["latency_ms", "minimize"]]}',
    },
}


class Place:
    """A store with a study for each goal, and the number of runs that its client fetched."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.at(str(folder), {})
        self.client = open_client(self.store)
        self.fetched = 0
        search_runs, get_run = self.client.search_runs, self.client.get_run

        def count_found(*arguments: Any, **named: Any) -> Any:
            found = search_runs(*arguments, **named)
            self.fetched += len(found)
            return found

        def count_one(run_id: str) -> Any:
            self.fetched += 1
            return get_run(run_id)

        self.client.search_runs, self.client.get_run = count_found, count_one  # type: ignore[method-assign]

    def begin(self, name: str, goal: Mapping[str, str]) -> RecordedStudy:
        experiment = self.client.create_experiment(name)
        tags = {"tailor.kind": "study", "tailor.study": name, **goal}
        self.client.create_run(experiment, tags=tags)
        return self.find(name)

    def find(self, name: str) -> RecordedStudy:
        found = find_study(self.client, name)
        assert found is not None
        return found

    def end(self, study: RecordedStudy, time: int) -> RecordedStudy:
        self.client.set_terminated(study.run_id, "FINISHED", time)
        return study.refresh()

    def attempt(self, study: RecordedStudy, number: tuple[int, int], status: str, metrics: Mapping[str, float] = {}) -> str:
        trial, attempt = number
        tags = {"tailor.kind": "trial", "tailor.trial": str(trial), "tailor.attempt": str(attempt), "tailor.status": "running"}
        run_id = self.client.create_run(study.experiment_id, trial * 10 + attempt, tags, f"trial-{trial}").info.run_id
        params = [Param("depth", str(trial % 3)), Param("optimizer", "adam")]
        self.client.log_batch(run_id, [Metric(name, value, 0, 0) for name, value in metrics.items()], params)
        if status != "running":
            self.client.log_batch(run_id, tags=[RunTag(*tag) for tag in end_tags(status, "").items()])
            self.client.set_terminated(run_id, RUN_STATUS[status])
        return run_id


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Studies of 40 trials of every end, with ties for each place, retried and running ones."""
    made, drawn = Place(tmp_path_factory.mktemp("few") / "store"), random.Random(7)
    for name, goal in GOALS.items():
        study = made.begin(name, goal)
        for trial in range(40):
            status = drawn.choice(["complete", "complete", "pruned", "failed", "stopped", "running"])
            attempt = 1
            if trial % 7 == 3:
                made.attempt(study, (trial, 1), "lost", {"best_val_accuracy": 2.0})
                attempt = 2
            values = {"best_val_accuracy": drawn.randint(1, 4) / 5, "latency_ms": float(drawn.randint(1, 6))}
            made.attempt(study, (trial, attempt), status, values)
        made.attempt(study, (99, 1), "complete", {"latency_ms": 0.5})  # without all values
        made.end(study, 1)
    return made


@pytest.mark.parametrize("name", GOALS)
def test_a_local_store_is_read_without_mlflow_as_mlflow_reads_it(place: Place, name: str) -> None:
    study = place.begin(f"local-{name}", GOALS[name])
    for trial, status in enumerate(("complete", "pruned", "stopped", "running")):
        place.attempt(study, (trial, 1), "lost")
        place.attempt(study, (trial, 2), status, {"best_val_accuracy": trial / 7, "latency_ms": 2.0})
    odd = place.attempt(study, (4, 1), "failed", {"best_val_accuracy": math.nan, "val_loss": math.inf, "latency_ms": 1e-9})
    study = place.end(study, 7)
    local = next(one for one in read_local_studies(place.store) or () if one.name == study.name)
    shared = ("experiment_id", "run_id", "run_status", "end", "tags", "state", "word", "goal")
    assert [getattr(local, one) for one in shared] == [getattr(study, one) for one in shared]
    assert repr(local.read_attempts()) == repr(study.read_attempts())  # as texts: NaN equals nothing
    assert repr(local.read_trials([odd])) == repr(study.read_trials([odd])) != "[]"
    assert local.list_deleted() == study.list_deleted() == set()
    place.client.delete_run(odd)
    assert local.list_deleted() == study.list_deleted() == {4}
    assert len(local.read_attempts()) == len(study.read_attempts()) == 8


def test_a_trial_whose_run_was_deleted_in_mlflow_is_counted_as_that(copy: Shell) -> None:
    gone = next(run for run in runs(copy.folder)[1] if run.data.tags["tailor.status"] == "complete")
    client(copy.folder).delete_run(gone.info.run_id)
    for options in ((), ("--all",)):
        said = copy("status", "small", *options).stdout
        (line,) = [line for line in said.splitlines() if " of 4 trials" in line]
        assert "more; `tailor status" not in said  # no screen shows it
        assert line.startswith("4 of 4 trials: ") and line.endswith(", 1 deleted in MLflow") and ";" not in line


def test_mlflow_is_loaded_only_to_repair_or_explain(copy: Shell) -> None:
    code = (
        "import sys; from tailor.experiments.cli import run; code = run(sys.argv[1:]); "
        "print(code, not {'mlflow', 'sqlalchemy'}.isdisjoint(sys.modules), file=sys.stderr)"
    )

    def ask(*words: str) -> tuple[str, str]:
        call = [sys.executable, "-c", code, *words]
        done = subprocess.run(call, capture_output=True, text=True, timeout=200, check=False, cwd=copy.folder)
        return done.stdout, done.stderr.splitlines()[-1]

    (experiment,) = client(copy.folder).search_experiments(filter_string="name = 'small'")
    (study,) = client(copy.folder).search_runs([experiment.experiment_id], "tags.`tailor.kind` = 'study'")
    shown, said = ask("status", "small")
    assert said == "0 False" and "small: best first" in shown and ask("status", "small.toml") == (shown, said)
    assert ask("studies")[1] == "0 False"
    client(copy.folder).update_run(study.info.run_id, status="RUNNING")
    with lock_study(copy.folder / "mlruns" / "locks", "small"):
        assert ask("status", "small", "--json")[1] == "0 False"
    shown, said = ask("status", "small")
    assert said == "0 True" and "repaired: the study's run: its search was killed; closed" in shown
    assert ask("status", "smal")[1] == "2 True"
    (copy.folder / "mlruns" / "artifacts" / "small" / study.info.run_id / "artifacts" / "study.json").unlink()
    assert ask("status", "small")[1].endswith(" True")


@pytest.mark.parametrize("name", GOALS)
def test_the_best_is_that_of_the_leaderboard(place: Place, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(leaderboard, "FEW", 2)  # ties for the first place lie on several pages
    study = place.find(name)
    assert (best := read_best(study)) is not None
    assert best == find_best(read_leaderboard(study))
    assert find_run(place.client, f"{name}:best")[0] == f"{name}:{best.trial}"


def test_the_best_of_a_study_without_one(place: Place) -> None:
    study = place.begin("none", GOALS["constrained"])
    place.attempt(study, (0, 1), "complete", {"best_val_accuracy": 0.5, "latency_ms": 4.0})
    place.attempt(study, (1, 1), "failed")
    assert read_best(study) is None
    with pytest.raises(InputError, match="no complete trial that keeps its constraints yet"):
        find_run(place.client, "none:best")
    with pytest.raises(InputError, match="has no trial 7; it has: 0, 1"):
        find_run(place.client, "none:7")


def test_two_trials_are_found_by_few_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaderboard, "FEW", 10)
    place.fetched = 0
    _, run = find_run(place.client, "one:3")
    assert (run.data.tags["tailor.trial"], run.data.tags["tailor.attempt"]) == ("3", "2")  # its newest attempt
    assert place.fetched == 1 + 2 + 1  # the study's, its attempts', and the newest as it is
    place.fetched = 0
    find_run(place.client, "one:best")
    assert place.fetched <= 1 + 2 * 10 + 1


@pytest.mark.parametrize("name", GOALS)
def test_a_recorded_overview_is_that_of_every_run(place: Place, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    study = place.find(name)
    board = read_leaderboard(study)
    record_overview(study, board)
    place.fetched = 0
    study = place.find(name)
    shown = read_overview(study)
    assert place.fetched == 1 + 10
    assert shown == Overview.of(board) and (shown.top, shown.varied) == (board[:10], ["depth"])
    print_leaderboard(name, study.goal, shown)
    assert "… and 31 more; " in capsys.readouterr().out


def change(place: Place, name: str, how: str) -> None:
    study = place.begin(name, GOALS["one"])
    board = [place.attempt(study, (trial, 1), "complete", {"best_val_accuracy": trial / 99}) for trial in range(12)]
    record_overview(place.end(study, 1), read_leaderboard(study))
    if how in ("resumed", "resumed and ended"):
        place.client.update_run(study.run_id, "RUNNING")
        place.attempt(study, (12, 1), "pruned")
    if how == "resumed and ended":
        place.end(study, 2)
    if how.startswith("deleted"):
        place.client.delete_run(board[0 if how.endswith("last") else -1])


@pytest.mark.parametrize("how", ["resumed", "resumed and ended", "deleted first", "deleted last"])
def test_an_overview_that_is_out_of_date_is_not_shown(place: Place, how: str) -> None:
    change(place, how, how)
    study = place.find(how)
    assert OVERVIEW in study.tags
    shown = read_overview(study)
    assert shown == Overview.of(read_leaderboard(study), deleted=study.list_deleted())
    assert (sum(shown.counts.values()), shown.counts.get(GONE)) == ((13, None) if how.startswith("resumed") else (12, 1))


def test_a_trial_that_is_restored_in_mlflow_after_the_search_is_shown(place: Place) -> None:
    change(place, "restored", "deleted first")
    study = place.end(place.find("restored"), 3)
    record_overview(study, read_leaderboard(study))
    (gone,) = place.client.search_runs([study.experiment_id], run_view_type=ViewType.DELETED_ONLY, max_results=1)
    place.client.restore_run(gone.info.run_id)
    shown = read_overview(place.find("restored"))
    assert sum(shown.counts.values()) == 12 and shown == Overview.of(read_leaderboard(study))


def test_an_overview_that_mlflow_may_refuse_is_not_recorded(place: Place) -> None:
    study = place.begin("wide", GOALS["one"])
    run_id = place.attempt(study, (0, 1), "complete", {"best_val_accuracy": 0.5})
    one = RecordedAttempt.read(place.client.get_run(run_id))
    (row,) = leaderboard.rank([replace(one, params={f"{i:0500}": "1" for i in range(12)})], study.goal)
    board: list[Row] = [row, replace(row, params={}), row]
    record_overview(place.end(study, 1), board)
    assert OVERVIEW not in place.find("wide").tags
    record_overview(study, [])
    assert OVERVIEW not in place.find("wide").tags


def test_what_lies_on_a_later_page_is_found_too(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    study = place.find("one")
    for number in range(3):
        place.client.create_logged_model(study.experiment_id, f"model-{number}", tags={"tailor.trial": str(number)})
    names = [study.name for study in find_studies(place.client)]
    models = find_logged_models(study)
    for name in (*names, "gone"):
        (place.store.checkpoints / name).mkdir(parents=True)
    monkeypatch.setattr(pages, "PAGE", 2)
    assert [study.name for study in find_studies(place.client)] == names and len(names) > 2
    assert find_logged_models(study) == models and len(models) == 3
    garbage = find_garbage(place.client, place.store)
    assert (garbage.folders, garbage.models) == ([place.store.checkpoints / "gone"], [])


def test_no_search_of_mlflow_stops_at_its_first_page() -> None:
    rooms = Path(pages.__file__).parents[1]
    calls = [call for file in rooms.rglob("*.py") for call in re.findall(SEARCH, file.read_text(encoding="utf-8"))]
    assert calls and [call for call in calls if "max_results=1)" not in call] == []  # all others go through read_pages
