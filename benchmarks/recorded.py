"""Trains the models of the benchmark of promotions, and records what each answers on the test split."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tailor
from tailor.experiments.api import Result
from tailor.experiments.coordinator.progress import Progress
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.promotion.statistics import Predictions
from tailor.experiments.registry.files import fetch_saved_model, find_logged_models
from tailor.experiments.tracking.reader import RecordedStudy, find_study, open_client
from tailor.experiments.trials.evaluator import Evaluator


class Quiet:
    """A screen that shows nothing."""

    def show(self, progress: Progress) -> None:
        pass

    def line(self, text: str) -> None:
        pass


def make_study(name: str, dataset: str, search: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """The tables of a study of dense networks that prunes nothing and keeps every model."""
    head = {"name": name, "dataset": dataset, "model": "mlp", "objective": "val_accuracy", "direction": "maximize"}
    search = {"sampler": "random", "pruner": "none", "keep_models": search["trials"], **search}
    return {"study": head, "search": search, **sections}


def find(result: Result) -> RecordedStudy:
    """The study as it is recorded."""
    found = find_study(open_client(result.store), result.spec.name)
    assert found is not None
    return found


def record(tables: Mapping[str, Any], store: Path, data: Path | None) -> list[Predictions]:
    """Run a study, and answer the test split with each of its models."""
    result = tailor.run(tables, store=store, data=data, quiet=True)
    study, test = find(result), open_data(result.spec, data).test
    with Evaluator() as evaluator:
        saved = [fetch_saved_model(study.client, model) for _, model in sorted(find_logged_models(study).items())]
        return [Predictions(test.labels, evaluator.predict(one, test.images)) for one in saved]
