"""The leaderboard of a study, read back from MLflow: one row a trial, best first."""

from __future__ import annotations

import json
import math
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...search.space.numbers import read_number
from ...search.study.goal import EPOCH_METRICS, Goal, key_of
from ..system.words import say_ended
from .recorded import RecordedAttempt, StudyRecord

if TYPE_CHECKING:
    from .reader import RecordedStudy

FEW = 100  # attempts to fetch at once, if the first of them is likely enough
TOP = 10  # rows that a screen shows
LONGEST_TAG = 5000  # characters that every MLflow takes
OVERVIEW = "tailor.overview"
WORDS = {"complete": "done", "lost": "stopped"}  # what a screen calls a recorded status; the others are their own words
GONE = "deleted in MLflow"  # of a trial whose runs were; the engine counts it all the same
DIGITS = {"parameters": 0, "model_bytes": 0, "best_epoch": 0, "train_seconds": 1}


@dataclass(frozen=True)
class Row:
    """A trial by its newest attempt. `value` is the first objective's, None if it did not complete; `start`, `end` in ms.

    `last` is its newest value, however the trial ended or goes on, and `epoch` the epoch of `value` or `last` (0: none yet).
    `values` has every metric that the goal names. `front` is its Pareto front, from 0; None if the trial breaks a constraint
    or did not complete.
    """

    trial: int
    attempts: int
    status: str
    value: float | None
    values: Mapping[str, float]
    front: int | None
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    reason: str
    start: int
    end: int | None
    last: float | None = None
    epoch: int = 0

    @property
    def word(self) -> str:
        """The status in one word: done, infeasible, pruned, failed, stopped or running."""
        if self.status == "complete" and self.values and self.front is None:
            return "infeasible"
        return WORDS.get(self.status, self.status)

    @property
    def standing(self) -> str:
        """The status, with the reason of a trial that did not complete."""
        if self.status == "complete":
            return "done" if self.front is not None or not self.values else "breaks a constraint"
        return self.status if self.status == "running" else say_ended(self.word, self.reason)[:60].rstrip()

    @property
    def score(self) -> float | None:
        """The first objective's value, or the last one of a trial that did not complete."""
        return self.last if self.value is None else self.value

    def find(self, metric: str, goal: Goal) -> float | None:
        """A metric's value at the row's epoch: of a trial that did not complete not the best that it reached."""
        if metric == goal.first.metric:
            return self.score
        key = key_of(metric)
        return None if self.value is None and key != metric else self.metrics.get(key)

    def label(self, goal: Goal) -> str:
        """The trial's number, with a star on the Pareto front."""
        return f"{self.trial} *" if goal.several and self.front == 0 else str(self.trial)

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def read_leaderboard(study: StudyRecord) -> list[Row]:
    """Every trial of a study, read from MLflow: complete ones in the goal's order, then the others by their last score."""
    return rank(study.read_attempts(), study.goal)


def rank(attempts: Iterable[RecordedAttempt], goal: Goal) -> list[Row]:
    """The trials of these attempts, each by its newest: complete ones best first, then the others by their last score."""
    newest: dict[int, RecordedAttempt] = {}
    for one in attempts:
        if one.trial not in newest or one.attempt > newest[one.trial].attempt:
            newest[one.trial] = one
    values: dict[int, dict[str, float]] = {}
    for trial, one in newest.items():
        measured = goal.measured(one.metrics) if one.status == "complete" else None
        if measured is not None:
            values[trial] = measured
    fronts = goal.fronts(values)
    others = sorted(newest.keys() - values.keys(), key=lambda trial: (_find_rest(newest[trial].metrics, goal), trial))
    order = goal.order(values) + others
    return [_make_row(newest[trial], goal, values.get(trial, {}), fronts.get(trial)) for trial in order]


def rate(trial: int, status: str, metrics: Mapping[str, float], goal: Goal) -> tuple[float | None, str]:
    """The score of a trial that ended so, as `Row.score`, and a text: these sort as `rank` does, by the first objective alone."""
    values = goal.measured(metrics) if status == "complete" else None
    if values is None:
        score, place = _find_last(metrics, goal), (1.0, 0.0, _find_rest(metrics, goal))
    else:
        score = values[goal.first.metric]
        place = (0.0, goal.breach(values), goal.first.cost(score))
    return score, "-".join([*map(_make_sortable, place), f"{trial:07d}"])


def _make_sortable(number: float) -> str:
    """A text that sorts as the number does: the bits of a float, all turned of a negative one, else the sign's alone."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", number + 0.0))
    return f"{bits ^ (2**64 - 1 if bits >> 63 else 2**63):016x}"


def _find_last(metrics: Mapping[str, float], goal: Goal) -> float | None:
    return metrics.get(goal.first.metric, metrics.get(goal.first.key))


def _find_rest(metrics: Mapping[str, float], goal: Goal) -> float:
    """A number that is smaller for a better last score; infinite without one."""
    last = _find_last(metrics, goal)
    if last is None or math.isnan(last):
        return math.inf
    return goal.first.cost(last)


def _make_row(attempt: RecordedAttempt, goal: Goal, values: Mapping[str, float], front: int | None) -> Row:
    return Row(
        trial=attempt.trial,
        attempts=attempt.attempt,
        status=attempt.status,
        value=values.get(goal.first.metric),
        values=values,
        front=front,
        run_id=attempt.run_id,
        params=attempt.params,
        metrics={name: value for name, value in attempt.metrics.items() if name not in EPOCH_METRICS},
        reason=attempt.reason,
        start=attempt.start,
        end=attempt.end,
        last=_find_last(attempt.metrics, goal),
        epoch=_find_epoch(attempt),
    )


def _find_epoch(attempt: RecordedAttempt) -> int:
    """The epoch of the attempt's value: the best of a complete one, else the last, of an earlier attempt too."""
    if attempt.status == "complete" and "best_epoch" in attempt.metrics:
        return int(attempt.metrics["best_epoch"])
    ended = re.search(r"after epoch (\d+)$", attempt.reason)
    return int(ended[1]) if ended else attempt.epoch


