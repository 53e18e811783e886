"""How a leaderboard is printed, for `search` and `status`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from experiments.cli.common import print_table

if TYPE_CHECKING:
    from experiments.leaderboard import Row
    from search.spec import Objective

MOST = 10


def print_leaderboard(study: str, objective: Objective, rows: Sequence[Row], most: int = MOST) -> None:
    """The best trials with what was chosen for them, and a line for the rest."""
    metrics = [m for m in ("best_val_accuracy", "best_val_loss") if m != objective.key]
    columns = ["trial", objective.metric, *(m.removeprefix("best_") for m in metrics), "parameters", "seconds", "status"]
    varied = [n for n in dict.fromkeys(n for row in rows for n in row.params) if len({row.params.get(n) for row in rows}) > 1]
    shown = rows[:most]
    print_table(f"{study}: best first", [*columns, "hyperparameters"], [_cells(row, metrics, varied) for row in shown])
    if len(rows) > most:
        print(f"… and {len(rows) - most} more trials; `tailor status {study} --all` shows them")


def _cells(row: Row, metrics: Sequence[str], varied: Sequence[str]) -> list[str]:
    hyperparameters = ", ".join(f"{name} {_short(row.params[name])}" for name in varied if name in row.params)
    return [
        str(row.trial),
        _number(row.value, 4),
        *(_number(row.metrics.get(metric), 4) for metric in metrics),
        _number(row.metrics.get("parameters"), 0),
        _number(row.metrics.get("train_seconds"), 1),
        row.status if row.status in ("complete", "running") else f"{row.status} {row.reason}"[:60],
        hyperparameters or "the same in all",
    ]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _short(value: str) -> str:
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value
