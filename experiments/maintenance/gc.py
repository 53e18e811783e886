"""Remove what no study and no registered version needs: data, dropped models, what was deleted in MLflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType

from ...search.study.key_values import is_name
from ..errors import InputError
from ..registry.forms import FOLDER, list_unneeded
from ..registry.versions import list_versions
from ..store import Store
from ..tracking.erase import ACTIVE, Eraser, find_place, measure, removes_rows
from ..tracking.kinds import CANDIDATE, REFIT
from ..tracking.lease import describe_owner
from ..tracking.pages import read_pages
from ..tracking.reader import OWN
from ..tracking.recorded import STUDY_TAG
from .delete import Deletion, erase, find_digests, find_own, plan_deletion
from .hold import find_elsewhere, ran_here
from .needed import find_needed

MEGABYTE = 1_000_000
PATIENCE = 30.0  # seconds to wait for others who use a database


@dataclass(frozen=True)
class Garbage:
    """What gc removes, and its size in bytes on this disk. `studies` are those whose experiments were deleted in MLflow.

    `left` says of others of these why they stay, a line each.
    """

    folders: Sequence[Path]
    forms: Sequence[Path]
    runs: Sequence[Run]
    models: Sequence[LoggedModel]
    studies: Sequence[Deletion]
    left: Sequence[str]
    size: int

    def describe(self) -> list[str]:
        """A line for each kind of garbage that there is, and for each study that stays."""
        counts = {
            "data and checkpoints that no study uses, folders": len(self.folders),
            "LiteRT forms of no registered version": len(self.forms),
            "runs deleted in MLflow": len(self.runs),
            "models that were dropped": len(self.models),
            "studies deleted in MLflow": len(self.studies),
        }
        return [f"{what}: {count}" for what, count in counts.items() if count] + [f"left: {line}" for line in self.left]


def find_garbage(client: MlflowClient, store: Store) -> Garbage:
    """Find what nothing needs; changes nothing. Other people's experiments stay: gc looks at those whose runs are Tailor's."""
    deleted = _find_deleted(client, store) if removes_rows(client) else _Deleted([], [], [], [])  # else its own `mlflow gc` does
    erased = {folder for plan in deleted.studies for folder in plan.folders}
    folders = [folder for folder in _find_folders(client, store) if folder not in erased]
    forms = list_unneeded(store, list_versions(client))
    places = {find_place(run.info.artifact_uri) for run in deleted.runs}
    places |= {find_place(model.artifact_location) for model in deleted.models}
    size = measure(*folders, *erased, *forms, *(place for place in places if place is not None))
    size += sum(plan.size - measure(*plan.folders) for plan in deleted.studies)  # several may have used the same data
    return Garbage(folders, forms, *deleted, size)


class _Deleted(NamedTuple):
    runs: list[Run]
    models: list[LoggedModel]
    studies: list[Deletion]
    left: list[str]


def _find_deleted(client: MlflowClient, store: Store) -> _Deleted:
    """What was deleted in MLflow, by a person or as a dropped model, and no version needs."""
    eraser, needed, found = Eraser(client), find_needed(client), _Deleted([], [], [], [])
    for experiment in read_pages(client.search_experiments, ViewType.ALL):
        held = eraser.list_runs(experiment.experiment_id)
        own = find_own(held)
        if not any("tailor.kind" in run.data.tags for run in held) or (own is None and not is_name(experiment.name)):
            continue
        if experiment.lifecycle_stage != ACTIVE:
            try:
                found.studies.append(_plan(client, store, experiment))
            except InputError as refusal:
                found.left.append(str(refusal))
            continue
        kept = needed.find_kept(experiment.name if own is None else own.data.tags[STUDY_TAG], held)
        if own is not None and any("tailor.trial" in run.data.tags for run in held if run.info.lifecycle_stage == ACTIVE):
            kept.add(own.info.run_id)  # without it the others would be no study's
        found.runs.extend(run for run in held if run.info.lifecycle_stage != ACTIVE and run.info.run_id not in kept)
        used = needed.models | {model.model_id for model in read_pages(client.search_logged_models, [experiment.experiment_id])}
        found.models.extend(model for model in eraser.list_models(experiment.experiment_id) if model.model_id not in used)
    return found


def _plan(client: MlflowClient, store: Store, experiment: Experiment) -> Deletion:
    """The deletion of a study that was deleted in MLflow. Raises InputError if it is not this store's to delete."""
    plan = plan_deletion(client, store, experiment.name)
    if plan.study_run is not None and not ran_here(store, plan.study):
        raise InputError(f"study {plan.study!r} did not run from the store {store.root}; run gc with the store that it ran from.")
    if other := find_elsewhere(client, store, experiment.experiment_id):
        raise InputError(f"study {plan.study!r} may be running elsewhere, by {describe_owner(other)}; run gc with that store.")
    return plan


def collect(garbage: Garbage, client: MlflowClient, store: Store, say: Callable[[str], None]) -> int:
    """Remove the garbage; the caller holds the store. Returns the bytes that it and SQLite's free pages took.

    `say` gets a line for each database that cannot be compacted: what had to go is gone by then.
    """
    for form in garbage.forms:
        form.unlink(missing_ok=True)
    Eraser(client).erase_all(garbage.folders, garbage.models, garbage.runs)
    for plan in garbage.studies:
        erase(plan, client, store)
    return garbage.size + sum(_compact(store.root / name, say) for name in ("mlflow.db", "studies.db"))


def _find_folders(client: MlflowClient, store: Store) -> list[Path]:
    """Data that no study uses, drafts of it, and the folders of studies that are gone; on a shared MLflow only the data."""
    used = find_digests(client)
    folders = [path for path in store.cache.glob("*") if path.is_dir() and path.name not in (*used, FOLDER)]
    if store.local:
        numbers = {one.experiment_id: one.name for one in read_pages(client.search_experiments, ViewType.ALL)}
        runs = read_pages(client.search_runs, list(numbers), OWN, run_view_type=ViewType.ALL)
        names = {*numbers.values(), *(run.data.tags[STUDY_TAG] for run in runs)}  # in MLflow's pages experiments get other names
        own = names | {f"{name}+{kind.name}s" for name in names for kind in (CANDIDATE, REFIT)}
        for root in (store.checkpoints, store.spool, store.oracles):
            folders += [path for path in root.glob("*") if path.is_dir() and path.name not in own]
    return sorted(folders)


def _compact(database: Path, say: Callable[[str], None]) -> int:
    """Give SQLite's free pages back to the disk. Returns their bytes; says why if it cannot."""
    if not database.is_file() or not database.stat().st_size:
        return 0
    before = database.stat().st_size
    try:
        with closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
            connection.execute("VACUUM")
    except sqlite3.Error as error:  # a copy of the whole file needs room, and nobody else may use it
        say(f"{database} could not be compacted ({error}); run gc again later.")
        return 0
    return before - database.stat().st_size
