"""The judge: a first model wins, a later one must be strictly better on the same ground."""

from __future__ import annotations

import pytest

from tailor.experiments.registry.selection import Candidate, judge
from tailor.search.study.goal import Objective

ACCURACY, LOSS = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


def test_the_first_is_champion() -> None:
    assert judge(Candidate(0.1, ACCURACY, "d"), None).better


@pytest.mark.parametrize(
    ("objective", "candidate", "champion", "better"),
    [(ACCURACY, 0.9, 0.8, True), (ACCURACY, 0.8, 0.8, False), (LOSS, 0.1, 0.2, True), (LOSS, 0.3, 0.2, False)],
)
def test_a_later_one_must_be_strictly_better(objective: Objective, candidate: float, champion: float, better: bool) -> None:
    verdict = judge(Candidate(candidate, objective, "d"), Candidate(champion, objective, "d"))
    assert verdict.better is better
    assert (verdict.candidate, verdict.champion) == (candidate, champion)


def test_other_data_or_another_objective_do_not_compare() -> None:
    assert not judge(Candidate(0.99, ACCURACY, "d"), Candidate(0.1, ACCURACY, "other")).better
    assert not judge(Candidate(0.99, ACCURACY, "d"), Candidate(0.1, LOSS, "d")).better