@dataclass(frozen=True)
class Overview:
    """What a screen shows of a leaderboard: its first rows, the number of trials by status, the hyperparameters that vary.

    Complete trials that break a constraint are counted as infeasible, and those whose runs were deleted in MLflow as that.
    """

    top: Sequence[Row]
    counts: Mapping[str, int]
    varied: Sequence[str]

    @property
    def same(self) -> Mapping[str, str]:
        """The hyperparameters that have one value in every trial."""
        first = self.top[0].params if self.top else {}
        return {name: value for name, value in first.items() if name not in self.varied}

    @classmethod
    def of(cls, board: Sequence[Row], most: int | None = TOP, deleted: Set[int] = frozenset()) -> Overview:
        """The overview of a whole board; `deleted` are trials with runs that a person deleted in MLflow."""
        names = dict.fromkeys(name for row in board for name in row.params)
        varied = [name for name in names if len({row.params.get(name) for row in board}) > 1]
        gone = len(deleted - {row.trial for row in board})
        return cls(board[:most], count_rows(board) + Counter({GONE: gone} if gone else {}), varied)


def count_rows(board: Iterable[Row]) -> Counter[str]:
    """The number of trials by status; complete ones that break a constraint count as infeasible."""
    return Counter(row.word if row.word == "infeasible" else row.status for row in board)


def record_overview(study: RecordedStudy, board: Sequence[Row]) -> None:
    """Keep the overview of an ended study on its run; `read_overview` takes it until the run ends anew.

    Not while trials are deleted in MLflow: a person may restore them there, unseen.
    """
    made = Overview.of(board)
    plain = {"counts": made.counts, "varied": made.varied, "runs": [row.run_id for row in made.top]}
    text = json.dumps({"end": study.end, **plain})
    if board and len(text) <= LONGEST_TAG and not study.list_deleted():
        study.client.set_tag(study.run_id, OVERVIEW, text)


def read_overview(study: StudyRecord) -> Overview:
    """The overview of a study: as recorded when its search ended, if nothing changed since, with only its first runs fetched."""
    known, deleted = json.loads(study.tags.get(OVERVIEW, "{}")), study.list_deleted()
    if known and not study.running and known["end"] == study.end and not deleted:
        attempts = study.read_trials(known["runs"])
        if len(attempts) == len(known["runs"]):
            return Overview(rank(attempts, study.goal), known["counts"], known["varied"])
    return Overview.of(read_leaderboard(study), deleted=deleted)


def read_best(study: RecordedStudy) -> Row | None:
    """What `find_best` finds on the leaderboard. With one objective MLflow sorts, and Tailor fetches the first page."""
    goal, best = study.goal, list[RecordedAttempt]()
    first, page = goal.first, None if goal.several else FEW
    order = f"metrics.`{first.key}` {'DESC' if first.direction == 'maximize' else 'ASC'}"
    for one in study.search_attempts("tags.`tailor.status` = 'complete'", order, page):
        values = goal.measured(one.metrics)
        if values is None or not goal.feasible(values):
            continue
        if best and not goal.several and one.metrics[first.key] != best[0].metrics[first.key]:
            break  # those before it tie for the first place
        best.append(one)
    return find_best(rank(best, goal))


def find_best(board: Sequence[Row]) -> Row | None:
    """The best complete trial that keeps the constraints; `board` is best first."""
    return next((row for row in board if row.front is not None), None)


def format_number(value: float | None, metric: str) -> str:
    """A metric's value, as a table shows it."""
    return "–" if value is None else f"{value:,.{DIGITS.get(metric, 4)}f}"


def count_by_word(counts: Mapping[str, int]) -> str:
    """Numbers of trials by status, in words: 3 done, 1 pruned."""
    words = Counter[str]()
    for status, count in counts.items():
        words[WORDS.get(status, status)] += count
    order = ("done", "infeasible", "pruned", "failed", "stopped", "running", GONE)
    return ", ".join(f"{words[word]} {word}" for word in order if words[word]) or "no trial yet"


def describe_best(goal: Goal, best: Row | None) -> list[str]:
    """The best trial in full: its values, its epoch, and its hyperparameters."""
    if best is None:
        return [f"No trial is done yet{goal.within}."]
    metrics = [goal.first.metric, *list_others(goal)]
    values = ", ".join(f"{metric} {format_number(best.values.get(metric), metric)}" for metric in metrics)
    epoch = f" (epoch {best.epoch})" if best.epoch else ""
    lines = [f"{'Best by ' + goal.first.metric if goal.several else 'Best'}: trial {best.trial}, {values}{epoch}"]
    full = ", ".join(f"{name} {shorten(value)}" for name, value in best.params.items())
    return [*lines, full] if full else lines


def list_others(goal: Goal) -> list[str]:
    """The metrics of the objectives and of the constraints, without the first."""
    metrics = dict.fromkeys([*(o.metric for o in goal.objectives), *(c.metric for c in goal.constraints)])
    return [metric for metric in metrics if metric != goal.first.metric]


def shorten(text: str, digits: int = 4) -> str:
    """A hyperparameter's recorded text, as a table shows it: whole numbers whole, others with four digits, true as in TOML."""
    if text in ("True", "False"):
        return text.lower()
    number = read_number(text)
    return f"{number:.{digits}g}" if isinstance(number, float) else text
