"""A promotion's report: one page of HTML that needs no network, and its pictures; all are files of the evidence's run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..datasets.splits import Splits
from ..reports.pages import inline, render
from .figures import BINS, CHALLENGER, CHAMPION, draw_all
from .records import Choice
from .statistics import Interval, Predictions, measure_calibration, score, score_with_interval
from .verdict import Verdict

PAGE = "promotion_report.html"
MOST_ROWS = 20  # classes that are shown at once; more unfold
MOST_CLASSES = 1000  # in the page
LONGEST = 80  # characters of a class's name
# The pictures of the page in its order, but those of the candidates: title, note, CSS class, description.
SHOWN = {
    "changed_sides.png": (
        "Examples that changed sides",
        "Images that one of the two alone has right; those first on which they differ most.",
        "grid",
        "Images that one of the two models alone has right, with both predictions",
    ),
    "confusion_difference.png": (
        "Where the mistakes moved",
        "How much more or less often the challenger takes a class (row) for another (column).",
        "grid",
        "Confusion counts of the challenger minus the champion's",
    ),
    "confusion_matrix.png": (
        "Confusion matrix",
        "How often the new model takes a class (row) for another (column).",
        "grid",
        "Confusion matrix of the new model",
    ),
    "calibration.png": (
        "Calibration",
        "Whether it is right as often as it is sure: above the dashed line it doubts too much, below it trusts itself too much.",
        "chart",
        "Accuracy by confidence",
    ),
}


@dataclass(frozen=True)
class Findings:
    """What a promotion found. `champion` is None if none was compared; `against` is its version."""

    name: str
    study: str
    choice: Choice
    verdict: Verdict
    test: Predictions
    champion: Predictions | None = None
    against: str = ""

    @property
    def models(self) -> dict[str, Predictions]:
        """The predictions on test, by CHALLENGER and CHAMPION."""
        return {CHALLENGER: self.test} | ({} if self.champion is None else {CHAMPION: self.champion})


def make(found: Findings, splits: Splits, confusion: bytes) -> dict[str, bytes]:
    """The pictures and the page, by file name. `confusion` is confusion_matrix.png, which is in the page too."""
    drawn = draw_all(splits.test.images, found.models, splits.class_names, found.choice)
    page = write_page(found, splits, {**drawn, "confusion_matrix.png": confusion})
    return {**drawn, PAGE: page.encode()}


def write_page(found: Findings, splits: Splits, pictures: Mapping[str, bytes]) -> str:
    """The page, with these pictures inside."""
    names = [name[:LONGEST] + "…" * (len(name) > LONGEST) for name in splits.class_names]
    rows = _list_recalls(found.models, names)
    return render(
        "promotion.html",
        name=found.name,
        study=found.study,
        choice=found.choice,
        verdict=found.verdict,
        outcome={"challenger": "Not promoted"}.get(found.verdict.outcome, found.verdict.outcome.capitalize()),
        role=CHALLENGER if found.champion is not None else "model",
        against=found.against if found.champion is not None else "",
        sizes=splits.sizes,
        show=_show,
        signed=_sign,
        numbers=_list_numbers(found),
        worst=_list_worst(found.models, names),
        pictures=[(*texts, inline(pictures[file])) for file, texts in SHOWN.items() if file in pictures],
        classes=rows[:MOST_CLASSES],
        left_out=max(0, len(rows) - MOST_CLASSES),
        most_rows=MOST_ROWS,
        seeds=inline(pictures["seeds.png"]) if "seeds.png" in pictures else "",
    )


def _show(one: Interval) -> str:
    return f"{one.value:.4f} ({one.low:.4f} to {one.high:.4f})"


def _sign(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _list_numbers(found: Findings) -> list[list[str]]:
    """Rows of the name of a number, and each model's; with two models their difference."""
    rows = []
    for metric, title in (
        ("accuracy", "accuracy (95 % interval)"),
        ("macro_f1", "macro F1"),
        ("loss", "loss (lower is better)"),
    ):
        values = [score(metric, one) for one in found.models.values()]
        if metric == "accuracy":
            shown = [_show(score_with_interval(metric, one)) for one in found.models.values()]
        else:
            shown = [f"{value:.4f}" for value in values]
        rows.append([title, *shown, *_subtract(values)])
    errors = [measure_calibration(one, BINS)[0] for one in found.models.values()]
    rows.append(["expected calibration error (lower is better)", *(f"{one:.4f}" for one in errors), *_subtract(errors)])
    lowest = [float(np.nanmin(one.recalls)) for one in found.models.values()]
    rows.append(["recall of its worst class", *(f"{one:.4f}" for one in lowest), *_subtract(lowest)])
    return rows


def _subtract(values: Sequence[float]) -> list[str]:
    if len(values) < 2:
        return []
    return ["–" if np.isnan(values).any() else _sign(values[0] - values[1])]


def _list_worst(models: Mapping[str, Predictions], names: Sequence[str]) -> list[dict[str, Any]]:
    """Each model's class of the lowest recall, what the others make of it, and what it is most often taken for."""
    found = []
    for model, one in models.items():
        place = int(np.nanargmin(one.recalls))
        guesses = one.guesses[one.labels == place]
        wrong = np.bincount(guesses[guesses != place], minlength=len(names))
        found.append(
            {
                "model": model if len(models) > 1 else "model",
                "name": names[place],
                "recall": f"{one.recalls[place]:.4f}",
                "beside": ", ".join(f"{name} {other.recalls[place]:.4f}" for name, other in models.items() if name != model),
                "images": len(guesses),
                "mistakes": int(wrong.max()),
                "other": names[int(wrong.argmax())],
            }
        )
    return found


def _list_recalls(models: Mapping[str, Predictions], names: Sequence[str]) -> list[list[str]]:
    """Rows of class, images, recalls and their difference, the challenger's worst first; classes without images last."""
    recalls = [one.recalls for one in models.values()]
    images = np.bincount(models[CHALLENGER].labels, minlength=len(names))
    rows = []
    for i in np.argsort(np.nan_to_num(recalls[0], nan=2.0), kind="stable").tolist():
        values = [float(each[i]) for each in recalls]
        rows.append([names[i], f"{images[i]:,}", *("–" if np.isnan(one) else f"{one:.4f}" for one in values), *_subtract(values)])
    return rows
