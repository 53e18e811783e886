"""What is measured of a model's predictions: confusion matrix, per-class scores, and a few samples. numpy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLES = 16


@dataclass(frozen=True)
class Evaluation:
    """A model on a split of n images, as plain data.

    `confusion` is classes × classes (rows are the true labels); `samples` are rows of the split with label, prediction and
    confidence, the surest mistakes first.
    """

    loss: float
    accuracy: float
    macro_f1: float
    confusion: list[list[int]]
    samples: list[tuple[int, int, int, float]]


def evaluate(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, loss: float, classes: int) -> Evaluation:
    """Measure predictions: `labels` and `predicted` are int (n,), `confidence` float (n,)."""
    confusion = confusion_matrix(labels, predicted, classes)
    scores = per_class(confusion)
    return Evaluation(
        loss=loss,
        accuracy=float(np.trace(confusion) / max(1, confusion.sum())),
        macro_f1=float(np.mean(scores["f1-score"])),
        confusion=confusion.tolist(),
        samples=_samples(labels, predicted, confidence),
    )


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts int64 (classes, classes); a class nobody has is a row of zeros."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def per_class(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of each class, shaped (classes,), as scikit-learn with zero_division=0."""
    right = np.diag(confusion).astype(float)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    precision = np.divide(right, predicted, out=np.zeros_like(right), where=predicted > 0)
    recall = np.divide(right, support, out=np.zeros_like(right), where=support > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(right), where=both > 0)
    return {"precision": precision, "recall": recall, "f1-score": f1, "support": support}


def report(confusion: np.ndarray, class_names: tuple[str, ...]) -> Mapping[str, Any]:
    """The per-class report, in the layout of scikit-learn's classification_report(output_dict=True)."""
    scores = per_class(confusion)
    support = scores["support"]
    rows: dict[str, Any] = {name: {key: values[i].item() for key, values in scores.items()} for i, name in enumerate(class_names)}
    rows["accuracy"] = float(np.trace(confusion) / max(1, confusion.sum()))
    keys = ("precision", "recall", "f1-score")
    weights = support / max(1, support.sum())
    rows["macro avg"] = {**{k: float(scores[k].mean()) for k in keys}, "support": int(support.sum())}
    rows["weighted avg"] = {**{k: float(scores[k] @ weights) for k in keys}, "support": int(support.sum())}
    return rows


def _samples(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> list[tuple[int, int, int, float]]:
    wrong = np.flatnonzero(labels != predicted)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][: SAMPLES // 2]
    others = np.setdiff1d(np.arange(min(len(labels), 2 * SAMPLES)), worst)[: SAMPLES - len(worst)]
    return [(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in (*worst, *others)]
