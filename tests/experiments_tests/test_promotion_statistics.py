"""A promotion's statistics: scores, intervals and tests against scikit-learn's and SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from predictions import CLASSES, make_answers, make_labels, make_predictions, with_right
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score

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
from tailor.experiments.promotion.verdict import judge, weigh
from tailor.search.study.sections import PromotionPlan

DRAWS = 200  # of equal models


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
