"""The progress of a search: the coordinator keeps it, the screens show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...search.engines.protocol import Outcome
from ...search.study.goal import Goal
from ..tracking.kinds import TRIAL

LEADERS = 3


@dataclass
class RunningTrial:
    """A running attempt: the last epoch that it reported, and the objective's value there."""

    trial: int
    attempt: int
    epochs: int
    epoch: int = 0
    value: float | None = None
    since: float = 0.0  # seconds by the coordinator's clock, as are the next two
    reported: float = 0.0  # when the last epoch ended
    lasted: float = 0.0  # how long it took

    def share(self, now: float) -> float:
        """The estimated share of the running epoch that is done, by how long the one before took; 0 in the first."""
        return min(0.99, (now - self.reported) / self.lasted) if self.lasted and self.epoch < self.epochs else 0.0


@dataclass(frozen=True)
class Leader:
    """One of the best trials so far."""

    trial: int
    value: float
    hparams: Mapping[str, Any]


@dataclass
class Progress:
    """The whole search. `done` counts every ended trial, also those of earlier sessions."""

    study: str
    metric: str
    trials: int
    workers: int
    running: dict[int, RunningTrial] = field(default_factory=dict)
    complete: int = 0
    infeasible: int = 0  # of the complete ones: those that break a constraint
    pruned: int = 0
    failed: int = 0
    best: tuple[int, float] | None = None
    seconds: list[float] = field(default_factory=list)  # of each trial ended in this session
    deadline: float | None = None
    name: Callable[[int], str] = TRIAL.describe
    leaders: list[Leader] = field(default_factory=list)  # at most LEADERS, best first
    ending: str = ""  # why no trial begins any more
    stopping: bool = False

    @property
    def done(self) -> int:
        return self.complete + self.pruned + self.failed

    @property
    def feasible(self) -> int:
        return self.complete - self.infeasible

    def lead(self, trial: int, outcome: Outcome, hparams: Mapping[str, Any], goal: Goal) -> None:
        """Put a complete trial among the best so far, if it is one of them."""
        if outcome.status != "complete" or not goal.feasible(outcome.values):
            return
        self.leaders.append(Leader(trial, outcome.values[goal.first.metric], hparams))
        self.leaders.sort(key=lambda one: goal.first.cost(one.value))
        del self.leaders[LEADERS:]

    def time_left(self, now: float) -> float | None:
        """Seconds until the last trial ends, from the mean of the ended trials; None if they do not tell."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        under_way = sum(min(mean, now - trial.since) for trial in self.running.values())
        left = max(0.0, (self.trials - self.done) * mean - under_way) / max(1, self.workers)
        if not left:
            return None  # what runs takes longer than those, of which many may have been pruned
        return left if self.deadline is None else min(left, max(0.0, self.deadline - now))


class Screen(Protocol):
    """Shows a search to the user."""

    def show(self, progress: Progress) -> None:
        """Show the progress; called several times a second."""

    def line(self, text: str) -> None:
        """Show one event, once."""
