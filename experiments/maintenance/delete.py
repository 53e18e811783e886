"""Delete a study from every store, except for what registered versions need of it.

The experiment is tagged first and goes last; each step between may be repeated, so the same command finishes what a kill cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType

from ...search.engines.states import delete_state
from ...search.study.key_values import is_name
from ..errors import InputError, write_command
from ..planning.resolve import OF_MLFLOW
from ..store import Store
from ..system.words import say_need
from ..tracking import pending
from ..tracking.erase import ACTIVE, Eraser, find_place, measure
from ..tracking.kinds import CANDIDATE, REFIT
from ..tracking.leaderboard import OVERVIEW
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy, find_study, no_study, refuse_renamed
from ..tracking.recorded import DELETED, NOTE, STUDY_TAG
from ..tracking.tags import DIGEST
from .engine_state import lacks_state
from .hold import hold_study
from .needed import find_needed


@dataclass(frozen=True)
class Deletion:
    """What a deletion removes. `versions` are the registered ones that need the rest.

    `size` are the bytes on this disk; `elsewhere`: files are on a server, whose sizes are unknown.
    """

    study: str
    experiment: Experiment
    runs: Sequence[Run]
    models: Sequence[LoggedModel]
    folders: Sequence[Path]
    study_run: Run | None
    versions: Sequence[str]
    size: int
    elsewhere: bool

    @property
    def done(self) -> bool:
        """Whether it was deleted before, and what is left is what versions need."""
        tags, left = self.experiment.tags, self.runs or self.models or self.folders or self.hidden
        marked = pending.KEPT in tags and not tags.get(pending.PENDING) and self.experiment.lifecycle_stage == ACTIVE
        return marked and bool(self.versions) and not left

    @property
    def hidden(self) -> bool:
        """Whether the study's own run was deleted in MLflow's pages."""
        return self.study_run is not None and self.study_run.info.lifecycle_stage != ACTIVE

    @property
    def run_ids(self) -> set[str]:
        """Every run that goes; the study's own one only if no version needs it."""
        own = [self.study_run] if self.study_run is not None and not self.versions else []
        return {run.info.run_id for run in (*self.runs, *own)}

    @property
    def command(self) -> str:
        """What the experiment's tag holds until the deletion is done."""
        return f"tailor delete {self.study}"


def plan_deletion(client: MlflowClient, store: Store, study: str) -> Deletion:
    """Find what deleting a study removes; changes nothing. Raises InputError if there is no such study."""
    experiment, eraser = _find_experiment(client, study), Eraser(client)
    runs, models = eraser.list_runs(experiment.experiment_id), eraser.list_models(experiment.experiment_id)
    own = find_own(runs)
    _check_name(experiment, study, own)
    of_tailor = experiment.tags.get(pending.PENDING) or any("tailor.kind" in run.data.tags for run in runs)
    if not of_tailor and (runs or study == OF_MLFLOW):  # an empty one is left by a search that was killed at its start
        raise _refuse_foreign(study)
    needed = find_needed(client)
    versions = needed.of_study(study, {run.info.run_id for run in runs})
    kept = needed.find_kept(study, runs)
    dropped = [run for run in runs if run.info.run_id not in kept and run is not own]
    gone = [model for model in models if model.model_id not in needed.models]
    folders = _list_folders(client, store, study, own)
    places = [find_place(run.info.artifact_uri) for run in dropped] + [find_place(one.artifact_location) for one in gone]
    if not versions and own is not None:
        places.append(find_place(own.info.artifact_uri))
    size = measure(*folders, *{place for place in places if place is not None})
    names = [f"{one.name} version {one.version}" for one in versions]
    return Deletion(study, experiment, dropped, gone, folders, own, names, size, elsewhere=None in places)


def is_stateless(plan: Deletion, client: MlflowClient, store: Store) -> bool:
    """Whether trials of an untouched study ended, and no engine of the store knows it."""
    touched = {pending.PENDING, pending.KEPT} & set(plan.experiment.tags) or plan.experiment.lifecycle_stage != ACTIVE
    if touched or plan.hidden or plan.study_run is None:
        return False
    return lacks_state(store, RecordedStudy.of(client, plan.study_run))


def find_own(runs: Sequence[Run]) -> Run | None:
    """A study's own run among all of its experiment's, also one that is marked as deleted."""
    own = [run for run in runs if run.data.tags.get("tailor.kind") == "study"]
    return min(own, key=lambda run: run.info.lifecycle_stage != ACTIVE, default=None)


def delete(plan: Deletion, client: MlflowClient, store: Store, say: Callable[[str], None]) -> Deletion:
    """Delete what was planned, except for what a version needs that was registered since. Returns what was deleted.

    Raises InputError if the study runs, is being promoted, or has runs that the plan lacks.
    """
    number, searched = plan.experiment.experiment_id, plan.study_run is not None
    with _active(plan.experiment, client) as begin, hold_study(client, store, plan.study, number, say, searched):
        plan = _plan_again(plan, client, store)
        begin(plan)
        _erase_most(plan, client, store)
    _erase_rest(plan, client, store)
    return plan


def _plan_again(plan: Deletion, client: MlflowClient, store: Store) -> Deletion:
    """The plan as it is now that nobody else changes the study: since the first one, a person was asked. Raises InputError."""
    now = plan_deletion(client, store, plan.study)
    if now.run_ids - plan.run_ids:
        raise InputError(
            f"study {plan.study!r} changed while you were asked: more of its runs would go than were named. "
            f"Nothing was deleted; run {write_command('delete', plan.study)} again."
        )
    return now


