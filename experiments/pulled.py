"""Models that were pulled into a folder, used from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import InputError
from experiments.evaluator import SavedModel, load_model

if TYPE_CHECKING:
    import keras


def load(folder: str | Path) -> tuple[keras.Model, list[str]]:
    """The model that `tailor pull -o FOLDER` wrote, with its own layers, and its class names. Raises InputError.

    The model takes raw uint8 images (n, height, width, channels) and gives probabilities (n, classes).
    """
    place = Path(folder)
    if not (place / "model.keras").is_file():
        raise InputError(f"{place}: there is no model.keras; name a folder that `tailor pull` wrote.")
    code = sorted(place.glob("*.py"))
    model = load_model(SavedModel(place / "model.keras", None, code[0] if code else None))
    return model, json.loads((place / "labels.json").read_text())
