"""The store's folder: a new database is put into it whole, and once."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from conftest import Shell

from tailor.experiments.errors import InputError
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import open_client
from tailor.search.engines.storage import open_storage, place
from tailor.search.study.key_values import LONGEST_NAME


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


def test_a_sqlite_address_is_there_when_its_file_is_and_is_the_stores_own_by_any_spelling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("mlruns")
    for own in ("sqlite:///mlruns/mlflow.db", f"sqlite+pysqlite:///{tmp_path}/link/../mlruns/mlflow.db?timeout=9"):
        store = Store.at("link", {"MLFLOW_TRACKING_URI": own})
        assert store.local and store.tracking_uri == f"sqlite:///{tmp_path}/mlruns/mlflow.db" and not store.exists
    other = Store.at(None, {"MLFLOW_TRACKING_URI": "sqlite:///a%25b/mlflow.db"})
    assert (other.local, other.exists, other.database) == (False, False, tmp_path / "a%b" / "mlflow.db")
    (tmp_path / "a%b").mkdir()
    (tmp_path / "a%b" / "mlflow.db").touch()
    assert other.exists
    for elsewhere in ("sqlite://", "sqlite:///:memory:", "sqlite:///file:x.db?uri=true", "http://127.0.0.1:5000"):
        store = Store.at(None, {"MLFLOW_TRACKING_URI": elsewhere})
        assert store.database is None and store.exists


@pytest.mark.parametrize("address", ["sqlite:///mlruns/mlflow.db", "sqlite:///elsewhere/mlflow.db"])
def test_only_a_search_that_begins_creates_the_database_of_a_sqlite_address(
    tailor: Shell, write_study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    write_study()
    for refused in (("status", "x"), ("models",), ("search", "small.toml", "--set", "space.depth.low=9")):
        done = tailor(*refused)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
        assert [path.name for path in tailor.folder.iterdir()] == ["small.toml"]
    assert "there is no study in" in tailor("status", "x").stderr
    done = tailor("search", "small.toml", "--workers", "1", "--trials", "1")
    assert done.returncode == 0, done.stderr
    path = tailor.folder / address.removeprefix("sqlite:///")
    assert [one.stat().st_mode & 0o777 for one in (path.parent, path)] == [0o700, 0o600]
    assert tailor("status", "small").returncode == 0


@pytest.mark.slow
def test_the_longest_name_leaves_room_for_what_is_added_to_it(tailor: Shell, write_study: Callable[..., Path]) -> None:
    name = "n" * LONGEST_NAME
    write_study(('"small"', f'"{name}"'))
    search = ("search", "small.toml", "--workers", "1", "--trials", "1")
    for command in (search, ("promote", name, "--to", name), (*search, "--fresh"), ("status", name), ("gc", "--yes")):
        done = tailor(*command)
        assert done.returncode == 0, (command, done.stderr)
    kept = f"{name[:-2]}-1"
    assert tailor("promote", kept, "--to", "other", "--quick").returncode == 0
    assert tailor("rename", kept, f"{name}x").stderr.startswith("tailor: NEW: expected 1 to 200 letters")


def test_what_is_no_path_is_refused_by_its_option(tailor: Shell) -> None:
    (tailor.folder / "loop").symlink_to("loop")
    for wrong, said in (("x" * 300, "--store: "), ("loop", "--store: "), ("ok", "MLFLOW_TRACKING_URI: ")):
        address = {"MLFLOW_TRACKING_URI": f"sqlite:///{'y' * 300}"} if wrong == "ok" else {}
        for command in ("status", "search"):
            done = tailor(command, "quickstart", "--store", wrong, **address)
            assert done.returncode == 2 and done.stderr.startswith(f"tailor: {said}"), done.stderr
            assert done.stderr.count("\n") == 1 and len(done.stderr) < 300
    assert [path.name for path in tailor.folder.iterdir()] == ["loop"]


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
            store.adopt_database(tmp_path / "draft", store.root / "mlflow.db")
    assert (store.root / "mlflow.db").read_text() == "first"
    assert list(store.root.glob(".mlflow-*")) == []


@pytest.mark.parametrize("address", ["sqlite://data/mlflow.db", "sqlite://host:abc/mlflow.db"])
def test_an_address_of_sqlite_with_two_slashes_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(InputError, match=r"^MLFLOW_TRACKING_URI: expected sqlite:///FOLDER/mlflow\.db or .* got 'sqlite://"):
        Store.at(str(tmp_path), {"MLFLOW_TRACKING_URI": address})
