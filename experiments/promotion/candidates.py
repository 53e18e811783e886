"""Trains a promotion's candidates: the study's best trials again, from scratch, on fresh seeds, through the coordinator."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import LoggedModelStatus

from ...models.references import is_file
from ...search.engines.protocol import Done, Outcome, Record, Suggestion
from ...search.study.sections import Component, SearchPlan
from ...search.study.spec import StudySpec
from ..coordinator.coordinator import Coordinator, Parts
from ..coordinator.progress import Screen
from ..coordinator.reconcile import Stores, find_outcome, reconcile
from ..coordinator.session import Places, name_full_disk, open_pool
from ..datasets import splits as splitting
from ..datasets.splits import Splits
from ..errors import InputError, RunError
from ..registry.files import fetch_saved_model, find_best_model
from ..store import Store
from ..system.signals import Interrupted, stopping
from ..tracking.kinds import CANDIDATE, SEEDS
from ..tracking.leaderboard import Row, read_leaderboard
from ..tracking.lease import CANDIDATES, Lease
from ..tracking.outbox import Outbox
from ..tracking.reader import RecordedStudy
from ..tracking.spool import Spool
from ..tracking.tags import describe_origin, describe_study
from ..tracking.tracker import Tracker
from ..trials.checkpoints import Checkpoints
from ..trials.job import derive_seed

OWN = "+candidates"  # after the study's name: no study's name has a plus


@dataclass(frozen=True)
class Candidate:
    """A trial to train again: its values (options and hyperparameters) and the most epochs, as it had them."""

    trial: int
    values: Mapping[str, Any]
    epochs: int


@dataclass(frozen=True)
class Trained:
    """A candidate's training on one seed: the run, its final metrics, and the id of its logged model."""

    number: int
    run_id: str
    metrics: Mapping[str, float]
    model_id: str


def choose(study: RecordedStudy, count: int, trial: int | None = None) -> list[Candidate]:
    """The `count` best complete trials that keep the constraints, or the one named. Raises InputError, RunError."""
    board = read_leaderboard(study)
    if trial is not None:
        return [_read_candidate(study, find_trial(board, trial, study.name))]
    best = [row for row in board if row.front is not None][:count]
    if not best:
        raise RunError(f"study {study.name!r} has no complete trial yet; see `tailor status {study.name}`.")
    return [_read_candidate(study, row) for row in best]


def find_trial(board: Sequence[Row], trial: int, study: str) -> Row:
    """A complete trial of the leaderboard. Raises InputError, which lists those there are."""
    for row in board:
        if row.trial == trial and row.status == "complete":
            return row
    complete = ", ".join(str(row.trial) for row in board if row.status == "complete") or "none"
    raise InputError(f"STUDY:TRIAL: study {study!r} has no complete trial {trial}; complete are, best first: {complete}.")


def train(
    study: RecordedStudy, spec: StudySpec, splits: Splits, candidates: Sequence[Candidate], places: Places, screen: Screen
) -> dict[int, list[Trained]]:
    """Train each candidate on the promotion's seeds, or take what earlier promotions trained; by trial, in the seeds' order.

    A candidate of which a seed fails is left out. Raises RunError if that leaves none, Interrupted if a signal stopped it.
    """
    wanted = {
        candidate.trial * SEEDS + seed: Suggestion(
            candidate.trial * SEEDS + seed,
            candidate.values,
            candidate.epochs,
            seed=derive_seed(spec.search.seed, seed, CANDIDATE.name),
        )
        for candidate in candidates
        for seed in range(spec.promotion.seeds)
    }
    left = wanted.keys() - read_trained(study).keys()
    if left:
        trials, seeds = len(candidates), spec.promotion.seeds
        done = f", {len(wanted) - len(left)} done before" if len(left) < len(wanted) else ""
        screen.line(f"training the best {trials} trials again, on {seeds} fresh seeds each ({len(wanted)} trainings{done})")
        _train_left(study, spec, splits, wanted, places, screen)
    trained = read_trained(study)
    by_trial = {c.trial: [c.trial * SEEDS + seed for seed in range(spec.promotion.seeds)] for c in candidates}
    found = {trial: [trained[n] for n in numbers] for trial, numbers in by_trial.items() if trained.keys() >= set(numbers)}
    for trial in by_trial.keys() - found.keys():
        screen.line(f"trial {trial} is no candidate: one of its seeds failed")
    if not found:
        raise RunError(f"no candidate of study {study.name!r} could be trained again; its runs in MLflow say why.")
    return found


