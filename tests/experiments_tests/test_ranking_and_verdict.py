"""A promotion's ranking, choice and verdict: ties, costs, names, and what is shown to be better."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from predictions import make_answers, make_labels, with_right

from tailor.experiments.cli.promotion import show_refused
from tailor.experiments.promotion.card import _classes
from tailor.experiments.promotion.choice import _score
from tailor.experiments.promotion.ranking import Scored, find_median, rank
from tailor.experiments.promotion.records import Choice, Promotion
from tailor.experiments.promotion.statistics import Interval, Predictions
from tailor.experiments.promotion.trainings import Trained
from tailor.experiments.promotion.verdict import FIRST, Evidence, check_costs, judge, weigh
from tailor.search.study.sections import PromotionPlan


def make_candidate(trial: int, right: np.ndarray, latency_ms: float, parameters: int = 1000) -> Scored:
    """A candidate of three seeds, each of which has so many of its examples right."""
    return Scored(trial, [with_right(right)] * 3, latency_ms, parameters)


def first_right(count: int) -> np.ndarray:
    return np.arange(400) < count


def test_the_cheapest_of_those_tied_wins() -> None:
    ranking = rank("accuracy", [make_candidate(1, first_right(361), 3.0), make_candidate(2, first_right(360), 1.0)])
    assert [row.trial for row in ranking] == [2, 1]
    assert all(row.tied for row in ranking)
    assert ranking[0].lead.value == pytest.approx(-1 / 400)


def test_a_candidates_latency_is_the_least_of_its_seeds() -> None:
    """They are of one network: what is above the least is other work on the machine."""
    seeds = [Trained(100 + n, "run", {"latency_ms": ms, "parameters": 9.0}, f"m{n}") for n, ms in enumerate((3.2, 8.7, 12.1))]
    answers = with_right(first_right(3))
    scored = _score(1, seeds, {one.model_id: answers for one in seeds})
    assert (scored.latency_ms, scored.parameters) == (3.2, 9)


def test_a_cheap_one_that_is_clearly_worse_does_not_win() -> None:
    ranking = rank(
        "accuracy",
        [
            make_candidate(3, first_right(320), 0.1),
            make_candidate(1, first_right(361), 3.0),
            make_candidate(2, first_right(360), 1.0),
        ],
    )
    assert [(row.trial, row.tied) for row in ranking] == [(2, True), (1, True), (3, False)]


def test_latencies_within_a_tenth_are_equal_and_fewer_parameters_win() -> None:
    ranking = rank("accuracy", [make_candidate(1, first_right(360), 1.0, 900), make_candidate(2, first_right(360), 1.08, 500)])
    assert ranking[0].trial == 2
    ranking = rank("accuracy", [make_candidate(1, first_right(360), 1.0, 900), make_candidate(2, first_right(360), 1.2, 500)])
    assert ranking[0].trial == 1


def test_of_losses_the_lower_is_best() -> None:
    labels = np.zeros(200, int)
    low, high = make_answers(labels, labels, 0.95), make_answers(labels, labels, 0.6)
    ranking = rank("loss", [Scored(1, [high], 1.0, 10), Scored(2, [low], 1.0, 10)])
    assert [(row.trial, row.tied) for row in ranking] == [(2, True), (1, False)]
    assert ranking[1].lead.high < 0 and ranking[1].deviation == 0.0


def test_scores_by_seed_and_their_deviation() -> None:
    seeds = [with_right(first_right(count)) for count in (300, 320, 340)]
    (only,) = rank("accuracy", [Scored(7, seeds, 1.0, 10)])
    assert only.scores == (0.75, 0.8, 0.85)
    assert (only.mean, only.deviation) == (pytest.approx(0.8), pytest.approx(0.05))


@pytest.mark.parametrize(
    ("scores", "place"), [((0.9,), 0), ((0.9, 0.7, 0.8), 2), ((0.9, 0.8), 1), ((0.4, 0.3, 0.1, 0.2), 3), ((0.5, 0.5, 0.5), 1)]
)
def test_the_median_of_an_even_number_is_the_lower_of_two(scores: tuple[float, ...], place: int) -> None:
    assert find_median(scores) == place


def make_evidence(gained: int, lost: int, both: int = 800) -> Evidence:
    """A challenger and a champion that differ on so many of the examples, and are both right on the others."""
    one = np.array([True] * gained + [False] * lost + [True] * both)
    other = np.array([False] * gained + [True] * lost + [True] * both)
    return weigh("accuracy", with_right(one), with_right(other))


def test_a_class_is_one_cell_of_the_cards_table() -> None:
    wrong = Predictions(np.array([0, 0, 1]), np.array([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]))
    assert _classes(wrong, ["a|b", "c|d"])[2] == r"| a\|b | 0.5000 | c\|d (1×) |"


def test_the_first_model_is_promoted_without_evidence() -> None:
    verdict = judge(PromotionPlan(minimum_gain=0.5, recall_drop=0.0), None)
    assert (verdict.outcome, verdict.reason, verdict.evidence) == ("promoted", FIRST, None)


@pytest.mark.parametrize(
    ("gained", "lost", "outcome", "said"),
    [
        (60, 20, "promoted", ": better by 0.0455 ("),
        (24, 20, "challenger", ": better by "),
        (20, 60, "challenger", ": worse by 0.0455 ("),
        (0, 0, "challenger", ": no difference ("),
    ],
)
def test_only_what_is_shown_to_be_better_is_promoted(gained: int, lost: int, outcome: str, said: str) -> None:
    verdict = judge(PromotionPlan(), make_evidence(gained, lost))
    assert verdict.outcome == outcome
    assert verdict.evidence is not None and verdict.evidence.gain.value == pytest.approx((gained - lost) / (800 + gained + lost))
    assert said in verdict.evidence.describe()


def test_accuracy_needs_both_mcnemars_test_and_the_interval() -> None:
    evidence = make_evidence(5, 0)
    assert evidence.gain.low > 0 and evidence.p == pytest.approx(2 / 32)  # the interval alone says yes
    assert not evidence.better
    parts = ("accuracy", 0.9, 0.8)
    assert not Evidence(*parts, Interval(0.1, -0.01, 0.2), 9, 1, 0.01, (1.0, 1.0)).better
    assert Evidence(*parts, Interval(0.1, 0.01, 0.2), 9, 1, 0.01, (1.0, 1.0)).better


def test_another_metric_is_judged_by_its_interval_alone() -> None:
    labels = make_labels(400)
    evidence = weigh("loss", make_answers(labels, labels, 0.9), make_answers(labels, labels, 0.7))
    assert evidence.p is None and evidence.better and "McNemar" not in evidence.describe()
    assert judge(PromotionPlan(), evidence).outcome == "promoted"


def test_a_refusal_after_the_test_set_was_opened_shows_what_was_seen(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = judge(PromotionPlan(minimum_gain=0.5), make_evidence(60, 20))
    choice = Choice(0, "a fresh seed", "m", "r", "accuracy", Interval(0.9, 0.8, 1.0), 1.0, 1000)
    test, notes = Interval(0.9, 0.8, 1.0), ("The test set was opened 2 times.",)
    show_refused(Promotion("fashion", "", "", verdict, "s", "mlp", choice, test, 2, notes=notes))
    judged, refused, note = capsys.readouterr().out.splitlines()
    assert judged.startswith("Judged: test accuracy") and refused.startswith("Refused: promotion.minimum_gain: it gains")
    assert note == notes[0]


def test_a_gain_below_the_least_is_refused() -> None:
    evidence = make_evidence(60, 20)
    verdict = judge(PromotionPlan(minimum_gain=0.06), evidence)
    assert verdict.outcome == "refused" and verdict.reason.startswith("promotion.minimum_gain: it gains 0.0455")
    assert judge(PromotionPlan(minimum_gain=0.04), evidence).outcome == "promoted"
    equal = make_evidence(24, 20)
    assert judge(PromotionPlan(minimum_gain=0.06), equal).outcome == "refused"  # a gate asks every model
    assert judge(PromotionPlan(), equal).outcome == judge(PromotionPlan(), make_evidence(20, 24)).outcome == "challenger"


def test_a_worst_class_that_falls_too_far_is_refused() -> None:
    labels = np.repeat([0, 1], 200)
    champion = make_answers(labels, np.where(np.arange(400) % 10 < 2, 2, labels))  # recall 0.8 of both
    better_of_0 = np.where(labels == 0, 0, np.where(np.arange(400) % 10 < 3, 2, 1))  # recalls 1 and 0.7
    evidence = weigh("accuracy", make_answers(labels, better_of_0), champion)
    assert evidence.better and evidence.worst_recall == (pytest.approx(0.7), pytest.approx(0.8))
    verdict = judge(PromotionPlan(recall_drop=0.05), evidence)
    assert verdict.outcome == "refused" and "promotion.recall_drop" in verdict.reason and "0.7000, 0.1000 below" in verdict.reason
    assert judge(PromotionPlan(recall_drop=0.15), evidence).outcome == "promoted"
    assert judge(PromotionPlan(), evidence).outcome == "promoted"


def test_costs_are_gates_that_need_no_test_data() -> None:
    plan = PromotionPlan(latency_ms=2.0, model_bytes=1000)
    assert check_costs(plan, 2.0, 1000) == ""
    assert check_costs(plan, None, 1000) == ""
    assert check_costs(plan, 2.5, 1000) == "promotion.latency_ms: it takes 2.5000 ms an image, more than the 2 of the gate"
    assert check_costs(plan, 1.0, 1001) == "promotion.model_bytes: it has 1,001 bytes, more than the 1,000 of the gate"
    assert check_costs(PromotionPlan(), 99.0, 10**9) == ""


def test_what_a_message_calls_the_chosen_model() -> None:
    one = Choice(4, "", "", "", "accuracy", Interval(0.5, 0.4, 0.6), None, 0)
    both = dataclasses.replace(one, trials=(3, 5))
    smaller = dataclasses.replace(both, made="pruned 50 %")
    said = ["the model of trial 4", "the model of trials 3 and 5", "pruned 50 %"]
    assert [found.what for found in (one, both, smaller)] == said