def erase(plan: Deletion, client: MlflowClient, store: Store) -> None:
    """As `delete`, by a caller that holds the whole store."""
    with _active(plan.experiment, client) as begin:
        plan = plan_deletion(client, store, plan.study)
        pending.end(client, plan.experiment.experiment_id)  # what was begun before a person deleted it
        begin(plan)
        _erase_most(plan, client, store)
    _erase_rest(plan, client, store)


@contextmanager
def _active(experiment: Experiment, client: MlflowClient) -> Iterator[Callable[[Deletion], None]]:
    """Restore a study that was deleted in MLflow's pages: that deletion left all of it, and tags need it active.

    Yields what begins a deletion. If the block ends before that, by an error or Ctrl-C, the experiment is deleted again.
    """
    number, begun = experiment.experiment_id, False

    def begin(plan: Deletion) -> None:
        nonlocal begun
        pending.begin(client, number, plan.command)
        begun = True

    try:
        if experiment.lifecycle_stage != ACTIVE:
            client.restore_experiment(number)
        yield begin
    finally:
        if experiment.lifecycle_stage != ACTIVE and not begun and client.get_experiment(number).lifecycle_stage == ACTIVE:
            client.delete_experiment(number)


def _erase_most(plan: Deletion, client: MlflowClient, store: Store) -> None:
    delete_state(plan.study, store.known_studies_url, store.oracles)
    Eraser(client).erase_all(plan.folders, plan.models, plan.runs)
    if plan.versions:
        _note_kept(plan, client)


def _erase_rest(plan: Deletion, client: MlflowClient, store: Store) -> None:
    """The study's run and the experiment, which nobody holds any more, unless versions need them."""
    if plan.versions:
        return
    eraser = Eraser(client)
    if plan.study_run is not None:
        eraser.erase_run(plan.study_run)
    eraser.erase_experiment(client.get_experiment(plan.experiment.experiment_id))
    (store.locks / f"{plan.study}.lock").unlink(missing_ok=True)


def _note_kept(plan: Deletion, client: MlflowClient) -> None:
    """Leave the experiment with what versions need, marked so that no search resumes it."""
    number, needed = plan.experiment.experiment_id, say_need(plan.versions)
    client.set_experiment_tag(number, pending.KEPT, ", ".join(plan.versions))
    if plan.study_run is not None:
        if plan.hidden:
            client.restore_run(plan.study_run.info.run_id)
        client.set_tag(plan.study_run.info.run_id, "tailor.ended", f"{DELETED} {needed}")
        client.set_tag(plan.study_run.info.run_id, NOTE, f"Study **{plan.study}** was {DELETED} {needed}.")
        if OVERVIEW in plan.study_run.data.tags:
            client.delete_tag(plan.study_run.info.run_id, OVERVIEW)
    pending.end(client, number)


def _find_experiment(client: MlflowClient, study: str) -> Experiment:
    """The study's experiment, also one that a person or an interrupted deletion has marked as deleted."""
    found = client.get_experiment_by_name(study)
    if found is None and is_name(study):
        wanted = f"tags.`{pending.PENDING}` = 'tailor delete {study}'"
        begun = read_pages(client.search_experiments, ViewType.ALL, filter_string=wanted)
        found = next((one for one in begun if one.lifecycle_stage == ACTIVE), None)
    if found is None:
        find_study(client, study)  # raises if its experiment was renamed in MLflow
        raise no_study("STUDY", study, client)
    return found


def _check_name(experiment: Experiment, study: str, own: Run | None) -> None:
    """Raise InputError if it is not the study's name, before a path is made of it."""
    if own is not None and own.data.tags[STUDY_TAG] != study:
        pending.refuse(experiment)
        refuse_renamed(experiment, own.data.tags[STUDY_TAG])
    if not is_name(study):
        raise _refuse_foreign(study)


def _refuse_foreign(experiment: str) -> InputError:
    return InputError(f"STUDY: the experiment {experiment!r} is no study of Tailor's; delete it in MLflow.")


def _list_folders(client: MlflowClient, store: Store, study: str, own: Run | None) -> list[Path]:
    """The study's folders on this disk: checkpoints, entries that wait for MLflow, engine state, and data no other study uses."""
    names = (study, f"{study}+{CANDIDATE.name}s", f"{study}+{REFIT.name}s")
    folders = [root / name for root in (store.checkpoints, store.spool) for name in names] + [store.oracles / study]
    digest = None if own is None else own.data.tags.get(DIGEST)
    if digest and digest not in find_digests(client, but=own.info.experiment_id if own else None):
        folders += [store.cache / name for name in (digest, f"{digest}-{REFIT.name}")]
    return [folder for folder in folders if folder.is_dir()]


def find_digests(client: MlflowClient, but: str | None = None) -> set[str]:
    """The digests of the data that the store's studies use; `but` is an experiment to leave out. A deleted study uses none."""
    found = read_pages(client.search_experiments)
    numbers = [one.experiment_id for one in found if one.experiment_id != but and pending.KEPT not in one.tags]
    runs = list(read_pages(client.search_runs, numbers, "tags.`tailor.kind` = 'study'")) if numbers else []
    return {run.data.tags[DIGEST] for run in runs if DIGEST in run.data.tags}
