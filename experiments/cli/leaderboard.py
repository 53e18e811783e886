"""A study and its leaderboard, as a table and as plain data, for `search` and `status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...search.study.goal import key_of
from ..tracking import ui_links
from ..tracking.leaderboard import format_number, read_leaderboard, shorten
from .common import format_next, print_table

if TYPE_CHECKING:
    from ...search.study.goal import Goal
    from ...search.study.spec import StudySpec
    from ..store import Store
    from ..tracking.leaderboard import Overview, Row
    from ..tracking.reader import RecordedStudy

SHOWN = ("best_val_accuracy", "best_val_loss", "parameters", "train_seconds")
SHORT = {"train_seconds": "seconds"}


def describe_state(store: Store, study: RecordedStudy, spec: StudySpec) -> dict[str, Any]:
    """A study's progress, how its last session ended (None: it runs), and every trial, best first."""
    board = read_leaderboard(study)
    return {
        "study": spec.name,
        "run": study.run_id,
        "status": study.run.info.status,
        "ended": None if study.running else study.state,
        "trials": spec.search.trials,
        "counts": Counter(row.status for row in board),
        "url": ui_links.make_study_url(ui_links.make_base_url(store.tracking_uri), study.experiment_id),
        "leaderboard": [row.to_dict() for row in board],
    }


def print_leaderboard(study: str, goal: Goal, shown: Overview) -> None:
    """Print the best trials with their hyperparameters, and a line for the rest."""
    also = dict.fromkeys([*(o.key for o in goal.objectives[1:]), *(key_of(c.metric) for c in goal.constraints), *SHOWN])
    metrics = [metric for metric in also if metric != goal.first.key]
    columns = ["trial", goal.first.metric, *(SHORT.get(m, m).removeprefix("best_") for m in metrics), "status"]
    title = f"{study}: the Pareto front first (*)" if goal.several else f"{study}: best first"
    print_table(title, [*columns, "hyperparameters"], [_cells(row, goal, metrics, shown.varied) for row in shown.top])
    if more := sum(shown.counts.values()) - len(shown.top):
        print(f"… and {more} more trials; `{format_next('status', study, '--all')}` shows them")


def _cells(row: Row, goal: Goal, metrics: Sequence[str], varied: Sequence[str]) -> list[str]:
    hyperparameters = ", ".join(f"{name} {shorten(row.params[name])}" for name in varied if name in row.params)
    return [
        row.label(goal),
        format_number(row.value, goal.first.metric),
        *(format_number(row.metrics.get(metric), metric) for metric in metrics),
        row.standing,
        hyperparameters or "the same in all",
    ]
