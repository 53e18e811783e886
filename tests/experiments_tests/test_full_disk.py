"""A full disk without one: files that may not grow, and a database that may not. True full disks are in fault_tests."""

from __future__ import annotations

import errno
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import OwnProcess, Shell
from mlflow.exceptions import MlflowException

from tailor.experiments.datasets.images import Dataset, Images
from tailor.experiments.datasets.splits import cache, split
from tailor.experiments.errors import InputError, RunError
from tailor.experiments.store import Store
from tailor.experiments.system.file_lock import is_locked, lock_study
from tailor.experiments.tracking.full_disk import explain_full_disk, name_full_disk
from tailor.search.study.spec import DataPlan


@contextmanager
def no_room(size: int = 0) -> Iterator[None]:
    """No file grows beyond that many bytes, whatever writes it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill(path: Path) -> sqlite3.Error:
    """SQLite's error of a database that has no page left."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS full (data)")
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("INSERT INTO full VALUES (zeroblob(100000))")
    return caught.value


def test_a_lock_holds_without_the_note_of_its_owner(tmp_path: Path) -> None:
    with no_room():
        with lock_study(tmp_path, "small"):
            assert is_locked(tmp_path, "small")
            with pytest.raises(InputError, match="is being run by another process; wait for it"), lock_study(tmp_path, "small"):
                pass
        assert not is_locked(tmp_path, "small")


def test_the_line_names_what_is_full_and_says_what_to_do(tmp_path: Path) -> None:
    store, todo = Store.at(str(tmp_path), {}), "; make room, and the same command resumes."
    said = f"{tmp_path / 'mlflow.db'} cannot be written (database or disk is full){todo}"
    full = fill(tmp_path / "mlflow.db")
    for error in (full, MlflowException(f"(sqlite3.OperationalError) {full}\n[SQL: INSERT …]")):
        assert explain_full_disk(error, store) == said
        with pytest.raises(RunError) as caught, name_full_disk(store):
            raise error
        assert str(caught.value) == said
        assert explain_full_disk(error, Store.at(None, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"})) is None
    for path in ("x", None):
        line = explain_full_disk(OSError(errno.ENOSPC, "No space left on device", path), store)
        assert line == f"{path or tmp_path} cannot be written (No space left on device){todo}"
    for other in (OSError(errno.EIO, "Input/output error"), ValueError("database or disk is full")):
        assert explain_full_disk(other, store) is None


def test_data_that_finds_no_room_leaves_no_draft_and_says_which_error_it_met(tmp_path: Path) -> None:
    """NumPy's own writing says how many numbers are missing, but not that the disk is full."""
    images = Images(np.zeros((100, 8, 8, 1), "uint8"), np.arange(100) % 2)
    splits = split(Dataset("made", images, None, ("a", "b")), DataPlan())
    with no_room(4096), pytest.raises(OSError) as caught:
        cache(splits, tmp_path / "cache")
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "cache"))
    assert [*tmp_path.rglob("*")] == [tmp_path / "cache"]


def test_a_command_that_finds_the_disk_full_ends_in_that_line(copy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    place = copy.folder / "mlruns"
    full = MlflowException(f"(sqlite3.OperationalError) {fill(place / 'mlflow.db')}")

    def refuse(*_: object) -> None:
        raise full

    monkeypatch.setattr("tailor.experiments.maintenance.rename._rename_files", refuse)
    done = copy("rename", "small", "other", "--store", "mlruns")
    said = (
        f"tailor: {place / 'mlflow.db'} cannot be written (database or disk is full); make room, and the same command resumes.\n"
    )
    assert (done.returncode, done.stderr.endswith(said)) == (1, True), done.stderr
    monkeypatch.undo()
    assert OwnProcess(copy.folder)("rename", "small", "other").returncode == 0
