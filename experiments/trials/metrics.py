"""Measures a model's predictions: confusion matrix, per-class scores, and a few samples. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SAMPLES = 8  # of each sort: the most confident mistakes, and random images
Sample = tuple[int, int, int, float]  # row of the split, label, prediction, confidence
MOST_DENSE = 200  # classes; up to so many, the confusion matrix is kept and drawn whole
MOST_CELLS = 20_000


@dataclass(frozen=True)
class Confusion:
    """How often each class was predicted as each: `cells` int64 (m, 3), a row per pair that occurs: true, predicted, count.

    There are at most as many rows as images, for any number of `classes`.
    """

    cells: np.ndarray
    classes: int

    @property
    def total(self) -> int:
        """The number of images."""
        return int(self.cells[:, 2].sum())

    @property
    def accuracy(self) -> float:
        """The share of images whose class was predicted rightly."""
        right = self.cells[:, 0] == self.cells[:, 1]
        return float(self.cells[right, 2].sum() / max(1, self.total))

    def sums(self, column: int) -> np.ndarray:
        """The number of images of each class, int64 (classes,), by label (column 0) or by prediction (column 1)."""
        return np.bincount(self.cells[:, column], self.cells[:, 2], self.classes).astype(np.int64)

    def among(self, classes: np.ndarray) -> np.ndarray:
        """The counts among k classes as a matrix, int64 (k, k); rows are the true labels."""
        place = np.full(self.classes, -1)
        place[classes] = np.arange(len(classes))
        true, predicted = place[self.cells[:, 0]], place[self.cells[:, 1]]
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        inside = (true >= 0) & (predicted >= 0)
        matrix[true[inside], predicted[inside]] = self.cells[inside, 2]
        return matrix

    def dense(self) -> np.ndarray:
        """The whole matrix, int64 (classes, classes)."""
        return self.among(np.arange(self.classes))

    def worst(self, most: int) -> np.ndarray:
        """At most `most` classes with the most frequent mistakes, in class order; without mistakes, the first classes."""
        wrong = self.cells[self.cells[:, 0] != self.cells[:, 1]]
        often = wrong[np.argsort(-wrong[:, 2], kind="stable")]
        classes = dict.fromkeys([*often[:, :2].ravel().tolist(), *range(most)])
        return np.array(sorted(list(classes)[:most]))


@dataclass(frozen=True)
class Evaluation:
    """A model on a split of n images.

    `mistakes` are the most confident ones, the surest first; `random` are the same images for each model.
    """

    loss: float
    accuracy: float
    macro_f1: float
    confusion: Confusion
    mistakes: list[Sample]
    random: list[Sample]


def evaluate(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, loss: float, classes: int) -> Evaluation:
    """Measure predictions: `labels` and `predicted` are int (n,), `confidence` float (n,)."""
    confusion = count_confusion(labels, predicted, classes)
    scores = score_classes(confusion)
    return Evaluation(
        loss=loss,
        accuracy=confusion.accuracy,
        macro_f1=float(np.mean(scores["f1-score"][list_occurring(confusion)])),
        confusion=confusion,
        mistakes=_sample(_find_mistakes(labels, predicted, confidence), labels, predicted, confidence),
        random=_sample(_choose(len(labels)), labels, predicted, confidence),
    )


def count_confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> Confusion:
    """Count the pairs of label and prediction, each int (n,)."""
    pairs, counts = np.unique(labels.astype(np.int64) * classes + predicted, return_counts=True)
    return Confusion(np.stack([pairs // classes, pairs % classes, counts], axis=1).astype(np.int64), classes)


def list_occurring(confusion: Confusion) -> np.ndarray:
    """The classes that have an image or are predicted: averages over classes count these, as in scikit-learn."""
    return np.flatnonzero(confusion.sums(0) + confusion.sums(1))


def score_classes(confusion: Confusion) -> dict[str, np.ndarray]:
    """Precision, recall, F1 and support of each class, shaped (classes,), as scikit-learn with zero_division=0."""
    support, predicted = confusion.sums(0), confusion.sums(1)
    right = np.zeros(confusion.classes)
    hits = confusion.cells[confusion.cells[:, 0] == confusion.cells[:, 1]]
    right[hits[:, 0]] = hits[:, 2]
    precision = np.divide(right, predicted, out=np.zeros_like(right), where=predicted > 0)
    recall = np.divide(right, support, out=np.zeros_like(right), where=support > 0)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(right), where=both > 0)
    return {"precision": precision, "recall": recall, "f1-score": f1, "support": support}


def make_report(confusion: Confusion, class_names: Sequence[str]) -> Mapping[str, Any]:
    """The per-class report, in the layout of scikit-learn's classification_report(output_dict=True).

    A class that has no image and is never predicted has no row and is in no average.
    """
    rows_of = list_occurring(confusion)
    scores = {key: values[rows_of] for key, values in score_classes(confusion).items()}
    support = scores["support"]
    rows: dict[str, Any] = {class_names[c]: {key: v[i].item() for key, v in scores.items()} for i, c in enumerate(rows_of)}
    rows["accuracy"] = confusion.accuracy
    keys = ("precision", "recall", "f1-score")
    weights = support / max(1, support.sum())
    rows["macro avg"] = {**{k: float(scores[k].mean()) for k in keys}, "support": int(support.sum())}
    rows["weighted avg"] = {**{k: float(scores[k] @ weights) for k in keys}, "support": int(support.sum())}
    return rows


def plain_confusion(confusion: Confusion, class_names: Sequence[str]) -> dict[str, Any]:
    """What confusion_matrix.json holds: the matrix as `counts`, or `cells` [true, predicted, count] above MOST_DENSE classes.

    It keeps the MOST_CELLS largest cells; `left_out` is the number of images in the others.
    """
    if confusion.classes <= MOST_DENSE:
        return {"labels": list(class_names), "counts": confusion.dense().tolist()}
    largest = np.sort(np.argsort(-confusion.cells[:, 2], kind="stable")[:MOST_CELLS])
    kept = confusion.cells[largest]
    return {"labels": list(class_names), "cells": kept.tolist(), "left_out": confusion.total - int(kept[:, 2].sum())}


def read_confusion(plain: Mapping[str, Any]) -> dict[tuple[int, int], int]:
    """The counts of a confusion_matrix.json of either form, by (true, predicted); a missing pair is 0 or was not kept."""
    if "cells" in plain:
        return {(true, predicted): count for true, predicted, count in plain["cells"]}
    return {(i, j): count for i, row in enumerate(plain["counts"]) for j, count in enumerate(row) if count}


def _find_mistakes(labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    wrong = np.flatnonzero(labels != predicted)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:SAMPLES]


def _choose(images: int) -> np.ndarray:
    """Random rows, the same in each call."""
    return np.random.default_rng(0).permutation(images)[:SAMPLES]


def _sample(rows: np.ndarray, labels: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> list[Sample]:
    return [(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in rows]