def read_trained(study: RecordedStudy) -> dict[int, Trained]:
    """The trainings of candidates that are complete and have their model, by number."""
    logged = study.client.search_logged_models([study.experiment_id], max_results=1000)
    models = {
        int(model.tags[CANDIDATE.tag]): model.model_id
        for model in logged
        if CANDIDATE.tag in model.tags and model.status == LoggedModelStatus.READY
    }
    return {
        one.trial: Trained(one.trial, one.run_id, one.metrics, models[one.trial])
        for one in study.read_attempts(CANDIDATE)
        if one.trial in models and one.status == "complete" and one.run_status == "FINISHED"
    }


class _Trainings:
    """The engine of a promotion: trainings that were decided beforehand."""

    def __init__(self, wanted: Mapping[int, Suggestion], outcomes: Mapping[int, Outcome]) -> None:
        self._left = {number: one for number, one in wanted.items() if number not in outcomes}
        self._records = [Record(number, wanted[number].hparams, outcome) for number, outcome in outcomes.items()]

    def ask(self) -> Done:
        return Done("every candidate is trained")

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        return False

    def tell(self, trial: int, outcome: Outcome) -> None:
        self._records.append(Record(trial, self._left.pop(trial).hparams, outcome))

    def unfinished(self) -> list[Suggestion]:
        return list(self._left.values())

    def records(self) -> list[Record]:
        return list(self._records)


def _train_left(
    study: RecordedStudy,
    spec: StudySpec,
    splits: Splits,
    wanted: Mapping[int, Suggestion],
    places: Places,
    screen: Screen,
) -> None:
    plan = SearchPlan(
        sampler=Component("random"),
        trials=len(wanted),
        keep_models=len(wanted),
        seed=spec.search.seed,
        retries=spec.search.retries,
    )
    steered = replace(spec, search=plan)
    checkpoints = Checkpoints(places.store.checkpoints, f"{spec.name}{OWN}")
    outbox = Outbox(study, Spool(places.store.spool, f"{spec.name}{OWN}"), screen.line, CANDIDATE)
    outbox.retry(at_once=True)
    trained = read_trained(study)
    attempts = [one for one in study.read_attempts(CANDIDATE) if one.trial in wanted]
    outcomes = {one.trial: end for one in attempts if one.trial in trained and (end := find_outcome(one, spec.goal))}
    engine = _Trainings(wanted, outcomes)
    failed = [one for one in attempts if one.trial not in outcomes and find_outcome(one, spec.goal)]  # tried once more
    repairs = reconcile(Stores(study, engine, spec.goal, checkpoints), [one for one in attempts if one not in failed])
    tags = {**describe_origin(Path.cwd()), **describe_study(spec, splits)}
    lease = Lease(study.client, places.store, tag=CANDIDATES)
    with open_pool(spec, places) as pool, name_full_disk(places.store), lease:
        lease.acquire(study.experiment_id, spec.name, screen.line)
        tracker = Tracker(outbox, splits, tags, lease, CANDIDATE)
        data, code = splitting.cache(splits, places.store.cache), _keep_code(study, spec, checkpoints)
        parts = Parts(steered, data, engine, tracker, pool, screen, checkpoints, "float32", code, name=CANDIDATE.describe)
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


def _read_candidate(study: RecordedStudy, row: Row) -> Candidate:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(study.client.download_artifacts(row.run_id, "trial.json", folder))
        plain = json.loads(path.read_text(encoding="utf-8"))
    return Candidate(row.trial, plain["values"], plain["epochs"])


def _keep_code(study: RecordedStudy, spec: StudySpec, checkpoints: Checkpoints) -> Path | None:
    """The factory's file as the study's models have it, which may have changed since; None for another kind of model."""
    if not is_file(spec.model):
        return None
    saved = fetch_saved_model(study.client, find_best_model(study)[1])
    if saved.source is None:
        raise InputError(f"study.model: no model of study {spec.name!r} has its factory's file; search again.")
    saved.verify()
    return checkpoints.keep_code(saved.source.name, saved.source.read_bytes())


def lock_path(store: Store, study: str) -> Path:
    """The file that a promotion locks while it trains the study's candidates."""
    return store.locks / f"{study}{OWN}.lock"
