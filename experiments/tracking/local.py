"""A local store's studies, read from MLflow's tables without MLflow, whose import takes longer than all that a screen needs."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...search.study.load import build_recorded
from ...search.study.spec import StudySpec
from ..errors import InputError, RunError
from ..store import Store
from ..system.sorting import count_up
from ..system.sqlite import read_database
from .kinds import TRIAL, Kind
from .moved import correct_addresses
from .recorded import STUDY_FILE, Info, RecordedAttempt, StudyRecord

OF_KIND = "JOIN tags k ON k.run_uuid = r.run_uuid AND k.key = 'tailor.kind' AND k.value = ?"
STUDIES = f"""
SELECT e.name, e.experiment_id, r.run_uuid, r.status, r.end_time, r.artifact_uri
FROM experiments e JOIN runs r ON r.experiment_id = e.experiment_id {OF_KIND}
WHERE e.lifecycle_stage = 'active' AND r.lifecycle_stage = 'active'
"""
ATTEMPTS = f"FROM runs r {OF_KIND} WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active'"
TABLES = {  # what an attempt has beside its run, with the values
    "tags": "v.value",
    "params": "v.value",
    "latest_metrics": "CASE WHEN v.is_nan THEN NULL ELSE v.value END",  # MLflow keeps 0 for NaN, and SQLite has none
}
PATIENCE = 30  # seconds to wait for a writer


@dataclass(frozen=True)
class LocalStudy(StudyRecord):
    """A study of a local store; each call reads the tables anew, as they are at one moment."""

    database: Path
    folder: Path  # of its run's files

    def read_spec(self) -> StudySpec:
        return build_recorded(json.loads((self.folder / STUDY_FILE).read_text(encoding="utf-8")))

    def read_attempts(self, kind: Kind = TRIAL) -> list[RecordedAttempt]:
        return self._read("", (), kind)

    def read_trials(self, run_ids: Iterable[str]) -> list[RecordedAttempt]:
        ids = tuple(run_ids)
        return self._read(f"AND r.run_uuid IN ({', '.join('?' * len(ids))})", ids, TRIAL)

    def list_deleted(self) -> set[int]:
        numbers = f"JOIN tags n ON n.run_uuid = r.run_uuid AND n.key = '{TRIAL.tag}'"
        query = f"SELECT n.value FROM runs r {OF_KIND} {numbers} WHERE r.experiment_id = ? AND r.lifecycle_stage = 'deleted'"
        with _open(self.database) as database:
            return {int(number) for (number,) in database.execute(query, (TRIAL.name, self.experiment_id))}

    def _read(self, more: str, values: Sequence[str], kind: Kind) -> list[RecordedAttempt]:
        among, given = f"{ATTEMPTS} {more}", (kind.name, self.experiment_id, *values)
        found = {table: defaultdict[str, dict[str, Any]](dict) for table in TABLES}
        with _open(self.database) as database:
            columns = "r.run_uuid, r.name, r.status, r.start_time, r.end_time"
            runs = database.execute(f"SELECT {columns} {among} ORDER BY r.start_time, r.run_uuid", given).fetchall()
            for table, column in TABLES.items():
                query = f"SELECT v.run_uuid, v.key, {column} FROM {table} v WHERE v.run_uuid IN (SELECT r.run_uuid {among})"
                for run_id, key, value in database.execute(query, given):
                    found[table][run_id][key] = float("nan") if value is None else value
        tags, params, metrics = found.values()
        return [RecordedAttempt.make(Info(*run), tags[run[0]], params[run[0]], metrics[run[0]], kind) for run in runs]


def find_local_study(store: Store, name: str) -> LocalStudy | None:
    """The study of that name; None if anything is not as expected.

    It never explains why: MLflow's client, asked next, does.
    """
    found = next((study for study in read_local_studies(store) or () if study.name == name), None)
    return found if found is not None and (found.folder / STUDY_FILE).is_file() else None


def read_local_studies(store: Store) -> list[LocalStudy] | None:
    """The studies of a local store, by name, as people count; None if it is not local, or anything is not as expected."""
    path = store.root / "mlflow.db"
    if not store.local or not path.is_file():
        return None
    with suppress(RunError, sqlite3.Error, KeyError, ValueError, OSError, InputError):
        correct_addresses(store)
        with _open(path) as database:
            return sorted(_find(database, path), key=lambda study: count_up(study.name))
    return None


def _find(database: sqlite3.Connection, path: Path) -> Iterator[LocalStudy]:
    """Raises ValueError for a study whose experiment has another name or another study in it: MLflow's client knows more."""
    for table, column in TABLES.items():  # an error now, not at the first attempt
        database.execute(f"SELECT v.run_uuid, v.key, {column} FROM {table} v LIMIT 0")
    names = set[str]()
    for name, experiment, run, status, end, address in database.execute(STUDIES, ("study",)).fetchall():
        tags = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)).fetchall())
        study = LocalStudy(str(experiment), run, status, end, tags, path, Path(url2pathname(urlsplit(address).path)))
        if study.name != name or name in names:
            raise ValueError(name)
        names.add(name)
        yield study


@contextmanager
def _open(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads; the block sees the tables as they are at one moment. Raises RunError."""
    try:
        with read_database(path, PATIENCE) as database:
            yield database
    except sqlite3.Error as error:
        raise RunError(f"{path} cannot be read ({error}); try again, or look at it by `tailor doctor`.") from error
