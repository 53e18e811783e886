"""The statistics, the ranking and the verdict of a promotion, on predictions that are made up, against scikit-learn and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score

from tailor.experiments.promotion.ranking import Scored, find_median, rank
from tailor.experiments.promotion.statistics import (
    METRICS,
    Interval,
    Predictions,
    compare,
    make_scores,
    measure_calibration,
    run_mcnemar,
    score,
    score_with_interval,
)
from tailor.experiments.promotion.verdict import FIRST, Evidence, check_costs, judge, weigh
from tailor.search.study.sections import PromotionPlan

CLASSES = 4
DRAWS = 200  # of equal models


def make_labels(examples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, CLASSES, examples)


def make_predictions(labels: np.ndarray, accuracy: float, seed: int) -> Predictions:
    """Answers that are right about so often, each with a confidence of its own."""
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, CLASSES, len(labels))) % CLASSES
    guesses = np.where(rng.random(len(labels)) < accuracy, labels, wrong)
    return make_answers(labels, guesses, rng.uniform(0.5, 0.99, len(labels)))


def make_answers(labels: np.ndarray, guesses: np.ndarray, confidence: np.ndarray | float = 0.9) -> Predictions:
    confidence = np.broadcast_to(confidence, labels.shape)
    probabilities = np.repeat((1 - confidence)[:, None] / (CLASSES - 1), CLASSES, axis=1)
    probabilities[np.arange(len(labels)), guesses] = confidence
    return Predictions(labels, probabilities)


def with_right(right: np.ndarray) -> Predictions:
    """Answers to examples of class 0, right where it is said."""
    return make_answers(np.zeros(len(right), int), np.where(right, 0, 1))


def reference(metric: str, one: Predictions, weights: np.ndarray | None = None) -> float:
    if metric == "accuracy":
        return accuracy_score(one.labels, one.guesses, sample_weight=weights)
    if metric == "loss":
        return log_loss(one.labels, one.probabilities, sample_weight=weights, labels=range(CLASSES))
    return f1_score(one.labels, one.guesses, average="macro", sample_weight=weights)


@pytest.mark.parametrize("metric", METRICS)
def test_scores_are_scikit_learns(metric: str) -> None:
    one = make_predictions(make_labels(300), 0.8, 1)
    weights = np.random.default_rng(2).integers(0, 4, (3, 300)).astype(float)
    assert score(metric, one) == pytest.approx(reference(metric, one))
    assert make_scores(metric, one)(weights) == pytest.approx([reference(metric, one, row) for row in weights])


def test_a_class_that_nobody_has_or_guesses_is_left_out_of_macro_f1() -> None:
    labels = make_labels(200) % 2
    one = make_answers(labels, np.where(np.arange(200) % 5 == 0, 1 - labels, labels))
    assert score("macro_f1", one) == pytest.approx(f1_score(labels, one.guesses, average="macro"))


def test_recalls_are_scikit_learns_and_nan_without_examples() -> None:
    labels = make_labels(200) % 3
    one = make_answers(labels, make_labels(200, 1))
    assert one.recalls[:3] == pytest.approx(recall_score(labels, one.guesses, labels=range(3), average=None))
    assert math.isnan(one.recalls[3])


def test_mcnemars_p_is_scipys_and_the_tables() -> None:
    one, other = with_right(np.array([True] * 10 + [False] * 2 + [True] * 88)), with_right(np.array([False] * 10 + [True] * 90))
    gained, lost, p = run_mcnemar(one, other)
    assert (gained, lost) == (10, 2)
    assert p == pytest.approx(158 / 4096)  # 2 (C(12,0) + C(12,1) + C(12,2)) / 2^12
    assert p == pytest.approx(stats.binomtest(10, 12).pvalue)
    assert run_mcnemar(one, one) == (0, 0, 1.0)


@pytest.mark.parametrize("metric", METRICS)
def test_the_interval_is_scipys_percentile_bootstrap(metric: str) -> None:
    one = make_predictions(make_labels(250), 0.85, 3)
    found = score_with_interval(metric, one)

    if metric == "macro_f1":

        def statistic(rows: np.ndarray) -> float:
            return reference(metric, Predictions(one.labels[rows], one.probabilities[rows]))

        values, options = np.arange(250), {"vectorized": False, "n_resamples": 800}
    else:
        statistic, options = np.mean, {"n_resamples": 5000}
        values = one.right.astype(float) if metric == "accuracy" else one.losses
    bootstrapped = stats.bootstrap((values,), statistic, method="percentile", rng=np.random.default_rng(0), **options)
    theirs = bootstrapped.confidence_interval
    width = theirs.high - theirs.low
    assert found.value == pytest.approx(reference(metric, one))
    assert (found.low, found.high) == (
        pytest.approx(theirs.low, abs=0.12 * width),
        pytest.approx(theirs.high, abs=0.12 * width),
    )


@pytest.mark.parametrize("metric", ("accuracy", "loss"))
def test_the_paired_interval_is_scipys(metric: str) -> None:
    labels = make_labels(400)
    one, other = make_predictions(labels, 0.9, 1), make_predictions(labels, 0.8, 2)
    values = {
        "accuracy": one.right.astype(float) - other.right.astype(float),
        "loss": other.losses - one.losses,  # positive is better
    }[metric]
    found = compare(metric, [one], [other])
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(0))
    low, high = theirs.confidence_interval
    assert found.value == pytest.approx(values.mean()) and found.value > 0
    assert (found.low, found.high) == (
        pytest.approx(low, abs=0.06 * (high - low)),
        pytest.approx(high, abs=0.06 * (high - low)),
    )


def test_pairing_drops_what_the_examples_have_in_common() -> None:
    labels = make_labels(300)
    one = make_predictions(labels, 0.7, 1)
    guesses = one.guesses.copy()
    guesses[np.flatnonzero(one.right)[:9]] = (labels[np.flatnonzero(one.right)[:9]] + 1) % CLASSES
    gain, alone = compare("accuracy", [one], [make_answers(labels, guesses)]), score_with_interval("accuracy", one)
    assert gain.value == pytest.approx(0.03) and gain.low > 0
    assert gain.high - gain.low < (alone.high - alone.low) / 2


def test_the_interval_is_the_same_each_time() -> None:
    labels = make_labels(200)
    pair = [make_predictions(labels, 0.9, 1)], [make_predictions(labels, 0.8, 2)]
    assert compare("loss", *pair) == compare("loss", *pair)


def test_seeds_that_differ_widen_the_interval() -> None:
    labels = make_labels(2000)
    champion = make_predictions(labels, 0.8, 0)

    def width(accuracies: tuple[float, ...]) -> float:
        seeds = [make_predictions(labels, accuracy, 10 + place) for place, accuracy in enumerate(accuracies)]
        found = compare("accuracy", seeds, [champion] * len(seeds))
        assert found.value == pytest.approx(np.mean([one.right.mean() for one in seeds]) - champion.right.mean())
        assert found.low < found.value < found.high
        return found.high - found.low

    assert width((0.75, 0.85, 0.95)) > 1.5 * width((0.85, 0.85, 0.85))


def test_models_are_paired_by_seed_and_must_be_as_many() -> None:
    labels = make_labels(100)
    models = [make_predictions(labels, accuracy, 5) for accuracy in (0.6, 0.9)]
    same = compare("accuracy", models, models)
    assert same == Interval(0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="shorter"):
        compare("accuracy", models, models[:1])


def test_calibration_error_of_confidences_that_are_true_or_not() -> None:
    right = np.arange(1000) % 10 != 0
    labels = np.zeros(1000, int)
    true = make_answers(labels, np.where(right, 0, 1), 0.9)
    assert measure_calibration(true)[0] == pytest.approx(0.0, abs=1e-9)
    proud = make_answers(labels, np.where(right, 0, 1), 0.99)
    error, [(confidence, accuracy, count)] = measure_calibration(proud)
    assert (error, confidence, accuracy, count) == (pytest.approx(0.09), pytest.approx(0.99), pytest.approx(0.9), 1000)


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


def test_the_first_model_is_promoted_without_evidence() -> None:
    verdict = judge(PromotionPlan(minimum_gain=0.5, recall_drop=0.0), None)
    assert (verdict.outcome, verdict.reason, verdict.evidence) == ("promoted", FIRST, None)


@pytest.mark.parametrize(
    ("gained", "lost", "outcome"),
    [(60, 20, "promoted"), (24, 20, "challenger"), (20, 60, "challenger"), (0, 0, "challenger")],
)
def test_only_what_is_shown_to_be_better_is_promoted(gained: int, lost: int, outcome: str) -> None:
    verdict = judge(PromotionPlan(), make_evidence(gained, lost))
    assert verdict.outcome == outcome
    assert verdict.evidence is not None and verdict.evidence.gain.value == pytest.approx((gained - lost) / (800 + gained + lost))


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


def test_a_gain_below_the_least_is_refused() -> None:
    evidence = make_evidence(60, 20)
    verdict = judge(PromotionPlan(minimum_gain=0.06), evidence)
    assert verdict.outcome == "refused" and verdict.reason.startswith("promotion.minimum_gain: it gains 0.0455")
    assert judge(PromotionPlan(minimum_gain=0.04), evidence).outcome == "promoted"
    assert judge(PromotionPlan(minimum_gain=0.06), make_evidence(24, 20)).outcome == "challenger"  # not shown, whatever the gain


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
    assert check_costs(plan, 2.5, 1000) == "promotion.latency_ms: it takes 2.50 ms an image, and 2 are allowed"
    assert check_costs(plan, 1.0, 1001) == "promotion.model_bytes: it has 1,001 bytes, and 1,000 are allowed"
    assert check_costs(PromotionPlan(), 99.0, 10**9) == ""


@pytest.mark.parametrize("metric", METRICS)
def test_equal_models_are_rarely_promoted(metric: str) -> None:
    """By a fair judge 2.5 in 100; the seeds are fixed, so the count is the same each time."""
    rng, promoted = np.random.default_rng(0), 0
    for _ in range(DRAWS):
        labels = rng.integers(0, CLASSES, 100)
        common, seeds = rng.random(100), rng.integers(0, 2**31, 2)
        pair = []
        for seed in seeds:
            one = make_predictions(labels, 0.5, int(seed))
            easy = make_answers(labels, np.where(common < 0.8, labels, one.guesses), one.probabilities.max(axis=1))
            pair.append(easy)
        promoted += judge(PromotionPlan(), weigh(metric, *pair)).outcome == "promoted"
    assert promoted <= 0.05 * DRAWS
