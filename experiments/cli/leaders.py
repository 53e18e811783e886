"""How a leaderboard is printed, for `search` and `status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.cli.common import next_command, print_table
from experiments.leaderboard import number, short
from search.goal import key_of

if TYPE_CHECKING:
    from experiments.leaderboard import Row
    from search.goal import Goal

MOST = 10
SHOWN = ("best_val_accuracy", "best_val_loss", "parameters", "train_seconds")
SHORT = {"train_seconds": "seconds"}


def print_leaderboard(study: str, goal: Goal, rows: Sequence[Row], most: int = MOST) -> None:
    """The best trials with what was chosen for them, and a line for the rest."""
    also = dict.fromkeys([*(o.key for o in goal.objectives[1:]), *(key_of(c.metric) for c in goal.constraints), *SHOWN])
    metrics = [metric for metric in also if metric != goal.first.key]
    columns = ["trial", goal.first.metric, *(SHORT.get(m, m).removeprefix("best_") for m in metrics), "status"]
    varied = [n for n in dict.fromkeys(n for row in rows for n in row.params) if len({row.params.get(n) for row in rows}) > 1]
    shown = rows[:most]
    title = f"{study}: the Pareto front first (*)" if goal.several else f"{study}: best first"
    print_table(title, [*columns, "hyperparameters"], [_cells(row, goal, metrics, varied) for row in shown])
    if len(rows) > most:
        print(f"… and {len(rows) - most} more trials; `{next_command('status', study, '--all')}` shows them")


def _cells(row: Row, goal: Goal, metrics: Sequence[str], varied: Sequence[str]) -> list[str]:
    hyperparameters = ", ".join(f"{name} {short(row.params[name])}" for name in varied if name in row.params)
    return [
        row.label(goal),
        number(row.value, goal.first.metric),
        *(number(row.metrics.get(metric), metric) for metric in metrics),
        row.standing,
        hyperparameters or "the same in all",
    ]
