"""A promotion's run in MLflow, of kind `promotion`: what was chosen before the test set was opened, and all that was found."""

from __future__ import annotations

import io
import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag

from ..datasets.splits import Splits
from ..tracking import figures
from ..tracking.reader import RecordedStudy
from ..trials import metrics
from . import report
from .records import Choice
from .statistics import Predictions
from .verdict import Verdict

KIND = "promotion"
MOST_NUMBERS = 10_000_000  # of probabilities in a file: 40 MB
RUNNING = "attributes.status = 'RUNNING'"


class EvidenceRun:
    """The run of one promotion of a chosen model to a name; if a promotion is killed, the next one takes it up."""

    def __init__(self, study: RecordedStudy, name: str, choice: Choice) -> None:
        self._client = study.client
        self._study, self._name, self._choice = study.name, name, choice
        wanted = (
            f"tags.`tailor.kind` = '{KIND}' AND tags.`tailor.to` = '{name}' AND tags.`tailor.model_id` = '{choice.model_id}' "
            f"AND {RUNNING}"
        )
        found = self._client.search_runs([study.experiment_id], wanted, max_results=1)
        tags = {
            "tailor.kind": KIND,
            "tailor.to": name,
            "tailor.study": study.name,
            "tailor.trial": str(choice.trial),
            "tailor.model_id": choice.model_id,
            "tailor.choice": choice.how,
            "mlflow.parentRunId": study.run_id,
        }
        run = found[0] if found else self._client.create_run(study.experiment_id, tags=tags, run_name=f"promote-to-{name}")
        self.run_id: str = run.info.run_id
        self._log({f"holdout_{choice.metric}": choice.holdout.value})

    def log(self, splits: Splits, verdict: Verdict, test: Predictions, champion: Predictions | None, against: str = "") -> None:
        """Log what the test set showed: the challenger's scores and predictions, the champion's beside them, and the report.

        `against` is the champion's version.
        """
        names, guesses = splits.class_names, test.guesses
        scored = metrics.evaluate(
            test.labels, guesses, test.probabilities.max(axis=1), float(test.losses.mean()), test.probabilities.shape[1]
        )
        self._log({"test_accuracy": scored.accuracy, "test_loss": scored.loss, "test_macro_f1": scored.macro_f1})
        buffer = io.BytesIO()
        arrays = {"labels": test.labels, **list_arrays("challenger", test)}
        if champion is not None:
            arrays |= list_arrays("champion", champion)
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        self.keep("test_predictions.npz", buffer.getvalue())
        self.keep("verdict.json", json.dumps(asdict(verdict), indent=1).encode())
        confusion = metrics.plain_confusion(scored.confusion, names)
        self.keep("confusion_matrix.json", json.dumps(confusion, ensure_ascii=False).encode())
        picture = figures.draw_confusion_matrix(scored.confusion, names, "test")
        self.keep("confusion_matrix.png", picture)
        by_class = metrics.make_report(scored.confusion, names)
        self.keep("classification_report.json", json.dumps(by_class, ensure_ascii=False).encode())
        found = report.Findings(self._name, self._study, self._choice, verdict, test, champion, against)
        for file, data in report.make(found, splits, picture).items():
            self.keep(file, data)

    def keep(self, name: str, data: bytes) -> None:
        """Log a file."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            path.write_bytes(data)
            self._client.log_artifact(self.run_id, str(path))

    def close(self, verdict: Verdict) -> str:
        """Write the verdict and close the run; returns its id."""
        tags = {"tailor.outcome": verdict.outcome, "tailor.verdict": verdict.reason}
        self._client.log_batch(self.run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self._client.set_terminated(self.run_id)
        return self.run_id

    def _log(self, values: dict[str, float]) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(self.run_id, metrics=[Metric(name, value, now, 0) for name, value in values.items()])


def list_arrays(name: str, predictions: Predictions, most: int = MOST_NUMBERS) -> dict[str, np.ndarray]:
    """What is kept of a model's predictions: its probabilities, or with more than `most` of them, its guesses and their own."""
    probabilities = predictions.probabilities.astype("float32")
    if probabilities.size <= most:
        return {name: probabilities}
    return {f"{name}_guesses": predictions.guesses, f"{name}_confidences": probabilities.max(axis=1)}


def close_if_open(client: MlflowClient, experiment_id: str, run_id: str) -> None:
    """Close the run of a promotion that was killed after it registered its model."""
    for run in client.search_runs([experiment_id], f"attributes.run_id = '{run_id}' AND {RUNNING}", max_results=1):
        client.set_terminated(run.info.run_id)
