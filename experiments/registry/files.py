"""The files of logged models, with the checksums that vouch for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion

from ..errors import InputError, RunError, write_command
from ..tracking.leaderboard import read_leaderboard
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy
from ..trials.saved_model import SavedModel
from .reference import CODE_SHA256, SHA256

INT8, INT8_SHA256 = "model_int8.tflite", "tailor.int8_sha256"  # the 8-bit form of a compressed model, beside model.keras


def fetch_saved_model(
    client: MlflowClient, model_id: str, tags: Mapping[str, str] | None = None, folder: Path | None = None
) -> SavedModel:
    """A logged model's files, with the checksums in its tags or in `tags`. Raises InputError if there are none.

    They are copied into `folder`; by default they are where they are, or downloaded into a folder that nothing removes.
    """
    logged = client.get_logged_model(model_id)
    sums = read_checksums(logged.tags if tags is None else tags)
    if SHA256 not in sums:
        raise InputError(f"model {model_id} has no tag {SHA256}: Tailor did not log it, and loads no file that it cannot check.")
    copy = None if folder is None else str(folder)
    place = Path(download_artifacts(artifact_uri=logged.artifact_location, dst_path=copy, tracking_uri=client.tracking_uri))
    code = sorted((place / "code").glob("*.py"))
    if len(code) > 1 or (code and CODE_SHA256 not in sums):
        raise InputError(
            f"model {model_id}: no tag {CODE_SHA256} vouches for the code beside it, so Tailor does not run it; search again."
        )
    return SavedModel(place / "data" / "model.keras", sums[SHA256], code[0] if code else None, sums.get(CODE_SHA256))


def find_registered_model(client: MlflowClient, version: ModelVersion, folder: Path | None = None) -> SavedModel:
    """The files of a version, with the checksums that the registry holds; as `fetch_saved_model` finds them."""
    return fetch_saved_model(client, version.source.removeprefix("models:/"), version.tags, folder)


def read_int8(model: SavedModel, version: ModelVersion) -> bytes | None:
    """The 8-bit form of a version's model; None if it has none. Raises InputError if its checksum differs."""
    if INT8_SHA256 not in version.tags:
        return None
    path = model.path.parent.parent / INT8
    data = path.read_bytes()
    if (got := hashlib.sha256(data).hexdigest()) != version.tags[INT8_SHA256]:
        raise InputError(f"{path}: its SHA-256 is {got}, not the registered {version.tags[INT8_SHA256]}; the file was changed.")
    return data


def read_labels(model: SavedModel) -> list[str]:
    """The class names, in the order of the model's outputs."""
    return json.loads((model.path.parent.parent / "labels.json").read_text(encoding="utf-8"))


def find_logged_models(study: RecordedStudy) -> dict[int, str]:
    """The ids of the trials' logged models, by trial."""
    logged = read_pages(study.client.search_logged_models, [study.experiment_id])
    return {int(m.tags["tailor.trial"]): m.model_id for m in logged if "tailor.trial" in m.tags}


def find_best_model(study: RecordedStudy) -> str:
    """The id of the logged model of the best trial that keeps the constraints and has one. Raises RunError."""
    models = find_logged_models(study)
    for row in read_leaderboard(study):
        if row.front is not None and row.trial in models:
            return models[row.trial]
    within, shown = study.goal.within, write_command("status", study.name)
    raise RunError(f"study {study.name!r} has no complete trial with a model{within} yet; see {shown}.")


def read_checksums(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags that hold the checksums of a model's files."""
    return {name: tags[name] for name in (SHA256, CODE_SHA256) if name in tags}
