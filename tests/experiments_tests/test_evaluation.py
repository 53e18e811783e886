"""Our scores against scikit-learn's, and the pictures."""

from __future__ import annotations

import io
import json
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from PIL import Image
from sklearn.metrics import classification_report
from sklearn.metrics import confusion_matrix as sklearn_confusion

from tailor.experiments.reports.compare import _confusions
from tailor.experiments.tracking import figures, lettering, sheets
from tailor.experiments.tracking.curves import _lay_out, draw_learning_curves
from tailor.experiments.trials.filters import Filters
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
    assert [row for row, *_ in found.mistakes] == list(wrong[::-1][:8])
    rows = [row for row, *_ in found.random]
    assert len(set(rows)) == 8 and rows != sorted(rows)
    assert [row for row, *_ in evaluate(labels, labels, confidence, 0.5, 4).random] == rows  # the same for each model
    assert all((label, guess) == (labels[row], predicted[row]) for row, label, guess, _ in (*found.mistakes, *found.random))


def test_class_names_are_drawn_in_other_alphabets_and_cut_where_they_are_long() -> None:
    counts = Confusion(np.array([[0, 0, 3], [0, 1, 1], [1, 1, 4]]), 2)
    drawn = [figures.draw_confusion_matrix(counts, (name, "b")) for name in ("ä", "ö", "б", "ж")]
    assert len(set(drawn)) == 4  # letters that a font lacks all look the same
    long = Image.open(io.BytesIO(figures.draw_confusion_matrix(counts, ("x" * 3000, "b"))))
    assert max(long.size) < 800


def test_names_that_differ_at_their_ends_stay_apart_when_they_are_cut() -> None:
    first, second = (lettering.cut(f"a class with a very long name, number {i}", 200, 20) for i in (1, 2))
    assert first != second and all(lettering.width_of(text, 20) <= 200 for text in (first, second))


def test_a_script_that_the_usual_font_lacks_is_written_in_a_font_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "han.ttf"
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for point in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(point)
    pen.closePath()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", "cat"])
    made.setupCharacterMap({ord("猫"): "cat"})
    made.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "cat": pen.glyph()})
    made.setupHorizontalMetrics({".notdef": (1000, 0), "cat": (1000, 0)})
    made.setupHorizontalHeader(ascent=800, descent=-200)
    made.setupNameTable({"familyName": "Han", "styleName": "Regular"})
    made.setupPost()
    made.save(path)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(path)])
    for cached in (lettering.list_fonts, lettering.find_font):
        cached.cache_clear()
    try:
        assert lettering.find_font("猫") == str(path)
        assert lettering.find_font("cat ✓ кот") == lettering.find_font("a") != str(path)
    finally:
        for cached in (lettering.list_fonts, lettering.find_font):
            cached.cache_clear()


def test_the_pictures_are_pictures(guesses: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predicted = guesses
    found = evaluate(labels, predicted, np.full(500, 0.9), 0.5, 4)
    history = [{f"{part}_{name}": 0.5 / e for part in ("train", "val") for name in ("loss", "accuracy")} for e in range(1, 4)]
    images = np.zeros((500, 8, 8, 3), "uint8")
    rng = np.random.default_rng(0)
    drawn = (
        figures.draw_confusion_matrix(found.confusion, NAMES),
        figures.draw_class_scores(found.confusion, NAMES),
        draw_learning_curves(history, 2),
        sheets.draw_sample_predictions(images, found.mistakes, found.random, NAMES),
        sheets.draw_sample_predictions(images[..., :1], [], found.random, NAMES),
        *(sheets.draw_filters(Filters("conv", rng.normal(size=(9, 3, 3, depth)), 9, False)) for depth in (1, 3, 5)),
    )
    for png in drawn:
        assert len(np.unique(np.asarray(Image.open(io.BytesIO(png)).convert("L")))) > 10


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_confusions_title_is_not_cut_off(classes: int) -> None:
    right = count_confusion(np.arange(classes), np.arange(classes), classes)
    picture = Image.open(io.BytesIO(figures.draw_confusion_matrix(right, [str(i) for i in range(classes)])))
    inked = np.flatnonzero((np.asarray(picture.convert("L"))[8:30] < 200).any(axis=0))
    assert inked.max() < picture.width - 10


@pytest.mark.parametrize("classes", [100, 1000])
def test_many_classes_have_names_and_their_most_frequent_mistakes(classes: int) -> None:
    labels = np.arange(4 * classes) % classes
    names = [f"a class of some length, number {i}" for i in range(classes)]
    right = figures.draw_confusion_matrix(count_confusion(labels, labels, classes), names)
    wrong = figures.draw_confusion_matrix(count_confusion(labels, (labels + 1) % classes, classes), names)
    sizes = [Image.open(io.BytesIO(png)).size for png in (right, wrong)]
    assert max(max(size) for size in sizes) < 1500
    if classes == 100:
        assert sizes[1][1] > sizes[0][1] + 100  # the list below


def test_the_learning_rate_is_drawn_on_the_axis_that_shows_it() -> None:
    base = {f"{part}_{name}": 0.5 for part in ("train", "val") for name in ("loss", "accuracy")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rates in ([1e-3, 1e-4, 1e-5, 0.0], [1e-3] * 4, [1e-3, 9e-4, 8e-4, 7e-4]):
            draw_learning_curves([{**base, "learning_rate": rate} for rate in rates], 2)
            figure, (*_, rate) = _lay_out()
            assert rate.get_yscale() == ("log" if 0.0 in rates else "linear")
            assert "Best epoch 2" in figure.texts[0].get_text()


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
    assert {1234, 4321} <= set(found.confusion.worst(20)) and max(picture.size) < 1400
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
