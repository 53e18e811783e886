"""Make engine, MLflow and checkpoints agree after a search died; each repair is one line.

The coordinator writes a trial's end to MLflow first, and to the engine second. What only MLflow has is copied to the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...search.engines.protocol import Engine, Outcome
from ...search.study.goal import Goal
from ...search.study.spec import StudySpec
from ..errors import InputError
from ..system.words import count
from ..tracking.recorded import RecordedAttempt
from ..trials.checkpoints import Checkpoints
from ..workers.retries import COORDINATOR_GONE
from .protocols import Record

Attempts = Sequence[RecordedAttempt]


@dataclass(frozen=True)
class Stores:
    """What must agree. The caller holds the study's lock, so no other process writes."""

    study: Record
    engine: Engine
    goal: Goal
    checkpoints: Checkpoints


@dataclass(frozen=True)
class Repairs:
    """A line for each repair, and for what cannot be repaired, as a screen shows them; the attempts after the repairs."""

    lines: list[str]
    attempts: Attempts


def reconcile(stores: Stores, attempts: Attempts) -> Repairs:
    """Repair what disagrees with the study's attempts in MLflow."""
    done = [f"run {one.run_name}: its coordinator went away; closed as lost" for one in attempts if one.run_status == "RUNNING"]
    attempts = [_reap(stores.study, attempt) for attempt in attempts]
    done += [*_tell(stores, attempts), *_clean(stores)]
    left = _find_unknown(stores, attempts)
    return Repairs([*(f"repaired: {line}" for line in done), *(f"cannot be repaired: {line}" for line in left)], attempts)


def _reap(study: Record, attempt: RecordedAttempt) -> RecordedAttempt:
    """Close the run of an attempt that died with its coordinator."""
    return study.close_attempt(attempt, "lost", COORDINATOR_GONE) if attempt.run_status == "RUNNING" else attempt


def _tell(stores: Stores, attempts: Attempts) -> list[str]:
    """Tell the engine how trials ended in MLflow: a coordinator died between the two."""
    repaired = []
    ends = {one.trial: end for one in attempts if (end := find_outcome(one, stores.goal)) is not None}
    for suggestion in stores.engine.unfinished():
        if suggestion.trial in ends:
            outcome = ends[suggestion.trial]
            stores.engine.tell(suggestion.trial, outcome)
            repaired.append(f"trial {suggestion.trial}: {outcome.status} in MLflow, unfinished in the engine; copied there")
    return repaired


def _find_unknown(stores: Stores, attempts: Attempts) -> list[str]:
    """A line for each trial that only one side has: these cannot be repaired."""
    complete = {record.trial for record in stores.engine.records() if record.outcome.status == "complete"}
    recorded = {attempt.trial for attempt in attempts}
    strange = _find_strange(stores.engine, attempts, stores.goal)
    return [f"trial {trial}: complete in the engine, without a run in MLflow" for trial in sorted(complete - recorded)] + [
        f"trial {trial}: ended in MLflow, and the engine does not know it" for trial in strange
    ]


def check_known(spec: StudySpec, engine: Engine, attempts: Attempts) -> None:
    """Raise InputError if trials ended in MLflow that the engine does not know: it would give their numbers out twice.

    A trial that did not end may be unknown: an engine can lose its last write with a disk, and gives the number out again.
    """
    strange = _find_strange(engine, attempts, spec.goal)
    if strange:
        points = " and --enqueue-from this one" if spec.source.declared else ""
        some = ", ".join(map(str, strange[:5])) + (", …" if len(strange) > 5 else "")
        raise InputError(
            f"study {spec.name!r}: in MLflow trials ended that the studies' database does not know ({some}). "
            "If it began with another --studies or TAILOR_STUDIES, give that again; if its database is lost, start a new "
            f"study with --name{points}."
        )


def check_new(study: str, engine: Engine) -> None:
    """Raise InputError if the engine has trials of a study that MLflow lacks: its runs are elsewhere, or lost."""
    if begun := len(engine.records()) + len(engine.unfinished()):
        raise InputError(
            f"study {study!r}: the studies' database has {count(begun, 'trial')} of it, and this MLflow has none. "
            "If it began with another MLFLOW_TRACKING_URI, give that again; if its runs are lost, "
            "start a new study with --name."
        )


def _find_strange(engine: Engine, attempts: Attempts, goal: Goal) -> list[int]:
    known = {record.trial for record in engine.records()} | {suggestion.trial for suggestion in engine.unfinished()}
    return sorted({attempt.trial for attempt in attempts if find_outcome(attempt, goal) is not None} - known)


def _clean(stores: Stores) -> list[str]:
    """Delete the checkpoints of trials that do not resume: they ended, or the engine gives their numbers out again."""
    unfinished = {suggestion.trial for suggestion in stores.engine.unfinished()}
    repaired = []
    for trial in sorted(stores.checkpoints.trials() - unfinished):
        stores.checkpoints.drop(trial)
        repaired.append(f"trial {trial}: not running; its checkpoint is deleted")
    return repaired


def find_outcome(attempt: RecordedAttempt, goal: Goal) -> Outcome | None:
    """How the trial of an attempt ended; None if its run is open, or it was lost or stopped."""
    values = goal.measured(attempt.metrics)
    if attempt.run_status == "FINISHED" and attempt.status == "complete" and values is not None:
        return Outcome("complete", values)
    if attempt.run_status in ("FINISHED", "FAILED") and attempt.status in ("pruned", "failed"):
        return Outcome(attempt.status, reason=attempt.reason)  # type: ignore[arg-type]
    return None
