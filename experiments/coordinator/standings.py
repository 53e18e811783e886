"""The complete trials of a study and their values, and which of them keep their models. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...search.study.goal import Goal, Values


@dataclass
class Standings:
    """The complete trials, by the goal. `kept` are the trials whose models are logged, at most `most` of the best."""

    goal: Goal
    most: int
    values: dict[int, Values] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)

    def add(self, trial: int, values: Values) -> bool:
        """Add a complete trial; True if no earlier trial beats it in all of several objectives."""
        rivals = filter(self.goal.feasible, self.values.values())
        on_front = self.goal.several and self.goal.feasible(values) and not self.goal.beaten(values, rivals)
        self.values[trial] = values
        return on_front

    def adopt(self, logged: set[int]) -> set[int]:
        """Take over models that an earlier session logged. Returns the trials whose models must go: displaced, or lost."""
        self.kept = self._choose({trial: self.values[trial] for trial in logged & self.values.keys()})
        return logged - self.kept

    def keep(self, trial: int, values: Values) -> set[int] | None:
        """Keep the model of a trial that is among the best. Returns the trials that it displaces, None if it is not kept."""
        best = self._choose({**{kept: self.values[kept] for kept in self.kept}, trial: values})
        if trial not in best:
            return None
        displaced, self.kept = self.kept - best, best
        return displaced

    def _choose(self, candidates: Mapping[int, Values]) -> set[int]:
        return set(self.goal.order(candidates)[: self.most])
