"""Renaming, collecting and beginning anew on real stores; what is refused meanwhile, and a change that was interrupted."""

from __future__ import annotations

import json

import optuna
import pytest
from conftest import OwnProcess, Shell
from searches import artifacts, client, list_studies, runs

from tailor.experiments.errors import RunError
from tailor.experiments.promotion import promote
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking.pending import quote


def test_a_study_that_runs_is_neither_deleted_nor_renamed(copy: Shell) -> None:
    with lock_study(copy.folder / "mlruns" / "locks", "small"):
        for command in (("delete", "small", "--yes"), ("rename", "small", "big"), ("gc", "--yes")):
            done = copy(*command)
            assert done.returncode == 2 and "is being run by process" in done.stderr
    assert len(runs(copy.folder)[1]) == 4 and list_studies(copy.folder) == ["small"]


def test_a_renamed_study_is_whole_and_resumes(own: OwnProcess) -> None:
    before = json.loads(own("status", "small", "--json").stdout)
    done = own("rename", "small", "big one")
    assert done.returncode == 0 and "Renamed small to big one" in done.stdout
    after = json.loads(own("status", "big one", "--json").stdout)
    assert after["leaderboard"] == before["leaderboard"] and after["study"] == "big one"
    assert list_studies(own.folder) == ["big one"] and client(own.folder).get_experiment_by_name("small") is None
    assert {run.data.tags["tailor.study"] for part in runs(own.folder, "big one") for run in part} == {"big one"}
    assert f"big one:{before['leaderboard'][0]['trial']}" in own("models", "digits").stdout  # its lineage
    (study,), trials = runs(own.folder, "big one")
    notes = [run.data.tags["mlflow.note.content"] for run in (study, *trials)]
    assert "`tailor promote 'big one' --to NAME`" in notes[0] and "**small**" not in " ".join(notes)
    assert any("`tailor reproduce 'big one:" in note for note in notes[1:])
    assert "tailor status 'big one'" in done.stdout and "--name 'big one'" in done.stdout
    resumed = own("search", "small.toml", "--name", "big one")
    assert resumed.returncode == 0 and "all 4 trials were done before" in resumed.stdout


def test_a_name_that_is_taken_is_refused(copy: Shell) -> None:
    optuna.create_study(study_name="other", storage=f"sqlite:///{copy.folder / 'mlruns' / 'studies.db'}")
    done = copy("rename", "small", "other")
    assert done.returncode == 2 and "the name 'other' is taken already" in done.stderr
    assert sorted(list_studies(copy.folder)) == ["other", "small"]


