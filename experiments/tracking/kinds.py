"""The kinds of attempts that a study's runs record: trials of the search, candidates of a promotion, and models fitted again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SEEDS = 100  # the number of a candidate, or of its refit, is its trial's × SEEDS, plus the place of its seed


@dataclass(frozen=True)
class Kind:
    """How runs, models and lines on the screen name attempts of a kind; each has a number among its kind."""

    name: Literal["trial", "candidate", "refit"]

    @property
    def tag(self) -> str:
        """The tag that holds the number."""
        return f"tailor.{self.name}"

    def describe(self, number: int) -> str:
        """What the screen calls it."""
        if self.name == "trial":
            return f"trial {number}"
        refit = ", on train, val and holdout" if self.name == "refit" else ""
        return f"trial {number // SEEDS}, seed {number % SEEDS + 1}{refit}"

    def name_run(self, number: int, earlier: int = 0) -> str:
        """The name of its run; `earlier`: of this attempt, which another one followed."""
        suffix = f"-attempt-{earlier}" if earlier else ""
        if self.name == "trial":
            return f"trial-{number:03d}{suffix}"
        return f"{self.name}-{number // SEEDS:03d}-seed-{number % SEEDS + 1}{suffix}"

    def tags(self, number: int) -> dict[str, str]:
        """The tags of its run. A candidate and a refit name their trial too."""
        own = {"tailor.kind": self.name, self.tag: str(number)}
        return own if self.name == "trial" else {**own, "tailor.trial": str(number // SEEDS)}


RANGE_TEST = "lr-range"  # the kind of a run that is no training of a trial
TRIAL, CANDIDATE, REFIT = Kind("trial"), Kind("candidate"), Kind("refit")
