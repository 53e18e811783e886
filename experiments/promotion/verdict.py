"""The verdict on a challenger: the gates it must pass, the evidence against the champion, and what follows. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...search.study.sections import PromotionPlan
from .statistics import LEVEL, Interval, Predictions, compare, run_mcnemar, score

Outcome = Literal["promoted", "challenger", "refused", "undecided"]  # the last of a dry run
FIRST = "it is the first model of that name"
ALONE = "no version of that name is champion, so it was compared with none"


@dataclass(frozen=True)
class Evidence:
    """A challenger beside the champion on the same test examples.

    `gain` is positive if the challenger is better. `gained` and `lost` count the examples that it alone has right, or wrong;
    `p` is McNemar's, None for a metric other than accuracy. `worst_recall` is each model's lowest recall of a class.
    """

    metric: str
    challenger: float
    champion: float
    gain: Interval
    gained: int
    lost: int
    p: float | None
    worst_recall: tuple[float, float]

    @property
    def better(self) -> bool:
        """Whether chance does not explain the gain: its interval lies above 0, and so does McNemar's test say for accuracy."""
        return self.gain.low > 0 and (self.p is None or self.p < 1 - LEVEL)

    def describe(self) -> str:
        """The evidence in one line."""
        interval = f"{self.gain.low:+.4f} to {self.gain.high:+.4f}"
        mcnemar = "" if self.p is None else f", McNemar p {self.p:.2g} ({self.gained} gained, {self.lost} lost)"
        amount = f"{abs(self.gain.value):.4f}"
        side = "no difference" if float(amount) == 0 else f"{'better' if self.gain.value > 0 else 'worse'} by {amount}"
        return f"test {self.metric} {self.challenger:.4f} against {self.champion:.4f}: {side} ({interval}{mcnemar})"


@dataclass(frozen=True)
class Verdict:
    """What follows for the challenger, why, and the evidence; None without a champion to compare."""

    outcome: Outcome
    reason: str
    evidence: Evidence | None = None


def weigh(metric: str, challenger: Predictions, champion: Predictions) -> Evidence:
    """Compare two models' predictions on the same examples."""
    gained, lost, p = run_mcnemar(challenger, champion)
    worst = (float(np.nanmin(challenger.recalls)), float(np.nanmin(champion.recalls)))
    gain = compare(metric, [challenger], [champion])
    scores = score(metric, challenger), score(metric, champion)
    return Evidence(metric, *scores, gain, gained, lost, p if metric == "accuracy" else None, worst)


def check_costs(plan: PromotionPlan, latency_ms: float | None, model_bytes: int) -> str:
    """The gate of latency or size that the model fails, with both numbers; empty if it passes. Needs no test data."""
    if plan.latency_ms is not None and latency_ms is not None and latency_ms > plan.latency_ms:
        return f"promotion.latency_ms: it takes {latency_ms:,.4f} ms an image, more than the {plan.latency_ms:g} of the gate"
    if plan.model_bytes is not None and model_bytes > plan.model_bytes:
        return f"promotion.model_bytes: it has {model_bytes:,} bytes, more than the {plan.model_bytes:,} of the gate"
    return ""


def write_gates(plan: PromotionPlan) -> str:
    """The gates of a plan, as a version's tag keeps those that it was judged by."""
    return json.dumps({name: getattr(plan, name) for name in ("minimum_gain", "recall_drop", "latency_ms", "model_bytes")})


def judge(plan: PromotionPlan, evidence: Evidence | None, first: bool = True) -> Verdict:
    """Promoted, challenger (not shown to be better), or refused by a gate. Without a champion to meet, a model needs no evidence.

    `first`: the name has, and had, no other model.
    """
    if evidence is None:
        return Verdict("promoted", FIRST if first else ALONE)
    fallen = evidence.worst_recall[1] - evidence.worst_recall[0]
    if plan.recall_drop is not None and fallen > plan.recall_drop:
        return Verdict(
            "refused",
            f"promotion.recall_drop: the recall of its worst class is {evidence.worst_recall[0]:.4f}, {fallen:.4f} below the "
            f"champion's, and {plan.recall_drop:g} is allowed",
            evidence,
        )
    if plan.minimum_gain and evidence.gain.value < plan.minimum_gain:
        return Verdict(
            "refused",
            f"promotion.minimum_gain: it gains {evidence.gain.value:.4f}, and {plan.minimum_gain:g} is asked for",
            evidence,
        )
    if not evidence.better:
        return Verdict("challenger", "it is not shown to be better than the champion", evidence)
    return Verdict("promoted", "it is shown to be better than the champion", evidence)
