"""What MLflow's pages show of a study: its own run, its trials' runs, the prepared view, a registered name."""

from __future__ import annotations

import json
import re

import mlflow.data
from conftest import Shell
from mlflow.entities import RunTag
from searches import client, runs

from tailor.experiments.store import Store
from tailor.experiments.tracking import ui_links
from tailor.experiments.tracking.descriptions import write_study_note
from tailor.experiments.tracking.leaderboard import read_leaderboard
from tailor.experiments.tracking.reader import find_study, open_client
from tailor.experiments.tracking.tracker import open_study
from tailor.search.study.load import build

STUDY = {"name": "s", "model": "mlp", "dataset": "digits"}


def test_the_studys_own_run_says_what_came_of_it(recorded: Shell) -> None:
    study = find_study(client(recorded.folder), "small")
    assert study is not None
    board = read_leaderboard(study)
    best, run = board[0], study.client.get_run(study.run_id)
    metrics, params, note = run.data.metrics, run.data.params, run.data.tags["mlflow.note.content"]
    assert metrics["best_val_accuracy"] == best.value and metrics["best_trial"] == best.trial
    assert (metrics["trials"], metrics["trials_complete"] + metrics["trials_pruned"]) == (len(board), len(board))
    assert params == {f"trial-{best.trial:03d}/{name}": value for name, value in best.params.items()}
    assert f"**Best: trial {best.trial}**" in note and f"{best.value:.4f}" in note
    assert all(f"/runs/{row.run_id})" in note for row in board) and f"/runs/{study.run_id}/artifacts/report.html)" in note


def test_a_trials_run_names_its_data_and_what_it_tried(recorded: Shell) -> None:
    (parent,), trials = runs(recorded.folder)
    for run in (parent, *trials):
        (used,) = run.inputs.dataset_inputs
        assert used.dataset.name == "digits" and parent.data.tags["tailor.dataset_sha256"].startswith(used.dataset.digest)
        assert json.loads(used.dataset.profile)["classes"] == 10
        assert mlflow.data.get_source(used).to_dict()["tags"]["mlflow.source.name"] == "digits"
    for run in trials:
        note = run.data.tags["mlflow.note.content"]
        assert f"Trial {run.data.tags['tailor.trial']} of study **small**: {run.data.tags['tailor.status']}" in note
        assert all(f"{name} `" in note for name in run.data.params)
        assert run.data.tags["tailor.newest"] == "yes"
        assert not {"tailor.goal", "tailor.objective", "tailor.split_sizes"} & run.data.tags.keys()


def test_a_registered_name_says_what_it_is_for(recorded: Shell) -> None:
    text = client(recorded.folder).get_registered_model("digits").description
    assert "8×8 pixels, as in `digits`, into 10 classes: 0, 1, 2" in text and "tailor predict digits" in text


def test_the_view_has_a_row_a_trial_and_draws_what_every_trial_has() -> None:
    space = {
        "depth": {"low": 1, "high": 3, "type": "int"},
        "units_2": {"low": 8, "high": 64, "type": "int", "when": "depth >= 2"},
        "batch_norm": True,
    }
    spec = build({"study": STUDY, "space": space})
    state = json.loads(json.loads(ui_links.make_view_tags(spec)[ui_links.VIEW_TAG])["state"])
    assert "`tailor.newest` = 'yes'" in state["searchFilter"] and "tags.`tailor.status`" in state["selectedColumns"]
    (lines,) = [chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL"]
    assert lines["selectedParams"] == ["depth"]
    assert "params.`units_2`" in state["selectedColumns"]


def test_a_study_from_before_the_view_knew_attempts_gets_their_marks_when_it_resumes(copy: Shell) -> None:
    store = Store.at(str(copy.folder / "mlruns"), {})
    made = open_client(store)
    study = find_study(made, "small")
    assert study is not None
    _, trials = runs(copy.folder)
    for run in trials:
        made.delete_tag(run.info.run_id, "tailor.newest")
        made.delete_tag(run.info.run_id, "tailor.order")
    kept = {name: value for name, value in trials[0].data.tags.items() if not name.startswith("mlflow.run")}
    again = made.create_run(study.experiment_id, tags={**kept, "tailor.attempt": "2"}, run_name="trial-000-2").info.run_id
    made.set_experiment_tag(study.experiment_id, ui_links.VIEW_TAG, "{}")
    made.log_batch(again, tags=[RunTag("tailor.status", "complete")])
    open_study(made, store, study.read_spec(), {})
    found = {run.info.run_id: run for run in runs(copy.folder)[1]}
    assert found[again].info.run_name == "trial-000" and found[again].data.tags["tailor.newest"] == "yes"
    earlier = found[trials[0].info.run_id]
    assert earlier.info.run_name == "trial-000-attempt-1" and earlier.data.tags["tailor.newest"] == "no"
    assert all(found[run.info.run_id].data.tags["tailor.newest"] == "yes" for run in trials[1:])
    assert all(found[run.info.run_id].data.tags["tailor.order"] == run.data.tags["tailor.order"] for run in trials)


def test_a_studys_note_stays_within_what_mlflow_takes(recorded: Shell) -> None:
    study = find_study(client(recorded.folder), "small")
    assert study is not None
    board = read_leaderboard(study) * 40
    note = write_study_note(study.read_spec(), board, "#/experiments/1/runs/abc/artifacts/report.html")
    assert len(note) <= 5000 and "more" in note and len(re.findall(r"^\| \[", note, re.MULTILINE)) == 10


def test_ui_without_a_study_says_where_the_list_is_and_how_to_open_optunas_pages(recorded: Shell) -> None:
    done = recorded("ui", MLFLOW_TRACKING_URI="http://127.0.0.1:1")
    assert done.returncode == 0 and "Studies: http://127.0.0.1:1/#/experiments" in done.stdout
    assert re.search(r"optuna-dashboard .*sqlite:////\S.*studies\.db", done.stdout)
