"""Deleting, renaming and collecting on real stores: what goes, what registered versions keep, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pytest
from conftest import OwnProcess, Shell
from searches import artifacts, client, runs

from tailor.experiments.errors import RunError
from tailor.experiments.maintenance.delete import find_digests
from tailor.experiments.promotion import promote
from tailor.experiments.registry.forms import FOLDER
from tailor.experiments.registry.versions import TRIALS
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking.pending import KEPT, quote
from tailor.experiments.tracking.tags import DIGEST


@pytest.fixture
def own(copy: Shell) -> OwnProcess:
    """The copied study, each command in a new process: MLflow's client keeps the places of runs, which the copies share."""
    return OwnProcess(copy.folder)


def studies(folder: Path) -> list[str]:
    return optuna.get_all_study_names(f"sqlite:///{folder / 'mlruns' / 'studies.db'}")


def list_data(folder: Path) -> list[Path]:
    """The cached data; the LiteRT forms of versions lie beside it, and gc looks after them."""
    return [path for path in (folder / "mlruns" / "cache").iterdir() if path.name != FOLDER]


def test_a_deleted_study_keeps_what_its_registered_version_needs(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    _, trials = runs(copy.folder)
    others = [run for run in trials if run.data.tags["tailor.trial"] != version.tags["tailor.trial"]]
    (data,) = list_data(copy.folder)
    data.with_name(f"{data.name}-refit").mkdir()  # as `promote --register refit` leaves it
    cached = list_data(copy.folder)
    done = copy("delete", "small", "--yes")
    assert done.returncode == 0, done.stderr
    assert "digits version 1 needs the rest" in done.stdout and "Deleted: freed" in done.stdout
    assert studies(copy.folder) == [] and cached and not any(path.exists() for path in cached)
    _, left = runs(copy.folder)
    assert [run.info.run_id for run in left] == [version.run_id]
    assert mlflow.get_run(version.tags["tailor.evidence"]) and artifacts(mlflow.get_run(version.run_id)).is_dir()
    assert not any(artifacts(run).parent.exists() for run in others)
    assert copy("pull", "digits", "-o", "got").returncode == 0  # its files and labels
    assert copy("show", f"small:{version.tags['tailor.trial']}").returncode == 0
    again = copy("delete", "small", "--yes")
    assert (again.returncode, "was deleted before" in again.stdout) == (0, True)
    refused = copy("search", "small.toml")
    assert refused.returncode == 2 and "was deleted, except for what digits version 1 needs" in refused.stderr
    for command in ("promote", "ensemble"):
        refused = copy(command, "small", "--to", "other")
        assert refused.returncode == 2 and refused.stderr.endswith("digits version 1 needs; there is nothing to promote.\n")
    renamed = OwnProcess(copy.folder)("rename", "small", "old")  # in this one MLflow knows the run by the shared store's files
    assert renamed.returncode == 0 and "tailor status old" in renamed.stdout and "To add trials" not in renamed.stdout
    repaired = copy("fsck", "old")
    assert repaired.returncode == 2 and repaired.stderr.endswith("digits version 1 needs; there is nothing to repair.\n")


def test_a_deleted_study_keeps_all_trials_of_its_registered_ensemble(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    own = int(version.tags["tailor.trial"])
    members = [own, (own + 1) % 4]
    mlflow.set_model_version_tag("digits", "1", TRIALS, json.dumps(members))
    assert copy("delete", "small", "--yes").returncode == 0
    assert [int(run.data.tags["tailor.trial"]) for run in runs(copy.folder)[1]] == sorted(members)


def test_a_name_whose_versions_are_all_deleted_needs_nothing(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    evidence = artifacts(mlflow.get_run(version.tags["tailor.evidence"]))
    mlflow.delete_model_version("digits", "1")
    assert evidence.is_dir() and copy("delete", "small", "--yes").returncode == 0
    assert not evidence.parent.exists()


def test_a_deleted_study_uses_no_data(copy: Shell) -> None:
    """Else what two of them shared would stay for ever."""
    mlflow = client(copy.folder)
    (study,), _ = runs(copy.folder)
    number = mlflow.create_experiment("gone", tags={KEPT: "other version 1"})
    mlflow.create_run(number, tags={"tailor.kind": "study", DIGEST: "its"})
    assert find_digests(mlflow) == {study.data.tags[DIGEST]}
    mlflow.delete_experiment_tag(number, KEPT)
    assert find_digests(mlflow) == {study.data.tags[DIGEST], "its"}


@pytest.mark.parametrize("command", [("delete", "small"), ("gc",)])
def test_a_study_that_was_deleted_in_mlflow_keeps_what_its_version_needs(own: OwnProcess, command: tuple[str, ...]) -> None:
    mlflow = client(own.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    (parent,), _ = runs(own.folder)
    evidence, kind = version.tags["tailor.evidence"], "tailor.kind"
    mlflow.delete_experiment(parent.info.experiment_id)  # on MLflow's pages
    refused = own("status", "small")
    assert refused.returncode == 2 and "remove the rest with `tailor delete small`, or restore it" in refused.stderr
    done = own(*command, "--yes")
    assert done.returncode == 0, done.stderr
    assert "was deleted, except for what digits version 1 needs" in own("search", "small.toml").stderr
    assert studies(own.folder) == []
    for run in (parent.info.run_id, version.run_id, evidence):
        assert artifacts(mlflow.get_run(run)).is_dir()
    assert own("pull", "digits", "-o", "got").returncode == 0
    assert [run.info.run_id for run in runs(own.folder)[1]] == [version.run_id]
    assert mlflow.get_run(evidence).data.tags[kind] == "promotion"
    assert "was deleted before" in own("delete", "small", "--yes").stdout


@pytest.mark.parametrize("command", [("delete", "small"), ("gc",)])
def test_a_study_that_was_deleted_in_mlflow_goes_wholly_without_a_version(copy: Shell, command: tuple[str, ...]) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    mlflow.delete_experiment(mlflow.get_experiment_by_name("small").experiment_id)
    assert copy(*command, "--yes").returncode == 0
    assert mlflow.get_experiment_by_name("small") is None and studies(copy.folder) == []
    assert not any(path.is_file() for path in (copy.folder / "mlruns" / "artifacts").rglob("*"))


def test_an_empty_experiment_can_be_deleted_but_no_other_tools(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.create_experiment("begun")
    other = mlflow.create_experiment("other")
    mlflow.create_run(other)
    assert copy("delete", "begun", "--yes").returncode == 0 and mlflow.get_experiment_by_name("begun") is None
    for name in ("other", "Default"):
        refused = copy("delete", name, "--yes")
        assert refused.returncode == 2 and "is no study of Tailor's" in refused.stderr


def test_a_study_without_a_version_goes_wholly_and_gives_its_name_free(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    experiment = mlflow.get_experiment_by_name("small")
    asked = copy("delete", "small")
    assert asked.returncode == 2 and "--yes" in asked.stderr and mlflow.get_experiment_by_name("small") is not None
    assert copy("delete", "small", "--yes").returncode == 0
    assert experiment is not None and mlflow.get_experiment_by_name("small") is None and studies(copy.folder) == []
    assert not any(path.is_file() for path in (copy.folder / "mlruns" / "artifacts").rglob("*"))
    assert list_data(copy.folder) == []
    missing = copy("delete", "small", "--yes")
    assert missing.returncode == 2 and "there is no study 'small'" in missing.stderr


def test_an_experiment_with_range_tests_alone_is_no_study_yet_and_can_be_deleted(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.create_run(mlflow.create_experiment("only"), tags={"tailor.kind": "lr-range"})
    mlflow.create_run(mlflow.create_experiment("foreign"))
    for command in (("status", "only"), ("rename", "only", "new")):
        done = copy(*command)
        assert done.returncode == 2 and "'only' was not searched yet" in done.stderr
    taken = copy("rename", "small", "only")
    assert taken.returncode == 2 and "the name 'only' is taken already" in taken.stderr
    foreign = copy("delete", "foreign", "--yes")
    assert foreign.returncode == 2 and "is no study of Tailor's" in foreign.stderr
    done = copy("delete", "only", "--yes")
    assert done.returncode == 0 and "only: runs: 1, " in done.stdout and mlflow.get_experiment_by_name("only") is None


def test_a_study_that_runs_is_neither_deleted_nor_renamed(copy: Shell) -> None:
    with lock_study(copy.folder / "mlruns" / "locks", "small"):
        for command in (("delete", "small", "--yes"), ("rename", "small", "big"), ("gc", "--yes")):
            done = copy(*command)
            assert done.returncode == 2 and "is being run by process" in done.stderr
    assert len(runs(copy.folder)[1]) == 4 and studies(copy.folder) == ["small"]


def test_a_renamed_study_is_whole_and_resumes(own: OwnProcess) -> None:
    before = json.loads(own("status", "small", "--json").stdout)
    done = own("rename", "small", "big one")
    assert done.returncode == 0 and "Renamed small to big one" in done.stdout
    after = json.loads(own("status", "big one", "--json").stdout)
    assert after["leaderboard"] == before["leaderboard"] and after["study"] == "big one"
    assert studies(own.folder) == ["big one"] and client(own.folder).get_experiment_by_name("small") is None
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
    assert sorted(studies(copy.folder)) == ["other", "small"]


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
    assert studies(copy.folder) == ["small"]


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
        assert wrong.returncode == 2 and studies(own.folder) == ["small"], wrong.stdout + wrong.stderr
        assert client(own.folder).get_experiment_by_name("small-1") is None
    done = own(*fresh, "--enqueue-from", "small")  # the name still means the earlier study
    assert done.returncode == 0, done.stdout + done.stderr
    assert "trying 4 points of study small first" in done.stdout
    assert "may repeat draws of study small, which had the same seed; --seed N draws others" in done.stdout
    kept = "the earlier study is kept as small-1; `tailor delete small-1` removes it, except for what digits version 1 needs"
    following = done.stdout.rpartition("Next:")[2]
    assert kept in done.stdout and "--fresh" not in following and "--enqueue-from" not in following and "--trials N" in following
    assert len(runs(own.folder)[1]) == 1 and len(runs(own.folder, "small-1")[1]) == 4
    assert sorted(studies(own.folder)) == ["small", "small-1"]


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
    assert studies(own.folder) == ["big"]


def test_a_deletion_that_is_refused_leaves_the_study_as_a_person_deleted_it(copy: Shell) -> None:
    mlflow = client(copy.folder)
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.delete_experiment(number)
    with lock_study(copy.folder / "mlruns" / "locks", "small"):
        assert copy("delete", "small", "--yes").returncode == 2
    assert mlflow.get_experiment(number).lifecycle_stage == "deleted"


def test_a_deleted_study_that_was_deleted_in_mlflow_too_is_restored_to_what_its_version_needs(own: OwnProcess) -> None:
    mlflow = client(own.folder)
    assert own("delete", "small", "--yes").returncode == 0
    number = runs(own.folder)[0][0].info.experiment_id
    mlflow.delete_experiment(number)
    assert own("delete", "small", "--yes").returncode == 0
    assert mlflow.get_experiment(number).lifecycle_stage == "active" and len(runs(own.folder)[1]) == 1


@pytest.mark.parametrize("noted", ["tailor delete small", "tailor rename small big"])
def test_gc_removes_a_study_that_was_deleted_in_mlflow_while_another_change_was_begun(copy: Shell, noted: str) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.set_experiment_tag(number, "tailor.pending", noted)
    mlflow.delete_experiment(number)
    assert copy("gc", "--yes").returncode == 0 and mlflow.get_experiment_by_name("small") is None
