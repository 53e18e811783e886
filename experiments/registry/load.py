"""Load a pulled model in Python."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..trials.saved_model import SavedModel, load_model

if TYPE_CHECKING:
    import keras

SUMS = "SHA256SUMS"  # of every pulled file, in the format of `sha256sum --check`


def load(folder: str | Path) -> tuple[keras.Model, list[str]]:
    """The model that `tailor pull -o FOLDER` wrote, with its custom layers, and its class names. Raises InputError.

    The model takes raw uint8 images (n, height, width, channels) and returns probabilities (n, classes). Tailor refuses a model,
    or the model's code, that changed after the pull.
    """
    place = Path(os.path.expanduser(folder))
    if not os.path.isdir(place):
        raise InputError(f"{place}: there is no such folder; give one that `tailor pull NAME -o DIR` wrote.")
    sums = _sums(place)
    code = next((name for name in sums if name.endswith(".py")), None)
    source = None if code is None else place / code
    model = load_model(SavedModel(place / "model.keras", sums["model.keras"], source, sums.get(code or "")))
    return model, json.loads((place / "labels.json").read_text(encoding="utf-8"))


def _sums(place: Path) -> dict[str, str]:
    """The checksums of the folder's files by name."""
    try:
        found = re.findall(r"^([0-9a-f]{64})  ([^/\n]+)$", (place / SUMS).read_text(encoding="utf-8"), re.MULTILINE)
    except OSError as error:
        raise InputError(f"{place}: {SUMS} cannot be read; pull the model again, into a new folder.") from error
    sums = {name: digest for digest, name in found}
    missing = [name for name in ("model.keras", *sums) if name not in sums or not (place / name).is_file()]
    if missing:
        raise InputError(f"{place}: there is no {missing[0]}; pull the model again, into a new folder.")
    return sums
