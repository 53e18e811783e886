"""Rename a study in every store: MLflow's experiment, runs, models and versions, the engine's state, and folders.

The experiment is tagged first, and gets its new name last; each step between may be repeated, so the same command finishes what a
kill cut off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag

from ...search.engines.states import has_state, rename_state
from ...search.study.key_values import LONGEST_NAME
from ...search.study.load import check_name
from ..coordinator.fsck import repair
from ..errors import InputError, write_command
from ..planning.resolve import OF_MLFLOW
from ..registry.versions import list_versions
from ..store import Store
from ..system.file_lock import lock_study
from ..system.words import say_need
from ..tracking import pending
from ..tracking.erase import Eraser
from ..tracking.kinds import TRIAL
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy, find_named, no_study, open_client
from ..tracking.recorded import NOTE, STUDY_FILE, STUDY_TAG
from ..tracking.ui_links import make_view_tags
from .engine_state import lacks_state
from .hold import hold_study


def rename(client: MlflowClient, store: Store, study: str, new: str, say: Callable[[str], None]) -> None:
    """Rename a study. Raises InputError if there is none, if it runs, or if the new name is taken in any store."""
    check_name("NEW", new)
    if new in (OF_MLFLOW, study):
        raise InputError(f"NEW: expected another name than the study's and than {OF_MLFLOW!r}, got {new!r}.")
    command = f"tailor rename {study} {new}"
    taken = client.get_experiment_by_name(new)
    if taken is not None and taken.tags.get(pending.PENDING) == command:  # only the end of the work was cut off
        pending.end(client, taken.experiment_id)
        return
    found = _find(client, study)
    begun = client.get_experiment(found.experiment_id).tags.get(pending.PENDING) == command
    if taken is not None or (not begun and has_state(new, store.known_studies_url, store.oracles)):
        raise InputError(f"NEW: the name {new!r} is taken already; choose another one.")
    if not begun:
        _require_state(client, store, found)
    if not begun and (found.running or (store.spool / study).is_dir()):
        for line in repair(found, store):  # what a killed search left
            say(line)
    with (
        hold_study(client, store, study, found.experiment_id, say),
        lock_study(store.locks, new),
    ):
        pending.begin(client, found.experiment_id, command)
        _rename_files(store, study, new)
        _rename_runs(client, found, new)
        client.rename_experiment(found.experiment_id, new)
        pending.end(client, found.experiment_id)
    (store.locks / f"{study}.lock").unlink(missing_ok=True)


def set_aside(study: str, store: Store, say: Callable[[str], None]) -> None:
    """Rename a study to STUDY-1, or the next free number, if there is one. Raises InputError if it runs."""
    if not store.exists:
        return
    client = open_client(store)
    if find_named(client, study) is None:
        return
    kept = choose_name(client, store, study)
    rename(client, store, study, kept, say)
    versions = [f"{one.name} version {one.version}" for one in list_versions(client) if one.tags.get(STUDY_TAG) == kept]
    rest = f", except for what {say_need(versions)}" if versions else ""
    way = "" if pending.is_deleted(client, kept) else f"; {write_command('delete', kept)} removes it{rest}"
    say(f"the earlier study is kept as {kept}{way}")


def choose_name(client: MlflowClient, store: Store, study: str) -> str:
    """The first free name of STUDY-1, STUDY-2, …, for a study that makes room for a fresh one."""
    number, url = 1, store.known_studies_url
    while client.get_experiment_by_name(name := _number(study, number)) or has_state(name, url, store.oracles):
        number += 1
    return name


def _number(study: str, number: int) -> str:
    """STUDY-NUMBER; a name that would be too long loses its last letters."""
    return f"{study[: LONGEST_NAME - len(f'-{number}')]}-{number}"


def _find(client: MlflowClient, study: str) -> RecordedStudy:
    """The study of that name, also while a renaming that was cut off has renamed its run already."""
    found = find_named(client, study)
    if found is None:
        raise no_study("OLD", study, client)
    return found


def _require_state(client: MlflowClient, store: Store, study: RecordedStudy) -> None:
    """Raise InputError if the engine's state of a study is elsewhere: half of the study would keep its name."""
    experiment = client.get_experiment(study.experiment_id)
    pending.refuse(experiment)  # another change may have moved the state
    if pending.KEPT not in experiment.tags and lacks_state(store, study):
        raise InputError(
            f"study {study.name!r}: it has trials that ended, and the studies' database does not know it. "
            f"Give the --studies or TAILOR_STUDIES that it ran with; if that is lost, {write_command('delete', study.name)} "
            "removes the study."
        )


def _rename_files(store: Store, study: str, new: str) -> None:
    """The engine's state, and the folders; a trial's checkpoints stay usable."""
    rename_state(study, new, store.known_studies_url, store.oracles)
    for root in (store.checkpoints, store.spool):
        for folder in [*root.glob(study), *root.glob(f"{study}+*")]:
            os.replace(folder, root / f"{new}{folder.name.removeprefix(study)}")


def _rename_runs(client: MlflowClient, study: RecordedStudy, new: str) -> None:
    """The tags that name the study, the study's own run the last one."""
    old, eraser = client.get_experiment(study.experiment_id).name, Eraser(client)
    for run in eraser.list_runs(study.experiment_id):
        if run.info.lifecycle_stage == "active" and run.info.run_id != study.run_id:
            client.log_batch(run.info.run_id, tags=[RunTag(STUDY_TAG, new), *_rename_in_note(run, old, new)])
    for model in read_pages(client.search_logged_models, [study.experiment_id]):
        client.set_logged_model_tags(model.model_id, {STUDY_TAG: new})
    for version in list_versions(client):
        if version.tags.get(STUDY_TAG) == old:
            client.set_model_version_tag(version.name, version.version, STUDY_TAG, new)
    spec = replace(study.read_spec(), name=new)
    client.log_text(study.run_id, json.dumps(spec.tables(), indent=2), STUDY_FILE)
    for key, value in make_view_tags(spec).items():
        client.set_experiment_tag(study.experiment_id, key, value)
    client.update_run(study.run_id, name=new)
    note = _rename_in_note(client.get_run(study.run_id), old, new)
    client.log_batch(study.run_id, tags=[*note, RunTag(STUDY_TAG, new)])


def _rename_in_note(run: Run, old: str, new: str) -> list[RunTag]:
    """A run's description with the new name, in its commands too; nothing if it has none."""
    if NOTE not in run.data.tags:
        return []
    note, number = run.data.tags[NOTE], run.data.tags.get(TRIAL.tag, "")
    for before, after in (
        (f"tudy **{old}**", f"tudy **{new}**"),
        (write_command("reproduce", f"{old}:{number}"), write_command("reproduce", f"{new}:{number}")),
        (write_command("promote", old, "--to", "NAME"), write_command("promote", new, "--to", "NAME")),
    ):
        note = note.replace(before, after)
    return [RunTag(NOTE, note)]
