"""When a search ends: its budgets in time and epochs, its target, and its patience without improvement. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...search.study.goal import Objective
from ...search.study.spec import SearchPlan
from ..system.words import count

HOPELESS = 3  # a session ends after so many trials if all failed


@dataclass
class Budget:
    """What a search has spent of its plan, over all sessions; the time counts from this session's start."""

    plan: SearchPlan
    objective: Objective
    started: float  # seconds by a clock, as are all times here
    epochs: int = 0
    ended: int = 0  # in this session, like `failed`
    failed: int = 0
    stalled: int = 0  # trials ended since the last improvement
    best: tuple[int, float] | None = None  # trial and value

    @property
    def deadline(self) -> float | None:
        return None if self.plan.timeout is None else self.started + self.plan.timeout

    @property
    def out_of_epochs(self) -> bool:
        return self.plan.total_epochs is not None and self.epochs >= self.plan.total_epochs

    @property
    def hopeless(self) -> bool:
        """Whether at least HOPELESS trials of this session ended, and all of them failed."""
        return self.failed >= HOPELESS and self.failed == self.ended

    def count(self, trial: int, status: str, value: float | None, earlier: bool = False, on_front: bool = False) -> None:
        """Count an ended trial. Failures of an `earlier` session do not count: the user may have repaired the cause.

        `value` is the first objective's; `on_front` says that no earlier trial beats it in all of several objectives.
        """
        if not earlier:
            self.ended += 1
            self.failed += status == "failed"
        better = value is not None and (self.best is None or self.objective.better(value, self.best[1]))
        self.stalled = 0 if better or on_front else self.stalled + 1
        if value is not None and better:
            self.best = (trial, value)

    def find_end(self, now: float) -> str:
        """Why the search asks for no more trials; empty if it asks for more."""
        plan = self.plan
        if self.deadline is not None and now >= self.deadline:
            return "the time is up"
        if plan.total_epochs is not None and self.out_of_epochs:
            return "the 1 epoch is spent" if plan.total_epochs == 1 else f"all {plan.total_epochs} epochs are spent"
        if self.hopeless:
            return f"the first {self.failed} trials of this session all failed"
        if plan.target is not None and self.best is not None and not self.objective.better(plan.target, self.best[1]):
            return f"trial {self.best[0]} reached the target, {plan.target:g}"
        if plan.patience is not None and self.best is not None and self.stalled >= plan.patience:
            return f"no improvement in {count(self.stalled, 'trial')}"
        return ""
