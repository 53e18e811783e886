"""Pull a registered version into a folder: its model, labels, preprocessing, card, code and checksums."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..errors import InputError
from .files import INT8, find_registered_model, read_int8
from .load import SUMS
from .register import MOST_CHARACTERS
from .versions import EVIDENCE, RESCALED, RESCALING, read_input_shape


def pull(client: MlflowClient, version: ModelVersion, folder: Path) -> list[Path]:
    """Write model.keras, its 8-bit form if it has one, labels.json, preprocessing.json, card.md, its code, and SHA256SUMS.

    Raises InputError, and leaves nothing there, if it cannot write.
    """
    images = json.dumps(describe_preprocessing(version), indent=2)
    model = find_registered_model(client, version)
    model.verify()
    files = {
        "model.keras": model.path.read_bytes(),
        "labels.json": (model.path.parent.parent / "labels.json").read_bytes(),
        "preprocessing.json": images.encode(),
        "card.md": read_card(client, version).encode(),
    }
    if (int8 := read_int8(model, version)) is not None:
        files[INT8] = int8
    if model.source is not None:
        files[model.source.name] = model.source.read_bytes()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(files.items())]
    files[SUMS] = "".join(sums).encode()
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise InputError(f"-o: {folder} is not empty; name a new folder.")
        for name, data in files.items():
            written.append(folder / name)
            written[-1].write_bytes(data)
    except OSError as error:
        for path in written:
            with suppress(OSError):
                path.unlink()
        raise InputError(f"-o: {folder} cannot be written ({error.strerror}); name another folder, or make room.") from error
    return sorted(written)


def read_card(client: MlflowClient, version: ModelVersion) -> str:
    """The version's whole card: its description, or the file of its evidence if MLflow's column was too short for it."""
    text = version.description or ""
    if len(text) < MOST_CHARACTERS or EVIDENCE not in version.tags:
        return text
    with tempfile.TemporaryDirectory() as draft:
        return Path(client.download_artifacts(version.tags[EVIDENCE], "card.md", draft)).read_text(encoding="utf-8")


def describe_preprocessing(version: ModelVersion) -> dict[str, Any]:
    """The form of the raw images; they need no other step. Older versions have no tag for their rescaling."""
    rescaling = version.tags.get(RESCALING, RESCALED)
    return {"dtype": "uint8", "range": [0, 255], "shape": ["n", *read_input_shape(version)], "rescaling": rescaling}
