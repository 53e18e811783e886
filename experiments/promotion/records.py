"""The records of a promotion: what is asked for, the model that is chosen, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mlflow import MlflowClient

from ...search.study.sections import PromotionPlan
from ...search.study.spec import StudySpec
from ..coordinator.progress import Screen
from ..coordinator.session import Places
from ..datasets.splits import Splits
from ..errors import InputError
from ..system.words import list_names
from ..tracking.reader import RecordedStudy
from .ranking import Ranked
from .statistics import Interval
from .verdict import Verdict

Way = Literal["candidates", "quick", "ensemble"]
OF_TRAINING = ("candidates", "seeds", "register", "cluster")


@dataclass(frozen=True)
class Request:
    """What a promotion is asked for: by which way the model is chosen, and of which trial (None: the study's best ones).

    `challenger_only`: it takes no champion's place, however good it is.
    """

    name: str
    plan: PromotionPlan
    way: Way = "candidates"
    trial: int | None = None
    dry_run: bool = False
    force: bool = False
    challenger_only: bool = False


@dataclass(frozen=True)
class Work:
    """What a promotion works with. `still_mine` raises RunError if another process has taken the registered name over."""

    study: RecordedStudy
    spec: StudySpec
    splits: Splits
    places: Places
    screen: Screen
    still_mine: Callable[[], None] = lambda: None

    @property
    def client(self) -> MlflowClient:
        return self.study.client


def check_quick(given: Iterable[str]) -> None:
    """Raise InputError if one of the given keys or options is about a training that a quick promotion does not have."""
    if useless := [name for name in given if name in OF_TRAINING]:
        raise InputError(
            f"quick: it takes the search's own model and trains nothing, so {list_names(useless)} would change nothing; leave "
            "one of both out."
        )


def name_trials(trials: Sequence[int]) -> str:
    return f"trial{'s' * (len(trials) > 1)} {list_names(list(map(str, trials)))}"


@dataclass(frozen=True)
class Choice:
    """The model that was chosen, before the test set was opened: of which trial, how, and its score on holdout.

    `members` is how many trained models are in it; with `refit` it was trained on holdout too, after that score; with
    `as_searched` it is a trial's own model, which the search chose by its validation score, not holdout. `trials` are those of
    an ensemble, of which `trial` is the first, and `parameters` counts theirs. `made` names what a compression made of a model.
    `note` is a line for the card, `tags` go to the version.
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
    refit: bool = False
    as_searched: bool = False
    parameters: int | None = None
    trials: tuple[int, ...] = ()
    made: str = ""
    note: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What it came from: trial 3, or trials 3, 5 and 8."""
        return name_trials(self.trials or (self.trial,))

    @property
    def what(self) -> str:
        """What a message calls it."""
        return self.made or f"the model of {self.source}"


@dataclass(frozen=True)
class Promotion:
    """What a promotion did. `version` and `alias` are empty if nothing was registered; `test` is None if it stayed closed.

    `choice` is None if it was refused before anything was chosen. `notes` are lines for the screen.
    """

    name: str
    version: str
    alias: str
    verdict: Verdict
    study: str
    model: str
    choice: Choice | None = None
    test: Interval | None = None
    openings: int = 0
    run_id: str = ""
    notes: tuple[str, ...] = ()
