"""MLflow's page sorts by one text of each trial alone: that order is the leaderboard's."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest

from tailor.experiments.tracking.leaderboard import rank, rate
from tailor.experiments.tracking.recorded import Info, RecordedAttempt
from tailor.search.study.goal import Constraint, Direction, Goal, Objective


def record(trial: int, status: str, metrics: Mapping[str, float]) -> RecordedAttempt:
    tags = {"tailor.trial": str(trial), "tailor.attempt": "1", "tailor.status": status}
    return RecordedAttempt.make(Info(str(trial), "", "FINISHED", 0, 1), tags, {}, metrics)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_order_that_mlflows_page_goes_by_is_the_leaderboards(direction: Direction) -> None:
    drawn, constraints = random.Random(5), (Constraint.parse("latency_ms <= 1.5"),)
    goal = Goal((Objective("val_loss", direction),), constraints)
    made = []
    for trial in range(60):
        values = {key: drawn.choice([-2.5, -1e-9, -0.0, 0.0, 3e-7, 1.0, 12.0]) for key in ("val_loss", "best_val_loss")}
        values["latency_ms"] = drawn.choice([1.0, 2.0, 3.0])
        left = drawn.choice([(), ("val_loss",), ("val_loss", "best_val_loss")])
        status = drawn.choice(["complete", "complete", "pruned", "failed", "stopped"])
        made.append(record(trial, status, {key: value for key, value in values.items() if key not in left}))
    made.append(record(60, "pruned", {"val_loss": math.nan}))
    board, rated = rank(made, goal), {one.trial: rate(one.trial, one.status, one.metrics, goal) for one in made}
    assert sorted(rated, key=lambda trial: rated[trial][1]) == [row.trial for row in board]
    assert {row.trial: row.score for row in board[:-1]} == {row.trial: rated[row.trial][0] for row in board[:-1]}