def test_a_study_is_not_deleted_while_its_promotion_scores(copy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = []

    def choose(*_: object) -> None:
        refused.append(
            [copy(*words).stderr for words in (("delete", "small", "--yes"), ("rename", "small", "big"), ("gc", "--yes"))]
        )
        raise RunError("enough")

    monkeypatch.setitem(promote.CHOOSE, "quick", choose)
    assert copy("promote", "small", "--to", "other", "--quick").stderr.endswith("tailor: enough\n")
    assert len(refused[0]) == 3 and all("a promotion runs in" in said for said in refused[0]), refused
    assert list_studies(copy.folder) == ["small"]


def test_gc_removes_what_nothing_needs_and_nothing_else(copy: Shell) -> None:
    mlflow, root = client(copy.folder), copy.folder / "mlruns"
    (version,) = mlflow.search_model_versions("name = 'digits'")
    _, trials = runs(copy.folder)
    gone = next(run for run in trials if run.info.run_id != version.run_id)
    mlflow.delete_run(gone.info.run_id)  # by a person, on MLflow's pages
    mlflow.delete_run(version.run_id)
    for place in ("cache/none", "checkpoints/none"):
        (root / place).mkdir(parents=True)
        (root / place / "data.npy").write_bytes(b"0" * 2_000_000)
    kept = {path.name for path in (root / "cache").iterdir()} - {"none"}
    forms = root / "cache" / "litert"
    form = next(forms.iterdir(), None) if forms.is_dir() else pytest.fail("a promotion in a local store makes a LiteRT form")
    (forms / ("0" * 64)).write_bytes(b"0")  # of a version that is gone
    done = copy("gc", "--yes")
    assert list(forms.iterdir()) == [form] and "LiteRT forms of no registered version: 1" in done.stdout
    assert done.returncode == 0, done.stderr
    assert "data and checkpoints that no study uses, folders: 2" in done.stdout and "runs deleted in MLflow: 1" in done.stdout
    freed = float(done.stdout.rpartition("Freed ")[2].split()[0])
    assert freed >= 4.0
    assert {path.name for path in (root / "cache").iterdir()} == kept and not (root / "checkpoints" / "none").exists()
    with pytest.raises(Exception, match="not found"):
        mlflow.get_run(gone.info.run_id)
    assert mlflow.get_run(version.run_id) and artifacts(mlflow.get_run(version.run_id)).is_dir()
    assert copy("status", "small").returncode == 0


def test_a_fresh_search_keeps_the_earlier_study_under_the_next_name(own: OwnProcess) -> None:
    fresh = ("search", "small.toml", "--fresh", "--trials", "1", "--max-epochs", "1", "--workers", "1")
    (own.folder / "net.py").write_text("def build(hparams, input_shape, num_classes):\n    raise OSError('no such luck')\n")
    for option in (("--set", "study.dataset=npz:none.npz"), ("--enqueue-from", "none"), ("--set", "study.model=net.py:build")):
        wrong = own(*fresh, *option)
        assert wrong.returncode == 2 and list_studies(own.folder) == ["small"], wrong.stdout + wrong.stderr
        assert client(own.folder).get_experiment_by_name("small-1") is None
    done = own(*fresh, "--enqueue-from", "small")  # the name still means the earlier study
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trying 4 points of study small first" in done.stdout
    assert "may repeat draws of study small, which had the same seed; --seed N draws others" in done.stdout
    kept = "the earlier study is kept as small-1; `tailor delete small-1` removes it, except for what digits version 1 needs"
    following = done.stdout.rpartition("Next:")[2]
    assert kept in done.stdout and "--fresh" not in following and "--enqueue-from" not in following and "--trials N" in following
    assert len(runs(own.folder)[1]) == 1 and len(runs(own.folder, "small-1")[1]) == 4
    assert sorted(list_studies(own.folder)) == ["small", "small-1"]


@pytest.mark.parametrize(
    ("noted", "study", "shown"),
    [
        ("tailor delete my study", "my study", "`tailor delete 'my study'`"),
        ("tailor rename a b c", "a", "`tailor rename a 'b c'`"),
        ("tailor rename a b c", "a b", "`tailor rename 'a b' c`"),
        ("tailor rename a b c", "b c", "`tailor rename a 'b c'`"),
    ],
)
def test_an_interrupted_change_is_quoted_for_a_shell(noted: str, study: str, shown: str) -> None:
    assert quote(noted, study) == shown


def test_an_interrupted_change_is_named_and_blocks_a_search(own: OwnProcess) -> None:
    mlflow = client(own.folder)
    experiment = mlflow.get_experiment_by_name("small")
    assert experiment is not None
    mlflow.set_experiment_tag(experiment.experiment_id, "tailor.pending", "tailor rename small big")
    for command in (("search", "small.toml"), ("fsck", "small"), ("delete", "small", "--yes")):
        done = own(*command)
        assert done.returncode == 2 and "`tailor rename small big` was interrupted; run it again first" in done.stderr
    (parent,), _ = runs(own.folder)
    mlflow.set_tag(parent.info.run_id, "tailor.study", "big")  # the last step but one
    done = own("status", "big")
    assert done.returncode == 2 and "`tailor rename small big` was interrupted; run it again first" in done.stderr
    assert own("rename", "small", "big").returncode == 0
    assert list_studies(own.folder) == ["big"]


@pytest.mark.parametrize("noted", ["tailor delete small", "tailor rename small big"])
def test_gc_removes_a_study_that_was_deleted_in_mlflow_while_another_change_was_begun(copy: Shell, noted: str) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.set_experiment_tag(number, "tailor.pending", noted)
    mlflow.delete_experiment(number)
    assert copy("gc", "--yes").returncode == 0 and mlflow.get_experiment_by_name("small") is None
