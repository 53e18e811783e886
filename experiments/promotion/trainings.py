"""Trains what a promotion has decided on, through the coordinator that runs searches: it retries and resumes like a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mlflow.entities import LoggedModelStatus

from ...models.references import is_file
from ...search.engines.protocol import Done, Outcome, Record, Suggestion
from ...search.study.key_values import Component
from ...search.study.sections import SearchPlan
from ..coordinator.coordinator import Coordinator, Parts
from ..coordinator.reconcile import Stores, find_outcome, reconcile
from ..coordinator.session import open_pool
from ..datasets import splits as splitting
from ..datasets.splits import Splits
from ..errors import InputError, RunError
from ..planning.resume_check import keep_losses, refuse_changed_files
from ..registry.files import fetch_saved_model, find_logged_models
from ..system.file_lock import hold_lock
from ..system.signals import Interrupted, stopping
from ..tracking.full_disk import name_full_disk
from ..tracking.kinds import CANDIDATE, Kind
from ..tracking.lease import CANDIDATES, Lease
from ..tracking.outbox import Outbox
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy
from ..tracking.spool import Spool
from ..tracking.tags import describe_origin, describe_study
from ..tracking.tracker import Tracker
from ..trials.checkpoints import Checkpoints
from .records import Work


@dataclass(frozen=True)
class Trained:
    """A training of a promotion: its number, its run, its final metrics, and the id of its logged model."""

    number: int
    run_id: str
    metrics: Mapping[str, float]
    model_id: str


def read_trained(study: RecordedStudy, kind: Kind = CANDIDATE) -> dict[int, Trained]:
    """The trainings of a kind that are complete and have their model, by number."""
    logged = read_pages(study.client.search_logged_models, [study.experiment_id])
    models = {
        int(model.tags[kind.tag]): model.model_id
        for model in logged
        if kind.tag in model.tags and model.status == LoggedModelStatus.READY
    }
    return {
        one.trial: Trained(one.trial, one.run_id, one.metrics, models[one.trial])
        for one in study.read_attempts(kind)
        if one.trial in models and one.status == "complete" and one.run_status == "FINISHED"
    }


def train_left(work: Work, wanted: Mapping[int, Suggestion], kind: Kind, splits: Splits, line: str) -> None:
    """Train, on these splits, those wanted that no earlier promotion trained; one process does it at a time for a study.

    The line is shown once nothing refuses that. Raises RunError if MLflow does not take what they recorded, Interrupted if a
    signal stopped them.
    """
    own = f"{work.spec.name}+{kind.name}s"  # no study's name has a plus
    lock = work.places.store.locks / f"{work.spec.name}+{CANDIDATE.name}s.lock"
    with hold_lock(lock, lambda: work.screen.line(f"waiting for the trainings of another promotion of {work.spec.name!r}")):
        _train_left(work, wanted, kind, splits, line, own)


class _Trainings:
    """The engine of a promotion: trainings that were decided beforehand."""

    def __init__(self, wanted: Mapping[int, Suggestion], outcomes: Mapping[int, Outcome]) -> None:
        self._left = {number: one for number, one in wanted.items() if number not in outcomes}
        self._records = [Record(number, wanted[number].hparams, outcome) for number, outcome in outcomes.items()]

    def ask(self) -> Done:
        return Done("no training is left to begin")

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        return False

    def replay(self, trial: int, epoch: int, values: Mapping[str, float]) -> None:
        pass

    def tell(self, trial: int, outcome: Outcome) -> None:
        self._records.append(Record(trial, self._left.pop(trial).hparams, outcome))

    def unfinished(self) -> list[Suggestion]:
        return list(self._left.values())

    def records(self) -> list[Record]:
        return list(self._records)

    def left(self) -> int | None:
        return None


def _train_left(work: Work, wanted: Mapping[int, Suggestion], kind: Kind, splits: Splits, line: str, own: str) -> None:
    """`own` names what the store keeps of these trainings while they run."""
    study, spec, store, screen = work.study, work.spec, work.places.store, work.screen
    steered = replace(
        spec,
        search=SearchPlan(
            sampler=Component("random"),
            trials=len(wanted),
            keep_models=len(wanted),
            seed=spec.search.seed,
            retries=spec.search.retries,
        ),
    )
    checkpoints = Checkpoints(store.checkpoints, own)
    outbox = Outbox(study, Spool(store.spool, own), screen.line, kind)
    outbox.retry(at_once=True)
    trained = read_trained(study, kind)
    attempts = [one for one in study.read_attempts(kind) if one.trial in wanted]
    outcomes = {one.trial: end for one in attempts if one.trial in trained and (end := find_outcome(one, spec.goal))}
    left = [{**spec.training, **one.hparams} for number, one in wanted.items() if number not in outcomes]
    values = [value for one in left for value in one.values()]
    refuse_changed_files(values, study, "promote the best trial as it is: --quick")
    screen.line(line)
    engine = _Trainings(wanted, outcomes)
    failed = [one for one in attempts if one.trial not in outcomes and find_outcome(one, spec.goal)]  # tried once more
    repairs = reconcile(Stores(study, engine, spec.goal, checkpoints), [one for one in attempts if one not in failed])
    tags = {**describe_origin(Path.cwd()), **describe_study(spec, work.splits)}
    lease = Lease(study.client, store, tag=CANDIDATES)
    with open_pool(spec, work.places) as pool, name_full_disk(store), lease:
        lease.acquire(study.experiment_id, spec.name, screen.line)
        tracker = Tracker(outbox, work.splits, tags, lease, kind)
        data, code = splitting.cache(splits, store.cache), _keep_code(work, checkpoints)
        losses = keep_losses(checkpoints, {str(one["loss"]) for one in left if "loss" in one}, study.tags)
        parts = Parts(steered, data, engine, tracker, pool, screen, checkpoints, "float32", code, losses, name=kind.describe)
        coordinator = Coordinator(parts)
        coordinator.resume([*repairs.attempts, *failed], outbox.find_models() & wanted.keys())
        with stopping(coordinator.stop) as caught:
            coordinator.run()
    outbox.retry(at_once=True)
    if caught:
        screen.line("Stopped. Nothing is lost; the same command resumes.")
        raise Interrupted(caught[-1])
    if outbox.waiting:
        raise RunError(f"MLflow cannot be written to, and {outbox.waiting}; the same command resumes when it can.")


def _keep_code(work: Work, checkpoints: Checkpoints) -> Path | None:
    """The factory's file as the study's models have it, which may have changed since; None for another kind of model."""
    if not is_file(work.spec.model):
        return None
    models = find_logged_models(work.study)  # any: while the file changes, no search goes on
    saved = fetch_saved_model(work.client, next(iter(models.values()))) if models else None
    if saved is None or saved.source is None:
        raise InputError(f"study.model: no model of study {work.spec.name!r} has its factory's file; search again.")
    saved.verify()
    return checkpoints.keep_code(saved.source.name, saved.source.read_bytes())
