"""The state that an engine keeps of a study, as a whole: remove it, or give it another name. Each step may be repeated."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import optuna

from .storage import open_storage, refusing


def delete_state(study: str, storage_url: str | None, folder: Path) -> None:
    """Delete a study's state: Optuna's in the database (None: there is none yet), Keras Tuner's under the folder."""
    shutil.rmtree(folder / study, ignore_errors=True)
    if storage_url is not None:
        with refusing(storage_url):
            _delete(study, open_storage(storage_url))


def rename_state(study: str, new: str, storage_url: str | None, folder: Path) -> None:
    """Rename a study's state. Optuna can only copy a study: a copy that was cut off is made anew while the original is there."""
    if (folder / study).is_dir():
        os.replace(folder / study, folder / new)
    if storage_url is None:
        return
    with refusing(storage_url):
        storage = open_storage(storage_url)
        if study in optuna.get_all_study_names(storage):
            optuna.logging.set_verbosity(optuna.logging.ERROR)
            _delete(new, storage)
            optuna.copy_study(from_study_name=study, from_storage=storage, to_storage=storage, to_study_name=new)
            _delete(study, storage)


def has_state(study: str, storage_url: str | None, folder: Path) -> bool:
    """Whether an engine knows a study of that name."""
    if (folder / study).is_dir():
        return True
    if storage_url is None:
        return False
    with refusing(storage_url):
        return study in optuna.get_all_study_names(open_storage(storage_url))


def _delete(study: str, storage: optuna.storages.RDBStorage) -> None:
    if study in optuna.get_all_study_names(storage):
        optuna.delete_study(study_name=study, storage=storage)
