"""Engine, MLflow and checkpoints brought to agree after a search that died; each repair is one line.

A trial's end is written to MLflow first and told to the engine second, so what MLflow has and the engine lacks is told now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...search.engines.protocol import Engine, Outcome
from ...search.study.goal import Goal
from ..errors import InputError
from ..tracking.reader import RecordedAttempt
from ..trials.checkpoints import Checkpoints
from ..workers.retries import COORDINATOR_GONE
from .protocols import Record

Attempts = Sequence[RecordedAttempt]


@dataclass(frozen=True)
class Stores:
    """What must agree. The study's lock is held, so that nobody else is writing."""

    study: Record
    engine: Engine
    goal: Goal
    checkpoints: Checkpoints


@dataclass(frozen=True)
class Repairs:
    """What was repaired, and what cannot be, a line each; and the study's attempts as they are then."""

    lines: list[str]
    attempts: Attempts


def reconcile(stores: Stores, attempts: Attempts) -> Repairs:
    """Repair what disagrees with the study's attempts as MLflow has them."""
    lines = [f"run {one.run_name}: its coordinator went away; closed as lost" for one in attempts if one.run_status == "RUNNING"]
    attempts = [_reap(stores.study, attempt) for attempt in attempts]
    lines += [*_tell(stores, attempts), *_find_unknown(stores, attempts), *_clean(stores)]
    return Repairs(lines, attempts)


def _reap(study: Record, attempt: RecordedAttempt) -> RecordedAttempt:
    """Close the run of an attempt that died with its coordinator."""
    return study.close_attempt(attempt, "lost", COORDINATOR_GONE) if attempt.run_status == "RUNNING" else attempt


def _tell(stores: Stores, attempts: Attempts) -> list[str]:
    """Tell the engine of trials whose end MLflow has: a coordinator died between the two."""
    mended = []
    ends = {one.trial: end for one in attempts if (end := find_outcome(one, stores.goal)) is not None}
    for suggestion in stores.engine.unfinished():
        if suggestion.trial in ends:
            outcome = ends[suggestion.trial]
            stores.engine.tell(suggestion.trial, outcome)
            mended.append(f"trial {suggestion.trial}: {outcome.status} in MLflow, unfinished in the engine; told")
    return mended


def _find_unknown(stores: Stores, attempts: Attempts) -> list[str]:
    """Trials that one side alone has: nothing can be made of them but a word."""
    told = {record.trial for record in stores.engine.records() if record.outcome.status == "complete"}
    recorded = {attempt.trial for attempt in attempts}
    strange = _find_strange(stores.engine, attempts, stores.goal)
    return [f"trial {trial}: complete in the engine, without a run in MLflow" for trial in sorted(told - recorded)] + [
        f"trial {trial}: ended in MLflow, and the engine does not know it" for trial in strange
    ]


def check_known(study: str, engine: Engine, attempts: Attempts, goal: Goal) -> None:
    """Raise InputError where trials ended in MLflow that the engine does not know: their numbers would be given out twice.

    One that did not end may be unknown: what an engine wrote last can be lost with a disk, and the number is given out again.
    """
    strange = _find_strange(engine, attempts, goal)
    if strange:
        some = ", ".join(map(str, strange[:5])) + (", …" if len(strange) > 5 else "")
        raise InputError(
            f"study {study!r}: in MLflow trials ended that the studies' database does not know ({some}). "
            "Was it begun with another --studies or TAILOR_STUDIES? Then give that again; if its database is lost, begin a new "
            "study with --name, and --enqueue-from this one."
        )


def check_new(study: str, engine: Engine) -> None:
    """Raise InputError where a study that MLflow does not have was begun already: its runs must be elsewhere, or gone."""
    if begun := len(engine.records()) + len(engine.unfinished()):
        raise InputError(
            f"study {study!r}: the studies' database has {begun} trials of it, and this MLflow has none. "
            "Was it begun with another MLFLOW_TRACKING_URI? Then give that again; if its runs are lost, "
            "begin a new study with --name."
        )


def _find_strange(engine: Engine, attempts: Attempts, goal: Goal) -> list[int]:
    known = {record.trial for record in engine.records()} | {suggestion.trial for suggestion in engine.unfinished()}
    return sorted({attempt.trial for attempt in attempts if find_outcome(attempt, goal) is not None} - known)


def _clean(stores: Stores) -> list[str]:
    """Drop the checkpoints of trials that nobody goes on with: they have ended, or their numbers are given out again."""
    unfinished = {suggestion.trial for suggestion in stores.engine.unfinished()}
    mended = []
    for trial in sorted(stores.checkpoints.trials() - unfinished):
        stores.checkpoints.drop(trial)
        mended.append(f"trial {trial}: is not under way; its checkpoint is dropped")
    return mended


def find_outcome(attempt: RecordedAttempt, goal: Goal) -> Outcome | None:
    """How the trial of an attempt ended; None if its run is open, or it was lost or stopped."""
    values = goal.measured(attempt.metrics)
    if attempt.run_status == "FINISHED" and attempt.status == "complete" and values is not None:
        return Outcome("complete", values)
    if attempt.run_status in ("FINISHED", "FAILED") and attempt.status in ("pruned", "failed"):
        return Outcome(attempt.status, reason=attempt.reason)  # type: ignore[arg-type]
    return None
