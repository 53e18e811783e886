"""A store that was moved or copied: MLflow records absolute addresses of files; Tailor corrects them when it opens the store."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ..errors import InputError
from ..store import Store

PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def correct_addresses(store: Store) -> None:
    """Let a local store's records point to its own files, if they lie here and the records say elsewhere. Raises InputError.

    A store with two paths (a link) stays as it is: both lead to the same files.
    """
    here = store.artifacts.as_uri()
    with closing(sqlite3.connect(store.root / "mlflow.db", timeout=30)) as database:
        for before in _elsewhere(store, database):
            try:
                with database:
                    _replace(database, f"{before}/", f"{here}/")
            except sqlite3.Error as error:
                raise InputError(
                    f"--store: {store.root} was moved here from {_path(before).parent}, and Tailor cannot correct its records "
                    f"({error}); make it writable, or move it back."
                ) from error


def _elsewhere(store: Store, database: sqlite3.Connection) -> set[str]:
    """Other artifact folders that, by the records, hold what lies in this one; their addresses."""
    try:
        found = database.execute("SELECT artifact_location FROM experiments WHERE artifact_location LIKE 'file://%'").fetchall()
    except sqlite3.Error:  # not MLflow's database: MLflow reports that itself
        return set()
    folders = (str(location).rpartition("/") for (location,) in found)
    named = {folder for folder, _, own in folders if folder.endswith("/artifacts") and (store.artifacts / unquote(own)).is_dir()}
    return {folder for folder in named if not _same(_path(folder), store.artifacts)}


def _replace(database: sqlite3.Connection, before: str, after: str) -> None:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table, column in PLACES:
        if table in tables:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (after, len(before) + 1, len(before), before),
            )


def _same(one: Path, other: Path) -> bool:
    return one == other or (one.exists() and one.samefile(other))


def _path(address: str) -> Path:
    return Path(url2pathname(urlsplit(address).path))
