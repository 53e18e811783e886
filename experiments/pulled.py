"""Models that were pulled into a folder, used from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.errors import InputError
from experiments.evaluator import SavedModel, load_model

if TYPE_CHECKING:
    import keras

SUMS = "SHA256SUMS"  # of every file that was pulled, as `sha256sum --check` reads it


def load(folder: str | Path) -> tuple[keras.Model, list[str]]:
    """The model that `tailor pull -o FOLDER` wrote, with its own layers, and its class names. Raises InputError.

    The model takes raw uint8 images (n, height, width, channels) and gives probabilities (n, classes). A model, or code of its
    own, that is not as it was pulled is not opened.
    """
    place = Path(folder)
    if not (place / SUMS).is_file():
        raise InputError(f"{place}: there is no {SUMS}; name a folder that `tailor pull` wrote.")
    lines = (line.split("  ", 1) for line in (place / SUMS).read_text().splitlines())
    sums = {name: digest for digest, name in lines}
    code = next((name for name in sums if name.endswith(".py")), None)
    source = None if code is None else place / Path(code).name
    model = load_model(SavedModel(place / "model.keras", sums["model.keras"], source, sums.get(code or "")))
    return model, json.loads((place / "labels.json").read_text())
