"""Predictions that are made up, for the tests of statistics, ranking and verdict."""

from __future__ import annotations

import numpy as np

from tailor.experiments.promotion.statistics import Predictions

CLASSES = 4


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
