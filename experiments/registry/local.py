"""A local store's versions, read without MLflow, whose import takes longer than a prediction."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..errors import InputError
from ..store import Store
from ..system.sqlite import read_database
from ..trials.saved_model import SavedModel
from .reference import CODE_SHA256, SHA256, Reference


@dataclass(frozen=True)
class LocalVersion:
    """A version as MLflow's tables hold it; `schema` is the revision of the tables."""

    name: str
    version: str
    tags: Mapping[str, str]
    model: SavedModel
    schema: str

    @property
    def key(self) -> str:
        """What its LiteRT form is kept under (forms.py): another model, other code or other tables have another key."""
        parts = (self.model.sha256, self.model.source_sha256 or "", self.schema)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_local_version(store: Store, reference: str, verify: bool = True) -> LocalVersion | None:
    """The version that a reference names, its model's files verified if asked to; None if anything is not as expected.

    It never explains why: MLflow's client, asked next, does. Raises InputError for a reference that names nothing.
    """
    wanted = Reference.parse(reference)
    if not store.local:
        return None
    with (
        suppress(sqlite3.Error, KeyError, ValueError, OSError, InputError),
        read_database(store.root / "mlflow.db") as database,
    ):
        found = _read(database, wanted)
        if verify:
            found.model.verify()
        return found
    return None


def _read(database: sqlite3.Connection, wanted: Reference) -> LocalVersion:
    """Raises ValueError for anything but exactly one row, KeyError for a version that Tailor did not promote."""

    def one(query: str, *values: str) -> str:
        ((value,),) = database.execute(query, values).fetchall()
        return str(value)

    name, number = wanted.name, wanted.version
    if number is None:
        number = one("SELECT version FROM registered_model_aliases WHERE name = ? AND alias = ?", name, str(wanted.alias))
    # as a text: for SQLite the number 1 is '01' too
    row = "FROM model_versions WHERE name = ? AND CAST(version AS TEXT) = ? AND current_stage != 'Deleted_Internal'"
    source = one(f"SELECT source {row}", name, number)
    tags = dict(database.execute("SELECT key, value FROM model_version_tags WHERE name = ? AND version = ?", (name, number)))
    query = "SELECT artifact_location FROM logged_models WHERE model_id = ?"
    folder = Path(url2pathname(urlsplit(one(query, source.removeprefix("models:/"))).path))
    code = sorted((folder / "code").glob("*.py"))
    if len(code) > 1:
        raise ValueError("several files of code")
    model = SavedModel(
        folder / "data" / "model.keras", tags[SHA256], code[0] if code else None, tags[CODE_SHA256] if code else None
    )
    return LocalVersion(name, number, tags, model, one("SELECT version_num FROM alembic_version"))


def read_labels(version: LocalVersion) -> list[str]:
    """The class names, in the order of the model's outputs."""
    return json.loads((version.model.path.parent.parent / "labels.json").read_text(encoding="utf-8"))
