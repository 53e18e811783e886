"""A promotion's pictures and report: on predictions made up, and one real promotion of a second model."""

from __future__ import annotations

import html
import io
import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from conftest import Shell
from PIL import Image
from searches import client

from tailor.experiments.datasets.images import Images
from tailor.experiments.datasets.splits import Splits
from tailor.experiments.promotion import figures
from tailor.experiments.promotion.evidence import list_arrays
from tailor.experiments.promotion.figures import CHALLENGER, CHAMPION
from tailor.experiments.promotion.ranking import Scored, rank
from tailor.experiments.promotion.records import Choice
from tailor.experiments.promotion.report import PAGE, Findings, make
from tailor.experiments.promotion.statistics import Interval, Predictions, run_mcnemar, score
from tailor.experiments.promotion.verdict import judge, weigh
from tailor.search.study.sections import PromotionPlan

NAMES = ("T-shirt/top", "<b>bold</b>", "Pullover & co", "Dress", "Ankle boot")
PICTURES = {"calibration.png", "confusion_difference.png", "changed_sides.png", "seeds.png"}


def predict(labels: np.ndarray, classes: int, skill: float, seed: int) -> Predictions:
    logits = np.random.default_rng(seed).normal(size=(len(labels), classes))
    logits[np.arange(len(labels)), labels] += skill
    shares = np.exp(logits)
    return Predictions(labels, shares / shares.sum(axis=1, keepdims=True))


def case(classes: int, images: int = 600, shape: tuple[int, ...] = (8, 8, 1)) -> tuple[Splits, Predictions, Predictions]:
    """Splits with random images, a good challenger's predictions and a poor champion's."""
    rng = np.random.default_rng(0)
    part = Images(rng.integers(0, 256, (images, *shape)).astype("uint8"), rng.integers(0, classes, images))
    names = NAMES if classes == len(NAMES) else tuple(f"class number {i}" for i in range(classes))
    splits = Splits(part, part, part, part, names, "digest")
    return splits, predict(part.labels, classes, 4.0, 1), predict(part.labels, classes, 2.5, 2)


def choose(labels: np.ndarray, classes: int, seeds: int = 3) -> Choice:
    runs = [Scored(t, [predict(labels, classes, 4.0 - t / 10, 9 * t + s) for s in range(seeds)], 0.1, 1234) for t in (7, 2)]
    ranking = tuple(rank("accuracy", runs)) if seeds else ()
    how, score = "the median of 3 fresh seeds", Interval(0.9, 0.8, 0.95)
    return Choice(7, how, "m-1", "run", "accuracy", score, 0.1, 5000, ranking, as_searched=not seeds)


def find(test: Predictions, champion: Predictions | None, choice: Choice) -> Findings:
    verdict = judge(PromotionPlan(), None if champion is None else weigh("accuracy", test, champion))
    return Findings("digits", "small", choice, verdict, test, champion, "" if champion is None else "4")


def text_of(page: bytes) -> str:
    return re.sub(r"data:image/png;base64,[\w+/=]+", "", page.decode())


def check_sizes(files: Sequence[bytes]) -> None:
    for data in files:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        assert picture.format == "PNG" and 500 <= picture.width <= 1400 and 250 <= picture.height <= 1500


def test_the_report_says_what_was_judged_and_why() -> None:
    splits, test, champion = case(5)
    found = find(test, champion, choose(test.labels, 5))
    made = make(found, splits, b"the matrix")
    assert set(made) == {*PICTURES, PAGE}
    check_sizes([made[name] for name in PICTURES])
    page = text_of(made[PAGE])
    assert "<b>Promoted</b>: it is shown to be better than the champion." in page and "version 4 of digits" in page
    for one in (test, champion):
        assert f"{score('accuracy', one):.4f} (" in page and f"{score('loss', one):.4f}" in page
    worst = html.escape(NAMES[int(np.argmin(test.recalls))])
    assert f"Of the challenger: <b>{worst}</b>, recall {np.min(test.recalls):.4f}" in page
    assert "<b>bold</b>" not in page and "&lt;b&gt;bold&lt;/b&gt;" in page and "Pullover &amp; co" in page
    assert (
        f"{found.choice.ranking[0].trial} (chosen)" in page and "prefers-color-scheme: dark" in page and 'name="viewport"' in page
    )
    assert not re.search(r"(src|href)=.?https?:", page) and len(made[PAGE]) < 2_000_000
    assert made[PAGE].count(b"data:image/png;base64,") == 5


