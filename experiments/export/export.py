"""`tailor export`: write a registered model in another format, run it, compare it with the original, and record how it agrees."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..errors import InputError
from ..registry.files import find_registered_model, read_labels
from ..registry.pull import describe_preprocessing, read_card
from ..registry.versions import read_input_shape, read_looks
from ..trials.evaluator import Evaluator
from . import convert
from .agreement import Agreement, compare, require
from .convert import Port
from .folder import ABOUT, draft, list_files, require_room, sum_files
from .formats import Format, find_format
from .image import IMAGE_FILES, write_image_files
from .sample import draw_sample

TAG = "tailor.export."  # and the format: a version's tag with its last agreement
LABELS, CARD = "labels.json", "card.md"
DISTRIBUTIONS = ("tailor-hpo", "tensorflow", "keras")


@dataclass(frozen=True)
class Wanted:
    """What to export: the format, where to (by default a folder named after the model), and the options of the command."""

    format: str
    folder: Path | None = None
    int8: bool = False
    unchecked: bool = False
    force: bool = False


@dataclass(frozen=True)
class Exported:
    """An exported model: its folder, what the model takes and returns, and how it agrees with its original; None if unchecked.

    `about` is what export.json holds.
    """

    name: str
    version: str
    format: str
    folder: Path
    input: Port
    output: Port
    agreement: Agreement | None
    about: dict[str, Any]


def export(client: MlflowClient, version: ModelVersion, wanted: Wanted, data_dir: Path | None) -> Exported:
    """Export a version. Raises InputError and RunError, and leaves no file, if it cannot or if the model does not agree."""
    form = find_format(wanted.format)
    if wanted.int8 and form.name != "litert":
        raise InputError(f"--int8: expected --format litert, got {form.name}; int8 is of LiteRT alone.")
    if wanted.int8 and wanted.unchecked:
        raise InputError("--unchecked: int8 is calibrated with images of the data, so it is compared too; leave one of both out.")
    kind = f"{form.name}-int8" if wanted.int8 else form.name
    folder = wanted.folder or Path(f"{version.name}-{version.version}-{kind}")
    names = [form.file, LABELS, CARD, ABOUT, *(IMAGE_FILES if form.name == "litert" else ())]
    require_room(folder, wanted.force, names)
    preprocessing = describe_preprocessing(version)
    model = find_registered_model(client, version)
    labels = read_labels(model)
    sample = None if wanted.unchecked else draw_sample(client, version, data_dir)
    images = np.zeros((1, *read_input_shape(version)), np.uint8) if sample is None else sample.holdout
    with draft(folder) as place:
        path = place / form.file
        with Evaluator() as evaluator:
            evaluator.call(convert.write, model, form, path, sample.train if sample and wanted.int8 else None)
            given, made, probabilities = evaluator.call(convert.run, form, path, images)
            found = None if sample is None else compare(evaluator.predict(model, images), probabilities)
        if found is not None:
            require(found, wanted.int8)
        (place / LABELS).write_text(json.dumps(labels, ensure_ascii=False), encoding="utf-8")
        (place / CARD).write_text(read_card(client, version), encoding="utf-8")
        if form.name == "litert":
            write_image_files(place, version.name)
        looks = read_looks(version)
        about: dict[str, Any] = {
            "name": version.name,
            "version": str(version.version),
            "format": form.name,
            "int8": wanted.int8,
            "model_sha256": model.sha256,
            "input": asdict(given) | {"range": preprocessing["range"], "rescaling": preprocessing["rescaling"]},
            "output": asdict(made) | {"holds": "probabilities of the classes in labels.json"},
            "looks": looks and asdict(looks),  # of the training images
            "agreement": found and asdict(found),
            "calibration_images": len(sample.train) if sample and wanted.int8 else 0,
            "versions": _read_versions(form),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": sum(file.stat().st_size for file in list_files(place)),
            "files": sum_files(place),
        }
        (place / ABOUT).write_text(json.dumps(about, indent=2, ensure_ascii=False), encoding="utf-8")
    if found is not None:
        record = json.dumps(asdict(found) | {"when": about["when"]})
        client.set_model_version_tag(version.name, str(version.version), f"{TAG}{kind}", record)
    return Exported(version.name, str(version.version), kind, folder, given, made, found, about)


def _read_versions(form: Format) -> dict[str, str]:
    """The versions of the packages that wrote and ran the model."""
    names = (*DISTRIBUTIONS, *(package.replace("_", "-") for package in form.packages))
    known = {one.name: one.version for one in importlib.metadata.distributions()}  # onnxruntime may be onnxruntime-gpu
    return {name: known[name] for name in names if name in known}
