"""Writes a learning rate's range into a study file, and leaves its comments and its order as they are."""

from __future__ import annotations

import os
from pathlib import Path

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import InlineTable, Item, Table

from ...models.training.rate_curve import RateAdvice
from ...search.study.capabilities import LISTED
from ...search.study.load import load
from ..errors import InputError
from .resolve import find_file, list_shipped

RATE = "learning_rate"


def find_writable(study: str) -> Path:
    """The study's file. Raises InputError if it is a shipped one, or if it has no place for a range."""
    if study in list_shipped():
        raise InputError(f"--write: {study} is shipped with Tailor; copy it first: cp {list_shipped()[study]} mine.toml")
    path = find_file(study)
    spec = load(path)
    if not spec.source.known or not spec.source.declared:
        owner = "study.space is a function" if spec.source.known else "the model declares its own hyperparameters"
        raise InputError(f"--write: {owner}; set the range there.")
    if RATE in spec.training:
        raise InputError(f"--write: training.{RATE} is fixed in {path}; remove that line, and the range goes into [space].")
    if spec.search.sampler.name in LISTED:
        raise InputError(f"--write: {spec.search.sampler.name} needs a list of values, not a range; leave --write out.")
    _read_space(tomlkit.parse(path.read_text(encoding="utf-8")), path)
    return path


def _read_space(document: TOMLDocument, path: Path) -> Table:
    """The document's [space], which is made if there is none. Raises InputError if it is no plain table."""
    if "space" not in document:
        document["space"] = tomlkit.table()
    space = document["space"]
    if not isinstance(space, Table):
        raise InputError(
            f"--write: the space of {path} is written in several places or in one line; put it into one table [space]."
        )
    return space


def write_range(path: Path, advice: RateAdvice) -> None:
    """Set [space] learning_rate to the range, with the suggested rate as its default.

    Raises StudyError if the file would not be valid then, and leaves it as it was.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    space = _read_space(document, path)
    found, entry = space.get(RATE), tomlkit.inline_table()
    entry.update({"low": advice.low, "high": advice.high, "log": True, "default": advice.rate})
    if isinstance(found, (InlineTable, Table)) and "when" in found:
        entry["when"] = found["when"]
    if isinstance(found, Item) and not isinstance(found, Table):  # its line's comment
        entry.trivia.comment_ws, entry.trivia.comment = found.trivia.comment_ws, found.trivia.comment
    space[RATE] = entry
    draft = path.with_suffix(".toml.draft")
    draft.write_text(tomlkit.dumps(document), encoding="utf-8")
    try:
        load(draft)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