def test_the_first_model_has_the_pictures_that_make_sense() -> None:
    splits, test, _ = case(5)
    made = make(find(test, None, choose(test.labels, 5, seeds=0)), splits, b"the matrix")
    assert set(made) == {"calibration.png", PAGE}
    page = text_of(made[PAGE])
    assert "<b>Promoted</b>: it is the first model of that name." in page and "no champion was compared" in page
    assert "<th>champion</th>" not in page and "the search's own model" in page and "It was scored on" in page


def test_one_that_is_no_better_is_not_promoted() -> None:
    splits, test, champion = case(5)
    page = text_of(make(find(champion, test, choose(test.labels, 5, seeds=1)), splits, b"")[PAGE])
    assert "<b>Not promoted</b>: it is not shown to be better than the champion." in page


def test_many_classes_and_photographs_stay_small() -> None:
    splits, test, champion = case(300, 900, (200, 150, 3))
    made = make(find(test, champion, choose(test.labels, 300, seeds=2)), splits, b"")
    check_sizes([made[name] for name in PICTURES])
    assert len(made[PAGE]) < 2_000_000
    page = text_of(made[PAGE])
    assert "280 more classes" in page and all(f"<td>class number {i}</td>" in page for i in range(300))


@pytest.mark.parametrize("classes", [2, 5, 300])
def test_a_difference_sums_to_nothing(classes: int) -> None:
    _, test, champion = case(classes)
    difference = figures.subtract(test, champion)
    dense = difference.dense()
    assert dense.sum() == 0 and not dense.sum(axis=1).any() and np.abs(dense).sum() > 0
    assert np.trace(dense) == test.right.sum() - champion.right.sum()
    shown = figures.find_changed(difference, 20)
    assert len(shown) == min(20, classes) and list(shown) == sorted(set(shown))
    assert np.abs(dense[np.ix_(shown, shown)]).max() == np.abs(dense).max()
    assert not figures.subtract(test, test).cells.size
    check_sizes([figures.draw_confusion_difference(test, test, [f"class {i}" for i in range(classes)])])


def test_the_examples_that_changed_sides_are_those_of_mcnemar() -> None:
    splits, test, champion = case(5)
    gained, lost, _ = run_mcnemar(test, champion)
    rows = figures.find_changed_sides(test, champion)
    assert len(rows) == gained and len(figures.find_changed_sides(champion, test)) == lost
    lead = (test.probabilities - champion.probabilities)[rows, test.labels[rows]]
    assert (np.diff(lead) <= 0).all() and test.right[rows].all() and not champion.right[rows].any()
    nothing = Image.open(io.BytesIO(figures.draw_changed_sides(splits.test.images, test, test, NAMES)))
    assert nothing.height < 200  # two headings


def test_a_model_that_is_sure_of_everything_is_drawn() -> None:
    labels = np.arange(20) % 2
    check_sizes(
        [figures.draw_calibration({CHALLENGER: Predictions(labels, np.eye(2)[labels]), CHAMPION: predict(labels, 2, 0, 0)})]
    )


def test_a_promotion_leaves_its_report_in_the_evidences_run(copy: Shell) -> None:
    done = copy("promote", "small", "--to", "twice", "--quick", "--json")
    assert done.returncode == 0, done.stderr
    best = json.loads(done.stdout)["choice"]["trial"]
    others = (copy("promote", f"small:{i}", "--to", "twice", "--quick", "--json") for i in range(4) if i != best)
    made = json.loads(next(one.stdout for one in others if one.returncode in (0, 3)))  # the other one whose model is kept
    mlflow = client(copy.folder)
    found = {item.path for item in mlflow.list_artifacts(made["run_id"])}
    assert found >= {PAGE, "confusion_matrix.png", "verdict.json", *PICTURES} - {"seeds.png"}
    assert f"/artifacts/{PAGE}" in mlflow.get_model_version("twice", made["version"]).description


def test_of_very_many_probabilities_the_guesses_are_kept() -> None:
    one = predict(np.arange(300) % 10, 10, 3.0, 1)
    assert list(list_arrays("challenger", one)) == ["challenger"]
    kept = list_arrays("challenger", one, most=one.probabilities.size - 1)
    assert np.array_equal(kept["challenger_guesses"], one.guesses)
    assert np.allclose(kept["challenger_confidences"], one.probabilities.max(axis=1))
    assert {len(array) for array in kept.values()} == {300}
