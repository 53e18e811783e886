"""LiteRT forms of a local store's versions, kept in its cache: with one, a prediction needs neither TensorFlow nor MLflow."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ...search.study.key_values import is_name
from ..errors import RunError
from ..store import Store
from ..trials.litert import convert_saved, has_litert
from .local import LocalVersion, read_local_version

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from ..trials.evaluator import Evaluator

FOLDER = "litert"  # in the store's cache
DIGEST = 64  # bytes before a form: the SHA-256 of the rest


def read_form(store: Store, version: LocalVersion) -> bytes | None:
    """The version's LiteRT form; empty if it has none; None if it was not made yet, or is damaged."""
    try:
        data = (store.cache / FOLDER / version.key).read_bytes()
    except OSError:
        return None
    digest, form = data[:DIGEST], data[DIGEST:]
    return form if hashlib.sha256(form).hexdigest().encode() == digest else None


def _keep_form(store: Store, version: LocalVersion, form: bytes) -> None:
    """Keep a LiteRT form, whole or not at all; nothing if the store cannot be written to."""
    with suppress(OSError):
        folder = store.cache / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(hashlib.sha256(form).hexdigest().encode() + form)
        os.replace(file.name, folder / version.key)


def make_form(store: Store, reference: str, sha256: str, shape: tuple[int, int, int], evaluator: Evaluator) -> None:
    """Make the version's form, unless there is one.

    Does nothing without LiteRT, or if Tailor reads another model of the store than MLflow, whose model has that SHA-256.
    """
    version = read_local_version(store, reference) if has_litert() else None
    if version is not None and version.model.sha256 == sha256 and read_form(store, version) is None:
        with suppress(RunError):  # a converter that dies leaves predictions as slow as they are
            _keep_form(store, version, evaluator.call(convert_saved, version.model, shape) or b"")


def list_unneeded(store: Store, versions: Iterable[ModelVersion]) -> list[Path]:
    """The forms in the store's cache that are of none of the versions."""
    own = [one for one in versions if is_name(one.name)]  # other tools' names may be none that Tailor takes
    found = [read_local_version(store, f"{one.name}/{one.version}", verify=False) for one in own]  # it reads no model
    needed = {version.key for version in found if version is not None}
    return sorted(path for path in (store.cache / FOLDER).glob("*") if path.name not in needed)
