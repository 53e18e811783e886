"""The end of a session: close the study's run, retry what MLflow still lacks, draw the report."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException

from ...search.errors import storable
from ..datasets.splits import Splits
from ..errors import RunError
from ..system.redact import mask_passwords
from ..tracking.leaderboard import read_best, record_overview
from ..tracking.reader import RecordedStudy
from ..tracking.study_page import record_results
from ..tracking.tracker import Tracker
from ..trials.chance import warn_near_chance
from .coordinator import Coordinator
from .progress import Screen


@dataclass(frozen=True)
class Ended:
    """How a session ended: why it asked for no more trials, the signal that stopped it (or 0), what still waits for MLflow.

    `promotable` is False if no model of the study can be promoted; with `spent` there is nothing left to try.
    """

    experiment_id: str
    reason: str
    signal: int
    complete: int
    waiting: str = ""
    promotable: bool = True
    spent: bool = False


def finish(coordinator: Coordinator, tracker: Tracker, caught: int) -> Ended:
    """Close the study's run; `caught` is the signal that stopped the search, or 0.

    Raises RunError if the engine could not continue, or no trial completed.
    """
    progress, broken = coordinator.progress, storable(coordinator.broken)
    tags = {"tailor.ended": broken[:4000] or (not caught and coordinator.exhausted) or "stopped"}
    if progress.best is not None:
        tags["tailor.best_trial"] = str(progress.best[0])
    tracker.end_study("KILLED" if caught else "FAILED" if broken else "FINISHED", tags)
    tracker.outbox.retry(at_once=True)
    if broken:
        raise RunError(broken)
    if progress.failed and not progress.complete and not caught:
        raise RunError(
            f"no trial completed ({progress.failed} failed, {progress.pruned} pruned); the first failed with: "
            f"{coordinator.first_failure or 'see the runs in MLflow'}. Once that is repaired, {_find_way_on(coordinator)}."
        )
    outbox, spent = tracker.outbox, coordinator.spent
    number, reason = outbox.study.experiment_id, coordinator.exhausted
    return Ended(number, reason, caught, progress.complete, outbox.waiting, spent=spent)


def _find_way_on(coordinator: Coordinator) -> str:
    """How a study goes on in which no trial completed: a changed file or space is another study."""
    if coordinator.spent:
        return "--fresh begins anew"
    progress = coordinator.progress
    spent = {"--trials": progress.done >= progress.trials, "search.total_epochs": coordinator.out_of_epochs}
    larger = [key for key, is_spent in spent.items() if is_spent]
    way = f"a larger {' and '.join(larger)}" if larger else "the same command"
    files = ", the model's file" if progress.pruned else ""  # if all trials failed, that may change
    return f"{way} resumes the study; if the repair changes [space]{files} or [training], begin anew with --fresh"


def warn_of_chance(study: RecordedStudy, splits: Splits, screen: Screen) -> None:
    """Warn if the best trial's accuracy is near chance."""
    with suppress(MlflowException):  # the server may have gone away
        found = read_best(study)
        accuracy = None if found is None else found.metrics.get("best_val_accuracy")
        if found is not None and accuracy is not None:
            warning = warn_near_chance(f"the best trial, {found.trial},", accuracy, splits.val.labels, splits.class_names)
            if warning:
                screen.line(warning)


def draw_report(study: RecordedStudy, screen: Screen) -> None:
    """Draw the report of an ended study, and log it to its run with the study's overview.

    An error is one line on the screen: a plot must not fail a search.
    """
    from ..reports import report

    screen.line("drawing the report")
    try:
        study = study.refresh()
        made = report.make(study)
        with tempfile.TemporaryDirectory() as folder:
            report.log(study, made, Path(folder))
        record_results(study, made.spec, made.board)
        record_overview(study, made.board)
    except Exception as error:
        screen.line(
            f"the report could not be made ({type(error).__name__}: {mask_passwords(str(error))}); the same command tries again"
        )
