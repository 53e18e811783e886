"""A folder of `tailor export --format litert`, loaded to be served: it needs no store, no TensorFlow and no MLflow."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ..datasets.looks import Looks
from ..errors import InputError
from ..trials.litert import Litert
from .model import ServedModel, is_quick

ABOUT, MODEL, LABELS, CARD = "export.json", "model.tflite", "labels.json", "card.md"
WAY_OUT = "write one with `tailor export NAME --format litert -o DIR`"


def is_folder(reference: str) -> bool:
    """Whether a reference is the folder of an export, and no name of the registry; `./fashion` always is."""
    return reference.startswith((".", "/", "~")) or (Path(reference) / ABOUT).is_file()


def load_exported(folder: Path) -> ServedModel:
    """Verify and load an export. Raises InputError if it is none for LiteRT, or if a file is not as it was written."""
    about = read_about(folder)
    files = {name: _read_verified(folder, name, about) for name in (MODEL, LABELS, CARD)}
    predict = Litert(files[MODEL])
    height, width, channels = about["input"]["shape"][1:]
    looks = about["looks"]
    return ServedModel(
        name=about["name"],
        version=about["version"],
        shape=(height, width, channels),
        labels=json.loads(files[LABELS]),
        looks=looks and Looks.parse(json.dumps(looks)),
        card=files[CARD].decode(),
        predict=predict,
        quick=is_quick(predict, (height, width, channels)),
    )


def read_about(folder: Path) -> dict[str, Any]:
    """What an export for LiteRT says of itself. Raises InputError if the folder holds none."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"NAME: {folder} has no {ABOUT}, so it is no export; {WAY_OUT}.") from None
    except ValueError as error:
        raise InputError(f"NAME: {folder / ABOUT} is damaged ({error}); {WAY_OUT} --force.") from error
    if not isinstance(about, dict) or not {"name", "version", "format", "input", "files", "looks"} <= about.keys():
        raise InputError(f"NAME: {folder / ABOUT} is of an earlier Tailor or damaged; {WAY_OUT} --force.")
    if about["format"] != "litert":
        raise InputError(f"NAME: {folder} holds {about['format']}, which a server without TensorFlow cannot run; {WAY_OUT}.")
    return about


def _read_verified(folder: Path, name: str, about: dict[str, Any]) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"NAME: {path} cannot be read ({error.strerror}); {WAY_OUT} --force.") from error
    if hashlib.sha256(data).hexdigest() != about["files"].get(name):
        raise InputError(f"NAME: {path} is not as it was exported (its SHA-256 differs); {WAY_OUT} --force.")
    return data
