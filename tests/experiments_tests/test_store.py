"""The store's folder: a new database is put into it whole, and once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import optuna
import pytest

from tailor.experiments.errors import InputError
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import open_client
from tailor.search.engines.storage import open_storage, place


def test_what_was_exported_of_one_store_is_not_taken_for_another(tmp_path: Path) -> None:
    one, other = (tmp_path / name for name in ("one", "other"))
    exported = {"TAILOR_STORE": str(one), "MLFLOW_TRACKING_URI": f"sqlite:///{one / 'mlflow.db'}"}
    assert Store.at(None, exported).local
    assert Store.at(str(other), exported).tracking_uri == f"sqlite:///{other / 'mlflow.db'}"
    server = {**exported, "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"}
    assert Store.at(str(other), server).tracking_uri == "http://127.0.0.1:5000"


@pytest.mark.parametrize("name", ["My%20Project", "q?x#y", "plus+100%", "per cent%"])
def test_a_store_opens_under_any_name(tmp_path: Path, name: str) -> None:
    """By MLflow and Optuna, at the address that `tailor env` prints; and no folder of another name appears."""
    store = Store.at(str(tmp_path / name), {})
    with store.reserved():
        store.create()
        open_client(store).search_experiments(max_results=1)
        optuna.create_study(storage=open_storage(store.studies_url), study_name="x")
        assert optuna.load_study(study_name="x", storage=store.optuna_url).trials == []
    assert (store.root / "mlflow.db").stat().st_size and (store.root / "studies.db").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [name] and store.local
    assert place(store.studies_url) == str(store.root / "studies.db")


def test_ordinary_addresses_stay_as_they_were(tmp_path: Path) -> None:
    for name in ("mlruns", "für alle", "a+b", "semi;&=@"):
        store = Store.at(str(tmp_path / name), {})
        assert store.tracking_uri == f"sqlite:///{tmp_path}/{name}/mlflow.db"
        assert store.optuna_url == f"sqlite:///{tmp_path}/{name}/studies.db"


PATHS = ["./mlruns", "mlruns", "/data/mlruns", "file:///data/mlruns", "file:mlruns", "localhost:5000", "htp://host:5000"]


@pytest.mark.parametrize("named", PATHS)
def test_a_path_is_no_address_of_mlflows(tmp_path: Path, named: str) -> None:
    with pytest.raises(InputError, match=r"^MLFLOW_TRACKING_URI: expected an address, .* name a folder with --store"):
        Store.at(str(tmp_path), {"MLFLOW_TRACKING_URI": named})


@pytest.mark.parametrize("named", ["https://u:p@host/x", "postgresql+psycopg://host/db", "sqlite:///mlflow.db", "databricks"])
def test_addresses_of_mlflows_are_taken(tmp_path: Path, named: str) -> None:
    assert Store.at(str(tmp_path), {"MLFLOW_TRACKING_URI": named}).tracking_uri == named


@pytest.mark.parametrize("links", [True, False])
def test_the_first_database_stays_with_and_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", link)
    store = Store.at(str(tmp_path / "mlruns"), {})
    with store.reserved():
        for content in ("first", "second"):
            (tmp_path / "draft").write_text(content)
            store.adopt_database(tmp_path / "draft")
    assert (store.root / "mlflow.db").read_text() == "first"
    assert list(store.root.glob(".mlflow-*")) == []
