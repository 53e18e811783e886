"""The statistics of a promotion: scores of predictions, paired bootstrap intervals, McNemar's exact test. Pure; numpy and scipy.

Everything is paired: two models answer the same examples, so what the examples have in common drops out of the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
CHUNK = 200  # resamples at once: a matrix of CHUNK × examples stays small
LEVEL = 0.95  # of every interval; a test below 1 - LEVEL is significant
METRICS = ("accuracy", "loss", "macro_f1")
LOWER_IS_BETTER = ("loss",)

Scores = Callable[[np.ndarray], np.ndarray]  # weights (resamples, n) of n examples, to (resamples,) scores


@dataclass(frozen=True)
class Predictions:
    """A model's answers on n examples: `labels` int (n,), `probabilities` float (n, classes)."""

    labels: np.ndarray
    probabilities: np.ndarray

    @property
    def guesses(self) -> np.ndarray:
        """The most probable class of each example, int (n,)."""
        return self.probabilities.argmax(axis=1)

    @property
    def right(self) -> np.ndarray:
        """Which examples are classified rightly, bool (n,)."""
        return self.guesses == self.labels

    @property
    def losses(self) -> np.ndarray:
        """The cross-entropy of each example, float (n,)."""
        return -np.log(np.clip(self.probabilities[np.arange(len(self.labels)), self.labels], 1e-7, 1.0))

    @property
    def recalls(self) -> np.ndarray:
        """The recall of each class, float (classes,); NaN for a class without examples."""
        classes = self.probabilities.shape[1]
        support = np.bincount(self.labels, minlength=classes).astype(float)
        hits = np.bincount(self.labels[self.right], minlength=classes)
        return np.divide(hits, support, out=np.full(classes, np.nan), where=support > 0)


@dataclass(frozen=True)
class Interval:
    """A value and its bootstrap interval at LEVEL."""

    value: float
    low: float
    high: float


def make_scores(metric: str, predictions: Predictions) -> Scores:
    """The metric of these predictions, as a function of the examples' weights. Raises KeyError for an unknown metric."""
    if metric == "macro_f1":
        return _macro_f1(predictions)
    values = {"accuracy": predictions.right.astype(float), "loss": predictions.losses}[metric]
    return lambda weights: weights @ values / weights.sum(axis=1)


def score(metric: str, predictions: Predictions) -> float:
    """The metric, every example counted once."""
    return float(make_scores(metric, predictions)(np.ones((1, len(predictions.labels))))[0])


def score_with_interval(metric: str, predictions: Predictions, seed: int = 0) -> Interval:
    """The metric with its percentile bootstrap interval over the examples (Efron & Tibshirani 1993, chapter 13)."""
    scores = make_scores(metric, predictions)
    spread = _resample([scores], len(predictions.labels), seed)[:, 0]
    return _interval(score(metric, predictions), spread)


def compare(metric: str, one: Sequence[Predictions], other: Sequence[Predictions], seed: int = 0) -> Interval:
    """How much better `one` is than `other` (positive is better, for every metric), paired over examples and seeds.

    `one[i]` and `other[i]` are two models of the same seed, or of no seed if there is one each. Each resample draws seeds and
    examples anew, the same for both.
    """
    sign = -1.0 if metric in LOWER_IS_BETTER else 1.0
    pairs = [(make_scores(metric, a), make_scores(metric, b)) for a, b in zip(one, other, strict=True)]
    gains = [_difference(first, second, sign) for first, second in pairs]
    value = float(np.mean([gain(np.ones((1, len(one[0].labels))))[0] for gain in gains]))
    by_seed = _resample(gains, len(one[0].labels), seed)
    drawn = np.random.default_rng(seed + 1).integers(0, len(gains), by_seed.shape)
    return _interval(value, np.take_along_axis(by_seed, drawn, axis=1).mean(axis=1))


def run_mcnemar(one: Predictions, other: Predictions) -> tuple[int, int, float]:
    """(examples that `one` alone has right, that `other` alone has right, two-sided p) by McNemar's exact test.

    The binomial form (McNemar 1947; Dietterich 1998 on comparing two classifiers): examples that both have right, or wrong,
    say nothing about the difference.
    """
    from scipy.stats import binomtest

    gained = int((one.right & ~other.right).sum())
    lost = int((~one.right & other.right).sum())
    return gained, lost, 1.0 if gained + lost == 0 else float(binomtest(gained, gained + lost).pvalue)


def measure_calibration(predictions: Predictions, bins: int = 10) -> tuple[float, list[tuple[float, float, int]]]:
    """The expected calibration error (Guo et al. 2017), and for each bin (mean confidence, accuracy, examples)."""
    confidence = predictions.probabilities.max(axis=1)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (float(confidence[place == b].mean()), float(predictions.right[place == b].mean()), int((place == b).sum()))
        for b in range(bins)
        if (place == b).any()
    ]
    return sum(abs(mean - right) * count for mean, right, count in rows) / len(confidence), rows


def _difference(first: Scores, second: Scores, sign: float) -> Scores:
    return lambda weights: sign * (first(weights) - second(weights))


def _macro_f1(predictions: Predictions) -> Scores:
    from scipy.sparse import csr_array

    n, classes = predictions.probabilities.shape
    rows, ones = np.arange(n), np.ones(n)

    def one_hot(columns: np.ndarray, values: np.ndarray) -> Any:
        return csr_array((values, (rows, columns)), shape=(n, classes))

    labels, guesses = one_hot(predictions.labels, ones), one_hot(predictions.guesses, ones)
    hits = one_hot(predictions.labels, predictions.right.astype(float))

    def scores(weights: np.ndarray) -> np.ndarray:
        both = weights @ labels + weights @ guesses  # 2 TP + FP + FN
        f1 = np.divide(2 * (weights @ hits), both, out=np.zeros_like(both), where=both > 0)
        return f1.sum(axis=1) / np.maximum(1, (both > 0).sum(axis=1))

    return scores


def _resample(scores: Sequence[Scores], examples: int, seed: int) -> np.ndarray:
    """The scores under RESAMPLES draws of the examples with replacement, (RESAMPLES, scores)."""
    rng, parts = np.random.default_rng(seed), []
    for _ in range(0, RESAMPLES, CHUNK):
        drawn = rng.integers(0, examples, (CHUNK, examples))
        weights = np.stack([np.bincount(row, minlength=examples) for row in drawn]).astype(float)
        parts.append(np.stack([one(weights) for one in scores], axis=1))
    return np.concatenate(parts)


def _interval(value: float, spread: np.ndarray) -> Interval:
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
