"""A store that was moved or copied opens as it was, and an experiment that was renamed or deleted says so."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tailor.experiments.errors import InputError
from tailor.experiments.planning.study_file import read_study
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import find_studies, find_study, open_client


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two studies; one has a file, a logged model and a registered version."""
    store = Store.at(str(tmp_path_factory.mktemp("first") / "my runs%"), {})
    with store.reserved():
        store.create()
        client = open_client(store)
        for name in ("small", "empty"):
            experiment = client.create_experiment(name, (store.artifacts / name).as_uri())
            run = client.create_run(experiment, tags={"tailor.kind": "study", "tailor.study": name})
            if name == "small":
                client.log_text(run.info.run_id, "kept", "note.txt")
                model = client.create_logged_model(experiment, "model", run.info.run_id)
                client.log_model_artifacts(model.model_id, str(_folder(store.root / "draft")))
                client.create_registered_model("digits")
                client.create_model_version("digits", model.artifact_location, run.info.run_id, model_id=model.model_id)
    return store.root


def _folder(place: Path) -> Path:
    place.mkdir()
    (place / "model.txt").write_text("a model", encoding="utf-8")
    return place


def addresses(client: MlflowClient) -> list[str]:
    """Every address of a file that MLflow keeps."""
    experiments = client.search_experiments()
    ids = [e.experiment_id for e in experiments]
    runs = client.search_runs(ids)
    models = client.search_logged_models(ids)
    versions = client.search_model_versions()
    return [
        *(e.artifact_location for e in experiments if e.name != "Default"),
        *(run.info.artifact_uri for run in runs),
        *(model.artifact_location for model in models),
        *(version.source for version in versions),
    ]


@pytest.mark.parametrize("copied", [True, False])
def test_a_store_that_was_moved_or_copied_points_to_its_own_files(first: Path, tmp_path: Path, copied: bool) -> None:
    old = tmp_path / "old%20place" / "mlruns"
    shutil.copytree(first, old)
    open_client(Store.at(str(old), {}))
    place = Store.at(str(tmp_path / "neuer ort" / "mlruns"), {})
    (shutil.copytree if copied else shutil.move)(old, place.root)
    client = open_client(place)
    found = addresses(client)
    assert len(found) == 6 and all(address.startswith(f"{place.artifacts.as_uri()}/") for address in found)
    study = find_study(client, "small")
    assert study is not None
    note = client.download_artifacts(study.run_id, "note.txt", str(tmp_path))
    assert Path(note).read_text(encoding="utf-8") == "kept"


def test_a_link_to_a_store_is_no_move(first: Path, tmp_path: Path) -> None:
    before = addresses(open_client(Store.at(str(first), {})))
    (tmp_path / "old").symlink_to(first)
    linked = Store(tmp_path / "old", f"sqlite:///{tmp_path}/old/mlflow.db")
    assert linked.local and addresses(open_client(linked)) == before


def test_a_moved_store_that_cannot_be_written_says_what_happened(first: Path, tmp_path: Path) -> None:
    place = Store.at(str(tmp_path / "mlruns"), {})
    shutil.copytree(first, place.root)
    with closing(sqlite3.connect(place.root / "mlflow.db")) as database, database:
        database.execute("CREATE TRIGGER no BEFORE UPDATE ON runs BEGIN SELECT RAISE(ABORT, 'read-only'); END")
    with pytest.raises(InputError, match=r"was moved here from .*my runs%, .* \(read-only\); make it writable, or move it back"):
        open_client(place)


def test_a_renamed_and_a_deleted_experiment_say_how_to_undo_it(first: Path, tmp_path: Path) -> None:
    place = Store.at(str(tmp_path / "mlruns"), {})
    shutil.copytree(first, place.root)
    client = open_client(place)
    number = client.get_experiment_by_name("small").experiment_id
    client.rename_experiment(number, "large")
    with pytest.raises(InputError, match=rf"renamed to 'large' in MLflow.* rename -x {number} --new-name small\.$"):
        find_study(client, "small")
    assert [study.experiment_id for study in find_studies(client)] and find_study(client, "another") is None
    client.rename_experiment(number, "small")
    assert find_study(client, "small") is not None
    client.delete_experiment(number)
    with pytest.raises(InputError, match=rf"deleted in MLflow.* `tailor delete small`, or .* restore -x {number}\.$"):
        find_study(client, "small")
    assert number not in [study.experiment_id for study in find_studies(client)]


def test_mlflows_own_experiment_is_no_study() -> None:
    with pytest.raises(InputError, match=r"^study\.name: 'Default' is MLflow's own experiment"):
        read_study("quickstart", name="Default")
