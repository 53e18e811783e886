"""The judge that decides which model becomes champion. Today it compares the study's objective; pure, no I/O."""

from __future__ import annotations

from dataclasses import dataclass

from ...search.study.goal import Objective


@dataclass(frozen=True)
class Candidate:
    """A model to judge: its objective's value, the objective, and the digest of the data that it was measured on."""

    value: float
    objective: Objective
    dataset_sha256: str


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate becomes champion, why, and the numbers behind it."""

    better: bool
    reason: str
    candidate: float
    champion: float | None


def judge(candidate: Candidate, champion: Candidate | None) -> Verdict:
    """A first model is champion; a later one must be strictly better by the same objective on the same data."""
    metric = candidate.objective.metric
    if champion is None:
        return Verdict(True, "there was no champion", candidate.value, None)
    if champion.objective != candidate.objective or champion.dataset_sha256 != candidate.dataset_sha256:
        reason = "the champion was measured by another objective or on other data, so they do not compare"
        return Verdict(False, reason, candidate.value, champion.value)
    better = candidate.objective.better(candidate.value, champion.value)
    word = "better" if better else "no better"
    return Verdict(
        better, f"its {metric} of {candidate.value:.4f} is {word} than {champion.value:.4f}", candidate.value, champion.value
    )
