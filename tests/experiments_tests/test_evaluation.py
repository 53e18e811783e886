"""Our scores against scikit-learn's, and the pictures."""

from __future__ import annotations

import io
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tailor.experiments.reports.compare import _confusions
from tailor.experiments.tracking import figures
from tailor.experiments.trials.metrics import (
    MOST_CELLS,
    Confusion,
    count_confusion,
    evaluate,
    make_report,
    plain_confusion,
    read_confusion,
)

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)  # nobody is of class d
    predicted = np.where(rng.random(500) < 0.7, labels, rng.integers(0, 4, 500))
    return labels, predicted


def test_confusion_and_report_are_scikit_learns(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    confusion = count_confusion(labels, predicted, 4)
    assert (confusion.dense() == sklearn_confusion(labels, predicted, labels=range(4))).all()
    assert confusion.dense()[3].sum() == 0
    expected = classification_report(labels, predicted, labels=range(4), target_names=NAMES, output_dict=True, zero_division=0)
    ours = make_report(confusion, NAMES)
    assert ours["accuracy"] == pytest.approx((labels == predicted).mean())
    for name in (*NAMES, "macro avg", "weighted avg"):
        assert ours[name] == pytest.approx(expected[name]), name


def test_an_evaluation_sums_to_the_split_and_shows_the_surest_mistakes(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    confidence = np.linspace(0, 1, 500)
    found = evaluate(labels, predicted, confidence, 0.5, 4)
    assert found.confusion.dense().sum() == found.confusion.total == 500
    assert found.macro_f1 == pytest.approx(make_report(found.confusion, NAMES)["macro avg"]["f1-score"])
    wrong = np.flatnonzero(labels != predicted)
    assert [row for row, *_ in found.samples[:8]] == list(wrong[::-1][:8])
    assert len(found.samples) == 16


def test_class_names_are_drawn_in_other_alphabets_and_cut_where_they_are_long() -> None:
    counts = Confusion(np.array([[0, 0, 3], [0, 1, 1], [1, 1, 4]]), 2)
    drawn = [figures.draw_confusion_matrix(counts, (name, "b")) for name in ("ä", "ö", "б", "ж")]
    assert len(set(drawn)) == 4  # letters that a font lacks all look the same
    long = Image.open(io.BytesIO(figures.draw_confusion_matrix(counts, ("x" * 3000, "b"))))
    assert max(long.size) < 600


def test_the_pictures_are_pictures(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    found = evaluate(labels, predicted, np.full(500, 0.9), 0.5, 4)
    history = [{f"{part}_{name}": 0.5 / e for part in ("train", "val") for name in ("loss", "accuracy")} for e in range(1, 4)]
    drawn = (
        figures.draw_confusion_matrix(found.confusion, NAMES),
        figures.draw_learning_curves(history, 2),
        figures.draw_sample_predictions(np.zeros((500, 8, 8, 3), "uint8"), found.samples, NAMES),
    )
    for png in drawn:
        assert len(np.unique(np.asarray(Image.open(io.BytesIO(png)).convert("L")))) > 10


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_confusions_title_is_not_cut_off(classes: int) -> None:
    right = count_confusion(np.arange(classes), np.arange(classes), classes)
    picture = Image.open(io.BytesIO(figures.draw_confusion_matrix(right, [str(i) for i in range(classes)])))
    inked = np.flatnonzero((np.asarray(picture.convert("L"))[8:30] < 200).any(axis=0))
    assert inked.max() < picture.width - 10


def test_a_class_that_no_image_has_counts_in_no_average() -> None:
    """Ten classes, five of them in the validation images, all predicted rightly."""
    labels = np.arange(50) % 5 * 2
    found = evaluate(labels, labels, np.ones(50), 0.0, 10)
    assert found.macro_f1 == found.accuracy == 1.0
    names = [f"class {i}" for i in range(10)]
    rows = make_report(found.confusion, names)
    assert rows["macro avg"]["f1-score"] == 1.0 and [name for name in names if name in rows] == names[::2]
    once = labels.copy()
    once[0] = 9  # one that no image has, predicted: a mistake that counts, as in scikit-learn
    ours = make_report(evaluate(labels, once, np.ones(50), 0.0, 10).confusion, names)
    assert ours["macro avg"] == pytest.approx(classification_report(labels, once, output_dict=True, zero_division=0)["macro avg"])


def test_five_thousand_classes_take_what_their_images_take() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5000, 30_000)
    predicted = np.where(rng.random(30_000) < 0.2, labels, rng.integers(0, 5000, 30_000))
    labels[:50], predicted[:50] = 4321, 1234  # the most frequent mistake
    names = [str(i) for i in range(5000)]
    tracemalloc.start()
    found = evaluate(labels, predicted, np.ones(30_000), 0.5, 5000)
    plain = plain_confusion(found.confusion, names)
    picture = Image.open(io.BytesIO(figures.draw_confusion_matrix(found.confusion, names)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30 << 20
    assert {1234, 4321} <= set(found.confusion.worst(20)) and max(picture.size) < 1200
    assert len(plain["cells"]) == MOST_CELLS and len(json.dumps(plain)) < 1 << 20
    cells = read_confusion(json.loads(json.dumps(plain)))
    assert plain["left_out"] + sum(cells.values()) == 30_000
    assert cells[4321, 1234] >= 50


def test_matrices_of_both_forms_are_read_and_compared() -> None:
    dense = {"labels": ["a", "b", "c"], "counts": [[5, 1, 0], [0, 4, 2], [0, 0, 6]]}
    sparse = {"labels": ["a", "b", "c"], "cells": [[0, 0, 5], [0, 1, 1], [1, 1, 6]], "left_out": 0}
    assert read_confusion(dense) == {(0, 0): 5, (0, 1): 1, (1, 1): 4, (1, 2): 2, (2, 2): 6}
    assert _confusions(dense, sparse) == [{"true": "b", "predicted": "c", "before": 2, "after": 0}]
    assert _confusions(dense, {**sparse, "left_out": 6}) == []  # nobody knows how many
