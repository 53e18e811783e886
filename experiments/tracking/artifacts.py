"""The files of a trial's run: what was trained, its scores, and its pictures.

The process that feeds the workers makes them, so they must be cheap: a complete trial's take about a tenth of a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..datasets.splits import Splits
from ..trials import metrics
from ..trials.job import TrialJob, TrialResult
from .curves import draw_learning_curves
from .figures import draw_class_scores, draw_confusion_matrix
from .sheets import draw_filters, draw_sample_predictions

CURVES, CONFUSION, SCORES = "learning_curves.png", "confusion_matrix.png", "class_scores.png"
SAMPLES, FILTERS = "sample_predictions.png", "first_layer.png"


def make_artifacts(job: TrialJob, result: TrialResult, splits: Splits) -> dict[str, bytes]:
    """The files by name. A pruned trial has its curves alone as a picture; its scores are in the JSON files."""
    names = splits.class_names
    made = {"trial.json": _json(_describe(job))}
    if result.traceback:
        made["traceback.txt"] = result.traceback.encode()
    if result.history:
        made[CURVES] = draw_learning_curves(result.history, result.best_epoch, job.epochs_done + 1)
    scored = result.evaluation
    if scored is None:
        return made
    made["confusion_matrix.json"] = _json(metrics.plain_confusion(scored.confusion, names))
    made["classification_report.json"] = _json(metrics.make_report(scored.confusion, names))
    if result.status == "complete":
        made[CONFUSION] = draw_confusion_matrix(scored.confusion, names)
        made[SCORES] = draw_class_scores(scored.confusion, names)
        made[SAMPLES] = draw_sample_predictions(splits.val.images, scored.mistakes, scored.random, names)
        if result.filters is not None:
            made[FILTERS] = draw_filters(result.filters)
    return made


def _describe(job: TrialJob) -> dict[str, Any]:
    return {
        "model": job.model,
        "values": dict(job.values),
        "epochs": job.epochs,
        "epochs_done": job.epochs_done,
        "resumes": None if job.resumes is None else Path(job.resumes).name,
        "continues": None if job.weights is None else Path(job.weights).name,
        "seed": job.seed,
        "monitor": job.monitor,
        "maximize": job.maximize,
        "data": {"digest": Path(job.data.folder).name, "input_shape": job.data.input_shape, "classes": job.data.num_classes},
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
