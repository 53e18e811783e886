"""Logs the average of several logged models as one logged model, which loads like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from mlflow.entities import LoggedModelStatus

from ..datasets.splits import Splits
from ..registry.files import CODE_SHA256, SHA256, fetch_saved_model
from ..registry.versions import DIGEST
from ..tracking.entries import LogModel
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy
from ..tracking.writer import log_model
from ..trials.evaluator import Evaluator

MEMBERS = "tailor.members"


@dataclass(frozen=True)
class Average:
    """The logged models to average, each as often as it is named, and the run that the average is logged to."""

    members: Sequence[str]
    run_id: str

    @property
    def label(self) -> str:
        """What tells it from other averages, short enough for a tag."""
        return hashlib.sha256(" ".join(sorted(self.members)).encode()).hexdigest()


def log_average(study: RecordedStudy, splits: Splits, evaluator: Evaluator, average: Average) -> tuple[str, int]:
    """The id and size in bytes of the logged average, which is made if it is not there yet."""
    client = study.client
    for model in read_pages(client.search_logged_models, [study.experiment_id]):
        if model.tags.get(MEMBERS) == average.label and model.status == LoggedModelStatus.READY:
            return model.model_id, int(model.tags["tailor.model_bytes"])
    members = list(dict.fromkeys(average.members))
    saved = [fetch_saved_model(client, member) for member in members]
    keras = evaluator.average(saved, [average.members.count(member) for member in members])
    files = {"model.keras": keras, "labels.json": json.dumps(splits.class_names, ensure_ascii=False).encode()}
    tags = {
        "tailor.study": study.name,
        MEMBERS: average.label,
        "tailor.model_bytes": str(len(keras)),
        SHA256: hashlib.sha256(keras).hexdigest(),
        DIGEST: splits.digest,
    }
    source = saved[0].source
    if source is not None:
        files[source.name] = source.read_bytes()
        tags[CODE_SHA256] = hashlib.sha256(files[source.name]).hexdigest()
    height, width, channels = splits.train.images.shape[1:]
    entry = LogModel(
        (0, 0), tags, (height, width, channels), len(splits.class_names), 0, None if source is None else source.name, files
    )
    return log_model(client, study.experiment_id, average.run_id, entry), len(keras)
