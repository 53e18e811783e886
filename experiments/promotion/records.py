"""The records of a promotion: what is asked for, the model that is chosen, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from ...search.study.sections import PromotionPlan
from .ranking import Ranked
from .statistics import Interval
from .verdict import Verdict


@dataclass(frozen=True)
class Request:
    """What a promotion is asked for. `trial` is None for the study's best ones."""

    name: str
    plan: PromotionPlan
    trial: int | None = None
    quick: bool = False
    dry_run: bool = False
    force: bool = False


@dataclass(frozen=True)
class Choice:
    """The model that was chosen, before the test set was opened: of which trial, how, and its score on holdout.

    `members` is how many trained models are in it.
    """

    trial: int
    how: str
    model_id: str
    run_id: str
    metric: str
    holdout: Interval
    latency_ms: float | None
    model_bytes: int
    ranking: tuple[Ranked, ...] = ()
    members: int = 1


@dataclass(frozen=True)
class Promotion:
    """What a promotion did. `version` and `alias` are empty if nothing was registered; `test` is None if it stayed closed.

    `notes` are lines for the screen.
    """

    name: str
    version: str
    alias: str
    verdict: Verdict
    study: str
    model: str
    choice: Choice
    test: Interval | None = None
    openings: int = 0
    run_id: str = ""
    notes: tuple[str, ...] = ()


def split_reference(study: str) -> tuple[str, int | None]:
    """The study and the trial that STUDY, STUDY:best or STUDY:TRIAL names; None for the best."""
    where, _, trial = study.rpartition(":")
    if where and trial == "best":
        return where, None
    return (where, int(trial)) if where and trial.isdigit() else (study, None)
