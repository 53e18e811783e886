"""Ranks candidates by their holdout scores over seeds; among those within noise of the best, the cheapest wins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .statistics import LOWER_IS_BETTER, Interval, Predictions, compare, score

SAME_LATENCY = 1.1  # two latencies within a tenth are equal: they are measured beside other work


@dataclass(frozen=True)
class Scored:
    """A candidate: its trial, its predictions on holdout by seed, and what it costs to use."""

    trial: int
    predictions: Sequence[Predictions]
    latency_ms: float
    parameters: int


@dataclass(frozen=True)
class Ranked:
    """A candidate's place: its score by seed, mean and standard deviation, and its lead over the best (0 or less is behind).

    `tied` says that it is within noise of the best: the interval of its lead reaches 0.
    """

    trial: int
    scores: tuple[float, ...]
    mean: float
    deviation: float
    lead: Interval
    tied: bool
    latency_ms: float
    parameters: int


def show_deviation(row: Ranked) -> str:
    """The deviation as a table shows it: one seed has none."""
    return f"{row.deviation:.4f}" if len(row.scores) > 1 else "–"


def rank(metric: str, candidates: Sequence[Scored]) -> list[Ranked]:
    """The candidates with the winner first: the cheapest of those tied with the best, then the others by their means."""
    by_seed = {c.trial: tuple(score(metric, one) for one in c.predictions) for c in candidates}
    sign = 1 if metric in LOWER_IS_BETTER else -1
    ordered = sorted(candidates, key=lambda c: (sign * float(np.mean(by_seed[c.trial])), c.trial))
    best = ordered[0]
    rows = []
    for one in ordered:
        lead = compare(metric, one.predictions, best.predictions)
        scores = by_seed[one.trial]
        deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else 0.0
        mean = float(np.mean(scores))
        tied = one is best or lead.high >= 0
        rows.append(Ranked(one.trial, scores, mean, deviation, lead, tied, one.latency_ms, one.parameters))
    winner = _find_cheapest([row for row in rows if row.tied])
    return [winner, *(row for row in rows if row is not winner)]


def _find_cheapest(tied: Sequence[Ranked]) -> Ranked:
    """By latency, then by parameters, then by the mean (they come in its order)."""
    fastest = min(row.latency_ms for row in tied)
    quick = [row for row in tied if row.latency_ms <= fastest * SAME_LATENCY]
    return min(quick, key=lambda row: row.parameters)


def find_median(scores: Sequence[float]) -> int:
    """The place of the median score; of an even number, the lower of the two in the middle."""
    return int(np.argsort(scores, kind="stable")[(len(scores) - 1) // 2])
