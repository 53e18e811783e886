"""Remove what no study and no registered version needs: data, dropped models, what was deleted in MLflow."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType

from ..registry.forms import FOLDER, list_unneeded
from ..store import Store
from ..tracking.erase import ACTIVE, Eraser, find_place, measure, removes_rows
from ..tracking.kinds import CANDIDATE, REFIT
from ..tracking.pages import read_pages
from .delete import find_digests
from .needed import find_needed

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Garbage:
    """What gc removes, and its size in bytes on this disk. `experiments` are marked as deleted in MLflow."""

    folders: Sequence[Path]
    forms: Sequence[Path]
    runs: Sequence[Run]
    models: Sequence[LoggedModel]
    experiments: Sequence[Experiment]
    size: int

    def describe(self) -> list[str]:
        """A line for each kind of garbage that there is."""
        counts = {
            "data and checkpoints that no study uses, folders": len(self.folders),
            "LiteRT forms of no registered version": len(self.forms),
            "runs deleted in MLflow": len(self.runs),
            "models that were dropped": len(self.models),
            "experiments deleted in MLflow": len(self.experiments),
        }
        return [f"{what}: {count}" for what, count in counts.items() if count]


def find_garbage(client: MlflowClient, store: Store) -> Garbage:
    """Find what nothing needs; changes nothing. Other people's experiments stay: gc looks at those whose runs are Tailor's."""
    eraser, needed = Eraser(client), find_needed(client)
    runs, models, experiments = list[Run](), list[LoggedModel](), list[Experiment]()
    for experiment in read_pages(client.search_experiments, ViewType.ALL):
        held = eraser.list_runs(experiment.experiment_id)
        if not any("tailor.kind" in run.data.tags for run in held):
            continue
        kept = needed.find_kept(experiment.name, held)
        marked = [run for run in held if run.info.lifecycle_stage != ACTIVE and run.info.run_id not in kept]
        active = {model.model_id for model in read_pages(client.search_logged_models, [experiment.experiment_id])}
        logged = [model for model in eraser.list_models(experiment.experiment_id) if model.model_id not in needed.models]
        if experiment.lifecycle_stage == ACTIVE:
            logged = [model for model in logged if model.model_id not in active]
        elif len(marked) == len(held):
            experiments.append(experiment)
        runs, models = runs + marked, models + logged
    if not removes_rows(client):
        runs, models, experiments = [], [], []  # the server's own `mlflow gc` removes them
    folders, forms = _find_folders(client, store), list_unneeded(store, needed.versions)
    places = {find_place(run.info.artifact_uri) for run in runs} | {find_place(model.artifact_location) for model in models}
    size = measure(*folders, *forms, *(place for place in places if place is not None))
    return Garbage(folders, forms, runs, models, experiments, size)


def collect(garbage: Garbage, client: MlflowClient, store: Store) -> int:
    """Remove the garbage; the caller holds the store. Returns the bytes that it and SQLite's free pages took."""
    eraser = Eraser(client)
    for form in garbage.forms:
        form.unlink(missing_ok=True)
    eraser.erase_all(garbage.folders, garbage.models, garbage.runs)
    for experiment in garbage.experiments:
        eraser.erase_experiment(experiment)
    return garbage.size + sum(_compact(store.root / name) for name in ("mlflow.db", "studies.db"))


def _find_folders(client: MlflowClient, store: Store) -> list[Path]:
    """Data that no study uses, drafts of it, and the folders of studies that are gone; on a shared MLflow only the data."""
    used = find_digests(client)
    folders = [path for path in store.cache.glob("*") if path.is_dir() and path.name not in (*used, FOLDER)]
    if store.local:
        names = {one.name for one in read_pages(client.search_experiments)}
        own = names | {f"{name}+{kind.name}s" for name in names for kind in (CANDIDATE, REFIT)}
        for root in (store.checkpoints, store.spool, store.oracles):
            folders += [path for path in root.glob("*") if path.is_dir() and path.name not in own]
    return sorted(folders)


def _compact(database: Path) -> int:
    """Give SQLite's free pages back to the disk. Returns their bytes."""
    if not database.is_file() or not database.stat().st_size:
        return 0
    before = database.stat().st_size
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("VACUUM")
    return before - database.stat().st_size
