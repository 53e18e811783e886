"""What the coordinator needs of others: workers that run attempts, a recorder that writes them down, and their record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..tracking.model_files import ModelFile
from ..tracking.recorded import RecordedAttempt
from ..trials.job import EpochReport, TrialJob, TrialResult
from ..workers.pool import WorkerEvent


class Workers(Protocol):
    """Run attempts, one at a time on each worker."""

    @property
    def count(self) -> int:
        """How many attempts can run at once."""

    def submit(self, job: TrialJob) -> None:
        """Start an attempt; its end comes as a TrialResult or a Lost."""

    def wait(self, seconds: float) -> Sequence[WorkerEvent]:
        """The new events, in order per worker; waits at most `seconds` for the first. Gives up silent workers."""

    def answer(self, job: TrialJob, epoch: int, stop: bool) -> None:
        """Answer the attempt's report of that epoch."""

    def forget(self, job: TrialJob) -> None:
        """Release the memory of an ended attempt."""

    def stop(self) -> None:
        """Ask every running attempt to end; their results come as events."""


class Recorder(Protocol):
    """Write a study's attempts down. Before a call returns, its data is in MLflow or on the disk."""

    def begin_attempt(self, job: TrialJob, hparams: Mapping[str, Any]) -> None:
        """Open the run of an attempt."""

    def log_epoch(self, report: EpochReport) -> None:
        """Note an epoch's metrics; `tick` writes them."""

    def tick(self) -> None:
        """Write what is due. Called several times a second."""

    def flush(self) -> None:
        """Write what was noted, at once."""

    def log_model(self, job: TrialJob, model: ModelFile, step: int) -> None:
        """Log a trial's model, of its epoch `step`."""

    def drop_model(self, trial: int) -> None:
        """Delete the model of a trial that is no longer among the best."""

    def end_attempt(self, job: TrialJob, result: TrialResult) -> None:
        """Write the result of an ended attempt, and close its run."""

    def lose_attempt(self, job: TrialJob, reason: str, status: str = "lost") -> None:
        """Close the run of an attempt whose worker is gone: lost, or failed if the trial is not tried again."""


class Record(Protocol):
    """A study's attempts in MLflow."""

    def close_attempt(self, attempt: RecordedAttempt, status: str, reason: str) -> RecordedAttempt:
        """Close the run of a dead attempt. Returns the attempt as it is then."""
