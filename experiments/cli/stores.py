"""The store and the study that a command's options and arguments name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..system.file_lock import is_locked, was_locked

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from ..store import Store
    from ..tracking.reader import RecordedStudy
    from ..tracking.recorded import StudyRecord

STUDIES = "tailor.studies"  # where a command keeps what --studies names


def store_at(folder: str | None) -> Store:
    """The store that the command's options name; opens and creates nothing."""
    from ..store import Store

    return Store.at(folder, studies=click.get_current_context().meta.get(STUDIES))


def open_store(folder: str | None) -> tuple[Store, MlflowClient]:
    """The store and a client on it. Raises InputError if no study was recorded in it."""
    from ..errors import InputError

    store = store_at(folder)
    if not store.exists:
        raise InputError(
            f"--store: there is no study in {store.place} yet; start one with `tailor search` and its file (or quickstart), "
            "or name another store."
        )
    from ..tracking.question import require_database
    from ..tracking.reader import open_client  # after the refusal: it takes a second to import

    require_database(store)
    return store, open_client(store)


def find_recorded(client: MlflowClient, study: str) -> RecordedStudy:
    """Find a recorded study by its name, or by its study file. Raises InputError that lists the recorded ones."""
    from ..tracking.reader import find_study, no_study

    name = _find_name(study)
    found = find_study(client, name)
    if found is None:
        raise no_study("STUDY", name, client)
    return found


def find_shown(folder: str | None, study: str) -> tuple[Store, StudyRecord, list[str]]:
    """The store, and a study of it to show, found as `find_recorded` does, with a line for each repair.

    A local store is read without MLflow, unless the study needs a repair.
    """
    from ..tracking.local import find_local_study

    place, name = store_at(folder), _find_name(study)
    local = find_local_study(place, name)
    if local is not None and (not local.running or is_locked(place.locks, local.name)):
        return place, local, []
    place, client = open_store(folder)
    recorded, lines = repair_if_killed(find_recorded(client, name), place)
    return place, recorded, lines


def _find_name(study: str) -> str:
    """The study's name, also if its file is given."""
    if not study.endswith(".toml"):
        return study
    from ...search.study.load import load
    from ..planning.resolve import find_file

    return load(find_file(study)).name


def repair_if_killed(study: RecordedStudy, store: Store) -> tuple[RecordedStudy, list[str]]:
    """Repair what a killed search left. Returns the study and a line for each repair; no repair while a search runs."""
    if not study.running:
        return study, []
    from ..coordinator.fsck import repair
    from ..errors import InputError

    try:
        lines = repair(study, store)
    except InputError:  # a search holds the lock
        return study, []
    return study.refresh(), lines


def is_taken_up(study: StudyRecord, store: Store) -> bool:
    """Whether a search begins that will resume a killed study: it holds the study, and has not recorded yet that it runs."""
    return not study.running and "tailor.ended" not in study.tags and is_locked(store.locks, study.name)


def find_word(study: StudyRecord, store: Store) -> str:
    """The study's state in one word, by its run and, of a local store, by whether a search holds it."""
    if store.local and study.running and was_locked(store.locks, study.name) and not is_locked(store.locks, study.name):
        return "stopped"  # killed, and not repaired yet
    return "running" if is_taken_up(study, store) else study.word
