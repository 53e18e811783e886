"""Our scores against scikit-learn's, and the pictures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tailor.experiments.tracking import figures
from tailor.experiments.trials.metrics import confusion_matrix, evaluate, report

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 500)  # nobody is of class d
    predicted = np.where(rng.random(500) < 0.7, labels, rng.integers(0, 4, 500))
    return labels, predicted


def test_confusion_and_report_are_scikit_learns(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    confusion = confusion_matrix(labels, predicted, 4)
    assert (confusion == sklearn_confusion(labels, predicted, labels=range(4))).all()
    assert confusion[3].sum() == 0
    expected = classification_report(labels, predicted, labels=range(4), target_names=NAMES, output_dict=True, zero_division=0)
    ours = report(confusion, NAMES)
    assert ours["accuracy"] == pytest.approx((labels == predicted).mean())
    for name in (*NAMES, "macro avg", "weighted avg"):
        assert ours[name] == pytest.approx(expected[name]), name


def test_an_evaluation_sums_to_the_split_and_shows_the_surest_mistakes(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    confidence = np.linspace(0, 1, 500)
    found = evaluate(labels, predicted, confidence, 0.5, 4)
    assert np.sum(found.confusion) == 500
    assert found.macro_f1 == pytest.approx(report(np.array(found.confusion), NAMES)["macro avg"]["f1-score"])
    wrong = np.flatnonzero(labels != predicted)
    assert [row for row, *_ in found.samples[:8]] == list(wrong[::-1][:8])
    assert len(found.samples) == 16


def test_class_names_are_drawn_in_other_alphabets_and_cut_where_they_are_long() -> None:
    counts = np.array([[3, 1], [0, 4]])
    drawn = [figures.confusion_matrix(counts, (name, "b")) for name in ("ä", "ö", "б", "ж")]
    assert len(set(drawn)) == 4  # letters that a font lacks all look the same
    long = Image.open(io.BytesIO(figures.confusion_matrix(counts, ("x" * 3000, "b"))))
    assert max(long.size) < 600


def test_the_pictures_are_pictures(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    found = evaluate(labels, predicted, np.full(500, 0.9), 0.5, 4)
    history = [{f"{part}_{name}": 0.5 / e for part in ("train", "val") for name in ("loss", "accuracy")} for e in range(1, 4)]
    drawn = (
        figures.confusion_matrix(np.array(found.confusion), NAMES),
        figures.learning_curves(history, 2),
        figures.sample_predictions(np.zeros((500, 8, 8, 3), "uint8"), found.samples, NAMES),
    )
    for png in drawn:
        assert len(np.unique(np.asarray(Image.open(io.BytesIO(png)).convert("L")))) > 10


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_confusions_title_is_not_cut_off(classes: int) -> None:
    picture = Image.open(io.BytesIO(figures.confusion_matrix(np.eye(classes, dtype=int), [str(i) for i in range(classes)])))
    inked = np.flatnonzero((np.asarray(picture.convert("L"))[8:30] < 200).any(axis=0))
    assert inked.max() < picture.width - 10
