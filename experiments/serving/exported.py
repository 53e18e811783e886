"""A folder of `tailor export --format litert`, loaded to be served: it needs no store, no TensorFlow and no MLflow."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from pathlib import Path
from typing import Any

from ..datasets.looks import Looks
from ..errors import InputError
from ..trials.litert import Litert
from .model import ServedModel, is_quick

ABOUT, MODEL, LABELS, CARD = "export.json", "model.tflite", "labels.json", "card.md"
WAY_OUT = "write one with `tailor export NAME --format litert -o DIR`"
AGAIN = f"{WAY_OUT} --force"
ANEW = f"{WAY_OUT}, into a new folder"  # --force replaces what export.json lists


def is_folder(reference: str) -> bool:
    """Whether a reference is the folder of an export, and no name of the registry; `./fashion` always is, NAME@ALIAS never."""
    return reference.startswith((".", "/", "~")) or ("@" not in Path(reference).name and os.path.isfile(Path(reference) / ABOUT))


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
        raise _refuse(folder, f"{folder} has no {ABOUT}, so it is no export") from None
    except ValueError as error:
        raise _refuse(folder, f"{folder / ABOUT} is damaged ({error})", ANEW) from error
    if not isinstance(about, dict) or not {"name", "version", "format", "input", "files", "looks"} <= about.keys():
        raise _refuse(folder, f"{folder / ABOUT} is of an earlier Tailor or damaged", ANEW)
    if about["format"] != "litert":
        raise _refuse(folder, f"{folder} holds {about['format']}, which a server without TensorFlow cannot run")
    return about


def _read_verified(folder: Path, name: str, about: dict[str, Any]) -> bytes:
    path = folder / name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _refuse(folder, f"{path} cannot be read ({error.strerror})", AGAIN) from error
    if hashlib.sha256(data).hexdigest() != about["files"].get(name):
        raise _refuse(folder, f"{path} is not as it was exported (its SHA-256 differs)", AGAIN)
    return data


def _refuse(folder: Path, said: str, way_out: str = WAY_OUT) -> InputError:
    """The error for a folder that cannot be served; in the current folder, its name may be meant as a registered model's."""
    is_name = folder.parts == (folder.name,) and folder.name != ".." and os.path.isfile(folder / ABOUT)
    other = f" If you mean the registered model: `tailor serve {shlex.quote(f'{folder}@champion')}`." if is_name else ""
    return InputError(f"NAME: {said}; {way_out}.{other}")
